//! Why the rest waits: for every shape with waiting tasks one dominant reason with numbers, and what every centre said.
//!
//! What somebody must change comes before what time mends: no centre or a paused one, then money, then the
//! job's own limit, then capacity, and last those ahead in the queue.

use std::ops::Range;

use huisuan_model::{Bytes, CentreId, Millicores, Money, Reason, ShapeReason};

use crate::{
    cycle::{Block, State},
    fit::{self, Answer},
    load::Load,
    snapshot::ShapeView,
    translate::{Candidate, Problem},
};

/// A reason for every shape of which something waits, in the order of shapes.
pub(crate) fn reasons(problem: &Problem<'_>, state: &State) -> Vec<ShapeReason> {
    let mut reasons = Vec::new();
    for (shape, view) in problem.snapshot.shapes.iter().enumerate() {
        let jobs = view.jobs.iter().filter(|job| !job.waiting.is_empty()).count();
        if state.shapes[shape].jobs_done < jobs || view.more > 0 {
            reasons.push(reason(&Case::new(problem, state, shape, view)));
        }
    }
    reasons
}

/// One shape after the loop.
struct Case<'a> {
    problem: &'a Problem<'a>,
    state: &'a State,
    view: &'a ShapeView,
    shape: usize,
    /// What its tenant may still spend, in millionths.
    available: i64,
    block: Option<Block>,
}

impl<'a> Case<'a> {
    fn new(problem: &'a Problem<'a>, state: &'a State, shape: usize, view: &'a ShapeView) -> Self {
        let available = state.available(problem, shape);
        // A shape without candidates was never looked at; it asks as its first job would.
        let unit = view.jobs.first().map_or(1, |job| job.waiting.len());
        let unit = if view.shape.gang.is_some() { unit } else { 1 };
        let block = match problem.shapes[shape].candidates.is_empty() {
            true => Some(Block::Places { factor: 0, unit, ahead: 0, own: 0 }),
            false => state.shapes[shape].block,
        };
        Case { problem, state, view, shape, available, block }
    }

    fn candidates(&self) -> &'a [Candidate] {
        &self.problem.shapes[self.shape].candidates
    }
}

fn reason(case: &Case<'_>) -> ShapeReason {
    let reason = match case.block {
        _ if case.candidates().is_empty() => no_candidate(case, 0..case.problem.pools.len()),
        None => Reason::NotPlanned,
        Some(Block::ParallelMax(limit)) => Reason::ParallelMax { limit },
        Some(Block::Places { .. }) => busy(case, case.candidates()).unwrap_or(Reason::NotPlanned),
    };
    let rejected = match reason {
        Reason::NotPlanned => Vec::new(),
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
        let answer = if here.is_empty() { Some(no_candidate(case, pools.clone())) } else { busy(case, here) };
        answers.extend(answer.map(|reason| (centre.id.clone(), reason)));
    }
    answers
}

/// Why there is no candidate among some pools.
fn no_candidate(case: &Case<'_>, pools: Range<usize>) -> Reason {
    let (mut paused, mut absent, mut closed) = (None, None, None);
    let mut small = Vec::new();
    for number in pools {
        let place = case.problem.pools[number];
        if !fit::allowed(place.centre, &case.view.shape) {
            continue;
        }
        match fit::answer(&place.pool.pool, &case.view.shape) {
            Answer::Fits(_) if !place.centre.active => paused = paused.or_else(|| Some(place.centre.id.clone())),
            Answer::Fits(_) if place.centre.absent => absent = absent.or_else(|| Some(place.centre.id.clone())),
            Answer::Fits(_) => closed = closed.or_else(|| maintenance(case, number)),
            Answer::TooSmall(demand) => small.push(case.problem.candidate(number, demand, case.view)),
            Answer::OtherKind | Answer::Unrated => {}
        }
    }
    // Of the two, the one that nobody meant comes first.
    if let Some(centre) = absent {
        return Reason::CentreAbsent { centre };
    }
    if let Some(centre) = paused {
        return Reason::CentrePaused { centre };
    }
    if let Some(closed) = closed {
        return closed;
    }
    let centres = u32::try_from(case.problem.snapshot.centres.len()).unwrap_or(u32::MAX);
    // A job was taken in when the pool was larger: what is missing now is capacity, with its numbers.
    nearest(case, &small).unwrap_or(Reason::NoCentre { centres })
}

fn maintenance(case: &Case<'_>, pool: usize) -> Option<Reason> {
    let place = case.problem.pools[pool];
    let window = place.closed(case.view.shape.walltime, case.problem.now)?;
    Some(Reason::CentreClosed { centre: place.centre.id.clone(), from: window.from, until: window.until })
}

/// Why none of `candidates` takes what is left; `None` when one of them would, and when there is none.
fn busy(case: &Case<'_>, candidates: &[Candidate]) -> Option<Reason> {
    let Some(Block::Places { factor, unit, ahead, own }) = case.block else {
        let full = |candidate: &Candidate| free(case, candidate, 0) == 0;
        return if candidates.iter().all(full) { nearest(case, candidates) } else { None };
    };
    let payable: Vec<Candidate> =
        candidates.iter().copied().filter(|candidate| candidate.affordable(case.available) >= unit).collect();
    if payable.is_empty() {
        let hold = candidates.iter().map(|candidate| candidate.hold).min()?;
        let needed = i64::try_from(i128::from(hold) * i128::from(unit)).unwrap_or(i64::MAX);
        return Some(Reason::Budget { needed: Money(needed), available: Money(case.available) });
    }
    let over = |candidate: &Candidate| case.state.over_quota(case.problem, case.shape, &candidate.demand, unit);
    if let Some(reason) = payable.iter().map(over).reduce(Option::and).flatten() {
        return Some(reason);
    }
    let payable: Vec<Candidate> = payable.into_iter().filter(|candidate| over(candidate).is_none()).collect();
    // Either room is left that is kept for those ahead, or there was room before they took it.
    let kept = payable.iter().find(|candidate| free(case, candidate, factor) >= unit);
    let taken = || payable.iter().find(|candidate| own == 0 && free_at_first(case, candidate, factor) >= unit);
    if let Some(candidate) = kept.or_else(taken) {
        let centre = case.problem.pools[candidate.pool].centre.id.clone();
        return Some(Reason::Behind { ahead, centre });
    }
    nearest(case, &payable)
}

/// How many tasks fit at the end of the cycle.
fn free(case: &Case<'_>, candidate: &Candidate, factor: u64) -> u64 {
    let pool = &case.problem.pools[candidate.pool].pool.pool;
    case.state.loads[candidate.pool].room(pool, &candidate.demand, factor)
}

/// How many tasks fitted at its beginning.
fn free_at_first(case: &Case<'_>, candidate: &Candidate, factor: u64) -> u64 {
    let view = case.problem.pools[candidate.pool].pool;
    Load::of(view).room(&view.pool, &candidate.demand, factor)
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
    let dimensions = |candidate: &Candidate| {
        let pool = &case.problem.pools[candidate.pool].pool.pool;
        case.state.loads[candidate.pool].dimensions(pool, &candidate.demand)
    };
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
