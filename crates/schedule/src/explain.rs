//! Why the rest waits: for every shape with waiting tasks one dominant reason with numbers, and what every centre said.
//!
//! What somebody must change comes before what time mends: no centre or a paused one, then money and quota, then the
//! job's own limit, then capacity, and last those ahead in the queue and what is kept for them.

mod kept;
mod latency;
mod topology;

use std::ops::Range;

use huisuan_model::{Bytes, CentreId, MilliDevices, Millicores, Money, QuotaResource, Reason, ShapeReason};

use crate::{
    fit::{self, Answer},
    load::Load,
    nodes::Nodes,
    order::Queue,
    progress::Block,
    reserve::For,
    snapshot::{ShapeView, Window},
    state::State,
    translate::{Candidate, Problem, within},
};

/// A reason for every shape of which something waits, in the order of shapes, for at most so many.
pub(crate) fn reasons<'a>(
    problem: &'a Problem<'a>,
    state: &'a State,
    queue: &'a Queue<'a>,
    most: u64,
) -> Vec<ShapeReason> {
    if most == 0 {
        return Vec::new();
    }
    let nodes: Vec<u64> = state.nodes.iter().map(|nodes| nodes.as_ref().map_or(0, Nodes::largest_free)).collect();
    let mut reasons = Vec::new();
    for (shape, view) in problem.snapshot.shapes.iter().enumerate() {
        let mut rest = view.jobs[queue.next(shape)..].iter();
        if state.shapes[shape].passed || rest.any(|job| !job.waiting.is_empty()) || view.more > 0 {
            if reasons.len() as u64 == most {
                break;
            }
            reasons.push(reason(&Case::new(problem, state, (queue, &nodes), shape, view)));
        }
    }
    reasons
}

/// One shape after the loop.
struct Case<'a> {
    problem: &'a Problem<'a>,
    state: &'a State,
    queue: &'a Queue<'a>,
    /// For each pool the most thousandths of devices that are free on one node.
    nodes: &'a [u64],
    view: &'a ShapeView,
    shape: usize,
    /// What its tenant may still spend, in millionths.
    available: i64,
    block: Option<Block>,
}

impl<'a> Case<'a> {
    fn new(
        problem: &'a Problem<'a>,
        state: &'a State,
        (queue, nodes): (&'a Queue<'a>, &'a [u64]),
        shape: usize,
        view: &'a ShapeView,
    ) -> Self {
        let available = state.available(problem, shape);
        // A shape without candidates was never looked at; it asks as its first job would.
        let unit = view.jobs.first().map_or(1, |job| job.waiting.len());
        let unit = if view.shape.gang.is_some() { unit } else { 1 };
        let block = match problem.shapes[shape].places.candidates.is_empty() {
            true => Some(Block::Places { factor: 0, unit, ahead: 0, own: 0 }),
            false => state.shapes[shape].block,
        };
        Case { problem, state, queue, nodes, view, shape, available, block }
    }

    fn candidates(&self) -> &'a [Candidate] {
        &self.problem.shapes[self.shape].places.candidates
    }
}

fn reason(case: &Case<'_>) -> ShapeReason {
    let reason = match case.block {
        _ if case.candidates().is_empty() && case.view.shape.reservation.is_some() => kept::no_candidate(case),
        _ if case.candidates().is_empty() => {
            let all = 0..case.problem.pools.len();
            latency::none_within(case, &all).unwrap_or_else(|| no_candidate(case, all))
        }
        None => Reason::NotPlanned,
        Some(Block::ParallelMax(limit)) => Reason::ParallelMax { limit },
        Some(Block::Places { .. }) => busy(case, case.candidates()).unwrap_or(Reason::NotPlanned),
    };
    // Where what is near is full and something farther is not, the bound is what keeps it waiting.
    let full = matches!(
        reason,
        Reason::Capacity { .. }
            | Reason::GangCapacity { .. }
            | Reason::NodeCapacity { .. }
            | Reason::TopologyCapacity { .. }
    );
    let reason = if full { latency::open_beyond(case).unwrap_or(reason) } else { reason };
    let rejected = match reason {
        Reason::NotPlanned => Vec::new(),
        // No centre but that of the reservation was asked.
        _ if case.view.shape.reservation.is_some() => Vec::new(),
        _ => rejected(case),
    };
    ShapeReason { shape: case.view.shape.clone(), reason, rejected }
}

/// What each centre in the shape's list said, in the order of centres. A centre that would take it says nothing.
fn rejected(case: &Case<'_>) -> Vec<(CentreId, Reason)> {
    let mut answers = Vec::new();
    let mut candidates = case.candidates();
    for (number, centre) in case.problem.snapshot.centres.iter().enumerate() {
        let pools = &case.problem.pools_of[number];
        let (here, later) = candidates.split_at(candidates.partition_point(|candidate| candidate.pool < pools.end));
        candidates = later;
        if !fit::named(&centre.id, &case.view.shape) {
            continue;
        }
        let answer = match here.is_empty() {
            true => Some(latency::none_within(case, pools).unwrap_or_else(|| no_candidate(case, pools.clone()))),
            false => busy(case, here),
        };
        answers.extend(answer.map(|reason| (centre.id.clone(), reason)));
    }
    answers
}

/// Why there is no candidate among some pools.
fn no_candidate(case: &Case<'_>, pools: Range<usize>) -> Reason {
    let (mut paused, mut absent) = (None, None);
    let mut closed: Option<(&CentreId, &Window)> = None;
    let (mut imageless, mut other) = (false, false);
    let (mut small, mut narrow) = (Vec::new(), None);
    for number in pools {
        let place = case.problem.pools[number];
        if !fit::allowed(place.centre, &case.view.shape) {
            continue;
        }
        let centre = &place.centre.id;
        match fit::answer(&place.pool.pool, &case.view.shape) {
            Answer::Fits(_) if !within(case.problem.ways.as_deref(), place.centre, &case.view.shape) => {}
            Answer::Fits(_) if !place.centre.active => paused = paused.or(Some(centre)),
            Answer::Fits(_) if place.centre.absent => absent = absent.or(Some(centre)),
            Answer::Fits(_) => {
                let window = place.closed(case.problem.now, case.view).map(|window| (centre, window));
                closed = closed.into_iter().chain(window).min_by_key(|(_, window)| window.until);
            }
            Answer::TooSmall(demand) => small.push(case.problem.candidate(number, demand, case.view)),
            Answer::TooNarrow(demand) => narrow = narrow.or(Some(case.problem.candidate(number, demand, case.view))),
            Answer::NoImages => imageless = true,
            Answer::OtherKind | Answer::Unrated | Answer::Unconnected => other = true,
        }
    }
    // Time opens a closed centre; of the others the one that nobody meant comes first.
    match (closed, absent, paused) {
        (Some((centre, window)), ..) => {
            Reason::CentreClosed { centre: centre.clone(), from: window.from, until: window.until }
        }
        (None, Some(centre), _) => Reason::CentreAbsent { centre: centre.clone() },
        (None, None, Some(centre)) => Reason::CentrePaused { centre: centre.clone() },
        (None, None, None) => {
            let centres = u32::try_from(case.problem.snapshot.centres.len()).unwrap_or(u32::MAX);
            // A job was taken in when the pool was larger: what is missing now is capacity, with its numbers.
            let narrow = || topology::too_narrow(case, &narrow?);
            nearest(case, &small).or_else(narrow).unwrap_or(match imageless && !other {
                true => Reason::NoImages { centres },
                false => Reason::NoCentre { centres },
            })
        }
    }
}

/// Why none of `candidates` takes what is left; `None` when one of them would, and when there is none.
fn busy(case: &Case<'_>, candidates: &[Candidate]) -> Option<Reason> {
    let Some(Block::Places { factor, unit, ahead, own }) = case.block else {
        let full = |candidate: &Candidate| !takes(case, candidate, 0, 1);
        return if candidates.iter().all(full) { nearest(case, candidates) } else { None };
    };
    let payable: Vec<Candidate> =
        candidates.iter().copied().filter(|candidate| candidate.affordable(case.available) >= unit).collect();
    if payable.is_empty() {
        let hold = candidates.iter().map(|candidate| candidate.hold).min()?;
        let needed = i64::try_from(i128::from(hold) * i128::from(unit)).unwrap_or(i64::MAX);
        let needed = Money(needed);
        return Some(match case.state.budget_left(case.problem, case.shape) {
            Some(left) => Reason::JobBudget { needed, left: Money(left) },
            None => {
                let limit = case.state.budget_limit(case.problem, case.shape);
                Reason::Budget { needed, available: Money(case.available), limit }
            }
        });
    }
    let (problem, state) = (case.problem, case.state);
    let allowed: Vec<Candidate> =
        payable.iter().copied().filter(|candidate| state.allowance(problem, case.shape, candidate) >= unit).collect();
    if allowed.is_empty() {
        return Some(quota(case, payable.first()?, unit));
    }
    if let Some(full) = kept::full(case, allowed.first()?, unit) {
        return Some(full);
    }
    let trusted = |candidate: &&Candidate| state.in_flight.room(candidate.pool, unit) >= unit;
    // Either room is left that is kept for those ahead, or there was room before they took it.
    if let Some(candidate) = allowed.iter().filter(trusted).find(|candidate| takes(case, candidate, 0, unit)) {
        return Some(open(case, candidate, unit, ahead));
    }
    if let Some(candidate) = allowed.iter().find(|candidate| takes(case, candidate, 0, unit)) {
        let (in_flight, most) = state.in_flight.at(candidate.pool)?;
        return Some(Reason::InFlight { centre: problem.pools[candidate.pool].centre.id.clone(), in_flight, most });
    }
    let kept = allowed.iter().find(|candidate| takes(case, candidate, factor, unit));
    let taken = || allowed.iter().find(|candidate| own == 0 && took_at_first(case, candidate, factor, unit));
    if let Some(candidate) = kept.or_else(taken) {
        return Some(behind(case, candidate, ahead));
    }
    nearest(case, &allowed)
}

/// The quota that leaves nothing for `unit` tasks at a candidate.
fn quota(case: &Case<'_>, candidate: &Candidate, unit: u64) -> Reason {
    let tenant = case.problem.shapes[case.shape].tenant.expect("who has a quota is known");
    let limits = case.problem.snapshot.tenants[tenant].quota;
    let [cores, devices] = case.state.held[tenant];
    let needed = candidate.demand.cores.0.saturating_mul(unit);
    match limits.cores {
        Some(limit) if cores.saturating_add(needed) > limit.0 && needed > 0 => {
            Reason::Quota { resource: QuotaResource::Cores, needed, held: cores, limit: limit.0 }
        }
        _ => Reason::Quota {
            resource: QuotaResource::Devices,
            needed: candidate.demand.devices.0.saturating_mul(unit),
            held: devices,
            limit: limits.devices.map_or(0, |limit| limit.0),
        },
    }
}

/// What stands in the way of tasks at a candidate with room: a promise that they would delay, or no node has the room.
fn open(case: &Case<'_>, candidate: &Candidate, unit: u64, ahead: u64) -> Reason {
    let end = case.problem.now.after(case.view.shape.walltime);
    let place = case.problem.pools[candidate.pool];
    let (centre, pool) = (place.centre.id.clone(), place.pool.pool.id.clone());
    if let Some(held) = case.state.agendas[candidate.pool].delayed(&candidate.demand, end, unit) {
        return match held.whose {
            For::Job(job) => Reason::Reserved { centre, pool, job, start_at: held.start_at },
            For::Reservation(reservation) => kept::reached(place, reservation, held.start_at),
        };
    }
    let number = case.candidates().iter().position(|one| one == candidate);
    if number.is_some_and(|number| case.state.shapes[case.shape].without_node.contains(&number)) {
        if let Some(reason) = topology::full(case, candidate) {
            return reason;
        }
        let nodes = case.state.nodes[candidate.pool].as_ref();
        if let Some(kept) = nodes.and_then(|nodes| nodes.kept_from(&candidate.demand, end)) {
            return Reason::Reserved { centre, pool, job: kept.job, start_at: kept.start_at };
        }
        let has = place.pool.pool.devices;
        return Reason::NodeCapacity {
            centre,
            pool,
            needed: candidate.demand.devices,
            node_free: MilliDevices(case.nodes[candidate.pool]),
            free: has.saturating_sub(case.state.loads[candidate.pool].used().devices),
        };
    }
    behind(case, candidate, ahead)
}

/// Who went first: tenants that hold less of what they are due, or others of its own.
fn behind(case: &Case<'_>, candidate: &Candidate, ahead: u64) -> Reason {
    let centre = case.problem.pools[candidate.pool].centre.id.clone();
    let (share, due) = (case.queue.holder(case.shape).share(), case.problem.holders.due);
    if case.problem.holders.tenants.len() > 1 && share > due {
        let held_ppm = u64::try_from(share.saturating_mul(1_000_000) / due.max(1)).unwrap_or(u64::MAX);
        return Reason::FairShare { centre, ahead, held_ppm };
    }
    Reason::Behind { ahead, centre }
}

/// How many tasks fit at the end of the cycle.
fn free(case: &Case<'_>, candidate: &Candidate, factor: u64) -> u64 {
    case.state.loads[candidate.pool].room(&candidate.demand, factor)
}

/// Whether that many tasks fit at the end of the cycle.
fn takes(case: &Case<'_>, candidate: &Candidate, factor: u64, tasks: u64) -> bool {
    case.state.loads[candidate.pool].takes(&candidate.demand, factor, tasks)
}

/// Whether they fitted at its beginning.
fn took_at_first(case: &Case<'_>, candidate: &Candidate, factor: u64, tasks: u64) -> bool {
    Load::of(case.problem.pools[candidate.pool].pool).takes(&candidate.demand, factor, tasks)
}

/// The nearest miss: for a gang the pool where most of it fits, otherwise the pool that lacks the smallest share of
/// what it has. Ties go to the first by centre and pool.
fn nearest(case: &Case<'_>, candidates: &[Candidate]) -> Option<Reason> {
    if let Some(gang) = case.view.shape.gang {
        let best = candidates.iter().rev().max_by_key(|candidate| free(case, candidate, 0))?;
        let place = case.problem.pools[best.pool];
        return Some(Reason::GangCapacity {
            centre: place.centre.id.clone(),
            pool: place.pool.pool.id.clone(),
            needed: gang,
            fits: u32::try_from(free(case, best, 0)).unwrap_or(u32::MAX),
        });
    }
    let dimensions = |candidate: &Candidate| case.state.loads[candidate.pool].dimensions(&candidate.demand);
    let missing = |candidate: &&Candidate| dimensions(candidate).iter().map(|one| one.missing_ppm()).max();
    let best = candidates.iter().min_by_key(missing)?;
    let place = case.problem.pools[best.pool];
    let [cores, memory, _] = dimensions(best);
    Some(Reason::Capacity {
        centre: place.centre.id.clone(),
        pool: place.pool.pool.id.clone(),
        needed: best.demand.cores,
        free: Millicores(cores.free(0)),
        memory_needed: best.demand.memory,
        memory_free: Bytes(memory.free(0)),
    })
}
