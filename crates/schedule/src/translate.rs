//! From a snapshot to numbered pools and candidates: all that the loop needs and nothing that changes in it.

use std::ops::Range;

use huisuan_model::{DurationMs, Money, TimeMs};

use crate::{
    fit::{self, Answer, Demand},
    policy::Policy,
    snapshot::{CentreView, PoolView, ShapeView, Snapshot, Window},
};

/// A snapshot with its pools numbered.
pub(crate) struct Problem<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) policy: &'a Policy,
    pub(crate) now: TimeMs,
    /// All pools in the order of centres and pools: the order in which ties are broken.
    pub(crate) pools: Vec<Place<'a>>,
    /// For each centre of the snapshot the numbers of its pools.
    pub(crate) pools_of: Vec<Range<usize>>,
    /// In the order of the snapshot's shapes.
    pub(crate) shapes: Vec<ShapeProblem>,
}

/// One pool and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) centre: &'a CentreView,
    pub(crate) pool: &'a PoolView,
}

impl<'a> Place<'a> {
    /// The first window that a task which begins now could reach into.
    pub(crate) fn closed(&self, walltime: DurationMs, now: TimeMs) -> Option<&'a Window> {
        let met = self.centre.closed.iter().filter(|window| window.meets(&self.pool.pool.id, now, now.after(walltime)));
        met.min_by_key(|window| window.from)
    }
}

/// What is fixed for a shape during a cycle.
pub(crate) struct ShapeProblem {
    /// Pools that can run it at centres that take work, in the order of pools.
    pub(crate) candidates: Vec<Candidate>,
    /// The index of its tenant; `None` when the snapshot lacks it, and then nothing is affordable but what is free.
    pub(crate) tenant: Option<usize>,
    /// The lowest hold of one task among the candidates, in millionths.
    pub(crate) hold_min: i64,
}

/// A pool that can run tasks of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The number of the pool.
    pub(crate) pool: usize,
    /// What one task takes.
    pub(crate) demand: Demand,
    /// What is held for one task, in millionths; never negative.
    pub(crate) hold: i64,
}

impl Candidate {
    /// How many tasks the money pays for.
    pub(crate) fn affordable(&self, available: i64) -> u64 {
        match self.hold {
            0 => u64::MAX,
            hold => u64::try_from(available / hold).unwrap_or(0),
        }
    }
}

impl<'a> Problem<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy, now: TimeMs) -> Self {
        assert!(
            snapshot.centres.is_sorted_by(|a, b| a.id < b.id),
            "centres of a snapshot are in the order of their ids"
        );
        assert!(
            snapshot.tenants.is_sorted_by(|a, b| a.id < b.id),
            "tenants of a snapshot are in the order of their ids"
        );
        assert!(snapshot.shapes.is_sorted_by(|a, b| a.shape < b.shape), "shapes of a snapshot are in their order");
        let pools: Vec<Place<'a>> = snapshot
            .centres
            .iter()
            .flat_map(|centre| centre.pools.iter().map(move |pool| Place { centre, pool }))
            .collect();
        let shapes = snapshot.shapes.iter().map(|view| shape_problem(snapshot, &pools, view, now)).collect();
        let mut first = 0;
        let pools_of = snapshot.centres.iter().map(|centre| {
            let range = first..first + centre.pools.len();
            first = range.end;
            range
        });
        let pools_of = pools_of.collect();
        Problem { snapshot, policy, now, pools, pools_of, shapes }
    }

    /// The candidate that `pool` would be for a shape, were it large enough or its centre active.
    pub(crate) fn candidate(&self, pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
        candidate(&self.pools, pool, demand, view)
    }
}

fn candidate(pools: &[Place<'_>], pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
    let Place { centre, pool: place } = pools[pool];
    let Money(hold) = fit::hold_each(&place.pool, &centre.tariff, &demand, &view.shape);
    Candidate { pool, demand, hold: hold.max(0) }
}

fn shape_problem(snapshot: &Snapshot, pools: &[Place<'_>], view: &ShapeView, now: TimeMs) -> ShapeProblem {
    let mut candidates = Vec::new();
    for (number, place) in pools.iter().enumerate() {
        if !place.centre.active || place.centre.absent || !fit::allowed(place.centre, &view.shape) {
            continue;
        }
        if place.closed(view.shape.walltime, now).is_some() {
            continue;
        }
        if let Answer::Fits(demand) = fit::answer(&place.pool.pool, &view.shape) {
            candidates.push(candidate(pools, number, demand, view));
        }
    }
    ShapeProblem {
        hold_min: candidates.iter().map(|candidate| candidate.hold).min().unwrap_or(0),
        candidates,
        tenant: snapshot.tenants.binary_search_by(|tenant| tenant.id.cmp(&view.shape.tenant)).ok(),
    }
}
