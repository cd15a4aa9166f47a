//! What is kept for a job that found no room: capacity of the pool where it could start first, and a rack or pod of it
//! where the job must lie in one.

use std::ops::Range;

use huisuan_model::{JobId, RangeSet, Reservation};

use crate::{
    domain,
    nodes::Nodes,
    reserve::Opening,
    snapshot::Amounts,
    state::State,
    translate::{Candidate, Problem},
};

/// Where a job could start, and from when on.
struct Found {
    opening: Opening,
    candidate: usize,
    /// The nodes to be kept, where it must lie together.
    nodes: Option<Range<u32>>,
}

impl State {
    /// Keeps capacity for a job that found no room, where it could start first, unless that pool has promised enough.
    pub(crate) fn reserve(&mut self, problem: &Problem<'_>, shape: usize, job: JobId, tasks: &RangeSet) {
        let (unit, asked) = (tasks.len(), &problem.snapshot.shapes[shape].shape);
        let mut best: Option<Found> = None;
        for (number, candidate) in problem.shapes[shape].places.candidates.iter().enumerate() {
            let promised = self.agendas[candidate.pool].promised();
            if promised >= problem.policy.reservations_max || self.may_take(problem, shape, candidate, unit) < unit {
                continue;
            }
            let found = self.found(problem, shape, (number, candidate), unit);
            best = match (best, found) {
                (Some(best), Some(found)) if best.opening.at <= found.opening.at => Some(best),
                (best, found) => found.or(best),
            };
        }
        let Some(Found { opening, candidate, nodes }) = best else { return };
        let candidate = &problem.shapes[shape].places.candidates[candidate];
        let place = problem.pools[candidate.pool];
        let need = Amounts::default().plus(candidate.each(), unit);
        self.agendas[candidate.pool].hold(job, need, opening, asked.walltime);
        if let (Some(nodes), Some(level), Some(known)) = (nodes, asked.topology, &mut self.nodes[candidate.pool]) {
            let fits = known.roomiest(&candidate.demand, level, unit);
            known.keep(job, opening.at, nodes, fits);
        }
        let (centre, pool) = (place.centre.id.clone(), place.pool.pool.id.clone());
        self.reservations.push(Reservation { job, tasks: tasks.clone(), centre, pool, start_at: opening.at });
    }

    /// When tasks that go together could start at a candidate.
    fn found(
        &mut self,
        problem: &Problem<'_>,
        shape: usize,
        (number, candidate): (usize, &Candidate),
        unit: u64,
    ) -> Option<Found> {
        let asked = &problem.snapshot.shapes[shape].shape;
        let need = Amounts::default().plus(candidate.each(), unit);
        let base = problem.base(candidate.pool);
        let agenda = &mut self.agendas[candidate.pool];
        let (Some(level), Some(known)) = (asked.topology, &self.nodes[candidate.pool]) else {
            let opening = agenda.earliest(need, asked.walltime, &base)?;
            return Some(Found { opening, candidate: number, nodes: None });
        };
        let pool = &base.pool.pool;
        let empty = domain::on_node(pool, pool.topology.as_ref()?, &candidate.demand);
        // A start in the pool at large would be no promise to it.
        let domain = Nodes::opening(known, &candidate.demand, level, unit, empty, problem.now)?;
        let opening = agenda.earliest_from(need, asked.walltime, &base, domain.at)?;
        Some(Found { opening, candidate: number, nodes: Some(domain.nodes) })
    }
}
