//! What doors show, from committed rows and what the last cycle said.

use huisuan_api::{
    events::EventView,
    jobs::{AttemptView, Explain, JobSummary, JobView, ReasonView, Rejection},
};
use huisuan_model::{Attempt, EnergySum, Entry, Event, Job, centre::CURRENCY};
use serde_json::Value;

use crate::reasons::Reasons;

/// One line of a list.
pub(crate) fn summary(job: &Job, reasons: &Reasons) -> JobSummary {
    let reason = reasons.of(job).map(|known| ReasonView::new(&known.reason, known.since, CURRENCY));
    JobSummary::new(job, reason, CURRENCY)
}

/// Attempts, each with what its meter knows of energy.
pub(crate) fn attempts(rows: &[(Attempt, Option<EnergySum>)]) -> Vec<AttemptView> {
    let view = |(row, energy): &(Attempt, Option<EnergySum>)| {
        let energy = (*energy).into();
        AttemptView { energy, ..AttemptView::new(row) }
    };
    rows.iter().map(view).collect()
}

/// All of one job, with a page of its attempts.
pub(crate) fn job(
    job: &Job,
    energy: Option<EnergySum>,
    attempts: Vec<AttemptView>,
    attempts_total: u64,
    reasons: &Reasons,
) -> JobView {
    JobView {
        summary: summary(job, reasons),
        actor: job.actor.to_string(),
        spec: serde_json::to_value(&*job.spec).expect("a spec has string keys"),
        spec_hash: job.spec_hash.to_string(),
        cancel_requested: job.cancel_requested,
        energy: energy.into(),
        refused_by: job.refused_by.iter().map(|(centre, rule)| (centre.to_string(), rule.clone())).collect(),
        channels: Vec::new(),
        attempts,
        attempts_total,
    }
}

/// Why a job waits.
pub(crate) fn explain(job: &Job, reasons: &Reasons) -> Explain {
    let known = reasons.of(job);
    let rejected = known.iter().flat_map(|known| &known.rejected);
    Explain {
        job_id: job.id.0,
        state: job.state.as_str().to_owned(),
        rejected: rejected.map(|(centre, reason)| Rejection::new(centre, reason, CURRENCY)).collect(),
        reason: known.as_ref().map(|known| ReasonView::new(&known.reason, known.since, CURRENCY)),
        helps: Vec::new(),
    }
}

/// The events of an entry as watchers see them.
pub(crate) fn events(entry: &Entry) -> Vec<EventView> {
    let view = |event: &Event| {
        // An event is an object with one field, whose name is its word.
        let Value::Object(fields) = serde_json::to_value(event).expect("an event has string keys") else { return None };
        let (kind, data) = fields.into_iter().next()?;
        let job_id = job_of(event);
        let centre = data.get("centre").and_then(Value::as_str).map(ToOwned::to_owned);
        Some(EventView { seq: entry.seq, at: entry.at.into(), kind, job_id, centre, data })
    };
    entry.events.iter().filter_map(view).collect()
}

fn job_of(event: &Event) -> Option<u64> {
    match event {
        Event::JobSubmitted { job, .. }
        | Event::TasksPlaced { job, .. }
        | Event::DependencyMet { job, .. }
        | Event::DependencyUnmet { job, .. }
        | Event::JobCancelRequested { job }
        | Event::JobRefused { job }
        | Event::JobBudgetSpent { job, .. }
        | Event::JobEnded { job, .. } => Some(job.0),
        Event::AttemptStarted { attempt, .. }
        | Event::AttemptUsed { attempt, .. }
        | Event::AttemptEnded { attempt, .. }
        | Event::ChannelOpened { attempt, .. }
        | Event::ChannelClosed { attempt, .. }
        | Event::StopOrdered { attempt, .. } => Some(attempt.job.0),
        _ => None,
    }
}
