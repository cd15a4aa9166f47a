//! From a snapshot to numbered pools and candidates: all that the loop needs and nothing that changes in it.

use std::ops::Range;

use huisuan_model::{Money, ProjectId, TenantId};

use crate::{
    fit::{self, Answer, Demand},
    policy::Policy,
    share::{self, Holder, Rates},
    snapshot::{CentreView, PoolView, RunningView, ShapeView, Snapshot},
};

/// A snapshot with its pools numbered.
pub(crate) struct Problem<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) policy: &'a Policy,
    /// All pools in the order of centres and pools: the order in which ties are broken.
    pub(crate) pools: Vec<Place<'a>>,
    /// For each centre of the snapshot the numbers of its pools.
    pub(crate) pools_of: Vec<Range<usize>>,
    /// In the order of the snapshot's shapes.
    pub(crate) shapes: Vec<ShapeProblem>,
    /// The tenants of the shapes with what they hold, in the order of their ids; a single one where the policy knows
    /// no fair share.
    pub(crate) tenants: Vec<Holder>,
    /// Their projects with the number of the tenant, in the order of both ids.
    pub(crate) projects: Vec<(usize, Holder)>,
}

/// One pool and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) centre: &'a CentreView,
    pub(crate) pool: &'a PoolView,
}

/// What is fixed for a shape during a cycle.
pub(crate) struct ShapeProblem {
    /// Pools that can run it at centres that take work, in the order of pools.
    pub(crate) candidates: Vec<Candidate>,
    /// The index of its tenant; `None` when the snapshot lacks it, and then nothing is affordable but what is free.
    pub(crate) tenant: Option<usize>,
    /// The lowest hold of one task among the candidates, in millionths.
    pub(crate) hold_min: i64,
    /// The number of its project.
    pub(crate) project: usize,
    /// The smallest share of the network's rate that its tasks that start together take anywhere, times the walltime:
    /// milliseconds in 2^-32.
    pub(crate) area: u128,
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
    /// How many tasks the money pays for.
    pub(crate) fn affordable(&self, available: i64) -> u64 {
        match self.hold {
            0 => u64::MAX,
            hold => u64::try_from(available / hold).unwrap_or(0),
        }
    }
}

impl<'a> Problem<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
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
        let (tenants, projects, project_of) = holders(snapshot, policy, &pools, &network);
        let shape = |(view, project)| shape_problem(snapshot, &pools, &network, view, project);
        let shapes = snapshot.shapes.iter().zip(project_of).map(shape).collect();
        let mut first = 0;
        let pools_of = snapshot.centres.iter().map(|centre| {
            let range = first..first + centre.pools.len();
            first = range.end;
            range
        });
        let pools_of = pools_of.collect();
        Problem { snapshot, policy, pools, pools_of, shapes, tenants, projects }
    }

    /// The candidate that `pool` would be for a shape, were it large enough or its centre active.
    pub(crate) fn candidate(&self, pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
        candidate(&self.pools, pool, demand, view)
    }
}

fn candidate(pools: &[Place<'_>], pool: usize, demand: Demand, view: &ShapeView) -> Candidate {
    let Place { centre, pool: place } = pools[pool];
    let Money(hold) = fit::hold_each(&place.pool, &centre.tariff, &demand, &view.shape);
    let rate = place.pool.share(demand.cores, demand.devices).map_or(0, |share| share.rate_up().0);
    Candidate { pool, demand, hold: hold.max(0), class: share::index(place.pool.class), rate }
}

fn shape_problem(
    snapshot: &Snapshot,
    pools: &[Place<'_>],
    network: &Rates,
    view: &ShapeView,
    project: usize,
) -> ShapeProblem {
    let mut candidates = Vec::new();
    for (number, place) in pools.iter().enumerate() {
        if !place.centre.active || !fit::allowed(place.centre, &view.shape) {
            continue;
        }
        if let Answer::Fits(demand) = fit::answer(&place.pool.pool, &view.shape) {
            candidates.push(candidate(pools, number, demand, view));
        }
    }
    let together = u128::from(view.shape.gang.unwrap_or(1)) * u128::from(view.shape.walltime.0);
    let part = |one: &Candidate| (u128::from(one.rate) << 32) / u128::from(network[one.class]).max(1);
    ShapeProblem {
        hold_min: candidates.iter().map(|candidate| candidate.hold).min().unwrap_or(0),
        tenant: snapshot.tenants.binary_search_by(|tenant| tenant.id.cmp(&view.shape.tenant)).ok(),
        project,
        area: candidates.iter().map(part).min().unwrap_or(0).saturating_mul(together),
        candidates,
    }
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

/// Tenants, projects with their tenants, and the project of each shape.
type Holders = (Vec<Holder>, Vec<(usize, Holder)>, Vec<usize>);

/// Who takes turns: shapes come in the order of tenants and projects.
fn holders(snapshot: &Snapshot, policy: &Policy, pools: &[Place<'_>], network: &Rates) -> Holders {
    if !policy.order.fair_share {
        let all = Holder::new(network, 1);
        return (vec![all], vec![(0, all)], vec![0; snapshot.shapes.len()]);
    }
    let (mut tenants, mut projects, mut project_of) = (Vec::new(), Vec::new(), Vec::new());
    let mut names: Vec<(&TenantId, &ProjectId)> = Vec::new();
    for view in &snapshot.shapes {
        let name = (&view.shape.tenant, &view.shape.project);
        let last = names.last().copied();
        if last != Some(name) {
            let known = snapshot.tenants.binary_search_by(|tenant| tenant.id.cmp(name.0)).ok();
            let known = known.map(|index| &snapshot.tenants[index]);
            if last.is_none_or(|last| last.0 != name.0) {
                tenants.push(Holder::new(network, known.map_or(1, |tenant| tenant.weight)));
            }
            let known = known.and_then(|tenant| tenant.projects.iter().find(|project| project.id == *name.1));
            let weight = known.map_or(1, |project| project.weight);
            projects.push((tenants.len() - 1, Holder::new(network, weight)));
            names.push(name);
        }
        project_of.push(projects.len() - 1);
    }
    for group in &snapshot.running {
        hold(group, pools, &names, &mut tenants, &mut projects);
    }
    (tenants, projects, project_of)
}

/// Counts in what a running group holds, when its tenant waits for more.
fn hold(
    group: &RunningView,
    pools: &[Place<'_>],
    names: &[(&TenantId, &ProjectId)],
    tenants: &mut [Holder],
    projects: &mut [(usize, Holder)],
) {
    let at = names.partition_point(|name| *name < (&group.tenant, &group.project));
    let exact = names.get(at).is_some_and(|name| *name == (&group.tenant, &group.project));
    let tenant_at = names.partition_point(|name| *name.0 < group.tenant);
    let first = pools.partition_point(|place| place.centre.id < group.centre);
    let here = pools[first..].iter().take_while(|place| place.centre.id == group.centre);
    let Some(pool) = { here }.map(|place| &place.pool.pool).find(|pool| pool.id == group.pool) else {
        return;
    };
    let rate = pool.share(group.each.cores, group.each.devices).map_or(0, |share| share.rate_up().0);
    let (class, rate) = (share::index(pool.class), rate.saturating_mul(group.count));
    if names.get(tenant_at).is_some_and(|name| *name.0 == group.tenant) {
        tenants[projects[tenant_at].0].add(class, rate);
    }
    if exact {
        projects[at].1.add(class, rate);
    }
}
