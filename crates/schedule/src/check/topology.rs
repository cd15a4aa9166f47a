//! Whether every gang that must lie within one rack or pod does, and what is promised to one comes free together.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Bytes, Level, Placement, Plan, Reservation, TimeMs};

use crate::{
    snapshot::{PoolView, ShapeView, Snapshot},
    violation::Violation,
};

pub(super) fn check(snapshot: &Snapshot, now: TimeMs, plan: &Plan) -> Vec<Violation> {
    let shape_of = |job| snapshot.shapes.iter().find(|view: &&ShapeView| view.jobs.iter().any(|known| known.id == job));
    let pool_of = |centre, pool| {
        let centre = snapshot.centres.iter().find(|known| known.id == centre)?;
        centre.pools.iter().find(|known| known.pool.id == pool)
    };
    let mut found = Vec::new();
    for placement in &plan.placements {
        let required = shape_of(placement.job).and_then(|view| view.shape.topology);
        let pool = pool_of(placement.centre.clone(), placement.pool.clone());
        let (Some(level), Some(pool)) = (required, pool) else { continue };
        let nodes = placement.nodes.iter().map(|share| share.node);
        let domains: Option<BTreeSet<u32>> = nodes.map(|node| domain(pool, level, node)).collect();
        let one_machine = pool.pool.topology.is_some_and(|topology| topology.nodes == 1);
        if !one_machine && domains.is_none_or(|domains| domains.len() != 1) {
            found.push(Violation::Apart {
                job: placement.job,
                centre: placement.centre.clone(),
                pool: placement.pool.clone(),
                level,
            });
        }
    }
    for promise in &plan.reservations {
        let (view, pool) = (shape_of(promise.job), pool_of(promise.centre.clone(), promise.pool.clone()));
        let (Some(view), Some(pool)) = (view, pool.filter(|pool| pool.nodes.is_some())) else { continue };
        let Some(level) = view.shape.topology else { continue };
        let here = |placement: &&Placement| (&placement.centre, &placement.pool) == (&promise.centre, &promise.pool);
        let stays = plan.placements.iter().filter(here).filter_map(|placement| {
            let walltime = shape_of(placement.job)?.shape.walltime;
            Some((placement, shape_of(placement.job)?.shape.memory)).filter(|_| now.after(walltime) > promise.start_at)
        });
        let (cores, devices) = super::amounts(&view.shape.need, &pool.pool);
        let task = Task { cores: cores.0, devices: devices.0, memory: view.shape.memory.0 };
        if !comes_free(pool, level, promise, &stays.collect::<Vec<_>>(), &task) {
            let (centre, pool) = (promise.centre.clone(), promise.pool.clone());
            found.push(Violation::Apart { job: promise.job, centre, pool, level });
        }
    }
    found
}

/// What one task needs.
struct Task {
    cores: u64,
    devices: u64,
    memory: u64,
}

/// Whether one domain has room for a promised gang at its start: what runs there has ended by then or is still counted,
/// and so is what the plan puts there for longer.
fn comes_free(
    pool: &PoolView,
    level: Level,
    promise: &Reservation,
    stays: &[(&Placement, Bytes)],
    task: &Task,
) -> bool {
    let (Some(fleet), Some(topology)) = (&pool.nodes, &pool.pool.topology) else { return false };
    if pool.node_ends.len() != fleet.len() || topology.nodes as usize != fleet.len() {
        return false;
    }
    let mut fits: BTreeMap<u32, u64> = BTreeMap::new();
    let nodes = u64::from(topology.nodes);
    for (node, room) in fleet.rooms() {
        let mut free: Vec<u64> = room.free().iter().map(|&free| u64::from(free)).collect();
        let (mut cores, mut memory) = (u64::from(room.cores_milli), u64::from(room.memory_mib));
        if pool.node_ends[node as usize] <= promise.start_at {
            (cores, memory) = (pool.pool.cores.0 / nodes, (pool.pool.memory.0 / nodes) >> 20);
            free.fill(1000);
        }
        for (placement, bytes) in stays {
            for share in placement.nodes.iter().filter(|share| share.node == node) {
                cores = cores.saturating_sub(placement.cores.0);
                memory = memory.saturating_sub(bytes.0.div_ceil(1 << 20));
                let given = free.iter_mut().enumerate().filter(|(device, _)| share.devices >> device & 1 == 1);
                given.for_each(|(_, free)| *free = free.saturating_sub(u64::from(share.each)));
            }
        }
        let devices = match task.devices {
            0 => u64::MAX,
            share @ 1..1000 => free.iter().map(|free| free / share).sum(),
            many => free.iter().filter(|free| **free == 1000).count() as u64 / many.div_ceil(1000),
        };
        let within = |free: u64, each: u64| free.checked_div(each).unwrap_or(u64::MAX);
        let times = devices.min(within(cores, task.cores)).min(within(memory, task.memory.div_ceil(1 << 20)));
        if let Some(domain) = domain(pool, level, node) {
            *fits.entry(domain).or_default() += times;
        }
    }
    fits.values().any(|&fits| fits >= promise.tasks.len())
}

/// The number of the rack or pod that a node is in; `None` where the pool has none.
fn domain(pool: &PoolView, level: Level, node: u32) -> Option<u32> {
    let topology = pool.pool.topology.as_ref().filter(|topology| node < topology.nodes)?;
    let rack = node.checked_div(topology.rack_nodes)?;
    match level {
        Level::Rack => Some(rack),
        Level::Pod => rack.checked_div(topology.pod_racks?),
    }
}
