//! Who holds what at the beginning of a cycle: tenants and projects that wait or have something running.

use std::collections::BTreeMap;

use huisuan_model::{ProjectId, TenantId};

use crate::{
    policy::Policy,
    share::{self, Holder, Rates, Share},
    snapshot::{Amounts, RunningView, Snapshot},
    translate::Place,
};

/// Tenants and projects by number. Where the policy knows no fair share, all are one.
pub(crate) struct Holders {
    /// In the order of their ids.
    pub(crate) tenants: Vec<Holder>,
    /// With the number of the tenant, in the order of both ids.
    pub(crate) projects: Vec<(usize, Holder)>,
    /// For each shape of the snapshot its project.
    pub(crate) project_of: Vec<usize>,
    /// For each running group of the snapshot where it counts; `None` when its pool is not known.
    pub(crate) running: Vec<Option<Running>>,
    /// The numbers of the groups that were told to end, and of those that may be: few of thousands.
    pub(crate) stopping: Vec<usize>,
    pub(crate) preemptible: Vec<usize>,
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

impl Holders {
    pub(crate) fn new(snapshot: &Snapshot, policy: &Policy, pools: &[Place<'_>], network: &Rates) -> Self {
        let names = Names::new(snapshot, policy.order.fair_share);
        let mut tenants: Vec<Holder> = Vec::new();
        let mut projects: Vec<(usize, Holder)> = Vec::new();
        let mut weights: u128 = 0;
        let mut last: Option<&TenantId> = None;
        for (tenant, project) in names.0.keys().copied() {
            let known = tenant.and_then(|tenant| index_of(snapshot, tenant)).map(|index| &snapshot.tenants[index]);
            if last.is_none() || last != tenant {
                let weight = known.map_or(1, |view| view.weight);
                weights += u128::from(weight.max(1));
                tenants.push(Holder::new(network, weight));
            }
            last = tenant;
            let known = known.and_then(|view| view.projects.iter().find(|view| Some(&view.id) == project));
            projects.push((tenants.len() - 1, Holder::new(network, known.map_or(1, |view| view.weight))));
        }
        let shapes = snapshot.shapes.iter();
        let project_of = shapes.map(|view| names.number(&view.shape.tenant, &view.shape.project)).collect();
        let mut holders = Holders {
            tenants,
            projects,
            project_of,
            running: Vec::with_capacity(snapshot.running.len()),
            stopping: Vec::new(),
            preemptible: Vec::new(),
            due: (1 << 64) / weights.max(1),
            held: vec![[0; 2]; snapshot.tenants.len()],
        };
        holders.count(snapshot, pools, &names);
        holders
    }

    /// Counts in what runs. Groups of one owner and pool come one after the other, and many of them are alike: what was
    /// found for one is taken for the next.
    fn count<'a>(&mut self, snapshot: &'a Snapshot, pools: &[Place<'_>], names: &Names<'a>) {
        let mut last: Option<Last<'a>> = None;
        for (number, group) in snapshot.running.iter().enumerate() {
            let Amounts { cores, devices, .. } = group.each;
            let (tenant, project) = match &last {
                Some(last) if last.group.tenant == group.tenant && last.group.project == group.project => {
                    (last.tenant, last.project)
                }
                _ => (index_of(snapshot, &group.tenant), names.number(&group.tenant, &group.project)),
            };
            let place = |last: &Last<'_>| last.group.centre == group.centre && last.group.pool == group.pool;
            let found = match last.filter(place) {
                Some(last) if last.group.each == group.each => last.found.map(|found| Running { project, ..found }),
                last => {
                    let known = last.and_then(|last| last.found).map(|found| found.pool);
                    known.or_else(|| place_of(pools, group)).map(|at| {
                        let pool = &pools[at].pool.pool;
                        let rate = pool.share(cores, devices).map_or(0, |share| share.rate_up().0);
                        Running { pool: at, project, class: share::index(pool.class), rate }
                    })
                }
            };
            last = Some(Last { group, tenant, project, found });
            if let Some(index) = tenant {
                let [held_cores, held_devices] = &mut self.held[index];
                *held_cores = held_cores.saturating_add(cores.0.saturating_mul(group.count));
                *held_devices = held_devices.saturating_add(devices.0.saturating_mul(group.count));
            }
            match (group.stopping, &group.preemptible) {
                (true, _) => self.stopping.push(number),
                (false, Some(_)) => self.preemptible.push(number),
                (false, None) => {}
            }
            // What is about to end is no longer held.
            if let Some(Running { project, class, rate, .. }) = found.filter(|_| !group.stopping) {
                let rate = rate.saturating_mul(group.count);
                let (tenant, holder) = &mut self.projects[project];
                holder.hold(class, rate);
                self.tenants[*tenant].hold(class, rate);
            }
            self.running.push(found);
        }
        self.tenants.iter_mut().for_each(Holder::settle);
        self.projects.iter_mut().for_each(|(_, holder)| holder.settle());
    }
}

/// What was found for the group before.
struct Last<'a> {
    group: &'a RunningView,
    tenant: Option<usize>,
    project: usize,
    found: Option<Running>,
}

/// The number of the pool that a group runs on; `None` when it is not known.
fn place_of(pools: &[Place<'_>], group: &RunningView) -> Option<usize> {
    let first = pools.partition_point(|place| place.centre.id < group.centre);
    let mut here = pools[first..].iter().take_while(|place| place.centre.id == group.centre);
    here.position(|place| place.pool.pool.id == group.pool).map(|at| first + at)
}

fn index_of(snapshot: &Snapshot, tenant: &TenantId) -> Option<usize> {
    snapshot.tenants.binary_search_by(|view| view.id.cmp(tenant)).ok()
}

/// The number of each project; all are one of nobody where there is no fair share.
struct Names<'a>(BTreeMap<(Option<&'a TenantId>, Option<&'a ProjectId>), usize>);

impl<'a> Names<'a> {
    fn new(snapshot: &'a Snapshot, fair_share: bool) -> Self {
        let shapes = snapshot.shapes.iter().map(|view| (&view.shape.tenant, &view.shape.project));
        let running = snapshot.running.iter().map(|group| (&group.tenant, &group.project));
        let mut names = BTreeMap::new();
        if fair_share {
            let mut last = None;
            for owner in shapes.chain(running) {
                if last != Some(owner) {
                    names.insert((Some(owner.0), Some(owner.1)), 0);
                }
                last = Some(owner);
            }
        } else {
            names.insert((None, None), 0);
        }
        names.values_mut().enumerate().for_each(|(number, value)| *value = number);
        Names(names)
    }

    fn number(&self, tenant: &'a TenantId, project: &'a ProjectId) -> usize {
        self.0.get(&(Some(tenant), Some(project))).copied().unwrap_or(0)
    }
}
