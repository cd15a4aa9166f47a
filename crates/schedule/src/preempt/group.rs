//! What may end in a round, and who may start.

use huisuan_model::{JobId, RangeSet};

use crate::{
    holders::Running,
    holdings::{Preemptible, RunningView},
    progress::{self, Blocked},
    state::State,
    translate::{Candidate, Problem, ShapeProblem},
};

/// The tasks of one group, or some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) group: usize,
    pub(super) count: u64,
}

/// Tasks that may end: a group that runs, or a placement of this cycle.
pub(super) struct Group {
    pub(super) view: RunningView,
    pub(super) tasks: Preemptible,
    pub(super) found: Running,
    /// The number among the preemptible placements of the cycle.
    pub(super) placement: Option<usize>,
}

/// What may end at all.
pub(super) fn groups(problem: &Problem<'_>, state: &State) -> Vec<Group> {
    let mut groups = Vec::new();
    for &(view, found) in &problem.holders.preemptible {
        if let Some(tasks) = &view.preemptible {
            groups.push(Group { view: view.clone(), tasks: tasks.clone(), found, placement: None });
        }
    }
    for (number, &progress::Preemptible { placement, shape, candidate, job }) in state.preemptible.iter().enumerate() {
        let placement = &state.placements[placement];
        let view = &problem.snapshot.shapes[shape];
        let ShapeProblem { places, project, .. } = &problem.shapes[shape];
        let Candidate { pool, class, rate, .. } = places.candidates[candidate];
        let job = &view.jobs[job];
        let tasks = Preemptible {
            job: job.id,
            tasks: placement.tasks.clone(),
            started_at: problem.now,
            priority: job.priority,
            gang: view.shape.gang.is_some(),
        };
        let running = RunningView {
            tenant: view.shape.tenant.clone(),
            project: view.shape.project.clone(),
            each: places.candidates[candidate].each(),
            count: placement.tasks.len(),
            ends_at: problem.now.after(view.shape.walltime),
            preemptible: None,
            stopping: false,
        };
        let found = Running { pool, project: *project, class, rate };
        groups.push(Group { view: running, tasks, found, placement: Some(number) });
    }
    groups
}

/// How far the jobs of a blocked shape are.
pub(super) struct Cursor {
    pub(super) blocked: Blocked,
    /// The index of its job.
    pub(super) job: usize,
}

impl Cursor {
    /// The next tasks that go together, and their job; `None` when there are no more.
    pub(super) fn unit(&mut self, problem: &Problem<'_>) -> Option<(JobId, RangeSet)> {
        let view = &problem.snapshot.shapes[self.blocked.shape];
        loop {
            let job = view.jobs.get(self.job)?;
            let active = job.active.saturating_add(self.blocked.own);
            let tasks = job.waiting.take_after(self.blocked.last, self.blocked.unit);
            let within = job.parallel_max.is_none_or(|limit| active + tasks.len() <= u64::from(limit));
            if tasks.len() == self.blocked.unit && within {
                return Some((job.id, tasks));
            }
            self.job += 1;
            (self.blocked.own, self.blocked.last) = (0, None);
        }
    }
}
