//! Families of jobs, from the format to what the twin draws from.

use std::sync::Arc;

use huisuan_model::{
    Bytes, CentreId, DurationMs, JobSpec, MilliDevices, Millicores, PoolId, ProjectId, RangeSet, TenantId,
    quantity::{GFLOP_PER_P_H, GflopPerS},
    spec::{DeviceNeed, LatencyBound, Need, Reading, limits},
};
use huisuan_twin::{
    setup::Site,
    workload::{Draw, Family, Unit},
};
use toml::Spanned;

use super::{
    check::{Check, in_units},
    file::{DrawFile, FamilyFile},
    racks,
    read::Title,
    routes::Routes,
};
use crate::read::ReadError;

/// The longest time of a file in seconds: a year.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// Who submits, with a weight.
type Owner = ((TenantId, ProjectId), u64);

/// What a report knows of a family besides its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyFacts {
    /// The name of the family.
    pub name: String,
    /// What people call it.
    pub title: Title,
    /// There and back to its users, by centre; `None` where there is no way or it has no users.
    pub round_trip_ms: Vec<Option<f64>>,
    /// The longest that its users bear.
    pub round_trip_ms_max: Option<f64>,
    /// The centre next to its users.
    pub users_at: Option<usize>,
    /// What is moved to each task that starts elsewhere; of a gang what is moved to all of its tasks together.
    pub data_bytes: u64,
    /// Where that lies.
    pub data_at: Option<usize>,
}

impl FamilyFacts {
    /// Where its work would run if it could not be moved: at its data, or at its users.
    pub fn home(&self) -> Option<usize> {
        self.data_at.or(self.users_at)
    }
}

/// All that a family's fields are checked against.
pub(super) struct World<'a> {
    pub(super) sites: &'a [Site],
    pub(super) routes: &'a Routes,
    pub(super) tenants: &'a [TenantId],
    pub(super) families: &'a [FamilyFile],
    /// Milliseconds that local hours begin after those of UTC.
    pub(super) zone_ms: i64,
}

/// A family: what the twin draws, and what reports know.
pub(super) struct Made {
    pub(super) family: Family,
    pub(super) facts: FamilyFacts,
}

impl World<'_> {
    fn centre(&self, check: Check<'_>, field: &str, value: &Spanned<String>) -> Result<usize, ReadError> {
        check.known(field, value, "centre", self.sites.iter().map(|site| site.centre.id.as_str()))
    }

    /// A family as the file has it.
    pub(super) fn family(&self, check: Check<'_>, file: &FamilyFile) -> Result<Made, ReadError> {
        let facts = self.facts(check, file)?;
        let centres = self.centres(check, file, &facts)?;
        let (draw, unit) = length(check, file)?;
        let percent = |field, value: &Option<Spanned<f64>>, default| -> Result<f64, ReadError> {
            check.number_or(field, value.as_ref(), default, 0.0..=100.0)
        };
        let spread = check.number_or("task_spread", file.task_spread.as_ref(), 1.0, 1.0..=100.0)?;
        let after = file.after.as_ref();
        let family = Family {
            name: file.name.get_ref().clone(),
            jobs_per_day: match (&file.jobs_per_day, after) {
                (Some(jobs), None) => check.whole("jobs_per_day", jobs, 1..=1_000_000_000)?,
                (None, Some(_)) => 0,
                _ => {
                    let expected = "a family that has either `jobs_per_day` or `after`";
                    return Err(check.refuse("jobs_per_day", &file.name, file.name.get_ref(), expected));
                }
            },
            burst: file.burst.as_ref().map_or(Ok(1), |burst| check.whole("burst", burst, 1..=1_000_000))?,
            hour_weights: hours(check, file)?,
            zone_ms: self.zone_ms,
            owners: self.owners(check, file)?,
            specs: specs(check, file, &centres, self.reach(&facts))?,
            length: draw,
            unit,
            task_spread_percent: in_units(spread, 100.0),
            failing_ppm: in_units(percent("failing_percent", &file.failing_percent, 0.0)?, 10_000.0),
            busy_percent: in_units(percent("busy_percent", &file.busy_percent, 100.0)?, 1.0),
            after: after.map(|after| self.leader(check, after)).transpose()?,
        };
        Ok(Made { family, facts })
    }

    /// What the jobs of a family mind of the network.
    fn reach(&self, facts: &FamilyFacts) -> (Option<LatencyBound>, Option<Reading>) {
        let id = |at: usize| self.sites[at].centre.id.clone();
        let latency = facts.round_trip_ms_max.zip(facts.users_at).map(|(most, users)| LatencyBound {
            round_trip_max: DurationMs(in_units(most, 1.0)),
            to: Some(id(users)),
            place: None,
        });
        let home = facts.data_at.filter(|_| facts.data_bytes > 0);
        (latency, home.map(|home| Reading { at: id(home), bytes: Bytes(facts.data_bytes) }))
    }

    fn leader(&self, check: Check<'_>, after: &Spanned<String>) -> Result<usize, ReadError> {
        check.known("after", after, "family", self.families.iter().map(|family| family.name.get_ref().as_str()))
    }

    fn facts(&self, check: Check<'_>, file: &FamilyFile) -> Result<FamilyFacts, ReadError> {
        let centre = |field, value: &Option<Spanned<String>>| {
            value.as_ref().map(|value| self.centre(check, field, value)).transpose()
        };
        let (users_at, data_at) = (centre("users_at", &file.users_at)?, centre("data_at", &file.data_at)?);
        let bound = file.round_trip_ms_max.as_ref();
        let bound = bound.map(|bound| check.number("round_trip_ms_max", bound, 1.0..=60_000.0)).transpose()?;
        if let (Some(ms), Some(at)) = (bound.filter(|ms| ms.fract() != 0.0), &file.round_trip_ms_max) {
            return Err(check.refuse("round_trip_ms_max", at, ms, "a whole number of milliseconds"));
        }
        let pairs = (bound.is_none() || users_at.is_some()) && (file.data_gib.is_none() || data_at.is_some());
        let expected = "`users_at` beside `round_trip_ms_max`, and `data_at` beside `data_gib`";
        check.holds(pairs, "users_at", &file.name, file.name.get_ref(), expected)?;
        let data_gib = check.number_or("data_gib", file.data_gib.as_ref(), 0.0, 0.0..=1e9)?;
        let way = |at| self.routes.between(users_at?, at);
        Ok(FamilyFacts {
            name: file.name.get_ref().clone(),
            title: Title::of(&file.title, file.name.get_ref()),
            round_trip_ms: (0..self.sites.len()).map(way).collect(),
            round_trip_ms_max: bound,
            users_at,
            data_bytes: in_units(data_gib, (1u64 << 30) as f64),
            data_at,
        })
    }

    /// The centres that a family may go to; empty for any. The bound of its users is a part of its jobs and kept by
    /// the scheduler; that data can reach only some centres is not, and becomes a list of these.
    fn centres(&self, check: Check<'_>, file: &FamilyFile, facts: &FamilyFacts) -> Result<Vec<CentreId>, ReadError> {
        let mut named = Vec::new();
        if let Some(list) = &file.centres {
            for name in list.get_ref() {
                named.push(self.centre(check, "centres", &Spanned::new(list.span(), name.clone()))?);
            }
        }
        let near = |at: &usize| {
            facts.round_trip_ms_max.is_none_or(|most| facts.round_trip_ms[*at].is_some_and(|ms| ms <= most))
        };
        let reached = |at: &usize| {
            let way = facts.data_at.is_none_or(|home| self.routes.between(home, *at).is_some());
            way && (named.is_empty() || named.contains(at))
        };
        let expected = "a family that some centre may run: within reach of its data and its users' bound";
        let some = (0..self.sites.len()).filter(reached).any(|at| near(&at));
        check.holds(some, "centres", &file.name, file.name.get_ref(), expected)?;
        let open: Vec<usize> = (0..self.sites.len()).filter(reached).collect();
        if open.len() == self.sites.len() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<CentreId> = open.into_iter().map(|at| self.sites[at].centre.id.clone()).collect();
        ids.sort();
        Ok(ids)
    }

    fn owners(&self, check: Check<'_>, file: &FamilyFile) -> Result<Vec<Owner>, ReadError> {
        let project = match &file.project {
            Some(project) => check.name("project", project)?,
            None => ProjectId::new("default").expect("the constant is a name"),
        };
        let weights = file.tenants.get_ref();
        let mut owners = Vec::new();
        for (name, &weight) in weights {
            let found = self.tenants.iter().find(|tenant| tenant.as_str() == name);
            let unknown = || check.refuse("tenants", &file.tenants, name, "tenants of this file");
            owners.push(((found.ok_or_else(unknown)?.clone(), project.clone()), weight));
        }
        let sound = weights.values().all(|weight| (1..=1_000_000).contains(weight)) && !weights.is_empty();
        check.holds(sound, "tenants", &file.tenants, "weights", "tenants with weights from 1 to 1000000")?;
        Ok(owners)
    }
}

fn hours(check: Check<'_>, file: &FamilyFile) -> Result<[u64; 24], ReadError> {
    let Some(hours) = &file.hours else { return Ok([1; 24]) };
    let weights = *hours.get_ref();
    let sound = weights.iter().all(|weight| *weight <= 1_000_000) && weights.iter().any(|weight| *weight > 0);
    check.holds(sound, "hours", hours, "weights", "24 weights from 0 to 1000000, one of them above 0")?;
    Ok(weights)
}

/// How long the family's tasks run, and what the figures count.
fn length(check: Check<'_>, file: &FamilyFile) -> Result<(Draw, Unit), ReadError> {
    let (field, found, most, units, unit) = match (&file.run_s, &file.work_p_h) {
        (Some(run), None) => ("run_s", run, SECONDS_MAX, 1e3, Unit::Ms),
        (None, Some(work)) => ("work_p_h", work, 1e9, GFLOP_PER_P_H as f64, Unit::Gflop),
        _ => {
            let expected = "a family that has either `run_s` or `work_p_h`";
            return Err(check.refuse("run_s", &file.name, file.name.get_ref(), expected));
        }
    };
    let DrawFile { median, spread, min, max } = *found.get_ref();
    let max = max.unwrap_or(most);
    let sound = (0.0..=most).contains(&min) && (min..=most).contains(&max) && (min..=max).contains(&median);
    let sound = sound && median > 0.0 && (1.0..=100.0).contains(&spread);
    let expected = format!("0 <= min <= median <= max <= {most}, the median above 0, and a spread from 1 to 100");
    let said = format!("median {median}, spread {spread}, min {min}, max {max}");
    check.holds(sound, field, found, said, &expected)?;
    let draw = Draw {
        median: in_units(median, units).max(1),
        spread_percent: in_units(spread, 100.0),
        min: in_units(min, units),
        max: in_units(max, units).max(1),
    };
    Ok((draw, unit))
}

/// What a family submits: one spec for each number of tasks.
fn specs(
    check: Check<'_>,
    file: &FamilyFile,
    centres: &[CentreId],
    (latency, data): (Option<LatencyBound>, Option<Reading>),
) -> Result<Vec<(Arc<JobSpec>, u64)>, ReadError> {
    let one = Spanned::new(file.name.span(), vec![1]);
    let sizes = file.tasks.as_ref().unwrap_or(&one);
    check.holds(!sizes.get_ref().is_empty(), "tasks", sizes, "none", "at least one number of tasks")?;
    let walltime_s = check.number("walltime_s", &file.walltime_s, 0.001..=SECONDS_MAX)?;
    let memory_gib = check.number("memory_gib", &file.memory_gib, 1e-6..=1e6)?;
    let mut spec = JobSpec::command(file.name.get_ref(), &["simulated"]);
    spec.need = need(check, file)?;
    spec.memory = Bytes(in_units(memory_gib, (1u64 << 30) as f64));
    spec.walltime = DurationMs(in_units(walltime_s, 1e3));
    spec.class = file.class;
    spec.centres = centres.to_vec();
    spec.latency = latency;
    spec.objective = file.objective.unwrap_or_default();
    spec.gang = file.gang;
    spec.topology = racks::together(check, file)?;
    spec.parallel_max = file.parallel_max;
    spec.priority = file.priority;
    spec.retries = file.retries;
    let mut specs: Vec<(Arc<JobSpec>, u64)> = Vec::new();
    for &size in sizes.get_ref() {
        let last = u32::try_from(size.saturating_sub(1)).ok().filter(|_| (1..=limits::TASKS_MAX).contains(&size));
        let last = last.ok_or_else(|| check.refuse("tasks", sizes, size, "numbers of tasks from 1 to 10000000"))?;
        // A gang reads its data once: each of its tasks a part of it.
        let readers = if file.gang { size } else { 1 };
        let part = |all: &Reading| Reading { at: all.at.clone(), bytes: Bytes(all.bytes.0.div_ceil(readers)) };
        let reads = data.iter().map(part).collect();
        let spec = JobSpec { tasks: RangeSet::from_range(0, last), reads, ..spec.clone() };
        spec.validate().map_err(|error| {
            // Values of a spec come in quotes of their own.
            check.refuse(error.field, &file.name, error.value.trim_matches('`'), &error.expected)
        })?;
        match specs.iter_mut().find(|(known, _)| known.tasks == spec.tasks) {
            Some((_, weight)) => *weight += 1,
            None => specs.push((Arc::new(spec), 1)),
        }
    }
    Ok(specs)
}

fn need(check: Check<'_>, file: &FamilyFile) -> Result<Need, ReadError> {
    let memory_min = Bytes(file.device_memory_gib_min.unwrap_or(0).min(1_000_000) << 30);
    let refused = |expected| Err(check.refuse("cores", &file.name, file.name.get_ref(), expected));
    match (&file.cores, &file.rate_gflops, file.class) {
        (None, Some(rate), Some(class)) => {
            if file.devices.is_some() || file.parts.is_some() {
                return refused("no `devices` and `parts` beside `rate_gflops`");
            }
            let rate = GflopPerS(check.whole("rate_gflops", rate, 1..=1_000_000_000_000)?);
            Ok(Need::Rate { class, rate, device_memory_min: memory_min })
        }
        (Some(cores), None, _) => {
            let cores = Millicores(in_units(check.number("cores", cores, 0.001..=1e6)?, 1e3));
            let devices =
                file.devices.as_ref().map(|devices| check.number("devices", devices, 0.001..=1e6)).transpose()?;
            let mut any_of = Vec::new();
            for part in file.parts.iter().flat_map(|parts| parts.get_ref()) {
                let part = PoolId::new(part).map_err(|_| check.refuse("parts", &file.name, part, "part numbers"))?;
                any_of.push(part);
            }
            any_of.sort();
            let count = |devices| MilliDevices(in_units(devices, 1e3));
            let devices = devices.map(|devices| DeviceNeed { count: count(devices), any_of, memory_min });
            Ok(Need::Hardware { cores, devices })
        }
        (None, Some(_), None) => refused("`class` beside `rate_gflops`"),
        _ => refused("a family that has either `cores` or `rate_gflops`"),
    }
}
