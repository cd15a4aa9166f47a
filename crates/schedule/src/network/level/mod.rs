//! The network level beside the live cycle: now and then it plans all kinds of work over the next hours, and the cycles
//! in between use the parts that it gives each place as a term of their scores.
//!
//! It remembers its last plan, where the next one begins, and what came in the last hours: the same is expected again,
//! so that room beside the users of bound work is not filled by what could be elsewhere. A cycle that uses targets
//! which no plan of the journal has told yet tells them with its own: a replay takes them from there.
//!
//! - `arrivals`: what came lately, by kind of work;
//! - `lengths`: how long work runs;
//! - `draft`: a snapshot as a model of the network level.

mod arrivals;
mod draft;
mod lengths;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{Plan, ScarcePool, TargetPart, Targets, TimeMs};

use crate::{
    network::{Budget, Linear, Network, NetworkPlan, NetworkPlanner, Scarce},
    policy::Policy,
    snapshot::Snapshot,
};
use arrivals::Arrivals;
use draft::Draft;
pub use lengths::Lengths;

/// The network level as its planner keeps it; not a part of the state.
#[derive(Debug, Clone, Default)]
pub struct Level {
    targets: Option<Arc<Targets>>,
    /// The last plan: where the next one begins.
    plan: Option<NetworkPlan>,
    arrivals: Arrivals,
    /// No plan has told of the targets yet.
    untold: bool,
    figures: Figures,
}

/// How good the plans were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Plans made.
    pub plans: u64,
    /// Kinds of work in the last one.
    pub kinds: u64,
    /// The gap of the last one to its bound, in millionths of it.
    pub gap_ppm: u32,
    /// The largest gap of all.
    pub gap_ppm_max: u32,
    /// The sum of all gaps, for their mean.
    pub gap_ppm_sum: u64,
}

impl Level {
    /// Whether the network level has a say at all: centres declare links or power, and the policy wants targets.
    pub fn concerns(snapshot: &Snapshot, policy: &Policy) -> bool {
        policy.targets_every_ms > 0 && snapshot.centres.iter().any(|centre| centre.facts.is_some())
    }

    /// Before a cycle: makes targets if it is time to, and puts those in force into the snapshot. Where the centres
    /// declare neither links nor power there are none.
    pub fn before(&mut self, snapshot: &mut Snapshot, policy: &Policy, now: TimeMs) {
        if !Level::concerns(snapshot, policy) {
            return;
        }
        self.arrivals.look(snapshot, now);
        let due = |targets: &Arc<Targets>| now.since(targets.made_at).0 >= policy.targets_every_ms;
        if self.targets.as_ref().is_none_or(due) {
            self.plan(snapshot, policy, now);
        }
        snapshot.targets = self.targets.clone();
    }

    /// After a cycle: tells the targets with its plan, if none has yet and it is carried out.
    pub fn after(&mut self, plan: &mut Plan) {
        if self.untold
            && !plan.changes_nothing()
            && let Some(basis) = &mut plan.basis
        {
            basis.targets = self.targets.clone();
            self.untold = false;
        }
    }

    /// What is wanted now.
    pub fn targets(&self) -> Option<&Arc<Targets>> {
        self.targets.as_ref()
    }

    /// How good its plans were.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    fn plan(&mut self, snapshot: &Snapshot, policy: &Policy, now: TimeMs) {
        let Draft { model, kinds } = draft::draft(snapshot, &self.arrivals, policy, now);
        // A figure beyond what the network level counts with: the cycles do without it.
        let Ok(network) = Network::new(model) else { return };
        let plan = Linear.plan(&network, self.plan.as_ref(), Budget::default());
        let targets = targets(&plan, &kinds, now);
        self.untold |= self
            .targets
            .as_ref()
            .is_none_or(|before| (&before.kinds, &before.scarce) != (&targets.kinds, &targets.scarce));
        self.figures = Figures {
            plans: self.figures.plans + 1,
            kinds: kinds.len() as u64,
            gap_ppm: plan.gap_ppm,
            gap_ppm_max: self.figures.gap_ppm_max.max(plan.gap_ppm),
            gap_ppm_sum: self.figures.gap_ppm_sum + u64::from(plan.gap_ppm),
        };
        (self.targets, self.plan) = (Some(Arc::new(targets)), Some(plan));
    }
}

/// The parts of each kind by place, and what is scarce.
fn targets(plan: &NetworkPlan, kinds: &[u64], now: TimeMs) -> Targets {
    let mut parts: BTreeMap<u64, Vec<(TargetPart, u64)>> = BTreeMap::new();
    for amount in &plan.amounts {
        let Some(kind) = usize::try_from(amount.class.0).ok().and_then(|class| kinds.get(class)) else { continue };
        let places = parts.entry(*kind).or_default();
        match places.iter_mut().find(|(part, _)| part.centre == amount.centre && part.pool == amount.pool) {
            Some((_, tasks)) => *tasks += amount.tasks,
            None => {
                let part = TargetPart { centre: amount.centre.clone(), pool: amount.pool.clone(), permille: 0 };
                places.push((part, amount.tasks));
            }
        }
    }
    let shared = |places: Vec<(TargetPart, u64)>| {
        let all: u128 = places.iter().map(|(_, tasks)| u128::from(*tasks)).sum();
        let part = |(part, tasks): (TargetPart, u64)| {
            let permille = u32::try_from(u128::from(tasks) * 1_000 / all.max(1)).unwrap_or(1_000);
            TargetPart { permille, ..part }
        };
        places.into_iter().map(part).collect()
    };
    let scarce = scarce(plan);
    // Where nothing of what a kind may use is scarce, it goes where it likes: the plan is one of many that are as good.
    let short = |places: &[(TargetPart, u64)]| {
        places.iter().any(|(part, _)| scarce.iter().any(|pool| pool.centre == part.centre && pool.pool == part.pool))
    };
    parts.retain(|_, places| short(places));
    Targets {
        made_at: now,
        kinds: parts.into_iter().map(|(kind, places)| (kind, shared(places))).collect(),
        scarce,
        value: i64::try_from(plan.value).unwrap_or(i64::MAX),
        gap_ppm: plan.gap_ppm,
    }
}

/// The shadow prices of pools, for a device and an hour.
fn scarce(plan: &NetworkPlan) -> Vec<ScarcePool> {
    let mut pools = Vec::new();
    for price in &plan.prices {
        if let Scarce::Pool { centre, pool, .. } = &price.of {
            // The unit is a thousandth of a device for a millisecond.
            let per_hour = price.of_units(3_600_000_000);
            pools.push(ScarcePool { centre: centre.clone(), pool: pool.clone(), per_hour, ahead_ms: draft::AHEAD_MS });
        }
    }
    pools.retain(|pool| !pool.per_hour.is_zero());
    pools.sort_by(|a, b| (&a.centre, &a.pool).cmp(&(&b.centre, &b.pool)));
    pools
}
