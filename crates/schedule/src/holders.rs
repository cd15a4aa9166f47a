//! Who holds what at the beginning of a cycle: tenants and projects that wait or have something running.

use std::cmp::Ordering;

use huisuan_model::{ProjectId, TenantId};

use crate::{
    holdings::{Holding, RunningView},
    policy::Policy,
    share::{self, Holder, Rates, Share},
    snapshot::{Amounts, Snapshot},
    translate::Place,
};

/// Tenants and projects by number. Where the policy knows no fair share, all are one.
pub(crate) struct Holders<'a> {
    /// In the order of their ids.
    pub(crate) tenants: Vec<Holder>,
    /// With the number of the tenant, in the order of both ids.
    pub(crate) projects: Vec<(usize, Holder)>,
    /// For each shape of the snapshot its project.
    pub(crate) project_of: Vec<usize>,
    /// The groups that were told to end, and those that may be: few of thousands. Pool by pool, in the order of owners.
    pub(crate) stopping: Vec<(&'a RunningView, Running)>,
    pub(crate) preemptible: Vec<(&'a RunningView, Running)>,
    /// What is due to each unit of weight: a weighted share above it is more than is due.
    pub(crate) due: Share,
    /// Cores and devices in thousandths that each tenant of the snapshot holds.
    pub(crate) held: Vec<[u64; 2]>,
}

/// Where a running group counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pool: usize,
    pub(crate) project: usize,
    pub(crate) class: usize,
    /// The rate of one of its tasks, in GFLOP/s, rounded up.
    pub(crate) rate: u64,
}

impl<'a> Holders<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &Policy, pools: &[Place<'a>], network: &Rates) -> Self {
        let names = Names::new(snapshot, pools, policy.order.fair_share);
        let mut tenants: Vec<Holder> = Vec::new();
        let mut projects: Vec<(usize, Holder)> = Vec::new();
        let mut views = Vec::with_capacity(names.0.len());
        let mut weights: u128 = 0;
        let mut last: Option<&TenantId> = None;
        for &(tenant, project) in &names.0 {
            let index = tenant.and_then(|tenant| index_of(snapshot, tenant));
            let known = index.map(|index| &snapshot.tenants[index]);
            if last.is_none() || last != tenant {
                let weight = known.map_or(1, |view| view.weight);
                weights += u128::from(weight.max(1));
                tenants.push(Holder::new(network, weight));
            }
            last = tenant;
            let known = known.and_then(|view| view.projects.iter().find(|view| Some(&view.id) == project));
            projects.push((tenants.len() - 1, Holder::new(network, known.map_or(1, |view| view.weight))));
            views.push(index);
        }
        let shapes = snapshot.shapes.iter();
        let project_of = shapes.map(|view| names.number(&view.shape.tenant, &view.shape.project)).collect();
        let mut holders = Holders {
            tenants,
            projects,
            project_of,
            stopping: Vec::new(),
            preemptible: Vec::new(),
            due: (1 << 64) / weights.max(1),
            held: vec![[0; 2]; snapshot.tenants.len()],
        };
        for (number, place) in pools.iter().enumerate() {
            let mut counted = Counted { number, place, rates: Vec::new() };
            let mut at = 0;
            for holding in place.pool.holdings.owners() {
                let owner = (holding.tenant(), holding.project());
                // Both lists are in the order of names: what one pool's owners are called is found in one pass.
                at = names.number_from(at, owner);
                let tenant = match policy.order.fair_share {
                    true => views[at],
                    false => index_of(snapshot, owner.0),
                };
                holders.count(&mut counted, holding, tenant, at);
            }
        }
        holders.tenants.iter_mut().for_each(Holder::settle);
        holders.projects.iter_mut().for_each(|(_, holder)| holder.settle());
        holders
    }

    /// Counts in what a project holds of a pool; what is about to end is no part of its share.
    fn count(&mut self, pool: &mut Counted<'_, 'a>, holding: &'a Holding, tenant: Option<usize>, project: usize) {
        if let Some(index) = tenant {
            let [held_cores, held_devices] = &mut self.held[index];
            for (Amounts { cores, devices, .. }, count) in holding.all() {
                *held_cores = held_cores.saturating_add(cores.0.saturating_mul(count));
                *held_devices = held_devices.saturating_add(devices.0.saturating_mul(count));
            }
        }
        let class = share::index(pool.place.pool.pool.class);
        for &(each, count) in holding.going() {
            let rate = pool.rate(each).saturating_mul(count);
            let (tenant, holder) = &mut self.projects[project];
            holder.hold(class, rate);
            self.tenants[*tenant].hold(class, rate);
        }
        for group in holding.marked() {
            let found = Running { pool: pool.number, project, class, rate: pool.rate(group.each) };
            let groups = if group.stopping { &mut self.stopping } else { &mut self.preemptible };
            groups.push((group, found));
        }
    }
}

/// A pool whose attempts are counted, with the rates found so far: few amounts differ.
struct Counted<'p, 'a> {
    number: usize,
    place: &'p Place<'a>,
    rates: Vec<(Amounts, u64)>,
}

impl Counted<'_, '_> {
    /// The rate of so much of the pool, in GFLOP/s, rounded up.
    fn rate(&mut self, each: Amounts) -> u64 {
        if let Some((_, rate)) = self.rates.iter().find(|known| known.0 == each) {
            return *rate;
        }
        let rate = self.place.pool.pool.share(each.cores, each.devices).map_or(0, |share| share.rate_up().0);
        if self.rates.len() < RATES_KEPT {
            self.rates.push((each, rate));
        }
        rate
    }
}

/// So many rates are looked through; making one costs as much as comparing as many.
const RATES_KEPT: usize = 16;

fn index_of(snapshot: &Snapshot, tenant: &TenantId) -> Option<usize> {
    snapshot.tenants.binary_search_by(|view| view.id.cmp(tenant)).ok()
}

/// A tenant and its project.
type Name<'a> = (Option<&'a TenantId>, Option<&'a ProjectId>);

/// The projects by number, in the order of names; all are one of nobody where there is no fair share.
struct Names<'a>(Vec<Name<'a>>);

impl<'a> Names<'a> {
    fn new(snapshot: &'a Snapshot, pools: &[Place<'a>], fair_share: bool) -> Self {
        if !fair_share {
            return Names(vec![(None, None)]);
        }
        let mut names = Names(Vec::new());
        // Shapes are in the order of names, too.
        let mut at = 0;
        for view in &snapshot.shapes {
            at = names.put(at, (Some(&view.shape.tenant), Some(&view.shape.project)));
        }
        for place in pools {
            let mut at = 0;
            for holding in place.pool.holdings.owners() {
                at = names.put(at, (Some(holding.tenant()), Some(holding.project())));
            }
        }
        names
    }

    /// Puts a name in that is not before the one at `at`; says where it stands.
    fn put(&mut self, mut at: usize, name: Name<'a>) -> usize {
        while let Some(known) = self.0.get(at) {
            match known.cmp(&name) {
                Ordering::Less => at += 1,
                Ordering::Equal => return at,
                Ordering::Greater => break,
            }
        }
        self.0.insert(at, name);
        at
    }

    /// The number of a name that is not before the one at `from`.
    fn number_from(&self, from: usize, (tenant, project): (&TenantId, &ProjectId)) -> usize {
        let wanted = (Some(tenant), Some(project));
        self.0[from..].iter().position(|&name| name == wanted).map_or(0, |steps| from + steps)
    }

    fn number(&self, tenant: &TenantId, project: &ProjectId) -> usize {
        self.0.binary_search(&(Some(tenant), Some(project))).unwrap_or(0)
    }
}
