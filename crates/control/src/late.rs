//! What a centre says of attempts that are not live. Most of it is said a second time, and harmless. Use that came late
//! and can be is metered and posted as a correction; all else is kept as an oddity, and the books stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_ledger::tariff::Scope;
use huisuan_model::{
    Attempt, AttemptId, AttemptReport, CentreId, DurationMs, EndCause, Event, MeterRecord, Metered, Money, OddityKind,
    Outcome, PastAttempt, PastRow, Reading, ReportKind, TimeMs, Usage,
};

use crate::{State, apply::booked, books, budget, meter, oddities};

/// Use is taken for so long after the end of its attempt.
const WINDOW: DurationMs = DurationMs(7 * 86_400_000);

/// The attempts of reports that are neither live nor told of.
pub(crate) fn untold(state: &State, reports: &[AttemptReport], past: &[PastAttempt]) -> Vec<AttemptId> {
    let gone = reports.iter().map(|report| report.attempt).filter(|id| !state.attempts.contains_key(id));
    let mut gone: BTreeSet<AttemptId> = gone.collect();
    past.iter().for_each(|told| _ = gone.remove(&told.id));
    gone.into_iter().collect()
}

/// A finding beside live attempts, counted with the others of its centre.
pub(crate) fn odd(
    state: &State,
    centre: &CentreId,
    kind: OddityKind,
    attempt: AttemptId,
    detail: String,
    now: TimeMs,
) -> Option<Event> {
    let oddity = state.centres.get(centre)?.odd.next(kind, attempt, now, detail);
    Some(Event::OddityFound { centre: centre.clone(), oddity })
}

/// What is known of attempts that are not live, while a batch of reports is taken.
#[derive(Debug, Default)]
pub(crate) struct Past {
    rows: BTreeMap<AttemptId, Option<Box<PastRow>>>,
}

impl Past {
    pub(crate) fn new(told: &[PastAttempt]) -> Self {
        Self { rows: told.iter().map(|told| (told.id, told.row.clone())).collect() }
    }

    /// An attempt that ends within the batch, before its end is applied.
    pub(crate) fn ends(&mut self, state: &State, event: &Event) {
        let Event::AttemptEnded { attempt: id, started_at, at, outcome, usage, readings, .. } = event else { return };
        let (Some(live), Some(job)) = (state.attempt(*id), state.job(id.job)) else { return };
        let attempt = Attempt {
            started_at: *started_at,
            ended_at: Some(*at),
            outcome: Some(outcome.clone()),
            usage: *usage,
            ..live.clone()
        };
        let begin = started_at.unwrap_or(live.placed_at);
        let mut row = PastRow {
            tenant: job.tenant.clone(),
            project: job.project.clone(),
            priority: job.spec.priority,
            walltime: job.spec.walltime,
            budgeted: job.spec.budget.is_some(),
            metered: live.metered.unwrap_or(Metered { until: begin, ..Metered::default() }),
            paid: live.cost,
            attempt,
        };
        for reading in readings {
            row.count(&record(&row, reading.clone()));
        }
        self.rows.insert(*id, Some(Box::new(row)));
    }

    /// What becomes of a report of an attempt that is not live; nothing where it says nothing new, and where nobody
    /// looked for its row.
    pub(crate) fn judge(
        &mut self,
        state: &State,
        centre: &CentreId,
        report: &AttemptReport,
        now: TimeMs,
    ) -> Option<Event> {
        let id = report.attempt;
        let (kind, detail) = match self.rows.get_mut(&id)? {
            None => (OddityKind::UnknownAttempt, format!("told that it {}; there never was one", said(report))),
            Some(row) if row.attempt.centre != *centre => {
                let owner = &row.attempt.centre;
                (OddityKind::ForeignAttempt, format!("told that it {}; it was given to centre `{owner}`", said(report)))
            }
            Some(row) => match news(state, row, report, now) {
                News::None => return None,
                News::Odd(kind, detail) => (kind, detail),
                News::Used(records) => {
                    records.iter().for_each(|record| row.count(record));
                    return Some(Event::LateUsed { records });
                }
            },
        };
        odd(state, centre, kind, id, detail, now)
    }
}

enum News {
    None,
    Odd(OddityKind, String),
    Used(Vec<MeterRecord>),
}

/// What a report says, for people.
pub(crate) fn said(report: &AttemptReport) -> String {
    let at = report.at;
    match &report.what {
        ReportKind::Started => format!("began at {at}"),
        ReportKind::Used(usage) => format!("had used {} by {at}", usage.wall),
        ReportKind::Ended { outcome, usage, .. } => format!("ended {} at {at}, after {}", how(outcome), usage.wall),
    }
}

fn how(outcome: &Outcome) -> String {
    let with = outcome.exit_code.map(|code| format!(" with {code}"));
    let with = with.or(outcome.signal.map(|signal| format!(" by signal {signal}")));
    format!("as {}{}", outcome.cause.as_str(), with.unwrap_or_default())
}

fn news(state: &State, row: &PastRow, report: &AttemptReport, now: TimeMs) -> News {
    let (attempt, said) = (&row.attempt, said(report));
    let (Some(known), Some(ended_at)) = (&attempt.outcome, attempt.ended_at) else { return News::None };
    let first = || format!("it had ended {} at {ended_at}, after {}", how(known), attempt.usage.wall);
    match &report.what {
        // An end carries its start: only one that never began cannot begin later.
        ReportKind::Started if attempt.started_at.is_some() => News::None,
        ReportKind::Started => News::Odd(OddityKind::Late, format!("told that it {said}; {}", first())),
        ReportKind::Ended { outcome, .. } if !alike(outcome, known) => {
            News::Odd(OddityKind::SecondEnd, format!("told that it {said}; {}, and that stands", first()))
        }
        ReportKind::Used(usage) | ReportKind::Ended { usage, .. } => match late(state, row, *usage, now) {
            Ok(records) if records.is_empty() => News::None,
            Ok(records) => News::Used(records),
            Err(why) => News::Odd(OddityKind::Late, format!("told that it {said}; {}: {why}", first())),
        },
    }
}

/// Whether a report tells of the end that is in the books. An engine knows that it was told to end something, not what
/// for; and what has begun is not booked as refused.
fn alike(told: &Outcome, known: &Outcome) -> bool {
    let as_booked = |cause| match cause {
        EndCause::Preempted => EndCause::Cancelled,
        EndCause::Refused => EndCause::StartFailed,
        other => other,
    };
    as_booked(told.cause) == as_booked(known.cause) && (told.exit_code, told.signal) == (known.exit_code, known.signal)
}

/// The rows of the meter that late use makes; none where it is no more than what is known. Otherwise why it is not taken.
fn late(state: &State, row: &PastRow, usage: Usage, now: TimeMs) -> Result<Vec<MeterRecord>, String> {
    let (attempt, metered) = (&row.attempt, &row.metered);
    let known = attempt.usage.merge(Usage { wall: metered.wall, cpu: metered.cpu, ..Usage::default() });
    let began = attempt.started_at.unwrap_or(attempt.placed_at);
    let ran: DurationMs = attempt.ended_at.unwrap_or(began).since(began);
    let more = known.merge(usage);
    // Memory and measured energy count for nothing once it has ended.
    let news = (more.cpu, more.staged) != (known.cpu, known.staged);
    if usage.wall <= known.wall {
        return if news {
            Err("it is not taken, for no time is left that it can be of".into())
        } else {
            Ok(Vec::new())
        };
    }
    if attempt.outcome.as_ref().is_some_and(|outcome| outcome.cause == EndCause::Lost) {
        return Err("it was given up, so that no more is charged".into());
    }
    if metered.number == 0 && (attempt.cost.0 > 0 || attempt.work.0 > 0) {
        return Err("it is not taken, for no reading says what was charged for it at its end".into());
    }
    if attempt.ended_at.is_some_and(|ended| now > ended.after(WINDOW)) {
        let days = WINDOW.0 / 86_400_000;
        return Err(format!("it is not taken more than {days} days after the end"));
    }
    let bound = ran.min(row.walltime);
    if usage.wall.0 > bound.0.saturating_add(oddities::TOLERANCE.0) && !attempt.oddities.contains(&OddityKind::TooLong)
    {
        return Err(format!("more than the {bound} that it can have had"));
    }
    let wall = usage.wall.min(bound);
    if wall <= metered.wall {
        // Clocks differ, and what the books cut is no news.
        return if news {
            Err("it is not taken, for no time is left that it can be of".into())
        } else {
            Ok(Vec::new())
        };
    }
    let records = read(state, row, (wall, more), now);
    affordable(state, row, &records, now)?;
    Ok(records)
}

/// Late use as its meter would have read it in time, at the prices of its hours; but that its energy is never measured.
/// The rows that a meter has do not say what the machine counted, for what its site takes is in them.
fn read(state: &State, row: &PastRow, (wall, usage): (DurationMs, Usage), now: TimeMs) -> Vec<MeterRecord> {
    let attempt = &row.attempt;
    let scope = Scope {
        tenant: &row.tenant,
        centre: &attempt.centre,
        pool: &attempt.pool,
        class: attempt.terms.share.class,
        priority: row.priority,
    };
    let of = meter::Of { attempt, project: &row.project, scope, left: attempt.hold.saturating_sub(row.paid) };
    let mut metered = row.metered;
    let usage = Usage { joules: metered.joules, ..usage };
    // A meter that was never read has nothing to correct. What is too short for work and processor time is a reading
    // like any other: as a correction it would be taken for one of a price, and its time for none.
    let before = (metered.number > 0).then_some(metered.number);
    let adjusts = |reading: &Reading| before.filter(|_| reading.work != 0 || reading.cpu.0 != 0);
    let readings = meter::readings(state, &of, &mut metered, (usage, wall), true, now);
    let late = readings.into_iter().map(|reading| Reading { adjusts: adjusts(&reading), ..reading });
    late.map(|reading| record(row, reading)).collect()
}

fn record(row: &PastRow, reading: Reading) -> MeterRecord {
    MeterRecord {
        attempt: row.attempt.id,
        tenant: row.tenant.clone(),
        project: row.project.clone(),
        centre: row.attempt.centre.clone(),
        pool: row.attempt.pool.clone(),
        share: row.attempt.terms.share,
        reading,
    }
}

/// Nothing is held for an attempt that has ended: what came late is posted where its tenant has the money, and the
/// months of the tenant and of the project leave it. The limit of an hour is on what runs, and it does not.
fn affordable(state: &State, row: &PastRow, records: &[MeterRecord], now: TimeMs) -> Result<(), String> {
    let due: i128 = records.iter().map(|record| i128::from(record.reading.cost.0)).sum();
    if due == 0 {
        return Ok(());
    }
    if row.budgeted {
        return Err(format!("{due} millionths are not charged, because its job has a budget of its own"));
    }
    let free = state.ledger.available(&row.tenant, books::currency(&row.attempt.terms.tariff));
    let limits = budget::left_for_late(state, &row.tenant, &row.project, now);
    let left: Money = limits.into_iter().fold(free, Money::min);
    if due > i128::from(left.0) {
        return Err(format!("{due} millionths are not charged, for {left} are left to its tenant"));
    }
    Ok(())
}

/// Books late use: it is metered, paid and delivered like any other.
pub(crate) fn post(state: &mut State, records: &[MeterRecord]) {
    for record in records {
        let (reading, class) = (&record.reading, record.share.class);
        let (currency, work) = (books::home_currency(), reading.work);
        let payer = (&record.tenant, &record.centre);
        let transfers = state.ledger.late(record.attempt, payer, currency, reading.cost, class, work);
        booked(state, transfers.expect("decided late use is covered"));
        meter::count(state, record.clone());
    }
}
