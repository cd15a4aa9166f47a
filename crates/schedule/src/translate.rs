//! From a snapshot to numbered pools and candidates: all that the loop needs and nothing that changes in it.

use std::{cmp::Reverse, collections::BTreeMap, ops::Range, sync::Arc};

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, Level, Money, ReservationId, Shape, TimeMs, shape::Reach, spec::Need,
};

use crate::{
    advance::Reserved,
    fit::{self, Answer, Demand},
    holders::Holders,
    memory::Memory,
    policy::{Policy, Weights},
    reach::{Fixed, Loads, Near, Site, Ways, fixed, near},
    reserve::Base,
    score,
    share::{self, Rates},
    snapshot::{Agreed, Amounts, CentreView, PoolView, ShapeView, Snapshot, Window},
};

/// A snapshot with its pools numbered.
pub(crate) struct Problem<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) policy: &'a Policy,
    /// The moment of the cycle.
    pub(crate) now: TimeMs,
    /// All pools in the order of centres and pools: the order in which ties are broken.
    pub(crate) pools: Vec<Place<'a>>,
    /// For each centre of the snapshot the numbers of its pools.
    pub(crate) pools_of: Vec<Range<usize>>,
    /// In the order of the snapshot's shapes.
    pub(crate) shapes: Vec<ShapeProblem>,
    /// The different places of shapes.
    pub(crate) kinds: Vec<Arc<Places>>,
    /// Who holds what, and who waits.
    pub(crate) holders: Holders<'a>,
    /// The ways between the centres, where a shape minds them.
    pub(crate) ways: Option<Arc<Ways>>,
    /// All reservations in advance with the numbers of their pools.
    pub(crate) reserved: Vec<(usize, &'a Reserved)>,
}

/// One pool and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) centre: &'a CentreView,
    pub(crate) pool: &'a PoolView,
}

impl<'a> Place<'a> {
    /// Whether a rack can be chosen there: its nodes are shown, or it is all one.
    pub(crate) fn shows_domains(&self) -> bool {
        self.pool.nodes.is_some() || self.pool.pool.topology.is_some_and(|topology| topology.nodes == 1)
    }

    /// The first window that a task of the shape would run into if it started now.
    pub(crate) fn closed(&self, now: TimeMs, view: &ShapeView) -> Option<&'a Window> {
        let end = now.after(view.shape.walltime);
        let mut windows = self.centre.closed.iter().filter(|window| window.meets(&self.pool.pool.id, now, end));
        windows.by_ref().min_by_key(|window| (window.from, window.until))
    }
}

/// What is fixed for a shape during a cycle.
pub(crate) struct ShapeProblem {
    /// Where it can run; shared with the shapes of others that ask for the same.
    pub(crate) places: Arc<Places>,
    /// Their number.
    pub(crate) kind: usize,
    /// The index of its tenant; `None` when the snapshot lacks it, and then nothing is affordable but what is free.
    pub(crate) tenant: Option<usize>,
    /// The number of its project.
    pub(crate) project: usize,
    /// When its tasks end at the latest if they start now.
    pub(crate) end: TimeMs,
    /// Whether its tasks start together.
    pub(crate) gang: bool,
    /// The index of the reservation in advance that it names, where that is known.
    pub(crate) reserved: Option<usize>,
}

/// Where tasks can run that ask for the same.
#[derive(Debug)]
pub(crate) struct Places {
    /// Pools that can run them at centres that take work, in the order of pools.
    pub(crate) candidates: Vec<Candidate>,
    /// The candidates from the best to the worst by their standing terms: from the cheapest to the dearest where only
    /// the price counts.
    pub(crate) by_standing: Vec<Standing>,
    /// The standing terms besides the price, by candidate; empty where there are none.
    pub(crate) fixed: Vec<Fixed>,
    /// The smallest share of the network's rate that tasks that start together take anywhere, times the walltime:
    /// milliseconds in 2^-32.
    pub(crate) area: u128,
}

/// A candidate with its number and what its standing terms score. It repeats the candidate: a turn looks at the first
/// few of these, and memory that is read in its order answers sooner than what it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) number: usize,
    pub(crate) score: i64,
    pub(crate) candidate: Candidate,
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
    /// The class of the pool, as an index of rates.
    pub(crate) class: usize,
    /// The rate that one task takes, in GFLOP/s, rounded up.
    pub(crate) rate: u64,
}

impl Candidate {
    /// What one task takes.
    pub(crate) fn each(&self) -> Amounts {
        Amounts { cores: self.demand.cores, memory: self.demand.memory, devices: self.demand.devices }
    }

    /// How many tasks the money pays for.
    pub(crate) fn affordable(&self, available: i64) -> u64 {
        match self.hold {
            0 => u64::MAX,
            hold => u64::try_from(available / hold).unwrap_or(0),
        }
    }
}

impl<'a> Problem<'a> {
    /// Of what is remembered, that is used which still holds.
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy, now: TimeMs, memory: &mut Memory) -> Self {
        memory.look(snapshot, policy);
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
        let network = network_rates(&pools);
        let reserved = pools.iter().enumerate();
        let reserved = reserved.flat_map(|(number, place)| place.pool.reserved.iter().map(move |kept| (number, kept)));
        let reserved: Vec<(usize, &Reserved)> = reserved.collect();
        let holders = Holders::new(snapshot, policy, &pools, &network);
        let minds = |view: &ShapeView| view.shape.reach.as_ref().is_some_and(|reach| reach.minds_ways());
        let found = || snapshot.ways.clone().unwrap_or_else(|| Arc::new(Ways::of(&snapshot.centres)));
        let ways = snapshot.shapes.iter().any(minds).then(found);
        let loads = ways.as_ref().map_or_else(Loads::default, |ways| Loads::of(&snapshot.traffic, ways));
        let mut known: BTreeMap<(Asked<'a>, &'a [Agreed]), usize> = BTreeMap::new();
        let mut kinds: Vec<Arc<Places>> = Vec::new();
        let mut shapes = Vec::with_capacity(snapshot.shapes.len());
        for (view, &project) in snapshot.shapes.iter().zip(&holders.project_of) {
            let kind = *known.entry((asked(&view.shape), &view.agreed)).or_insert_with(|| {
                let question = Question { snapshot, policy, now, ways: ways.as_deref(), loads: &loads };
                let objective = view.shape.objective();
                let weights = policy.weights.preferring(objective);
                kinds.push(memory.places(view, &weights, || places((&pools, &network), &question, view)));
                kinds.len() - 1
            });
            shapes.push(ShapeProblem {
                places: kinds[kind].clone(),
                kind,
                tenant: snapshot.tenants.binary_search_by(|tenant| tenant.id.cmp(&view.shape.tenant)).ok(),
                project,
                end: now.after(view.shape.walltime),
                gang: view.shape.gang.is_some(),
                reserved: view.shape.reservation.and_then(|id| reserved.iter().position(|(_, kept)| kept.id == id)),
            });
        }
        let mut first = 0;
        let pools_of = snapshot.centres.iter().map(|centre| {
            let range = first..first + centre.pools.len();
            first = range.end;
            range
        });
        let pools_of = pools_of.collect();
        Problem { snapshot, policy, now, pools, pools_of, shapes, kinds, holders, ways, reserved }
    }

    /// How long a task of a shape may take.
    pub(crate) fn walltime(&self, shape: usize) -> DurationMs {
        self.snapshot.shapes[shape].shape.walltime
    }

    /// What a pool's room over time is made of.
    pub(crate) fn base(&self, pool: usize) -> Base<'a> {
        let Place { centre, pool: view } = self.pools[pool];
        Base {
            pool: view,
            closed: centre.closed.iter().filter(|window| window.concerns(&view.pool.id)).collect(),
            now: self.now,
        }
    }

    /// The candidate that `pool` would be for a shape, were it large enough or its centre active.
    pub(crate) fn candidate(&self, pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
        candidate(&self.pools, pool, demand, view)
    }
}

fn candidate(pools: &[Place<'_>], pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
    let Place { centre, pool: place } = pools[pool];
    let Money(hold) = fit::hold_each(&place.pool, view.price(centre, &place.pool.id), &demand, &view.shape);
    let rate = place.pool.share(demand.cores, demand.devices).map_or(0, |share| share.rate_up().0);
    Candidate { pool, demand, hold: hold.max(0), class: share::index(place.pool.class), rate }
}

/// All of a shape but who asks; whether it is an image and what it is reserved last.
pub(crate) type Asked<'a> = (
    Where<'a>,
    &'a Need,
    Bytes,
    DurationMs,
    (Option<u32>, Option<Level>),
    Option<&'a Reach>,
    (bool, Option<ReservationId>),
);

/// Class and centres, those that it may not go to last.
type Where<'a> = (Option<Class>, &'a [CentreId], &'a [CentreId]);

pub(crate) fn asked(shape: &Shape) -> Asked<'_> {
    (
        (shape.class, &shape.centres, &shape.refused_by),
        &shape.need,
        shape.memory,
        shape.walltime,
        (shape.gang, shape.topology),
        shape.reach.as_deref(),
        (shape.image, shape.reservation),
    )
}

/// What the places of a shape depend on besides the pools.
struct Question<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    now: TimeMs,
    ways: Option<&'a Ways>,
    loads: &'a Loads,
}

fn places((pools, network): (&[Place<'_>], &Rates), question: &Question<'_>, view: &ShapeView) -> Places {
    let shape = &view.shape;
    let mut candidates = Vec::new();
    for (number, place) in pools.iter().enumerate() {
        let open = place.centre.active && !place.centre.absent && place.closed(question.now, view).is_none();
        let end = question.now.after(shape.walltime);
        let held = || place.pool.reserved_for(shape).is_some_and(|kept| kept.holds(question.now, end));
        if shape.reservation.is_some() && !held() {
            continue;
        }
        if !open || !fit::allowed(place.centre, shape) || !within(question.ways, place.centre, shape) {
            continue;
        }
        if shape.topology.is_some() && !place.shows_domains() {
            continue;
        }
        if let Answer::Fits(demand) = fit::answer(&place.pool.pool, shape) {
            candidates.push(candidate(pools, number, demand, view));
        }
    }
    let together = u128::from(shape.gang.unwrap_or(1)) * u128::from(shape.walltime.0);
    let part = |one: &Candidate| (u128::from(one.rate) << 32) / u128::from(network[one.class]).max(1);
    let cheapest = candidates.iter().map(|candidate| candidate.hold).min().unwrap_or(0);
    let (weights, fixed) = weighed(pools, question, shape, &candidates);
    let standing = |(number, &candidate): (usize, &Candidate)| {
        let price = score::price(&weights, candidate.hold, cheapest);
        let score = price.saturating_add(fixed.get(number).map_or(0, Fixed::total));
        Standing { number, score, candidate }
    };
    let mut by_standing: Vec<Standing> = candidates.iter().enumerate().map(standing).collect();
    by_standing.sort_by_key(|standing| (Reverse(standing.score), standing.number));
    let area = candidates.iter().map(part).min().unwrap_or(0).saturating_mul(together);
    Places { by_standing, fixed, area, candidates }
}

/// What counts for a shape, and its standing terms besides the price.
fn weighed(
    pools: &[Place<'_>],
    question: &Question<'_>,
    shape: &Shape,
    candidates: &[Candidate],
) -> (Weights, Vec<Fixed>) {
    let Question { snapshot, policy, now, ways, loads } = *question;
    let weights = policy.weights.preferring(shape.objective());
    // Who prefers something has the last word.
    let targets = snapshot.targets.as_deref().filter(|_| weights.target != 0);
    let fixed = fixed(&Site { weights: &weights, now, shape, ways, loads, targets, pools }, candidates);
    (weights, fixed)
}

/// Whether a centre is within the latency bound of a shape.
pub(crate) fn within(ways: Option<&Ways>, centre: &CentreView, shape: &Shape) -> bool {
    let bound = shape.reach.as_ref().and_then(|reach| reach.latency.as_ref());
    let (Some(_), Some(ways)) = (bound, ways) else { return bound.is_none() };
    ways.index(&centre.id).is_some_and(|at| near(ways, at, shape) == Near::Within)
}

/// The rate of all rated pools, by class.
fn network_rates(pools: &[Place<'_>]) -> Rates {
    let mut network = Rates::default();
    for Place { pool, .. } in pools {
        let rate = &mut network[share::index(pool.pool.class)];
        *rate = rate.saturating_add(pool.pool.rating.as_ref().map_or(0, |rating| rating.sustained.0));
    }
    network
}
