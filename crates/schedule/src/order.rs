//! Whose turn it is: the tenant with the smallest weighted dominant share, in it the project with the smallest, in it
//! the first job. A turn lasts as long as it would if it were given task by task.

use std::{cmp::Reverse, collections::BinaryHeap};

use huisuan_model::{JobId, TimeMs};

use crate::{
    policy::Order,
    share::{Holder, Share},
    snapshot::{JobView, ShapeView},
    translate::Problem,
};

/// Where a job stands in its project; smaller goes first. Priority falling, then the slack of those whose deadline
/// is near, then the area of what starts together (0 once the job has waited long enough), then age, then id.
type Turn = (Reverse<i32>, i64, u128, TimeMs, JobId);

/// One project with the shapes that still take part.
struct Project {
    tenant: usize,
    holder: Holder,
    shapes: BinaryHeap<Reverse<(Turn, usize)>>,
}

/// One tenant with its projects that still take part.
struct Tenant {
    holder: Holder,
    projects: BinaryHeap<Reverse<(Share, usize)>>,
}

/// Jobs of all shapes in the order of turns. Only the first job of each shape takes part, so that a shape without
/// hope costs nothing more, and a turn costs the logarithms of tenants, projects and shapes.
pub(crate) struct Queue<'a> {
    shapes: &'a [ShapeView],
    order: &'a Order,
    now: TimeMs,
    tenants: Vec<Tenant>,
    projects: Vec<Project>,
    heads: BinaryHeap<Reverse<(Share, usize)>>,
    /// For each shape its project, the area of what starts together, and the index of its first job.
    project_of: Vec<usize>,
    areas: Vec<u128>,
    next: Vec<usize>,
    /// The shape whose turn it is; it and its tenant and project are out of the heaps.
    current: Option<usize>,
}

impl<'a> Queue<'a> {
    /// A queue of the shapes that have candidates.
    pub(crate) fn new(problem: &Problem<'a>) -> Self {
        let snapshot = problem.snapshot;
        let mut queue = Queue {
            shapes: &snapshot.shapes,
            order: &problem.policy.order,
            now: problem.now,
            tenants: problem
                .holders
                .tenants
                .iter()
                .map(|&holder| Tenant { holder, projects: BinaryHeap::new() })
                .collect(),
            projects: Vec::with_capacity(problem.holders.projects.len()),
            heads: BinaryHeap::new(),
            project_of: problem.shapes.iter().map(|shape| shape.project).collect(),
            areas: problem.shapes.iter().map(|shape| shape.area).collect(),
            next: vec![0; snapshot.shapes.len()],
            current: None,
        };
        for &(tenant, holder) in &problem.holders.projects {
            queue.projects.push(Project { tenant, holder, shapes: BinaryHeap::new() });
        }
        for (number, shape) in problem.shapes.iter().enumerate() {
            if !shape.candidates.is_empty() {
                queue.join(number);
            }
        }
        for (number, project) in queue.projects.iter().enumerate() {
            if !project.shapes.is_empty() {
                queue.tenants[project.tenant].projects.push(Reverse((project.holder.share(), number)));
            }
        }
        for (number, tenant) in queue.tenants.iter().enumerate() {
            if !tenant.projects.is_empty() {
                queue.heads.push(Reverse((tenant.holder.share(), number)));
            }
        }
        queue
    }

    /// The index of the shape whose turn it is and its job. It must be [put back](Queue::put_back) before the next.
    pub(crate) fn pop(&mut self) -> Option<(usize, &'a JobView)> {
        assert!(self.current.is_none(), "one turn at a time");
        let Reverse((_, tenant)) = self.heads.pop()?;
        let Reverse((_, project)) = self.tenants[tenant].projects.pop().expect("a tenant in the heap has a project");
        let Reverse((_, shape)) = self.projects[project].shapes.pop().expect("a project in the heap has a shape");
        self.current = Some(shape);
        Some((shape, &self.shapes[shape].jobs[self.next[shape]]))
    }

    /// How many of `most` tasks of this rate the turn lasts: as many as make it another's turn, or all.
    pub(crate) fn lasts(&self, class: usize, rate: u64, most: u64) -> u64 {
        let (tenant, project) = self.holders();
        let others = [
            (tenant, &self.tenants[tenant].holder, self.heads.peek()),
            (project, &self.projects[project].holder, self.tenants[tenant].projects.peek()),
        ];
        let over = |tasks: u64| {
            let more = rate.saturating_mul(tasks);
            others.iter().any(|(number, holder, next)| {
                next.is_some_and(|Reverse(next)| (holder.share_with(class, more), *number) > *next)
            })
        };
        if most <= 1 || over(1) {
            return most.min(1);
        }
        let (mut lasting, mut ending) = (1, most);
        while ending - lasting > 1 {
            let middle = lasting + (ending - lasting) / 2;
            if over(middle) { ending = middle } else { lasting = middle }
        }
        ending
    }

    /// Counts in what the current turn was given.
    pub(crate) fn give(&mut self, class: usize, rate: u64, tasks: u64) {
        let (tenant, project) = self.holders();
        let rate = rate.saturating_mul(tasks);
        self.tenants[tenant].holder.add(class, rate);
        self.projects[project].holder.add(class, rate);
    }

    /// Whether it is another's turn now.
    pub(crate) fn over(&self) -> bool {
        let (tenant, project) = self.holders();
        let passed = |share: Share, number: usize, next: Option<&Reverse<(Share, usize)>>| {
            next.is_some_and(|Reverse(next)| (share, number) > *next)
        };
        passed(self.tenants[tenant].holder.share(), tenant, self.heads.peek())
            || passed(self.projects[project].holder.share(), project, self.tenants[tenant].projects.peek())
    }

    /// Ends the turn. The shape takes part again with the same job, with its next one, or no more.
    pub(crate) fn put_back(&mut self, again: Again) {
        let (tenant, project) = self.holders();
        let shape = self.current.take().expect("a turn goes on");
        match again {
            Again::SameJob => self.join(shape),
            Again::NextJob => {
                self.next[shape] += 1;
                self.join(shape);
            }
            Again::Never => {}
        }
        if !self.projects[project].shapes.is_empty() {
            let share = self.projects[project].holder.share();
            self.tenants[tenant].projects.push(Reverse((share, project)));
        }
        if !self.tenants[tenant].projects.is_empty() {
            self.heads.push(Reverse((self.tenants[tenant].holder.share(), tenant)));
        }
    }

    /// The index of the shape's first job that still takes part.
    pub(crate) fn next(&self, shape: usize) -> usize {
        self.next[shape]
    }

    /// The tenant of a shape, with what it holds now.
    pub(crate) fn holder(&self, shape: usize) -> &Holder {
        &self.tenants[self.projects[self.project_of[shape]].tenant].holder
    }

    /// What every tenant holds now.
    pub(crate) fn tenants(&self) -> Vec<Holder> {
        self.tenants.iter().map(|tenant| tenant.holder).collect()
    }

    /// The tenant and the project whose turn it is.
    fn holders(&self) -> (usize, usize) {
        let project = self.project_of[self.current.expect("a turn goes on")];
        (self.projects[project].tenant, project)
    }

    /// Lets the shape's first job take part; nothing when it has no more.
    fn join(&mut self, shape: usize) {
        let view = &self.shapes[shape];
        if let Some(job) = view.jobs.get(self.next[shape]) {
            let turn = self.turn(job, view, self.areas[shape]);
            self.projects[self.project_of[shape]].shapes.push(Reverse((turn, shape)));
        }
    }

    fn turn(&self, job: &JobView, view: &ShapeView, area: u128) -> Turn {
        let Order { urgent_ms, area_first, guard_ms, .. } = *self.order;
        let walltime = i64::try_from(view.shape.walltime.0).unwrap_or(i64::MAX);
        let slack = job.deadline_at.map(|at| at.0.saturating_sub(self.now.0).saturating_sub(walltime));
        let slack = slack.filter(|&slack| slack < i64::try_from(urgent_ms).unwrap_or(i64::MAX)).unwrap_or(i64::MAX);
        let waited = u64::try_from(self.now.0.saturating_sub(job.submitted_at.0)).unwrap_or(0);
        let area = if area_first && waited < guard_ms { area } else { 0 };
        (Reverse(job.priority), slack, area, job.submitted_at, job.id)
    }
}

/// How a shape goes on after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// With the same job: more of its tasks wait.
    SameJob,
    /// With its next job.
    NextJob,
    /// Not in this cycle: nothing of it can be placed.
    Never,
}
