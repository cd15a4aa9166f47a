//! Whether every task of a pool that shows its nodes has one with room for it, and no other pool's task has any.

use std::collections::BTreeMap;

use huisuan_model::{NodeShare, Placement, Plan};

use crate::{
    pack::Room,
    snapshot::{PoolView, ShapeView, Snapshot},
    violation::Violation,
};

pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    for centre in &snapshot.centres {
        for pool in &centre.pools {
            let here = |placement: &&Placement| placement.centre == centre.id && placement.pool == pool.pool.id;
            let mut rooms: BTreeMap<u32, Room> = BTreeMap::new();
            for placement in plan.placements.iter().filter(here) {
                let shape = snapshot.shapes.iter().find(|view| view.jobs.iter().any(|job| job.id == placement.job));
                if shape.is_some_and(|shape| !nodes_have(pool, &mut rooms, placement, shape)) {
                    let (centre, pool) = (centre.id.clone(), pool.pool.id.clone());
                    found.push(Violation::Nodes { job: placement.job, centre, pool });
                }
            }
        }
    }
    found
}

fn nodes_have(pool: &PoolView, rooms: &mut BTreeMap<u32, Room>, placement: &Placement, shape: &ShapeView) -> bool {
    let Some(fleet) = &pool.nodes else { return placement.nodes.is_empty() };
    let cores = placement.cores.0;
    let memory_mib = (shape.shape.memory.0 + (1 << 20) - 1) >> 20;
    placement.nodes.len() as u64 == placement.tasks.len()
        && placement.nodes.iter().all(|&NodeShare { node, devices, each }| {
            if node as usize >= fleet.len() {
                return false;
            }
            let room = rooms.entry(node).or_insert_with(|| *fleet.room(node));
            let bits: Vec<usize> = (0..16).filter(|bit| devices >> bit & 1 == 1).collect();
            // A part of one device, or whole ones; rounded up to whole ones above one.
            let given = bits.len() as u64 * u64::from(each);
            let asked = placement.devices.0;
            let right = match asked {
                0 => bits.is_empty(),
                1..1000 => bits.len() == 1 && given == asked,
                _ => each == 1000 && given >= asked && given - asked < 1000,
            };
            let fits = u64::from(room.cores_milli) >= cores
                && u64::from(room.memory_mib) >= memory_mib
                && bits.iter().all(|&bit| bit < usize::from(room.devices) && room.free[bit] >= each);
            if fits {
                room.cores_milli -= cores as u32;
                room.memory_mib -= memory_mib as u32;
                bits.iter().for_each(|&bit| room.free[bit] -= each);
            }
            right && fits
        })
}
