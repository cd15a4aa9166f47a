//! One scheduling cycle: turn by turn, each job to the best places that have room, until nothing is left to place or
//! the cycle's budget is spent.

use huisuan_model::{Plan, TimeMs};

use crate::{
    explain, improve,
    memory::Memory,
    order::{Again, Queue},
    policy::{Budget, Policy, Seed},
    preempt,
    progress::Next,
    snapshot::Snapshot,
    state::State,
    translate::Problem,
};

/// Plans what starts now and says why the rest waits.
///
/// The same arguments give the same plan. `seed` is part of the interface for randomised search; today's rules need
/// none.
///
/// # Panics
///
/// When centres, shapes or tenants of the snapshot are not in their order: that is a bug of the caller.
pub fn cycle(snapshot: &Snapshot, policy: &Policy, now: TimeMs, budget: Budget, seed: Seed) -> Plan {
    cycle_with(&mut Memory::default(), snapshot, policy, now, budget, seed)
}

/// The same, the same plan, by a planner that remembers its last cycles.
///
/// # Panics
///
/// As [`cycle`].
pub fn cycle_with(
    memory: &mut Memory,
    snapshot: &Snapshot,
    policy: &Policy,
    now: TimeMs,
    budget: Budget,
    _seed: Seed,
) -> Plan {
    let problem = Problem::new(snapshot, policy, now, memory);
    let mut state = State::new(&problem);
    let mut queue = Queue::new(&problem);
    let (mut jobs_left, mut spent) = (budget.jobs_max, false);
    while let Some((shape, job)) = queue.pop() {
        if state.begins(shape) {
            if jobs_left == 0 {
                spent = true;
                break;
            }
            jobs_left -= 1;
        }
        let steps_left = budget.placements_max.saturating_sub(state.placed);
        let again = match state.turn(&problem, &mut queue, shape, &job, steps_left) {
            Next::Turn => Again::SameJob,
            Next::Job => Again::NextJob,
            Next::Shape => Again::Never,
            Next::Cycle => {
                spent = true;
                break;
            }
        };
        queue.put_back(again);
    }
    // While there are jobs that had no turn, room is theirs.
    let mut improvements = if spent { Vec::new() } else { improve::round(&problem, &mut state, &mut queue, &budget) };
    let (preemptions, starts) = preempt::round(&problem, &mut state, &queue);
    let reasons = explain::reasons(&problem, &state, &queue, budget.reasons_max);
    let State { placements, mut reservations, .. } = state;
    if !starts.is_empty() {
        improve::keep(&mut improvements, &placements);
    }
    reservations.extend(starts);
    let (version, bound, basis) = (snapshot.version, None, None);
    Plan { version, placements, reservations, preemptions, improvements, reasons, bound, basis }
}
