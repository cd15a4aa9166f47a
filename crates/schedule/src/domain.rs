//! What the parts of a pool can take when they are empty: one node, the nodes of a rack or a pod, all nodes.

use huisuan_model::{Level, Pool, Shape, Topology};

use crate::fit::{Answer, Demand};

/// How many tasks fit on one empty node.
pub(crate) fn on_node(pool: &Pool, topology: &Topology, demand: &Demand) -> u64 {
    let node = topology.part(pool);
    let within = |has: u64, need: u64| has.checked_div(need).unwrap_or(u64::MAX);
    let devices = match (u64::from(node.devices), demand.devices.0) {
        (_, 0) => u64::MAX,
        (devices, share @ 1..1000) => devices.saturating_mul(1000 / share),
        (devices, thousandths) => devices / thousandths.div_ceil(1000),
    };
    let memory = within(u64::from(node.memory_mib), demand.memory.0.div_ceil(1 << 20));
    devices.min(memory).min(within(u64::from(node.cores_milli), demand.cores.0))
}

/// How many tasks fit into the largest domain of a level when it is empty, all nodes for none; nothing where the pool
/// has no such level.
pub(crate) fn in_domain(pool: &Pool, topology: &Topology, demand: &Demand, level: Option<Level>) -> u64 {
    let nodes = level.map_or(Some(topology.nodes), |level| topology.width(level)).unwrap_or(0).min(topology.nodes);
    on_node(pool, topology, demand).saturating_mul(u64::from(nodes))
}

/// What a pool that has enough in sum answers by its nodes.
pub(crate) fn answer(pool: &Pool, shape: &Shape, demand: Demand) -> Answer {
    let tasks = u64::from(shape.gang.unwrap_or(1));
    match &pool.topology {
        None if shape.topology.is_some() => Answer::Unconnected,
        Some(topology) if shape.topology.is_some_and(|level| topology.width(level).is_none()) => Answer::Unconnected,
        // Of one node the sums say all.
        Some(topology) if topology.nodes > 1 && in_domain(pool, topology, &demand, shape.topology) < tasks => {
            Answer::TooNarrow(demand)
        }
        None | Some(_) => Answer::Fits(demand),
    }
}

/// Why an empty pool is too narrow for a shape.
pub(crate) fn lack(pool: &Pool, shape: &Shape, demand: &Demand) -> String {
    let Some(topology) = &pool.topology else { return format!("pool {} has no room for it on its nodes", pool.id) };
    let (id, node) = (&pool.id, topology.part(pool));
    let nodes = |count: u32| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    if on_node(pool, topology, demand) == 0 {
        let (cores, memory) = (demand.cores.0.div_ceil(1000), demand.memory.0.div_ceil(1 << 30));
        let devices = demand.devices.0.div_ceil(1000);
        let (has_cores, has_memory, has_devices) = (node.cores_milli / 1000, node.memory_mib >> 10, node.devices);
        return format!(
            "needs {cores} cores, {memory} GiB and {devices} devices on one node, \
             a node of pool {id} has {has_cores}, {has_memory} and {has_devices}"
        );
    }
    let tasks = shape.gang.unwrap_or(1);
    let takes = in_domain(pool, topology, demand, shape.topology);
    match shape.topology {
        Some(level) => {
            let width = nodes(topology.width(level).unwrap_or(0).min(topology.nodes));
            format!("needs room for {tasks} tasks in one {level}, a {level} of pool {id} ({width}) takes {takes}")
        }
        None => format!("needs room for {tasks} tasks, the {} of pool {id} take {takes}", nodes(topology.nodes)),
    }
}
