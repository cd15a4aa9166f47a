//! What could move: tasks that this cycle has placed where somebody lacks room, and that another place suits as well.
//!
//! It suits as well where a task costs no more, is of the same class, runs no slower, starts as soon with its data as
//! near, and scores no less by all that the policy weighs and that does not change in a cycle. The turn had only how
//! well it fits there, or the smaller number, to choose by. Hardware of one part number is no slower within a twentieth:
//! no two measurements of it agree.

use std::collections::BTreeMap;

use huisuan_model::spec::Need;

use crate::{
    state::State,
    translate::{Candidate, Problem, Standing},
};

/// Tasks of one shape at one pool.
pub(super) struct Stock {
    pub(super) pool: usize,
    pub(super) shape: usize,
    /// The candidate that they were placed at.
    pub(super) from: usize,
    /// The candidates that suit as well, the best first.
    pub(super) to: Vec<usize>,
    /// How many go together: 1, or the size of the gang.
    pub(super) unit: u64,
    /// How many times as many are left.
    pub(super) units: u64,
    /// Their placements, in the order of turns: the last one moves first.
    pub(super) placements: Vec<usize>,
}

/// What could move away from the pools that are wanted, in the order of pools and shapes.
pub(super) fn stocks(problem: &Problem<'_>, state: &State, wanted: &[bool]) -> Vec<Stock> {
    let mut stocks: BTreeMap<(usize, usize), Stock> = BTreeMap::new();
    for (number, origin) in state.origins.iter().enumerate() {
        let (shape, from) = (origin.shape, origin.candidate);
        let pool = problem.shapes[shape].places.candidates[from].pool;
        if origin.bound || !wanted[pool] || !open(state, pool) {
            continue;
        }
        let tasks = state.placements[number].tasks.len();
        let stock = stocks.entry((pool, shape)).or_insert_with(|| {
            let unit = if problem.shapes[shape].gang { tasks } else { 1 };
            let to = as_good(problem, state, shape, from);
            Stock { pool, shape, from, to, unit, units: 0, placements: Vec::new() }
        });
        stock.units += tasks / stock.unit.max(1);
        stock.placements.push(number);
    }
    stocks.into_values().filter(|stock| !stock.to.is_empty()).collect()
}

/// Whether the cycle knows all that a pool has free: it shows no nodes, and has no queue of its own.
pub(super) fn open(state: &State, pool: usize) -> bool {
    state.nodes[pool].is_none() && state.in_flight.at(pool).is_none()
}

/// The candidates of a shape that suit it as well as one, the best first.
fn as_good(problem: &Problem<'_>, state: &State, shape: usize, from: usize) -> Vec<usize> {
    let places = &problem.shapes[shape].places;
    let here = &places.candidates[from];
    let known = places.by_standing.iter().find(|standing| standing.number == from);
    let standing = known.expect("every candidate has a standing").score;
    // Who asks for a rate gets that rate everywhere.
    let by_rate = matches!(problem.snapshot.shapes[shape].shape.need, Need::Rate { .. });
    let part = |pool: usize| &problem.pools[pool].pool.pool.id;
    let as_fast = |there: &Candidate| {
        let alike = u128::from(there.rate) * 20 >= u128::from(here.rate) * 19;
        there.rate >= here.rate || (alike && part(there.pool) == part(here.pool))
    };
    let suits = |other: &&Standing| {
        let there = &other.candidate;
        let soon = match (places.fixed.get(other.number), places.fixed.get(from)) {
            (Some(there), Some(here)) => there.as_soon_as(here),
            _ => true,
        };
        other.number != from
            && other.score >= standing
            && there.hold <= here.hold
            && there.class == here.class
            && (by_rate || as_fast(there))
            && soon
            && open(state, there.pool)
    };
    places.by_standing.iter().filter(suits).map(|other| other.number).collect()
}
