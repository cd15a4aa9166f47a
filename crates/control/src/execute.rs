//! The one door: decide a command, apply what was decided, return the events.

use huisuan_model::{Command, Event, JobId, JobState, Money, Pool, command::Origin, quantity::TimeMs};

use crate::{
    Refusal, State, alarms, apply::apply, centres, channels, contracts, dependencies, late, nodes, place, ratings,
    report, reservations, submit, tariffs, tenants, windows,
};

/// Executes a command. On `Ok` the state has taken every event and its version has risen by one when
/// there were any; an empty list means that nothing had to change. On `Err` the state is untouched.
///
/// A command with many parts (a plan, a report) is decided part by part, each against the state that the
/// parts before it left; such parts are dropped when they no longer hold, never refused half-way.
pub fn execute(state: &mut State, origin: &Origin, command: &Command, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let seq = state.version + 1;
    state.seen_at = now;
    let mut events = match command {
        Command::Plan(plan) => place::execute(state, plan, seq, now),
        Command::Report { centre, seq: report_seq, reports, past } => {
            let told = report::Told { centre, report_seq: *report_seq, reports, past: past.as_deref() };
            report::execute(state, &told, seq, now)?
        }
        Command::LoseRunning { centre } => report::lose(state, centre, seq, now)?,
        Command::GiveUp { centre } => report::give_up(state, centre, seq, now)?,
        Command::Cancel { job } => {
            let events = cancel(state, *job, seq, now)?;
            apply_all(state, &events);
            events
        }
        _ => {
            let events = decide(state, origin, command, now)?;
            apply_all(state, &events);
            events
        }
    };
    dependencies::follow(state, &mut events, now);
    if !events.is_empty() {
        state.version = seq;
    }
    Ok(events)
}

/// A server that was away for less is taken to have been there: it looks at its centres every few seconds.
const UNSEEN_MS_MIN: u64 = 30_000;

/// What nobody saw, when the server comes back. A state without centres had nothing to see.
fn unseen(state: &State, seen_until: TimeMs, now: TimeMs) -> Vec<Event> {
    if state.centres.is_empty() || now.since(seen_until).0 < UNSEEN_MS_MIN {
        return Vec::new();
    }
    vec![Event::Unseen { from: seen_until, until: now }]
}

fn apply_all(state: &mut State, events: &[Event]) {
    for event in events {
        apply(state, event);
    }
}

/// Decides a command that has one part.
fn decide(state: &State, origin: &Origin, command: &Command, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Submit { spec, key, ended } => submit::decide(state, origin, spec, key.as_ref(), ended, now),
        Command::SetTenant(tenant) => Ok(vec![Event::TenantSet(tenant.clone())]),
        Command::SetTariffRule { rule, rerate } => tariffs::set(state, rule, *rerate, now),
        Command::EndTariffRule { rule, until } => tariffs::end(state, *rule, *until, now),
        Command::MakeContract(contract) => contracts::make(state, contract, now),
        Command::EndContract { contract, until } => contracts::end(state, *contract, *until, now),
        Command::Rerate { rule, readings } => tariffs::rerate(state, *rule, readings, now),
        Command::AddTenant { tenant, change } => tenants::add(state, tenant, change),
        Command::ChangeTenant { tenant, change } => tenants::change(state, tenant, change),
        Command::CloseTenant { tenant } => tenants::close(state, tenant),
        Command::SetTenantToken { tenant, token } => tenants::set_token(state, tenant, *token),
        Command::Fund { amount } => fund(state, origin, *amount),
        Command::SetCentre(centre) => centres::set(state, centre),
        Command::SetFacts { centre, place, facts } => centres::set_facts(state, centre, *place, facts),
        Command::AddCentre(centre) => centres::add(state, centre),
        Command::SetCentreToken { centre, token } => centres::set_token(state, centre, *token),
        Command::SetAlarms { centre, raised, cleared } => alarms::set(state, centre, raised, cleared, now),
        Command::SetCentreState { centre, state: wanted } => centres::set_state(state, centre, *wanted),
        Command::SetPresence { centre, presence } => centres::set_presence(state, centre, *presence, now),
        Command::AddWindow { centre, pool, from, until, note } => {
            let asked = windows::Asked { pool: pool.as_ref(), from: *from, until: *until, note };
            windows::add(state, centre, &asked, now)
        }
        Command::RemoveWindow { centre, id } => windows::remove(state, centre, *id),
        Command::Reserve(asked) => reservations::add(state, asked, now),
        Command::CancelReservation { id, tenant } => reservations::cancel(state, *id, tenant.as_ref()),
        Command::Inventory { centre, pools } => inventory(state, centre, pools),
        Command::NoteOddity { centre, kind, attempt, detail } => {
            let odd = late::odd(state, centre, *kind, *attempt, detail.clone(), now);
            odd.map(|event| vec![event]).ok_or_else(|| Refusal::NoCentre(centre.clone()))
        }
        Command::Rate { centre, pool, rating } => centres::rate(state, centre, pool, rating, now),
        Command::DoubtRating { centre, pool, doubt } => ratings::doubt_known(state, centre, pool, doubt),
        Command::AcceptRating { centre, pool } => ratings::accept(state, centre, pool),
        Command::OpenChannel { attempt, channel, target } => channels::open(state, origin, *attempt, *channel, *target),
        Command::CloseChannel { attempt, channel, sent, received } => {
            Ok(vec![Event::ChannelClosed { attempt: *attempt, channel: *channel, sent: *sent, received: *received }])
        }
        Command::Resume { seen_until } => Ok(unseen(state, *seen_until, now)),
        Command::ForgetKeys { before } => Ok(vec![Event::KeysForgotten { before: *before }]),
        Command::Plan(_)
        | Command::Report { .. }
        | Command::LoseRunning { .. }
        | Command::GiveUp { .. }
        | Command::Cancel { .. } => Ok(Vec::new()),
    }
}

fn fund(state: &State, origin: &Origin, amount: Money) -> Result<Vec<Event>, Refusal> {
    let tenant = &origin.tenant;
    tenants::open(state.tenants.get(tenant).ok_or_else(|| Refusal::NoTenant(tenant.clone()))?)?;
    // One order of magnitude below the type's end keeps sums of a few amounts inside 64 bits.
    if amount.0 <= 0 || amount.0 > i64::MAX / 16 {
        return Err(Refusal::Amount(amount));
    }
    if let Some(why) = tenants::no_room(state, amount) {
        return Err(Refusal::Tenant { tenant: tenant.clone(), why });
    }
    Ok(vec![Event::Funded { tenant: tenant.clone(), amount }])
}

/// New pools take the rating of the pool that they replace while their hardware is the same. A pool that
/// vanished stays while attempts are on it, without room for more.
fn inventory(state: &State, centre: &huisuan_model::CentreId, pools: &[Pool]) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    let mut found: Vec<Pool> = pools.to_vec();
    for pool in &mut found {
        let same = known.pools.get(&pool.id).filter(|old| {
            (old.class, old.cores, old.devices, old.device_memory)
                == (pool.class, pool.cores, pool.devices, pool.device_memory)
        });
        pool.rating = same.and_then(|old| old.rating.clone());
        pool.topology = nodes::believed(known.engine, pool);
    }
    for old in known.pools.values() {
        let vanished = !found.iter().any(|pool| pool.id == old.id);
        if vanished && state.used(centre, &old.id).attempts > 0 {
            found.push(Pool { rating: None, ..old.clone() });
        }
    }
    if found.iter().eq(known.pools.values()) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::InventorySet { centre: centre.clone(), pools: found }])
}

fn cancel(state: &State, id: JobId, seq: u64, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let job = state.jobs.get(&id).ok_or(Refusal::NoJob(id))?;
    if job.cancel_requested {
        return Ok(Vec::new());
    }
    let mut events = vec![Event::JobCancelRequested { job: id }];
    let running = state.attempts_of(id).filter(|attempt| attempt.stop_seq.is_none());
    events.extend(running.map(|attempt| Event::StopOrdered {
        attempt: attempt.id,
        order_seq: seq,
        preempted_by: None,
    }));
    if job.tasks.active.is_empty() {
        // Its waiting tasks are cancelled by the first event, so nothing of it is left.
        events.push(Event::JobEnded { job: id, state: JobState::Cancelled, at: now });
    }
    Ok(events)
}
