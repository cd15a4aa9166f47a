//! Takes a plan: every placement and preemption is checked again against the books of now and dropped when it no
//! longer holds.

use huisuan_model::{
    Attempt, AttemptId, AttemptState, CentreState, Event, Gflop, Job, Money, Placement, Plan, Preemption, Presence,
    Shape, Usage, quantity::TimeMs,
};
use huisuan_schedule::{
    Amounts, band,
    reach::{Near, near},
    room,
};

use crate::{State, apply::apply, books, budget, nodes::NodesTaken, reservations, starts, tariffs, tenants};

pub(crate) fn execute(state: &mut State, plan: &Plan, seq: u64, now: TimeMs) -> Vec<Event> {
    let mut events = Vec::new();
    for placement in &plan.placements {
        if let Some(event) = decide(state, placement, seq, now) {
            apply(state, &event);
            events.push(event);
        }
    }
    for preemption in &plan.preemptions {
        for event in preempt(state, preemption, seq) {
            apply(state, &event);
            events.push(event);
        }
    }
    events
}

/// The stops that a preemption comes to: of those of its attempts that still run there and were not told to end, and
/// none when the job that they end for no longer waits.
fn preempt(state: &State, preemption: &Preemption, seq: u64) -> Vec<Event> {
    let waits = |job: &Job| preemption.by_tasks.iter().any(|task| job.tasks.waiting.contains(task));
    let may_end = |job: &&Job| job.spec.preemptible && !job.cancel_requested;
    let Some(job) = state.job(preemption.job).filter(may_end) else { return Vec::new() };
    if !state.job(preemption.by).is_some_and(waits) {
        return Vec::new();
    }
    let attempts = preemption.tasks.iter().filter_map(|task| {
        let id = AttemptId { job: job.id, task, attempt: job.attempt_of(task) };
        let attempt = state.attempt(id).filter(|_| job.tasks.active.contains(task))?;
        let there = attempt.centre == preemption.centre && attempt.pool == preemption.pool;
        (there && attempt.stop_seq.is_none()).then_some(id)
    });
    let stop = |attempt| Event::StopOrdered { attempt, order_seq: seq, preempted_by: Some(preemption.by) };
    attempts.map(stop).collect()
}

/// The event of one placement, or `None` when the world has moved on since the plan was made.
fn decide(state: &State, placement: &Placement, seq: u64, now: TimeMs) -> Option<Event> {
    let job = state.jobs.get(&placement.job)?;
    let spec = &job.spec;
    let tasks = placement.tasks.len();
    let centre = state.centres.get(&placement.centre)?;
    let pool = centre.pools.get(&placement.pool)?;
    let allowed = centre.state == CentreState::Active
        && centre.presence() == Presence::Present
        && !centre.windows.iter().any(|window| window.meets(&pool.id, now, spec.walltime))
        && spec.class.is_none_or(|class| class == centre.class)
        && (spec.centres.is_empty() || spec.centres.contains(&centre.id))
        && !job.refused_by.contains_key(&centre.id);
    let still_waiting = !job.cancel_requested
        && job.waits_for.is_empty()
        && tasks > 0
        && placement.tasks.iter().all(|task| job.tasks.waiting.contains(task))
        && (!spec.gang || tasks == spec.tasks.len())
        && spec.parallel_max.is_none_or(|limit| job.tasks.active.len() + tasks <= u64::from(limit));
    let shape = state.specs.shape(job);
    let demand = huisuan_schedule::demand(pool, &shape)?;
    let right_size = (placement.cores, placement.devices) == (demand.cores, demand.devices);
    let taken = state.used.taken(&centre.id, &pool.id);
    let none = NodesTaken::default();
    let has_nodes = taken.map_or(&none, |taken| &taken.nodes).takes(pool, placement, job);
    if !(allowed && still_waiting && right_size && has_nodes && near_enough(state, placement, &shape)) {
        return None;
    }
    let unit = if spec.gang { tasks } else { 1 };
    if centre.engine.opaque() && starts::hand_over(state, centre, unit) < tasks {
        return None;
    }
    if !reservations::respected(state, job, placement, &demand, now) {
        return None;
    }
    let used = state.used(&centre.id, &pool.id);
    let mean = job.mean_run_ms();
    let room = room(pool, [used.all, used.long], &demand, mean, spec.gang, &state.policy);
    let terms = pool.terms(placement.cores, placement.devices, &centre.tariff)?;
    let hold_each = tariffs::hold_each(state, job, &pool.id, &terms, now, centre);
    let hold = i128::from(hold_each.0) * i128::from(tasks);
    if !tenants::within_quota(state, &job.tenant, placement) || !budget::within(state, job, hold_each, tasks, now) {
        return None;
    }
    if room < tasks || i128::from(state.ledger.available(&job.tenant, books::currency(&terms.tariff)).0) < hold {
        return None;
    }
    Some(Event::TasksPlaced {
        job: job.id,
        tasks: placement.tasks.clone(),
        centre: centre.id.clone(),
        pool: pool.id.clone(),
        cores: placement.cores,
        devices: placement.devices,
        hold_each,
        terms,
        order_seq: seq,
        at: now,
        score: placement.score.clone(),
        band: centre.engine.opaque().then(|| {
            let each = Amounts { cores: placement.cores, memory: spec.memory, devices: placement.devices };
            band(pool, used.all, Amounts::default().plus(each, unit))
        }),
        nodes: placement.nodes.clone(),
    })
}

/// What is held for each task of a placement when it is carried out, by tariffs and contracts; `None` where job, pool or
/// rating are not known.
pub fn hold_each(state: &State, placement: &Placement, now: TimeMs) -> Option<Money> {
    let (job, centre) = (state.job(placement.job)?, state.centres.get(&placement.centre)?);
    let terms = centre.pools.get(&placement.pool)?.terms(placement.cores, placement.devices, &centre.tariff)?;
    Some(tariffs::hold_each(state, job, &placement.pool, &terms, now, centre))
}

/// Whether the centre of a placement is within the latency bound of its job, by the facts of now.
fn near_enough(state: &State, placement: &Placement, shape: &Shape) -> bool {
    if shape.reach.as_ref().is_none_or(|reach| reach.latency.is_none()) {
        return true;
    }
    let ways = &state.ways;
    ways.index(&placement.centre).is_some_and(|at| near(ways, at, shape) == Near::Within)
}

/// The attempt that a `TasksPlaced` event makes of one task, without its node.
pub(crate) fn attempt_of(event: &Event, task: u32, attempt: u32) -> Option<Attempt> {
    let Event::TasksPlaced { job, centre, pool, cores, devices, hold_each, terms, .. } = event else {
        return None;
    };
    let Event::TasksPlaced { order_seq, at, score, band, .. } = event else { return None };
    Some(Attempt {
        id: AttemptId { job: *job, task, attempt },
        centre: centre.clone(),
        pool: pool.clone(),
        cores: *cores,
        devices: *devices,
        state: AttemptState::Placed,
        order_seq: *order_seq,
        placed_at: *at,
        started_at: None,
        ended_at: None,
        stop_seq: None,
        preempted_by: None,
        outcome: None,
        terms: terms.clone(),
        usage: Usage::default(),
        work: Gflop::ZERO,
        hold: *hold_each,
        cost: Money::ZERO,
        metered: None,
        oddities: Vec::new(),
        score: score.clone(),
        band: *band,
        node: None,
    })
}
