//! Why a gang waits that must lie within one rack or pod.

use huisuan_model::Reason;

use super::{Case, free};
use crate::{
    domain,
    translate::{Candidate, Place},
};

/// That no domain of the level has room for the gang, though the pool has; `None` for shapes that require no level.
pub(super) fn full(case: &Case<'_>, candidate: &Candidate) -> Option<Reason> {
    let level = case.view.shape.topology?;
    let tasks = u64::from(case.view.shape.gang?);
    let nodes = case.state.nodes[candidate.pool].as_ref()?;
    // What is kept for it is no room to anybody any more, and was when it was looked for.
    let kept = case.view.jobs.iter().find_map(|job| nodes.kept_for(job.id));
    let fits = nodes.roomiest(&candidate.demand, level, tasks).max(kept.map_or(0, |kept| kept.fits));
    Some(reason(case, candidate, fits, free(case, candidate, 0)))
}

/// The same of a pool whose domains are too small even when they are empty: it was larger when the job came.
pub(super) fn too_narrow(case: &Case<'_>, candidate: &Candidate) -> Option<Reason> {
    let level = case.view.shape.topology?;
    let pool = &case.problem.pools[candidate.pool].pool.pool;
    let topology = pool.topology.as_ref()?;
    let fits = |level| domain::in_domain(pool, topology, &candidate.demand, level);
    Some(reason(case, candidate, fits(Some(level)), fits(None)))
}

fn reason(case: &Case<'_>, candidate: &Candidate, fits: u64, free: u64) -> Reason {
    let Place { centre, pool } = case.problem.pools[candidate.pool];
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Reason::TopologyCapacity {
        centre: centre.id.clone(),
        pool: pool.pool.id.clone(),
        level: case.view.shape.topology.expect("only asked for shapes that require a level"),
        needed: case.view.shape.gang.unwrap_or(1),
        fits: count(fits),
        free: count(free),
    }
}
