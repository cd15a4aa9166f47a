//! Writing down what was placed.

use huisuan_model::{JobId, NodeShare, Placement, RangeSet};

use crate::{
    order::{Head, Queue},
    progress::Origin,
    score::Score,
    state::State,
    translate::{Candidate, Problem},
};

/// Some tasks of a job for one candidate.
pub(crate) struct Take {
    pub(crate) number: usize,
    pub(crate) candidate: Candidate,
    pub(crate) count: u64,
    pub(crate) score: Score,
    /// The nodes of its tasks, where the pool shows them.
    pub(crate) nodes: Vec<NodeShare>,
}

impl State {
    /// Writes down what a turn has placed, the next tasks of the job in the order of their numbers.
    pub(crate) fn write(
        &mut self,
        problem: &Problem<'_>,
        queue: &Queue<'_>,
        shape: usize,
        head: &Head,
        mut last: Option<u32>,
    ) -> Option<u32> {
        let reserved = problem.shapes[shape].reserved.is_some();
        let ahead = problem.policy.ahead_factor(head.mean_run_ms, problem.shapes[shape].gang) > 0;
        let (preemptible, bound) = (head.preemptible && !reserved, reserved || ahead);
        let mut takes = std::mem::take(&mut self.takes);
        for take in takes.drain(..).filter(|take| take.count > 0) {
            let tasks = match head.tasks {
                1 => RangeSet::from_range(head.first, head.first),
                _ => queue.job(shape).waiting.take_after(last, take.count),
            };
            last = tasks.last();
            let pool = take.candidate.pool;
            // Turn after turn of one tenant's array at one pool is one placement.
            let before = self.placements.last_mut().filter(|before| before.job == head.id && self.last_pool == pool);
            if let Some(before) = before {
                before.tasks.insert_all(&tasks);
                before.nodes.extend(take.nodes);
                continue;
            }
            let origin = Origin { shape, candidate: take.number, job: queue.next(shape), preemptible, bound };
            self.put(problem, origin, head.id, tasks, take);
            self.last_pool = pool;
        }
        self.takes = takes;
        last
    }

    /// Adds a placement.
    pub(crate) fn put(&mut self, problem: &Problem<'_>, origin: Origin, job: JobId, tasks: RangeSet, take: Take) {
        let Take { number, candidate: Candidate { pool, demand, .. }, score, nodes, .. } = take;
        let place = problem.pools[pool];
        self.origins.push(origin);
        self.placements.push(Placement {
            job,
            tasks,
            centre: place.centre.id.clone(),
            pool: place.pool.pool.id.clone(),
            cores: demand.cores,
            devices: demand.devices,
            nodes,
            score: score.terms(problem.shapes[origin.shape].places.fixed.get(number)),
        });
    }

    /// Strikes out placements of which nothing is left.
    pub(crate) fn forget_empty(&mut self) {
        let mut left = self.placements.iter().map(|placement| !placement.tasks.is_empty());
        self.origins.retain(|_| left.next().expect("every placement comes from somewhere"));
        self.placements.retain(|placement| !placement.tasks.is_empty());
    }
}
