//! Whether every gang that must lie within one rack or pod does, and none is promised a start where nobody knows when
//! one comes free.

use std::collections::BTreeSet;

use huisuan_model::{Level, Plan};

use crate::{
    snapshot::{PoolView, ShapeView, Snapshot},
    violation::Violation,
};

pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
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
        let required = shape_of(promise.job).and_then(|view| view.shape.topology);
        let pool = pool_of(promise.centre.clone(), promise.pool.clone());
        if let (Some(level), Some(_)) = (required, pool.filter(|pool| pool.nodes.is_some())) {
            let (centre, pool) = (promise.centre.clone(), promise.pool.clone());
            found.push(Violation::Apart { job: promise.job, centre, pool, level });
        }
    }
    found
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
