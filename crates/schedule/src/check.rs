//! An independent judge of plans. It is written from the rules, not from the planner, and shares no code with it:
//! a mistake in one is found by the other.

use std::collections::BTreeMap;

use huisuan_model::{
    CentreId, DurationMs, JobId, MilliDevices, Millicores, Placement, Plan, Pool, PoolId, RangeSet, TenantId, TimeMs,
    quantity::GFLOP_PER_P_H, spec::Need,
};

use crate::{
    policy::Policy,
    snapshot::{CentreView, JobView, PoolView, ShapeView, Snapshot},
    violation::Violation,
};

mod advance;
mod improvements;
mod in_flight;
mod latency;
mod nodes;
mod preemptions;
mod promises;
mod topology;

/// Whether a plan of the moment `now` obeys every rule, its placements being applied in their order.
pub fn check(snapshot: &Snapshot, policy: &Policy, now: TimeMs, plan: &Plan) -> Result<(), Vec<Violation>> {
    let mut judge = Judge { snapshot, policy, now, used: BTreeMap::new(), taken: BTreeMap::new(), found: Vec::new() };
    if plan.version != snapshot.version {
        judge.found.push(Violation::Version { plan: plan.version, snapshot: snapshot.version });
    }
    let mut held: BTreeMap<&TenantId, i128> = BTreeMap::new();
    for placement in &plan.placements {
        let Some((shape, job)) = judge.job(placement.job) else {
            judge.found.push(Violation::UnknownJob { job: placement.job });
            continue;
        };
        let Some((centre, pool)) = judge.pool(placement) else {
            let Placement { job, centre, pool, .. } = placement.clone();
            judge.found.push(Violation::UnknownPool { job, centre, pool });
            continue;
        };
        judge.tasks(placement, shape, job);
        judge.place(placement, shape, centre, pool);
        judge.capacity(placement, shape, job, pool);
        *held.entry(&shape.shape.tenant).or_default() += hold(placement, shape, centre, pool);
    }
    for (tenant, held) in held {
        let row = snapshot.tenants.iter().find(|view| view.id == *tenant);
        let available = row.map_or(0, |view| i128::from(view.available.0));
        // A tenant in debt may still be given what costs nothing.
        if held > available.max(0) {
            judge.found.push(Violation::Budget { tenant: tenant.clone(), held, available });
        }
    }
    judge.shape_budgets(plan);
    judge.quotas(plan);
    judge.found.append(&mut nodes::check(snapshot, plan));
    judge.found.append(&mut topology::check(snapshot, now, plan));
    judge.found.append(&mut in_flight::broken(snapshot, plan));
    judge.found.append(&mut advance::check(snapshot, now, plan));
    judge.found.append(&mut promises::check(snapshot, policy, now, plan));
    judge.found.append(&mut improvements::check(snapshot, plan));
    judge.found.append(&mut preemptions::check(snapshot, policy, now, plan));
    if judge.found.is_empty() { Ok(()) } else { Err(judge.found) }
}

struct Judge<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    now: TimeMs,
    /// Cores, memory and devices of each pool so far: used, and the part of it that stays.
    used: BTreeMap<(&'a CentreId, &'a PoolId), [[u128; 2]; 3]>,
    /// Tasks of each job placed so far.
    taken: BTreeMap<JobId, RangeSet>,
    found: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn job(&self, id: JobId) -> Option<(&'a ShapeView, &'a JobView)> {
        let shapes = self.snapshot.shapes.iter();
        shapes.flat_map(|shape| shape.jobs.iter().map(move |job| (shape, job))).find(|(_, job)| job.id == id)
    }

    fn pool(&self, placement: &Placement) -> Option<(&'a CentreView, &'a PoolView)> {
        let centre = self.snapshot.centres.iter().find(|centre| centre.id == placement.centre)?;
        let pool = centre.pools.iter().find(|pool| pool.pool.id == placement.pool)?;
        Some((centre, pool))
    }

    fn tasks(&mut self, placement: &Placement, shape: &ShapeView, job: &JobView) {
        if placement.tasks.is_empty() {
            self.found.push(Violation::NoTasks { job: job.id });
        }
        let (placed, waiting) = (placement.tasks.len(), job.waiting.len());
        if shape.shape.gang.is_some() && placed != waiting {
            self.found.push(Violation::GangSplit { job: job.id, placed, waiting });
        }
        let taken = self.taken.entry(job.id).or_default();
        for task in placement.tasks.iter() {
            if !job.waiting.contains(task) || !taken.insert(task) {
                self.found.push(Violation::TaskNotWaiting { job: job.id, task });
                return;
            }
        }
        let active = job.active + taken.len();
        if let Some(limit) = job.parallel_max.filter(|&limit| active > u64::from(limit)) {
            self.found.push(Violation::ParallelMax { job: job.id, active, limit });
        }
    }

    fn place(&mut self, placement: &Placement, shape: &ShapeView, centre: &CentreView, pool: &PoolView) {
        let wanted = &shape.shape;
        let rules = [
            (!wanted.centres.is_empty() && !wanted.centres.contains(&centre.id), "the centre is not in its list"),
            (wanted.class.is_some_and(|class| class != centre.class), "the centre is of another class"),
            (!centre.active, "the centre is paused"),
            (centre.absent, "the centre is absent"),
            (closed(centre, pool, self.now, wanted.walltime), "it would not end before the centre closes"),
            (pool.pool.rating.as_ref().is_none_or(|rating| rating.sustained.0 == 0), "the pool is not rated"),
            (pool.pool.rating.as_ref().is_some_and(|rating| rating.doubt.is_some()), "the pool's rating is doubted"),
            (sold_uncertified(&wanted.need, &pool.pool), "units are asked and the pool's rating is only declared"),
            (!kind_matches(&wanted.need, &pool.pool), "the pool is other hardware"),
            (wanted.image && !pool.pool.images, "its engine runs no container images"),
            (latency::broken(self.snapshot, wanted, centre), "the centre is farther than its latency bound"),
        ];
        for (_, why) in rules.into_iter().filter(|(broken, _)| *broken) {
            let Placement { job, centre, pool, .. } = placement.clone();
            self.found.push(Violation::Forbidden { job, centre, pool, why });
        }
        let (cores_needed, devices_needed) = amounts(&wanted.need, &pool.pool);
        let (cores, devices) = (placement.cores, placement.devices);
        if cores != cores_needed || devices != devices_needed {
            let job = placement.job;
            self.found.push(Violation::Amounts { job, cores, cores_needed, devices, devices_needed });
        }
    }

    /// What limits one shape beside the money of its tenant.
    fn shape_budgets(&mut self, plan: &Plan) {
        for view in &self.snapshot.shapes {
            let Some(left) = view.available.into_iter().chain(view.budget).map(|limit| i128::from(limit.0)).min()
            else {
                continue;
            };
            let own = |placement: &&Placement| view.jobs.iter().any(|job| job.id == placement.job);
            let mut held = 0;
            for placement in plan.placements.iter().filter(own) {
                let place = self.pool(placement);
                held += place.map_or(0, |(centre, pool)| hold(placement, view, centre, pool));
            }
            if let Some(job) = view.jobs.first().filter(|_| held > left.max(0)) {
                self.found.push(Violation::ShapeBudget { job: job.id, held, left });
            }
        }
    }

    fn quotas(&mut self, plan: &Plan) {
        for tenant in &self.snapshot.tenants {
            let pools = self.snapshot.centres.iter().flat_map(|centre| &centre.pools);
            let owners = pools.flat_map(|pool| pool.holdings.owners()).filter(|own| *own.tenant() == tenant.id);
            let running = owners.flat_map(|own| own.all()).map(|(each, count)| (each.cores.0, each.devices.0, count));
            let own = |job| self.job(job).is_some_and(|(shape, _)| shape.shape.tenant == tenant.id);
            let placed = plan.placements.iter().filter(|placement| own(placement.job));
            let placed: Vec<_> =
                placed.map(|placement| (placement.cores.0, placement.devices.0, placement.tasks.len())).collect();
            // What runs may be above a quota that was lowered; only what is added then breaks it.
            let mut sums = [[0u128; 2]; 2];
            for (at, (cores, devices, count)) in running.map(|one| (0, one)).chain(placed.iter().map(|&one| (1, one))) {
                sums[0][at] += u128::from(cores) * u128::from(count);
                sums[1][at] += u128::from(devices) * u128::from(count);
            }
            let limits = [tenant.quota.cores.map(|limit| limit.0), tenant.quota.devices.map(|limit| limit.0)];
            for ([held, added], limit) in sums.into_iter().zip(limits) {
                if let Some(limit) = limit.filter(|&limit| added > 0 && held + added > u128::from(limit)) {
                    self.found.push(Violation::Quota { tenant: tenant.id.clone(), held: held + added, limit });
                }
            }
        }
    }

    fn capacity(&mut self, placement: &Placement, shape: &ShapeView, job: &JobView, pool: &'a PoolView) {
        let Some(centre) = self.snapshot.centres.iter().find(|centre| centre.id == placement.centre) else {
            return;
        };
        let begin = [
            [pool.used.cores.0, pool.long.cores.0],
            [pool.used.memory.0, pool.long.memory.0],
            [pool.used.devices.0, pool.long.devices.0],
        ];
        let begin = begin.map(|resource| resource.map(u128::from));
        let used = self.used.entry((&centre.id, &pool.pool.id)).or_insert(begin);
        let mut ahead = 0;
        if let (Some(mean_ms), None) = (job.mean_run_ms, shape.shape.gang) {
            ahead = self.policy.ahead_factor_max.min(self.policy.lookahead_ms / if mean_ms == 0 { 1 } else { mean_ms });
        }
        let tasks = u128::from(placement.tasks.len());
        let resources = [
            ("millicores", placement.cores.0, pool.pool.cores.0),
            ("bytes of memory", shape.shape.memory.0, pool.pool.memory.0),
            ("thousandths of a device", placement.devices.0, pool.pool.devices.0),
        ];
        for ([used, long], (resource, need, has)) in used.iter_mut().zip(resources) {
            *used += u128::from(need) * tasks;
            let comes_free = u128::from(has).saturating_sub(*long);
            let most = u128::from(has) + comes_free * u128::from(ahead);
            if ahead == 0 {
                *long += u128::from(need) * tasks;
            }
            if need > 0 && *used > most {
                let (centre, pool) = (placement.centre.clone(), placement.pool.clone());
                self.found.push(Violation::Capacity { job: job.id, centre, pool, resource, used: *used, most });
            }
        }
    }
}

fn closed(centre: &CentreView, pool: &PoolView, from: TimeMs, walltime: DurationMs) -> bool {
    let until = i128::from(from.0) + i128::from(walltime.0);
    centre.closed.iter().any(|window| {
        let here = window.pool.is_none() || window.pool.as_ref() == Some(&pool.pool.id);
        here && i128::from(window.from.0) < until && window.until > from && window.from < window.until
    })
}

/// Units are sold of what was measured, or modelled in a twin.
fn sold_uncertified(need: &Need, pool: &huisuan_model::Pool) -> bool {
    let declared = |rating: &huisuan_model::Rating| rating.mark == huisuan_model::Mark::Declared;
    matches!(need, Need::Rate { .. }) && pool.rating.as_ref().is_some_and(declared)
}

fn kind_matches(need: &Need, pool: &Pool) -> bool {
    let accelerated = pool.devices.0 > 0;
    match need {
        Need::Rate { class, device_memory_min, .. } => {
            pool.class == *class && (!accelerated || pool.device_memory >= *device_memory_min)
        }
        Need::Hardware { devices: None, .. } => !accelerated,
        Need::Hardware { devices: Some(devices), .. } => {
            let named = devices.any_of.is_empty() || devices.any_of.contains(&pool.id);
            accelerated && named && pool.device_memory >= devices.memory_min
        }
    }
}

/// Cores and devices of one task.
fn amounts(need: &Need, pool: &Pool) -> (Millicores, MilliDevices) {
    match need {
        Need::Hardware { cores, devices } => {
            (*cores, devices.as_ref().map_or(MilliDevices(0), |devices| devices.count))
        }
        Need::Rate { rate, .. } => {
            let sustained = pool.rating.as_ref().map_or(0, |rating| rating.sustained.0);
            let part = |whole: u64| {
                let product = u128::from(whole) * u128::from(rate.0);
                let (share, rest) = match sustained {
                    0 => (u128::MAX, 0),
                    _ => (product / u128::from(sustained), product % u128::from(sustained)),
                };
                u64::try_from(share.saturating_add(u128::from(rest > 0))).unwrap_or(u64::MAX)
            };
            (Millicores(part(pool.cores.0)), MilliDevices(part(pool.devices.0)))
        }
    }
}

/// Price of the share of the pool's rate for the walltime, for all tasks of a placement, in millionths.
fn hold(placement: &Placement, shape: &ShapeView, centre: &CentreView, pool: &PoolView) -> i128 {
    let sustained = pool.pool.rating.as_ref().map_or(0, |rating| u128::from(rating.sustained.0));
    let (part, whole) = match pool.pool.devices.0 {
        0 => (placement.cores.0, pool.pool.cores.0),
        devices => (placement.devices.0, devices),
    };
    let share_ms = u128::from(shape.shape.walltime.0) * u128::from(part);
    let work = share_ms.saturating_mul(sustained) / (u128::from(whole) * 1000).max(1);
    let price = u128::try_from(shape.price(centre, &pool.pool.id).0).unwrap_or(0);
    let each = (work.min(u128::from(u64::MAX)) * price / u128::from(GFLOP_PER_P_H)).min(i64::MAX.unsigned_abs().into());
    i128::try_from(each).expect("it was capped at 64 bits") * i128::from(placement.tasks.len())
}
