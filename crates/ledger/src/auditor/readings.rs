//! What must lie in the meter, by the journal alone: one row for each reading, with every figure as its event says it.
//! It shares no code with what makes the rows: names of columns and texts are all it knows.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, Event, JobId, Mark, MeterRecord, Reading, TimeMs};

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// The columns of a row that have a value, by name.
pub type Columns = BTreeMap<&'static str, String>;

/// A row that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MustRead {
    /// Whose.
    pub attempt: AttemptId,
    /// Its number.
    pub number: u32,
    /// What it says.
    pub columns: Columns,
}

/// What one tenant used at one centre and was booked in one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Who.
    pub tenant: String,
    /// Where.
    pub centre: String,
    /// Hours after 1970-01-01, in UTC.
    pub hour: i64,
}

/// Rows and sums of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Rows of the meter.
    pub rows: i128,
    /// Money, in millionths.
    pub cost: i128,
    /// Work in GFLOP, all classes in one: it is only compared, never told.
    pub work: i128,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.rows += other.rows;
        self.cost += other.cost;
        self.work += other.work;
    }
}

/// What a task that runs was given.
#[derive(Debug, Clone)]
struct Given {
    attempt_columns: Columns,
    centre: String,
    /// Cost and work that its readings had so far.
    read: (i128, i128),
}

/// Follows the journal, and keeps what each hour must come to.
#[derive(Debug, Default)]
pub struct Readings {
    /// Tenant and project of jobs that have not ended.
    jobs: BTreeMap<JobId, (String, String)>,
    running: BTreeMap<(JobId, u32), Given>,
    rows: u64,
    /// Rows by the events, money and work by the transfers; without what was posted before there were meters.
    sums: BTreeMap<Slot, Sums>,
}

impl Readings {
    /// Before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there must be.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes one event of an entry that was decided `at`, and gives the rows that must be there because of it.
    pub fn event(&mut self, at: TimeMs, event: &Event) -> Vec<MustRead> {
        match event {
            Event::JobSubmitted { job, tenant, project, .. } => {
                self.jobs.insert(*job, (tenant.to_string(), project.to_string()));
            }
            Event::JobEnded { job, .. } => _ = self.jobs.remove(job),
            Event::TasksPlaced { job, tasks, centre, pool, terms, .. } => {
                let Some((tenant, project)) = self.jobs.get(job) else { return Vec::new() };
                let (tenant, project, share) = (tenant.clone(), project.clone(), &terms.share);
                let columns = Columns::from([
                    ("tenant", tenant),
                    ("project", project),
                    ("centre", centre.to_string()),
                    ("pool", pool.to_string()),
                    ("class", share.class.as_str().to_owned()),
                    ("version", share.version.to_string()),
                    ("sustained", bits(share.sustained.0)),
                    ("part", bits(share.part)),
                    ("whole", bits(share.whole)),
                ]);
                for task in tasks.iter() {
                    let given = Given { attempt_columns: columns.clone(), centre: centre.to_string(), read: (0, 0) };
                    self.running.insert((*job, task), given);
                }
            }
            Event::AttemptUsed { attempt, readings, .. } => return self.of_attempt(at, *attempt, readings),
            Event::AttemptEnded { attempt, readings, cost, work, .. } => {
                let rows = self.of_attempt(at, *attempt, readings);
                let given = self.running.remove(&(attempt.job, attempt.task));
                // Before there were meters an end alone said what was used: no row has it.
                if let Some(given) = given.filter(|_| readings.is_empty()) {
                    let tenant = given.attempt_columns["tenant"].clone();
                    let rest = (i128::from(cost.0) - given.read.0, i128::from(work.0) - given.read.1);
                    self.add(tenant, given.centre, at, Sums { rows: 0, cost: -rest.0, work: -rest.1 });
                }
                return rows;
            }
            Event::LateUsed { records: corrections } | Event::Rerated { corrections, .. } => {
                return corrections.iter().map(|row| self.of_record(at, row)).collect();
            }
            _ => {}
        }
        Vec::new()
    }

    /// Takes one stored transfer that was booked `at`: what tenants and centres pay each other, and work.
    pub fn transfer(&mut self, at: TimeMs, asset: &str, debit: &str, credit: &str, amount: i64) {
        let amount = i128::from(amount);
        let of = |account: &'_ str, kinds: &[&str]| {
            kinds.iter().find_map(|kind| account.strip_prefix(kind)).map(str::to_owned)
        };
        let (payers, centres) = (["tenant:", "held:"], ["centre:"]);
        if let (true, Some(centre), Some(tenant)) =
            (asset.starts_with("work:"), of(debit, &["delivered:"]), of(credit, &["used:"]))
        {
            self.add(tenant, centre, at, Sums { work: amount, ..Sums::default() });
        } else if let (Some(tenant), Some(centre)) = (of(debit, &payers), of(credit, &centres)) {
            self.add(tenant, centre, at, Sums { cost: amount, ..Sums::default() });
        } else if let (Some(centre), Some(tenant)) = (of(debit, &centres), of(credit, &payers)) {
            self.add(tenant, centre, at, Sums { cost: -amount, ..Sums::default() });
        }
    }

    /// What every hour must come to, once everything was taken; hours of nothing are left out.
    pub fn sums(self) -> BTreeMap<Slot, Sums> {
        let mut sums = self.sums;
        sums.retain(|_, sums| *sums != Sums::default());
        sums
    }

    fn of_attempt(&mut self, at: TimeMs, attempt: AttemptId, readings: &[Reading]) -> Vec<MustRead> {
        let Some(given) = self.running.get_mut(&(attempt.job, attempt.task)) else { return Vec::new() };
        for reading in readings {
            given.read = (given.read.0 + i128::from(reading.cost.0), given.read.1 + i128::from(reading.work));
        }
        let (columns, centre) = (given.attempt_columns.clone(), given.centre.clone());
        readings.iter().map(|reading| self.row(at, attempt, &centre, columns.clone(), reading)).collect()
    }

    fn of_record(&mut self, at: TimeMs, record: &MeterRecord) -> MustRead {
        let share = record.share;
        let columns = Columns::from([
            ("tenant", record.tenant.to_string()),
            ("project", record.project.to_string()),
            ("centre", record.centre.to_string()),
            ("pool", record.pool.to_string()),
            ("class", share.class.as_str().to_owned()),
            ("version", share.version.to_string()),
            ("sustained", bits(share.sustained.0)),
            ("part", bits(share.part)),
            ("whole", bits(share.whole)),
        ]);
        self.row(at, record.attempt, record.centre.as_str(), columns, &record.reading)
    }

    fn row(
        &mut self,
        at: TimeMs,
        attempt: AttemptId,
        centre: &str,
        mut columns: Columns,
        reading: &Reading,
    ) -> MustRead {
        self.rows += 1;
        let tenant = columns["tenant"].clone();
        self.add(tenant, centre.to_owned(), at, Sums { rows: 1, ..Sums::default() });
        columns.extend([
            ("job", attempt.job.0.to_string()),
            ("task", attempt.task.to_string()),
            ("attempt", attempt.attempt.to_string()),
            ("number", reading.number.to_string()),
            ("from_ms", reading.from.0.to_string()),
            ("until_ms", reading.until.0.to_string()),
            ("at_ms", reading.at.0.to_string()),
            ("work", reading.work.to_string()),
            ("cpu_ms", bits(reading.cpu.0)),
            ("rule", reading.rule.to_string()),
            ("price", reading.price.0.to_string()),
            ("cost", reading.cost.0.to_string()),
        ]);
        columns.extend(reading.adjusts.map(|number| ("adjusts", number.to_string())));
        if let Some(under) = reading.contract {
            columns.extend([("contract", under.id.to_string()), ("list_price", under.list_price.0.to_string())]);
        }
        if let Some(energy) = reading.energy {
            let mark = match energy.mark {
                Mark::Measured => "measured",
                Mark::Modelled => "modelled",
                Mark::Declared => "declared",
            };
            columns.extend([("joules", bits(energy.joules)), ("mark", mark.to_owned())]);
            columns.extend(energy.carbon_g_per_kwh.map(|carbon| ("carbon", carbon.to_string())));
        }
        MustRead { attempt, number: reading.number, columns }
    }

    fn add(&mut self, tenant: String, centre: String, at: TimeMs, sums: Sums) {
        let slot = Slot { tenant, centre, hour: at.0.div_euclid(HOUR_MS) };
        self.sums.entry(slot).or_default().add(sums);
    }
}

/// An unsigned figure as the database has it: bit by bit in a signed one.
fn bits(figure: u64) -> String {
    figure.cast_signed().to_string()
}
