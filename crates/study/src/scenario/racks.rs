//! How the nodes of a pool are connected, and how near to each other a family wants its gangs.

use huisuan_model::{Pool, Together, Topology};

use super::{
    check::Check,
    file::{FamilyFile, PoolFile},
};
use crate::read::ReadError;

/// The most nodes of a pool whose nodes are told one by one: the size that the scheduler is measured with.
const NODES_MAX: u64 = 66_000;

/// The racks of a pool of so many nodes; `None` where its file tells of none.
pub(super) fn topology(
    check: Check<'_>,
    file: &PoolFile,
    pool: &Pool,
    nodes: u64,
) -> Result<Option<Topology>, ReadError> {
    let Some(rack_nodes) = &file.rack_nodes else {
        let alone = file.pod_racks.as_ref();
        alone.map_or(Ok(()), |racks| {
            check.holds(false, "pod_racks", racks, racks.get_ref(), "`rack_nodes` beside it")
        })?;
        return Ok(None);
    };
    let expected = "a pool of at most 66000 nodes, whose racks the network looks at one by one";
    check.holds(nodes <= NODES_MAX, "rack_nodes", rack_nodes, nodes, expected)?;
    let whole = |field, value| Ok::<u32, ReadError>(check.whole(field, value, 1..=NODES_MAX)? as u32);
    let pod_racks = file.pod_racks.as_ref().map(|racks| whole("pod_racks", racks)).transpose()?;
    let topology = Topology { nodes: nodes as u32, rack_nodes: whole("rack_nodes", rack_nodes)?, pod_racks };
    match topology.fault(pool) {
        None => Ok(Some(topology)),
        Some(fault) => Err(check.refuse("rack_nodes", rack_nodes, rack_nodes.get_ref(), &fault)),
    }
}

/// How near to each other the tasks of a family's gangs must be.
pub(super) fn together(check: Check<'_>, file: &FamilyFile) -> Result<Together, ReadError> {
    let Some(text) = &file.topology else { return Ok(Together::Preferred) };
    let expected = "preferred, rack or pod";
    text.get_ref().parse().map_err(|_| check.refuse("topology", text, text.get_ref(), expected))
}
