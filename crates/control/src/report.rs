//! Takes what a centre's agent saw. Reports may come twice, late or out of order; each is harmless then.

use crate::{Refusal, State, apply::apply, budget, late, meter, oddities, refused};
use huisuan_model::{
    Attempt, AttemptId, AttemptReport, AttemptState, CentreId, DurationMs, EndCause, Event, Gflop, Job, JobId,
    JobState, OddityKind, Outcome, PastAttempt, ReportKind, Usage, quantity::TimeMs, spec::Rerun,
};

/// What people are told of an attempt that was preempted. The other's name and job are not theirs to know.
const PREEMPTED: &str = "a tenant that held less than it is due got its place; the task waits for another attempt";

/// A batch of reports as a centre sent it.
pub(crate) struct Told<'a> {
    pub(crate) centre: &'a CentreId,
    pub(crate) report_seq: u64,
    pub(crate) reports: &'a [AttemptReport],
    /// What the rows have of attempts that are not live, where somebody looked.
    pub(crate) past: Option<&'a [PastAttempt]>,
}

pub(crate) fn execute(state: &mut State, told: &Told<'_>, seq: u64, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let Told { centre, report_seq, reports, past } = *told;
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    let attempts = past.map(|past| late::untold(state, reports, past)).unwrap_or_default();
    if !attempts.is_empty() {
        return Err(Refusal::NotLive { attempts });
    }
    let mut past = past.map(late::Past::new);
    if report_seq <= known.reported_seq {
        return Ok(past.map_or_else(Vec::new, |past| reused(state, told, past, now)));
    }
    for report in reports {
        if let Some(attempt) = state.attempts.get(&report.attempt)
            && attempt.centre != *centre
        {
            let owner = attempt.centre.clone();
            return Err(Refusal::ForeignAttempt { centre: centre.clone(), attempt: report.attempt.to_string(), owner });
        }
    }
    let mut events = Vec::new();
    for (number, report) in reports.iter().enumerate() {
        if let Some(past) = past.as_mut().filter(|_| !state.attempts.contains_key(&report.attempt)) {
            let late = past.judge(state, centre, report, now);
            late.into_iter().for_each(|event| take(state, event, &mut events));
        }
        for oddity in oddities::found(state, report, now) {
            take(state, Event::OddityFound { centre: centre.clone(), oddity }, &mut events);
        }
        let Some(event) = decide(state, report, now) else { continue };
        let again = || reports[number + 1..].iter().any(|later| later.attempt == report.attempt);
        if let Some(past) = past.as_mut().filter(|_| matches!(event, Event::AttemptEnded { .. }) && again()) {
            past.ends(state, &event);
        }
        let ended = match &event {
            Event::AttemptEnded { outcome, .. } => Some(outcome.cause),
            _ => None,
        };
        take(state, event, &mut events);
        if let Some(cause) = ended {
            for event in after_end(state, report.attempt, cause, seq, now) {
                take(state, event, &mut events);
            }
        }
    }
    take(state, Event::ReportTaken { centre: centre.clone(), seq: report_seq, at: now }, &mut events);
    Ok(events)
}

/// What is new in a batch whose number was taken before: nothing in one that came twice. It is not taken, and kept as
/// odd.
fn reused(state: &mut State, told: &Told<'_>, mut past: late::Past, now: TimeMs) -> Vec<Event> {
    let (centre, mut events) = (told.centre, Vec::new());
    for report in told.reports {
        let again = |owner: Option<&CentreId>| {
            let (number, said) = (told.report_seq, late::said(report));
            match owner {
                Some(owner) => (OddityKind::ForeignAttempt, format!("told that it {said}; it is at centre `{owner}`")),
                None => {
                    let detail =
                        format!("told that it {said}, in report {number}, which was taken before without that");
                    (OddityKind::NumberReused, detail)
                }
            }
        };
        let (kind, detail) = match state.attempt(report.attempt) {
            Some(attempt) if attempt.centre != *centre => again(Some(&attempt.centre)),
            Some(_) if decide(state, report, now).is_some() => again(None),
            Some(_) => continue,
            None => match past.judge(state, centre, report, now) {
                Some(Event::LateUsed { .. }) => again(None),
                Some(event) => {
                    take(state, event, &mut events);
                    continue;
                }
                None => continue,
            },
        };
        let odd = late::odd(state, centre, kind, report.attempt, detail, now);
        odd.into_iter().for_each(|event| take(state, event, &mut events));
    }
    events
}

/// Ends what ran at a centre that has forgotten all of it. Nobody can tell what was used since it was
/// read last, so that is not charged; only
/// where retries were asked for it is tried again. What was ordered and not said to run is ordered again by the hello.
pub(crate) fn lose(state: &mut State, centre: &CentreId, seq: u64, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    if !state.centres.contains_key(centre) {
        return Err(Refusal::NoCentre(centre.clone()));
    }
    let ran = |attempt: &&Attempt| attempt.centre == *centre && attempt.state == AttemptState::Running;
    let lost: Vec<AttemptId> = state.attempts().filter(ran).map(|attempt| attempt.id).collect();
    let mut events = Vec::new();
    for id in lost {
        end_lost(state, id, "the centre lost its folder", false, (seq, now), &mut events);
    }
    Ok(events)
}

/// Gives up what is at a centre that has been silent for too long, where the job says that it may be run again. What
/// may not stays unknown until the centre is back. Should the centre come back, it is told to end what it has of it.
pub(crate) fn give_up(state: &mut State, centre: &CentreId, seq: u64, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    if known.absent_since.is_none() {
        return Ok(Vec::new());
    }
    let may = |attempt: &&Attempt| {
        attempt.centre == *centre
            && state.job(attempt.id.job).is_some_and(|job| job.spec.rerun == Rerun::Allowed && !job.spec.gang)
    };
    let lost: Vec<AttemptId> = state.attempts().filter(may).map(|attempt| attempt.id).collect();
    let mut events = Vec::new();
    for id in lost {
        end_lost(
            state,
            id,
            "the centre was silent for too long, and the job may be run again",
            true,
            (seq, now),
            &mut events,
        );
    }
    Ok(events)
}

fn end_lost(
    state: &mut State,
    id: AttemptId,
    detail: &str,
    again: bool,
    (seq, now): (u64, TimeMs),
    events: &mut Vec<Event>,
) {
    let Some(attempt) = state.attempts.get(&id) else { return };
    let outcome = Outcome { cause: EndCause::Lost, exit_code: None, signal: None, detail: detail.to_owned() };
    let wanted = state.job(id.job).is_some_and(|job| !job.cancel_requested);
    // Full hours that were read before stay as they are.
    let (known, posted) = (Gflop(attempt.metered.unwrap_or_default().work), attempt.cost);
    let mut event = end(state, attempt, None, now, &outcome, Usage::default(), now);
    if let Event::AttemptEnded { work, cost, readings, retry, .. } = &mut event {
        (*work, *cost, *readings) = (known, posted, Vec::new());
        *retry |= again && wanted;
    }
    take(state, event, events);
    for event in after_end(state, id, EndCause::Lost, seq, now) {
        take(state, event, events);
    }
}

fn take(state: &mut State, event: Event, events: &mut Vec<Event>) {
    apply(state, &event);
    events.push(event);
}

/// The event of one report; none for an attempt that has ended or was never ours, and for old news.
fn decide(state: &State, report: &AttemptReport, now: TimeMs) -> Option<Event> {
    let attempt = state.attempts.get(&report.attempt)?;
    match &report.what {
        ReportKind::Started => (attempt.state == AttemptState::Placed)
            .then(|| Event::AttemptStarted { attempt: attempt.id, at: report.at.min(now).max(attempt.placed_at) }),
        ReportKind::Used(usage) => {
            let usage = plausible(attempt, attempt.usage.merge(*usage), now);
            if usage == attempt.usage {
                return None;
            }
            let billed = billed(state, attempt, usage);
            let work = work_of(attempt, billed);
            let (readings, metered_joules) =
                meter::read(state, attempt, attempt.started_at, (usage, billed), false, now);
            Some(Event::AttemptUsed { attempt: attempt.id, usage, work, readings, metered_joules })
        }
        ReportKind::Ended { started_at, outcome, usage } => {
            Some(end(state, attempt, *started_at, report.at, outcome, *usage, now))
        }
    }
}

fn end(
    state: &State,
    attempt: &Attempt,
    started_at: Option<TimeMs>,
    at: TimeMs,
    outcome: &Outcome,
    usage: Usage,
    now: TimeMs,
) -> Event {
    let usage = plausible(attempt, attempt.usage.merge(usage), now);
    let (started_at, at) = times(attempt, (started_at, at), usage.wall, now);
    let billed = billed(state, attempt, usage);
    // Full hours that were read before are in the accounts already.
    let known = attempt.metered.unwrap_or_default().work;
    let room = state.job(attempt.id.job).map_or(0, |job| meter::room(state, &job.tenant, attempt));
    let work = work_of(attempt, billed).min(Gflop(known.saturating_add(room)));
    let (readings, _) = meter::read(state, attempt, started_at, (usage, billed), true, now);
    let cost = readings.iter().fold(attempt.cost, |sum, reading| sum.saturating_add(reading.cost));
    let job = state.job(attempt.id.job).filter(|job| !job.cancel_requested);
    let outcome = match outcome.cause {
        // An engine knows that it was told to end it, not what for. What ended by itself before has so ended.
        EndCause::Cancelled if attempt.preempted_by.is_some() && job.is_some() => {
            Outcome { cause: EndCause::Preempted, detail: PREEMPTED.to_owned(), ..outcome.clone() }
        }
        // What has begun was not refused.
        EndCause::Refused if started_at.is_some() => Outcome { cause: EndCause::StartFailed, ..outcome.clone() },
        // Nobody here wanted it.
        EndCause::Preempted => Outcome { cause: EndCause::Cancelled, ..outcome.clone() },
        _ => outcome.clone(),
    };
    // A gang is tried again whole, once its last attempt has ended.
    let failed = |job: &&Job| {
        let asked = attempt.stop_seq.is_some() && attempt.preempted_by.is_none();
        let ended = outcome.success() || outcome.cause == EndCause::Cancelled;
        !ended && !asked && !job.spec.gang && job.may_retry(attempt.id)
    };
    let retry = match outcome.cause {
        EndCause::Preempted => true,
        EndCause::Refused => {
            job.is_some_and(|job| !job.spec.gang && refused::elsewhere(state, job, Some(&attempt.centre)))
        }
        _ => job.filter(failed).is_some(),
    };
    Event::AttemptEnded { attempt: attempt.id, started_at, at, outcome, usage, work, cost, readings, retry }
}

/// When an attempt began and ended: neither before it was placed nor after it was told, whatever the centre's clock
/// shows. A start that is still to come was before what it ran.
fn times(
    attempt: &Attempt,
    (started_at, at): (Option<TimeMs>, TimeMs),
    wall: DurationMs,
    now: TimeMs,
) -> (Option<TimeMs>, TimeMs) {
    let began = |told: TimeMs| match told > now {
        true => attempt.started_at.unwrap_or(TimeMs(now.0.saturating_sub_unsigned(wall.0))),
        false => told,
    };
    let started_at = started_at.map(began).or(attempt.started_at);
    let started_at = started_at.map(|start| start.min(now).max(attempt.placed_at));
    (started_at, at.min(now).max(started_at.unwrap_or(attempt.placed_at)))
}

/// A centre cannot have used an attempt for longer than it has had it.
fn plausible(attempt: &Attempt, usage: Usage, now: TimeMs) -> Usage {
    let held: DurationMs = now.since(attempt.placed_at);
    Usage { wall: usage.wall.min(held), ..usage }
}

/// Time that counts: never beyond the walltime, which is what the hold covers.
fn billed(state: &State, attempt: &Attempt, usage: Usage) -> DurationMs {
    let walltime = state.jobs.get(&attempt.id.job).map_or(DurationMs(u64::MAX), |job| job.spec.walltime);
    usage.wall.min(walltime)
}

/// Work of that time; what the books cannot hold is cut, and an oddity tells of it.
fn work_of(attempt: &Attempt, billed: DurationMs) -> Gflop {
    attempt.terms.share.work(billed.0).min(Gflop(i64::MAX.unsigned_abs()))
}

/// What the end of an attempt leads to: a broken gang is ended, a job without open tasks too.
fn after_end(state: &State, ended: AttemptId, cause: EndCause, seq: u64, now: TimeMs) -> Vec<Event> {
    let Some(job) = state.jobs.get(&ended.job) else { return Vec::new() };
    let mut events = Vec::new();
    if job.spec.gang && !job.tasks.failed.is_empty() {
        events.extend(stop_all(state, ended.job, seq));
    }
    if cause == EndCause::Refused
        && !job.spec.gang
        && let Some(event) = refused::nowhere(state, job)
    {
        events.push(event);
        if job.tasks.active.is_empty() {
            events.push(Event::JobEnded { job: ended.job, state: JobState::Failed, at: now });
        }
        return events;
    }
    let again = job.tasks.active.is_empty() && gang_again(state, job);
    let waits = again || (job.tasks.active.is_empty() && !job.tasks.waiting.is_empty());
    if let Some(event) = budget::spent(state, job).filter(|_| waits) {
        events.push(event);
        events.push(Event::JobEnded { job: ended.job, state: JobState::Failed, at: now });
    } else if again {
        events.push(Event::GangRetried { job: ended.job, attempt: job.attempt_of(ended.task) + 1 });
    } else if job.tasks.active.is_empty() && job.tasks.waiting.is_empty() {
        events.push(Event::JobEnded { job: ended.job, state: end_of(job), at: now });
    }
    events
}

/// Whether a gang without active tasks is to be tried again.
fn gang_again(state: &State, job: &Job) -> bool {
    let failed = job.spec.gang && !job.tasks.failed.is_empty() && !job.cancel_requested;
    // Every task of a gang counts the refusals that it met; the gang met as many as the one that met the most.
    let refused = job.preempted.values().max().copied().unwrap_or(0);
    failed
        && job.spec.tasks.first().is_some_and(|first| job.attempt_of(first) <= job.spec.retries + refused)
        && (job.refused_by.is_empty() || refused::elsewhere(state, job, None))
}

/// The state that a job without open tasks ends in.
pub(crate) fn end_of(job: &Job) -> JobState {
    if job.cancel_requested && !job.tasks.cancelled.is_empty() {
        JobState::Cancelled
    } else if !job.tasks.failed.is_empty() {
        JobState::Failed
    } else if !job.tasks.cancelled.is_empty() {
        JobState::Cancelled
    } else {
        JobState::Succeeded
    }
}

fn stop_all(state: &State, job: JobId, seq: u64) -> impl Iterator<Item = Event> + '_ {
    state.attempts_of(job).filter(|attempt| attempt.stop_seq.is_none()).map(move |attempt| Event::StopOrdered {
        attempt: attempt.id,
        order_seq: seq,
        preempted_by: None,
    })
}
