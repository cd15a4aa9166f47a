//! What events of attempts do: they take their place in the books of room and money, and leave it.

use std::sync::Arc;

use huisuan_model::{
    Attempt, AttemptId, AttemptState, EndCause, Event, Gflop, JobId, Money, Outcome, TimeMs, order::Usage,
};

use super::{booked, change_job, touch_attempt};
use crate::{State, books, meter, place::attempt_of, starts, used};

pub(super) fn placed(state: &mut State, event: &Event) {
    let Event::TasksPlaced { job: id, tasks, centre, hold_each, terms, nodes, .. } = event else { return };
    let tenant = state.jobs[id].tenant.clone();
    let mut attempts = Vec::new();
    change_job(state, *id, |job| {
        job.centres.insert(centre.clone());
        let mut nodes = nodes.iter().copied();
        for task in tasks.iter() {
            assert!(job.tasks.waiting.remove(task), "only waiting tasks are placed");
            job.tasks.active.insert(task);
            let attempt = attempt_of(event, task, job.attempt_of(task));
            attempts.extend(attempt.map(|attempt| Attempt { node: nodes.next(), ..attempt }));
        }
    });
    let names = attempts.iter().map(|attempt| attempt.id);
    let transfers = state.ledger.hold(&tenant, books::currency(&terms.tariff), names, *hold_each);
    booked(state, transfers.expect("a decided hold is covered"));
    let job = &state.jobs[id];
    let short = used::short(job, &state.policy);
    for attempt in attempts {
        state.used.add(&attempt, job, short);
        state.committed.add(&attempt, job);
        state.touched.note(|rows| rows.attempts.insert(attempt.id));
        state.attempts.insert(attempt.id, Box::new(attempt));
    }
}

/// Hours that were read, and how far it has come.
pub(super) fn used(state: &mut State, event: &Event) {
    let Event::AttemptUsed { attempt, usage, work, readings, metered_joules } = event else { return };
    meter::post_hours(state, *attempt, readings, *metered_joules);
    let attempt = touch_attempt(state, *attempt);
    attempt.usage = *usage;
    attempt.work = *work;
}

pub(super) fn started(state: &mut State, id: AttemptId, at: TimeMs) {
    starts::learn(state, id, at);
    let job = state.jobs.get_mut(&id.job).expect("a live attempt has a live job");
    let attempt = state.attempts.get_mut(&id).expect("an event names a live attempt");
    // Its latest end is counted from its start.
    let before = state.used.group(attempt, job);
    state.used.leave_queue(attempt, job);
    attempt.state = AttemptState::Running;
    attempt.started_at = Some(at);
    state.used.see(attempt, &before, job);
    state.touched.note(|rows| rows.attempts.insert(id));
    if job.started_at.is_none_or(|known| at < known) {
        job.started_at = Some(at);
        state.touched.note(|rows| rows.jobs.insert(id.job));
    }
}

/// An attempt that is about to end is counted as such.
pub(super) fn stop_ordered(state: &mut State, event: &Event) {
    let Event::StopOrdered { attempt: id, order_seq, preempted_by } = event else { return };
    let job = &state.jobs[&id.job];
    let attempt = state.attempts.get_mut(id).expect("an event names a live attempt");
    let before = state.used.group(attempt, job);
    (attempt.stop_seq, attempt.preempted_by) = (Some(*order_seq), *preempted_by);
    state.used.see(attempt, &before, job);
    state.touched.note(|rows| rows.attempts.insert(*id));
}

pub(super) fn ended(state: &mut State, event: &Event) {
    let Event::AttemptEnded { attempt: id, started_at, at, outcome, usage, work, cost, readings, retry } = event else {
        return;
    };
    if let Some(started_at) = started_at {
        starts::learn(state, *id, *started_at);
    }
    let mut attempt = state.attempts.remove(id).expect("an attempt ends once");
    let job = &state.jobs[&id.job];
    if state.policy.targets_every_ms > 0 && matches!(outcome.cause, EndCause::Exited | EndCause::Walltime) {
        let lengths = Arc::make_mut(&mut state.lengths);
        lengths.learn(&job.tenant, &job.project, job.spec.walltime, usage.wall);
    }
    let was_short = used::short(job, &state.policy);
    state.used.remove(&attempt, job, was_short);
    state.committed.remove(&attempt, job);
    meter::take(state, &attempt, readings, cost.saturating_sub(attempt.cost));
    meter::moved(state, &attempt, usage.staged);
    // Full hours of a long attempt are posted already.
    let metered = attempt.metered.take().unwrap_or_default().work;
    let (rest, more) = (cost.saturating_sub(attempt.cost), work.saturating_sub(Gflop(metered)));
    close(&mut attempt, *started_at, *at, outcome, *usage, *work, *cost);
    let class = attempt.terms.share.class;
    let transfers = state.ledger.settle(*id, &attempt.centre, rest, class, more);
    booked(state, transfers.expect("a live attempt has a hold that covers its cost"));
    if outcome.cause == EndCause::Refused {
        // Its shape changes with the centres that refused it, and its place in the queues with the shape.
        let job = &state.jobs[&id.job];
        state.queues.remove(job, &state.specs.shape(job));
    }
    change_job(state, id.job, |job| {
        job.tasks.active.remove(id.task);
        if let Some(start) = started_at {
            job.started_at = Some(job.started_at.map_or(*start, |known| known.min(*start)));
        }
        *job.usage.entry(class).or_default() = job.usage.get(&class).copied().unwrap_or_default().saturating_add(*work);
        job.cost = job.cost.saturating_add(*cost);
        if matches!(outcome.cause, EndCause::Preempted | EndCause::Refused) {
            // It says nothing about how long the task takes, and is no try that failed.
            *job.preempted.entry(id.task).or_default() += 1;
        } else {
            job.ran_ms = job.ran_ms.saturating_add(usage.wall.0);
        }
        if outcome.cause == EndCause::Refused {
            job.refused_by.insert(attempt.centre.clone(), outcome.detail.clone());
        }
        if *retry && !job.cancel_requested {
            job.tasks.waiting.insert(id.task);
            job.retried.insert(id.task, id.attempt + 1);
        } else {
            let set = match attempt.state {
                AttemptState::Succeeded => &mut job.tasks.succeeded,
                AttemptState::Cancelled => &mut job.tasks.cancelled,
                _ => &mut job.tasks.failed,
            };
            set.insert(id.task);
        }
    });
    if outcome.cause == EndCause::Refused {
        let job = &state.jobs[&id.job];
        state.queues.update(job, state.specs.shape(job));
    }
    recount(state, id.job, was_short);
    state.touched.note(|rows| rows.attempts.remove(id));
    state.touched.note(|rows| rows.attempts_ended.insert(*id, *attempt));
}

fn close(
    attempt: &mut Attempt,
    started_at: Option<TimeMs>,
    at: TimeMs,
    outcome: &Outcome,
    usage: Usage,
    work: Gflop,
    cost: Money,
) {
    attempt.state = match outcome.cause {
        EndCause::Cancelled | EndCause::Preempted => AttemptState::Cancelled,
        _ if outcome.success() => AttemptState::Succeeded,
        _ => AttemptState::Failed,
    };
    attempt.started_at = started_at;
    attempt.ended_at = Some(at);
    attempt.outcome = Some(outcome.clone());
    attempt.usage = usage;
    attempt.work = work;
    attempt.cost = cost;
}

/// Counts a job's live attempts anew when the end of one of them has changed how long its tasks are known to be.
fn recount(state: &mut State, id: JobId, was_short: bool) {
    let job = &state.jobs[&id];
    let short = used::short(job, &state.policy);
    if short == was_short {
        return;
    }
    let first = AttemptId { job: id, task: 0, attempt: 0 };
    let last = AttemptId { job: id, task: u32::MAX, attempt: u32::MAX };
    for (_, attempt) in state.attempts.range(first..=last) {
        state.used.remove(attempt, job, was_short);
        state.used.add(attempt, job, short);
    }
}
