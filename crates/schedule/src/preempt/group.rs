//! What may end in a round, and who may start.

use crate::{
    holders::Running,
    holdings::{Preemptible, RunningView},
    progress::Origin,
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
    /// The number of the placement.
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
    for (number, &Origin { shape, candidate, job, preemptible, .. }) in state.origins.iter().enumerate() {
        if !preemptible {
            continue;
        }
        let view = &problem.snapshot.shapes[shape];
        let ShapeProblem { places, project, .. } = &problem.shapes[shape];
        let Candidate { pool, class, rate, .. } = places.candidates[candidate];
        let job = &view.jobs[job];
        let placement = &state.placements[number];
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
