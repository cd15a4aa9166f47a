//! The terms of a score that do not change while a cycle goes on: price, start, transfer, energy, carbon, target.

use huisuan_model::{ScoreTerm, Shape, TargetPart, Targets, TimeMs, spec::Reading};

use super::{Loads, Ways};
use crate::{
    policy::Weights,
    score::{part, price},
    translate::{Candidate, Place},
};

/// The terms of one candidate besides waiting, price and fit; nothing of them counts where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fixed {
    start: i64,
    transfer: i64,
    energy: i64,
    carbon: i64,
    target: i64,
    scarcity: i64,
}

impl Fixed {
    /// What they add to a score.
    pub(crate) fn total(&self) -> i64 {
        let Fixed { start, transfer, energy, carbon, target, scarcity } = *self;
        [start, transfer, energy, carbon, target, scarcity].into_iter().fold(0, i64::saturating_add)
    }

    /// Whether work starts at least as soon as elsewhere, and its data is at least as near.
    pub(crate) fn as_soon_as(&self, other: &Fixed) -> bool {
        self.start >= other.start && self.transfer >= other.transfer
    }

    /// Those that say something.
    pub(crate) fn terms(&self) -> impl Iterator<Item = ScoreTerm> {
        let all = [
            ("start", self.start),
            ("transfer", self.transfer),
            ("energy", self.energy),
            ("carbon", self.carbon),
            ("target", self.target),
            ("scarcity", self.scarcity),
        ];
        all.into_iter().filter(|(_, value)| *value != 0).map(|(term, value)| ScoreTerm { term: term.into(), value })
    }
}

/// What a shape's terms are computed from.
pub(crate) struct Site<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) now: TimeMs,
    pub(crate) shape: &'a Shape,
    pub(crate) ways: Option<&'a Ways>,
    /// What is under way on them.
    pub(crate) loads: &'a Loads,
    /// What the network level wants.
    pub(crate) targets: Option<&'a Targets>,
    /// All pools, by number.
    pub(crate) pools: &'a [Place<'a>],
}

/// The terms of every candidate, in their order; empty where none says anything.
pub(crate) fn fixed(site: &Site<'_>, candidates: &[Candidate]) -> Vec<Fixed> {
    let mut terms = vec![Fixed::default(); candidates.len()];
    starts(site, candidates, &mut terms);
    transfers(site, candidates, &mut terms);
    if site.weights.energy != 0 || site.weights.carbon != 0 {
        electricity(site, candidates, &mut terms);
    }
    if let Some(wanted) = site.targets {
        targets(site, wanted, candidates, &mut terms);
        scarcity(site, wanted, candidates, &mut terms);
    }
    if terms.iter().all(|terms| *terms == Fixed::default()) { Vec::new() } else { terms }
}

/// Term `start`: the whole of it where work starts at once, half of it where as much of it waits as long as it may run
/// as does not. It says nothing unless one of the candidates hides its queue: the others start what they have room for.
fn starts(site: &Site<'_>, candidates: &[Candidate], terms: &mut [Fixed]) {
    let Site { weights, shape, pools, .. } = site;
    let opaque = |candidate: &Candidate| pools[candidate.pool].centre.opaque.as_ref();
    if weights.start == 0 || candidates.iter().all(|candidate| opaque(candidate).is_none()) {
        return;
    }
    let (tasks, run_ms) = (u64::from(shape.gang.unwrap_or(1)), shape.walltime.0);
    for (terms, candidate) in terms.iter_mut().zip(candidates) {
        let pool = &pools[candidate.pool].pool.pool;
        let wait_ms = opaque(candidate).map_or(0, |view| view.start(pool, &candidate.demand, tasks).p50_ms);
        terms.start = part(weights.start, run_ms, run_ms.saturating_add(wait_ms));
    }
}

/// Terms `energy` and `carbon`: as a price they count against the least of all candidates.
fn electricity(site: &Site<'_>, candidates: &[Candidate], terms: &mut [Fixed]) {
    let Site { weights, shape, pools, .. } = site;
    let of = |candidate: &Candidate| {
        let Place { centre, pool } = pools[candidate.pool];
        let power = centre.facts.as_ref()?.power.as_ref()?;
        let parts = if pool.pool.devices.is_zero() { candidate.demand.cores.0 } else { candidate.demand.devices.0 };
        power.energy(&pool.pool.id, parts, site.now, shape.walltime)
    };
    let found: Vec<_> = candidates.iter().map(of).collect();
    let known = || found.iter().flatten();
    let cheapest = known().map(|energy| energy.price.0).min().unwrap_or(0).max(0);
    let cleanest = known().map(|energy| energy.carbon_mg).min().unwrap_or(0);
    for (terms, energy) in terms.iter_mut().zip(&found) {
        let Some(energy) = energy else { continue };
        terms.energy = match energy.price.0 {
            1.. => part(weights.energy, cheapest.unsigned_abs(), energy.price.0.unsigned_abs()),
            _ => weights.energy,
        };
        terms.carbon = part(weights.carbon, cleanest, energy.carbon_mg);
    }
}

/// Term `target`: the whole of it where the plan sends most of this kind of work.
fn targets(site: &Site<'_>, wanted: &Targets, candidates: &[Candidate], terms: &mut [Fixed]) {
    if wanted.kinds.is_empty() || site.weights.target == 0 {
        return;
    }
    let parts = wanted.of(site.shape.kind());
    let most = parts.iter().map(|part| part.permille).max().unwrap_or(0);
    for (terms, candidate) in terms.iter_mut().zip(candidates).filter(|_| most > 0) {
        let Place { centre, pool } = site.pools[candidate.pool];
        let here = |part: &&TargetPart| part.centre == centre.id && part.pool == pool.pool.id;
        let planned = parts.iter().find(here).map_or(0, |part| part.permille);
        terms.target = part(site.weights.target, planned.into(), most.into());
    }
}

/// Term `scarcity`: what the term `price` would be less (or more) if a place cost what its room is worth to others,
/// too.
fn scarcity(site: &Site<'_>, wanted: &Targets, candidates: &[Candidate], terms: &mut [Fixed]) {
    if wanted.scarce.is_empty() {
        return;
    }
    let with = |candidate: &Candidate| {
        let Place { centre, pool } = site.pools[candidate.pool];
        let parts = if pool.pool.devices.is_zero() { candidate.demand.cores.0 } else { candidate.demand.devices.0 };
        let beside = wanted.scarce(&centre.id, &pool.pool.id);
        candidate.hold.saturating_add(beside.map_or(0, |scarce| scarce.price(parts, site.shape.walltime).0))
    };
    let costs: Vec<i64> = candidates.iter().map(with).collect();
    let cheapest = candidates.iter().map(|candidate| candidate.hold).min().unwrap_or(0);
    let cheapest_with = costs.iter().copied().min().unwrap_or(0);
    for ((terms, candidate), cost) in terms.iter_mut().zip(candidates).zip(costs) {
        let alone = price(site.weights, candidate.hold, cheapest);
        terms.scarcity = price(site.weights, cost, cheapest_with).saturating_sub(alone);
    }
}

/// Term `transfer`: the whole of it where nothing has to be moved, half of it where that takes as long as the job may
/// run, nothing where no link is known to carry it. A gang's tasks share the way with each other and with all that is
/// under way; what lies at several centres comes over several links at once.
fn transfers(site: &Site<'_>, candidates: &[Candidate], terms: &mut [Fixed]) {
    let Some(reach) = site.shape.reach.as_ref().filter(|reach| !reach.reads.is_empty()) else { return };
    let Some(ways) = site.ways.filter(|_| site.weights.transfer != 0) else { return };
    let (tasks, run_ms) = (u64::from(site.shape.gang.unwrap_or(1)), site.shape.walltime.0);
    for (terms, candidate) in terms.iter_mut().zip(candidates) {
        let to = ways.index(&site.pools[candidate.pool].centre.id);
        let mut time = reach.reads.iter().map(|reading| transfer_ms(site, ways, reading, to?, tasks));
        let longest = time.try_fold(0_u64, |most, ms| Some(most.max(ms?)));
        terms.transfer = longest.map_or(0, |ms| part(site.weights.transfer, run_ms, run_ms.saturating_add(ms)));
    }
}

/// How long the data of so many tasks takes to a centre, in milliseconds; `None` where no links lead.
fn transfer_ms(site: &Site<'_>, ways: &Ways, reading: &Reading, to: usize, tasks: u64) -> Option<u64> {
    let from = ways.index(&reading.at)?;
    if from == to {
        return Some(0);
    }
    site.loads.transfer_ms(ways, (from, to), reading.bytes, tasks)
}
