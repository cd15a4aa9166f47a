//! The one reducer: what each event does to the state. It decides nothing and cannot refuse.
//!
//! - `attempts`: the events of attempts.

mod attempts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use huisuan_ledger::Transfer;
use huisuan_model::{
    Attempt, AttemptId, CentreId, EndReason, Event, Job, JobId, JobState, Money, PoolId, Presence, job::TaskSets,
    quantity::TimeMs,
};

use crate::{State, books, keys::KeyRecord, late, queue, reservations, tariffs};

/// Applies a fact. Panics only when the event contradicts the state, which means that the journal or this
/// program is broken: going on would spread the damage.
pub fn apply(state: &mut State, event: &Event) {
    match event {
        Event::TenantSet(tenant) => {
            state.touched.note(|rows| rows.tenants.insert(tenant.id.clone()));
            state.tenants.insert(tenant.id.clone(), tenant.clone());
        }
        Event::Funded { .. }
        | Event::CreditChanged { .. }
        | Event::TariffRuleSet(_)
        | Event::TariffRuleEnded { .. }
        | Event::ContractMade(_)
        | Event::ContractEnded { .. }
        | Event::Rerated { .. }
        | Event::LateUsed { .. }
        | Event::OddityFound { .. } => money_moved(state, event),
        Event::CentreSet(_)
        | Event::FactsSet { .. }
        | Event::CentreTokenSet { .. }
        | Event::AlarmRaised { .. }
        | Event::AlarmCleared { .. }
        | Event::CentreStateSet { .. }
        | Event::PresenceSet { .. }
        | Event::WindowAdded { .. }
        | Event::WindowRemoved { .. }
        | Event::ReservationAdded { .. }
        | Event::ReservationRemoved { .. }
        | Event::InventorySet { .. } => centre_changed(state, event),
        Event::Rated { .. } | Event::RatingDoubted { .. } | Event::RatingAccepted { .. } => rated(state, event),
        Event::JobSubmitted { .. } => job_submitted(state, event),
        Event::DependencyMet { job, on } => {
            state.dependents.remove(*on, *job);
            change_job(state, *job, |job| job.waits_for.retain(|dependency| dependency.job != *on));
        }
        Event::DependencyUnmet { job, on, ended } => change_job(state, *job, |job| {
            job.end_reason = Some(EndReason::DependencyUnmet { on: on.job, when: on.when, ended: *ended });
            cancel_waiting(job);
        }),
        Event::JobRefused { job } => give_up(state, *job, |job| {
            let centres = u32::try_from(job.refused_by.len()).unwrap_or(u32::MAX);
            EndReason::RefusedEverywhere { centres }
        }),
        Event::JobBudgetSpent { job, needed, left } => {
            give_up(state, *job, |_| EndReason::BudgetSpent { needed: *needed, left: *left });
        }
        Event::TasksPlaced { .. } => attempts::placed(state, event),
        Event::AttemptStarted { attempt, at } => attempts::started(state, *attempt, *at),
        Event::AttemptUsed { .. } => attempts::used(state, event),
        Event::AttemptEnded { .. } => attempts::ended(state, event),
        Event::GangRetried { job, attempt } => change_job(state, *job, |job| {
            job.tasks = TaskSets { waiting: job.spec.tasks.clone(), ..TaskSets::default() };
            job.retried.insert(job.retried_key(0), *attempt);
        }),
        Event::StopOrdered { .. } => attempts::stop_ordered(state, event),
        Event::JobCancelRequested { job } => change_job(state, *job, |job| {
            job.cancel_requested = true;
            cancel_waiting(job);
        }),
        // Nothing of a channel is kept: it ends with the server's run, and the journal says who had it.
        Event::ChannelOpened { .. } | Event::ChannelClosed { .. } => {}
        Event::JobEnded { job, state: end, at } => job_ended(state, *job, *end, *at),
        Event::ReportTaken { centre, seq, at } => {
            let centre = touch_centre(state, centre);
            centre.reported_seq = *seq;
            centre.reported_at = Some(*at);
        }
        // The state is as it was; who counts hours reads it in the journal.
        Event::Unseen { .. } => {}
        Event::KeysForgotten { before } => {
            state.keys.forget(*before);
            state.touched.note(|rows| rows.keys_forgotten_before = Some(*before));
        }
    }
}

/// Notes transfers for the store, with the number of the entry that is being applied: the one after the last.
pub(crate) fn booked(state: &mut State, transfers: Vec<Transfer>) {
    let seq = state.version + 1;
    state.touched.note(|rows| rows.transfers.extend(transfers.into_iter().map(|transfer| (seq, transfer))));
}

/// What an event does to money and prices.
fn money_moved(state: &mut State, event: &Event) {
    match event {
        Event::Funded { tenant, amount } => {
            let transfers =
                state.ledger.fund(tenant, books::home_currency(), *amount).expect("a decided funding fits the ledger");
            booked(state, transfers);
        }
        Event::CreditChanged { tenant, by } => tariffs::change_credit(state, tenant, *by),
        Event::TariffRuleSet(rule) => {
            state.touched.note(|rows| rows.rules.insert(rule.id));
            state.tariffs.insert(rule.clone());
        }
        Event::TariffRuleEnded { rule, until } => {
            state.touched.note(|rows| rows.rules.insert(*rule));
            state.tariffs.end(*rule, *until);
        }
        Event::ContractMade(contract) => {
            state.touched.note(|rows| rows.contracts.insert(contract.id));
            state.tariffs.contracts.insert(contract.clone());
        }
        Event::ContractEnded { contract, until } => {
            state.touched.note(|rows| rows.contracts.insert(*contract));
            state.tariffs.contracts.end(*contract, *until);
        }
        Event::Rerated { corrections, .. } => tariffs::correct(state, corrections),
        Event::LateUsed { records } => late::post(state, records),
        Event::OddityFound { centre, oddity } => {
            if oddity.since.is_some() {
                touch_centre(state, centre).odd.take(oddity);
            } else if let Some(attempt) = state.attempts.get_mut(&oddity.attempt) {
                attempt.oddities.push(oddity.kind);
                state.touched.note(|rows| rows.attempts.insert(oddity.attempt));
            }
            if oddity.shown() {
                state.touched.note(|rows| rows.oddities.push((centre.clone(), oddity.clone())));
            }
        }
        _ => {}
    }
}

/// What an event does to a centre.
fn centre_changed(state: &mut State, event: &Event) {
    match event {
        Event::CentreSet(centre) => {
            state.touched.note(|rows| rows.centres.insert(centre.id.clone()));
            state.calendar.set(centre);
            state.centres.insert(centre.id.clone(), (**centre).clone());
            state.find_ways();
        }
        Event::FactsSet { centre, place, facts } => {
            let centre = touch_centre(state, centre);
            (centre.place, centre.facts) = (*place, (!facts.is_empty()).then(|| Arc::new(facts.clone())));
            state.find_ways();
        }
        Event::CentreTokenSet { centre, token } => touch_centre(state, centre).token = Some(*token),
        Event::AlarmRaised { centre, alarm } => touch_centre(state, centre).alarms.push(alarm.clone()),
        Event::AlarmCleared { centre, kind, subject } => {
            touch_centre(state, centre).alarms.retain(|alarm| !(alarm.kind == *kind && alarm.subject == *subject));
        }
        Event::CentreStateSet { centre, state: wanted } => touch_centre(state, centre).state = *wanted,
        Event::PresenceSet { centre, presence, at } => {
            touch_centre(state, centre).absent_since = (*presence == Presence::Absent).then_some(*at);
        }
        Event::WindowAdded { centre, window } => {
            let centre = touch_centre(state, centre);
            centre.window_last = window.id;
            centre.windows.push(window.clone());
        }
        Event::WindowRemoved { centre, id } => touch_centre(state, centre).windows.retain(|window| window.id != *id),
        Event::ReservationAdded { centre, .. } | Event::ReservationRemoved { centre, .. } => {
            reservations::apply(state, centre, event);
        }
        Event::InventorySet { centre, pools } => {
            let centre = touch_centre(state, centre);
            let pools = pools.iter().map(|pool| (pool.id.clone(), pool.clone())).collect();
            for (id, old) in std::mem::replace(&mut centre.pools, pools) {
                let lost = centre.pools.get(&id).is_none_or(|pool| pool.rating.is_none());
                if let Some(rating) = old.rating.filter(|_| lost) {
                    centre.rating_versions.insert(id, rating.version);
                }
            }
        }
        _ => {}
    }
}

fn touch_centre<'a>(state: &'a mut State, id: &CentreId) -> &'a mut huisuan_model::Centre {
    state.touched.note(|rows| rows.centres.insert(id.clone()));
    state.centres.get_mut(id).expect("an event names a known centre")
}

/// What changes how a pool is rated.
fn rated(state: &mut State, event: &Event) {
    match event {
        Event::Rated { centre, pool, rating } => {
            let centre = touch_centre(state, centre);
            if rating.trusted() && centre.rating_key.is_none() {
                centre.rating_key = rating.certificate.as_ref().map(|certificate| certificate.key.clone());
            }
            let pool = centre.pools.get_mut(pool).expect("a rated pool is known");
            pool.rating = Some(rating.clone());
        }
        Event::RatingDoubted { centre, pool, doubt } => {
            rating(touch_centre(state, centre), pool).doubt = Some(doubt.clone());
        }
        Event::RatingAccepted { centre, pool } => {
            let centre = touch_centre(state, centre);
            let rating = rating(centre, pool);
            rating.doubt = None;
            let key = rating.certificate.as_ref().map(|certificate| certificate.key.clone());
            centre.rating_key = key.or(centre.rating_key.take());
        }
        _ => {}
    }
}

fn rating<'a>(centre: &'a mut huisuan_model::Centre, pool: &PoolId) -> &'a mut huisuan_model::Rating {
    let pool = centre.pools.get_mut(pool).expect("an event names a known pool");
    pool.rating.as_mut().expect("a doubt is about a rating")
}

fn touch_attempt(state: &mut State, id: AttemptId) -> &mut Attempt {
    state.touched.note(|rows| rows.attempts.insert(id));
    state.attempts.get_mut(&id).expect("an event names a live attempt")
}

/// Changes a live job and keeps its queue and state true. Most changes leave a job in its queue or out of it: then
/// its shape need not be made, which costs more than the rest.
fn change_job(state: &mut State, id: JobId, change: impl FnOnce(&mut Job)) {
    state.touched.note(|rows| rows.jobs.insert(id));
    let job = state.jobs.get_mut(&id).expect("an event names a live job");
    let queued = queue::schedulable(job);
    change(job);
    job.state = if job.tasks.active.is_empty() { JobState::Waiting } else { JobState::Running };
    if queued != queue::schedulable(job) {
        state.queues.update(job, state.specs.shape(job));
    }
}

fn cancel_waiting(job: &mut Job) {
    let waiting = std::mem::take(&mut job.tasks.waiting);
    job.tasks.cancelled.insert_all(&waiting);
}

/// What waits of a job has failed, and this is why.
fn give_up(state: &mut State, id: JobId, why: impl FnOnce(&Job) -> EndReason) {
    change_job(state, id, |job| {
        job.end_reason = Some(why(job));
        let waiting = std::mem::take(&mut job.tasks.waiting);
        job.tasks.failed.insert_all(&waiting);
    });
}

fn job_submitted(state: &mut State, event: &Event) {
    let Event::JobSubmitted { job: id, tenant, project, actor, spec, spec_hash, at, key, waits_for } = event else {
        return;
    };
    assert_eq!(id.0, state.job_last + 1, "jobs are numbered without gaps");
    state.job_last = id.0;
    let mut job = Job {
        id: *id,
        tenant: tenant.clone(),
        project: project.clone(),
        actor: actor.clone(),
        spec: spec.clone(),
        spec_hash: *spec_hash,
        submitted_at: *at,
        started_at: None,
        ended_at: None,
        state: JobState::Waiting,
        cancel_requested: false,
        waits_for: waits_for.clone(),
        end_reason: None,
        tasks: TaskSets { waiting: spec.tasks.clone(), ..TaskSets::default() },
        centres: BTreeSet::new(),
        retried: BTreeMap::new(),
        preempted: BTreeMap::new(),
        refused_by: BTreeMap::new(),
        usage: BTreeMap::new(),
        cost: Money::ZERO,
        ran_ms: 0,
    };
    if let Some((_, before)) = state.jobs.last_key_value() {
        job.share_with(before);
    }
    if let Some(key) = key {
        let (tenant, key) = (tenant.clone(), key.clone());
        let record = KeyRecord { tenant, key, job: *id, spec_hash: *spec_hash, at: *at };
        state.keys.insert(&record);
        state.touched.note(|rows| rows.keys.push(record));
    }
    *state.jobs_of_tenant.entry(tenant.clone()).or_default() += 1;
    state.specs.learn(&job);
    state.queues.update(&job, state.specs.shape(&job));
    state.dependents.add(&job);
    state.jobs.insert(*id, Box::new(job));
    state.touched.note(|rows| rows.jobs.insert(*id));
}

fn job_ended(state: &mut State, id: JobId, end: JobState, at: TimeMs) {
    let mut job = state.jobs.remove(&id).expect("a job ends once");
    assert!(job.tasks.active.is_empty() && job.tasks.waiting.is_empty(), "an ended job has no open task");
    // Without a waiting task it had left its queue before.
    job.ended_at = Some(at);
    job.state = end;
    job.waits_for.iter().for_each(|dependency| state.dependents.remove(dependency.job, id));
    let live = state.jobs_of_tenant.get_mut(&job.tenant).expect("a tenant with a job has a count");
    *live -= 1;
    if *live == 0 {
        state.jobs_of_tenant.remove(&job.tenant);
    }
    state.touched.note(|rows| rows.jobs.remove(&id));
    state.touched.note(|rows| rows.jobs_ended.insert(id, *job));
}
