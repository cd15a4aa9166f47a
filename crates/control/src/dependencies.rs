//! Jobs that wait for other jobs: what is open at submission, and what the start or end of a job leads to.

use std::collections::BTreeSet;

use huisuan_model::{Dependency, EndedJob, Event, Job, JobId, JobState, TenantId, TimeMs};

use crate::{Refusal, State, apply::apply};

/// Which job waits for which: pairs of the job that is waited for and the one that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dependents(BTreeSet<(JobId, JobId)>);

impl Dependents {
    pub(crate) fn add(&mut self, job: &Job) {
        self.0.extend(job.waits_for.iter().map(|dependency| (dependency.job, job.id)));
    }

    pub(crate) fn remove(&mut self, on: JobId, waits: JobId) {
        self.0.remove(&(on, waits));
    }

    fn of(&self, on: JobId) -> Vec<JobId> {
        self.0.range((on, JobId(0))..=(on, JobId(u64::MAX))).map(|(_, waits)| *waits).collect()
    }
}

/// Those of a new job's dependencies that do not hold yet. Only jobs of its own tenant can be waited for: whether
/// another tenant has a job of that number is not told.
pub(crate) fn open(
    state: &State,
    tenant: &TenantId,
    after: &[Dependency],
    ended: &[EndedJob],
) -> Result<Vec<Dependency>, Refusal> {
    let mut open = Vec::new();
    for dependency in after {
        let live = state.jobs.get(&dependency.job).filter(|job| job.tenant == *tenant);
        let (stands, started) = match (live, ended.iter().find(|ended| ended.job == dependency.job)) {
            (Some(job), _) => (job.state, job.started_at.is_some()),
            (None, Some(ended)) => (ended.state, false),
            (None, None) => return Err(Refusal::UnknownDependency(dependency.job)),
        };
        match dependency.when.holds(stands, started) {
            Some(true) => {}
            Some(false) => return Err(Refusal::DependencyUnmet { on: *dependency, ended: stands }),
            None => open.push(*dependency),
        }
    }
    Ok(open)
}

/// Adds what the events so far lead to for jobs that wait. A job that ends by this may end others in turn; each event
/// is looked at once, so the work is that of the jobs concerned.
pub(crate) fn follow(state: &mut State, events: &mut Vec<Event>, now: TimeMs) {
    let mut at = 0;
    while at < events.len() && !state.dependents.0.is_empty() {
        let stands = match &events[at] {
            Event::JobEnded { job, state, .. } => Some((*job, *state)),
            // The end of an attempt may be the first that is heard of its start.
            Event::AttemptStarted { attempt, .. } | Event::AttemptEnded { attempt, .. } => {
                Some((attempt.job, JobState::Running))
            }
            _ => None,
        };
        at += 1;
        let Some((on, stands)) = stands else { continue };
        for waits in state.dependents.of(on) {
            for event in lead_to(state, on, stands, waits, now) {
                apply(state, &event);
                events.push(event);
            }
        }
    }
}

fn lead_to(state: &State, on: JobId, stands: JobState, waits: JobId, now: TimeMs) -> Vec<Event> {
    let started = state.jobs.get(&on).is_some_and(|job| job.started_at.is_some());
    let dependency = state.jobs.get(&waits).and_then(|job| job.waits_for.iter().find(|waited| waited.job == on));
    let Some(dependency) = dependency else { return Vec::new() };
    match dependency.when.holds(stands, started) {
        None => Vec::new(),
        Some(true) => vec![Event::DependencyMet { job: waits, on }],
        Some(false) => vec![
            Event::DependencyUnmet { job: waits, on: *dependency, ended: stands },
            Event::JobEnded { job: waits, state: JobState::Cancelled, at: now },
        ],
    }
}
