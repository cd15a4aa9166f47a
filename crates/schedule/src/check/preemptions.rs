//! Whether only those are ended that may be, for those that hold less than they are due, and nobody is left with less
//! than that.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{CentreId, Class, JobId, Plan, Pool, PoolId, Preemption, Reservation, TenantId, TimeMs};

use super::amounts;
use crate::{
    holdings::RunningView,
    policy::Policy,
    snapshot::{PoolView, Snapshot},
    violation::Violation,
};

pub(super) fn check(snapshot: &Snapshot, policy: &Policy, now: TimeMs, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    if plan.preemptions.is_empty() {
        return found;
    }
    let mut forbid = |preemption: &Preemption, why| found.push(Violation::Preemption { job: preemption.job, why });
    if !policy.order.fair_share {
        forbid(&plan.preemptions[0], "without fair share nobody is preempted");
    }
    let mut losers: BTreeSet<&TenantId> = BTreeSet::new();
    let mut winners: BTreeSet<&TenantId> = BTreeSet::new();
    let mut ended: BTreeSet<(u64, u32)> = BTreeSet::new();
    for preemption in &plan.preemptions {
        let Some(group) = group_of(snapshot, preemption) else {
            forbid(preemption, "it does not run there, or may not be preempted");
            continue;
        };
        let whole = group
            .preemptible
            .as_ref()
            .is_some_and(|preemptible| !preemptible.gang || preemptible.tasks == preemption.tasks);
        if !whole {
            forbid(preemption, "a gang ends as a whole");
        }
        if !preemption.tasks.iter().all(|task| ended.insert((preemption.job.0, task))) {
            forbid(preemption, "it is ended twice");
        }
        let starts = plan.reservations.iter().any(|promise| {
            promise.start_at == now
                && (promise.job, &promise.centre, &promise.pool)
                    == (preemption.by, &preemption.centre, &preemption.pool)
        });
        if !starts {
            forbid(preemption, "nothing starts in its place");
        }
        losers.insert(&group.tenant);
        winners.extend(tenant_of(snapshot, preemption.by));
    }
    // What is left free is for everybody: it counts for those that lose, not against those that win.
    let (books, without) = (Books::new(snapshot, now, plan, true), Books::new(snapshot, now, plan, false));
    for preemption in &plan.preemptions {
        if group_of(snapshot, preemption).is_some_and(|group| books.compare(&group.tenant, 1) < 0) {
            forbid(preemption, "its tenant is left with less than it is due");
        }
        if tenant_of(snapshot, preemption.by).is_some_and(|tenant| without.compare(tenant, -1) > 0) {
            forbid(preemption, "the tenant of what starts holds more than it is due");
        }
    }
    if losers.intersection(&winners).next().is_some() {
        forbid(&plan.preemptions[0], "a tenant both gains and loses");
    }
    found
}

/// Whether something is ended for what is promised; other starts take what is left free.
fn is_for(preemption: &Preemption, promise: &Reservation) -> bool {
    (promise.job, &promise.centre, &promise.pool) == (preemption.by, &preemption.centre, &preemption.pool)
        && promise.tasks.iter().all(|task| preemption.by_tasks.contains(task))
}

fn group_of<'a>(snapshot: &'a Snapshot, preemption: &Preemption) -> Option<&'a RunningView> {
    let pool = pool_of(snapshot, &preemption.centre, &preemption.pool)?;
    pool.holdings.owners().iter().flat_map(|own| own.marked()).find(|group| {
        let tasks = group.preemptible.as_ref().filter(|preemptible| preemptible.job == preemption.job);
        let runs = |task| tasks.is_some_and(|preemptible| preemptible.tasks.contains(task));
        !group.stopping && !preemption.tasks.is_empty() && preemption.tasks.iter().all(runs)
    })
}

fn pool_of<'a>(snapshot: &'a Snapshot, centre: &CentreId, pool: &PoolId) -> Option<&'a PoolView> {
    let centre = snapshot.centres.iter().find(|view| view.id == *centre)?;
    centre.pools.iter().find(|view| view.pool.id == *pool)
}

fn tenant_of(snapshot: &Snapshot, job: JobId) -> Option<&TenantId> {
    let shapes = snapshot.shapes.iter();
    { shapes }.find(|view| view.jobs.iter().any(|known| known.id == job)).map(|view| &view.shape.tenant)
}

/// Rates by tenant and class after the plan, in GFLOP/s; each task's is rounded up.
struct Books<'a> {
    held: BTreeMap<&'a TenantId, BTreeMap<Class, i128>>,
    network: BTreeMap<Class, i128>,
    weights: BTreeMap<&'a TenantId, i128>,
}

impl<'a> Books<'a> {
    fn new(snapshot: &'a Snapshot, now: TimeMs, plan: &'a Plan, all_starts: bool) -> Self {
        let mut books = Books { held: BTreeMap::new(), network: BTreeMap::new(), weights: BTreeMap::new() };
        for pool in snapshot.centres.iter().flat_map(|centre| &centre.pools) {
            let rate = pool.pool.rating.as_ref().map_or(0, |rating| rating.sustained.0);
            *books.network.entry(pool.pool.class).or_default() += i128::from(rate);
        }
        let waiting = snapshot.shapes.iter().map(|view| &view.shape.tenant);
        let pools = || snapshot.centres.iter().flat_map(|centre| &centre.pools);
        let holders = pools().flat_map(|pool| pool.holdings.owners()).map(|own| own.tenant());
        for tenant in waiting.chain(holders) {
            let view = snapshot.tenants.iter().find(|view| view.id == *tenant);
            books.weights.insert(tenant, i128::from(view.map_or(1, |view| view.weight.max(1))));
        }
        for (view, own) in pools().flat_map(|pool| pool.holdings.owners().iter().map(move |own| (pool, own))) {
            for &(each, count) in own.going() {
                let rate = rate(&view.pool, each.cores.0, each.devices.0);
                books.add(own.tenant(), view.pool.class, rate * i128::from(count));
            }
        }
        for ended in &plan.preemptions {
            if let (Some(group), Some(view)) =
                (group_of(snapshot, ended), pool_of(snapshot, &ended.centre, &ended.pool))
            {
                let rate = rate(&view.pool, group.each.cores.0, group.each.devices.0);
                books.add(&group.tenant, view.pool.class, -rate * i128::from(ended.tasks.len()));
            }
        }
        let placed = plan.placements.iter().map(|one| (one.job, &one.centre, &one.pool, one.tasks.len()));
        let named = |promise: &&Reservation| plan.preemptions.iter().any(|preemption| is_for(preemption, promise));
        let starts = plan.reservations.iter().filter(|promise| promise.start_at == now);
        let starts = starts.filter(|promise| all_starts || named(promise));
        let starts = starts.map(|one| (one.job, &one.centre, &one.pool, one.tasks.len()));
        for (job, centre, pool, tasks) in placed.chain(starts) {
            let shape = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|known| known.id == job));
            if let (Some(shape), Some(view)) = (shape, pool_of(snapshot, centre, pool)) {
                let (cores, devices) = amounts(&shape.shape.need, &view.pool);
                let rate = rate(&view.pool, cores.0, devices.0);
                books.add(&shape.shape.tenant, view.pool.class, rate * i128::from(tasks));
            }
        }
        books
    }

    fn add(&mut self, tenant: &'a TenantId, class: Class, rate: i128) {
        *self.held.entry(tenant).or_default().entry(class).or_default() += rate;
    }

    /// Negative when a tenant holds less than it is due in every class, positive when it holds more in one. `slack` is
    /// added to what it holds, in GFLOP/s: shares are rounded.
    fn compare(&self, tenant: &TenantId, slack: i128) -> i128 {
        let all: i128 = self.weights.values().sum();
        let weight = self.weights.get(tenant).copied().unwrap_or(1);
        let held = self.held.get(tenant);
        let over = |(class, &network): (&Class, &i128)| {
            let held = held.and_then(|held| held.get(class)).copied().unwrap_or(0);
            if network == 0 { i128::MIN } else { (held + slack) * all - network * weight }
        };
        self.network.iter().map(over).max().unwrap_or(0)
    }
}

fn rate(pool: &Pool, cores: u64, devices: u64) -> i128 {
    let sustained = pool.rating.as_ref().map_or(0, |rating| i128::from(rating.sustained.0));
    let (part, whole) = if pool.devices.0 > 0 { (devices, pool.devices.0) } else { (cores, pool.cores.0) };
    let product = i128::from(part) * sustained;
    let whole = i128::from(whole).max(1);
    product / whole + i128::from(product % whole > 0)
}
