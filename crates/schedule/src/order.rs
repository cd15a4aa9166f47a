//! Whose turn it is: the tenant with the smallest weighted dominant share, in it the project with the smallest, in it
//! the first job. Of equal shares that one goes first whose first job does: shares have no memory, so that where jobs are
//! large and most hold nothing, any fixed order of tenants would starve the last of them. A turn lasts as long as it
//! would if it were given task by task.

use std::{cmp::Reverse, collections::BinaryHeap};

use huisuan_model::{JobId, TimeMs};

use crate::{
    policy::Order,
    share::{Holder, Share},
    snapshot::{JobView, ShapeView},
    tournament::Tournament,
    translate::{Problem, ShapeProblem},
};

/// Where a job stands in its project; smaller goes first. Priority falling, then the slack of those whose deadline
/// is near, then the area of what starts together (0 once the job has waited long enough), then age, then id.
type Turn = (Reverse<i32>, i64, u128, TimeMs, JobId);

/// Where a job stands in the whole line: its tenant, its project, and its turn there. Smaller goes first.
pub(crate) type Rank = (Standing, Standing, Turn);

/// How much a tenant or a project holds, and its [seat](Seats) among equals.
type Standing = (Share, usize);

/// An order of tenants or of projects, for those of equal shares: that of their first jobs as the cycle begins, so that it
/// goes by priority, deadline and age, and not by names. Who has no job that takes part sits last.
struct Seats {
    /// The seat of each, by number.
    of: Vec<usize>,
    /// Who sits where.
    numbers: Vec<usize>,
}

impl Seats {
    fn new(firsts: &[Option<Turn>]) -> Self {
        let mut numbers: Vec<usize> = (0..firsts.len()).collect();
        numbers.sort_by_key(|&number| (firsts[number].is_none(), firsts[number], number));
        let mut of = vec![0; firsts.len()];
        for (seat, &number) in numbers.iter().enumerate() {
            of[number] = seat;
        }
        Seats { of, numbers }
    }
}

/// What a job's place and its turn need of it, read all at once: a million jobs lie far apart in memory, and each of
/// them is waited for once only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) id: JobId,
    priority: i32,
    submitted_at: TimeMs,
    deadline_at: Option<TimeMs>,
    /// How many of its tasks wait at the beginning of the cycle, and the first of them.
    pub(crate) tasks: u64,
    pub(crate) first: u32,
    pub(crate) active: u64,
    pub(crate) parallel_max: Option<u32>,
    pub(crate) mean_run_ms: Option<u64>,
    pub(crate) preemptible: bool,
}

impl Head {
    fn of(job: &JobView) -> Self {
        Head {
            id: job.id,
            priority: job.priority,
            submitted_at: job.submitted_at,
            deadline_at: job.deadline_at,
            tasks: job.waiting.len(),
            first: job.waiting.first().unwrap_or(0),
            active: job.active,
            parallel_max: job.parallel_max,
            mean_run_ms: job.mean_run_ms,
            preemptible: job.preemptible,
        }
    }
}

/// One shape with how far it is.
struct Lane<'a> {
    jobs: &'a [JobView],
    /// The index of its first job that still takes part.
    next: usize,
    /// That job, while it waits for its turn.
    head: Option<Head>,
    project: usize,
    /// What starts together takes so much.
    area: u128,
    walltime_ms: i64,
}

impl Lane<'_> {
    fn job(&self, index: usize) -> Option<Head> {
        self.jobs.get(index).map(Head::of)
    }
}

/// One project with the shapes that still take part.
struct Project {
    tenant: usize,
    holder: Holder,
    shapes: BinaryHeap<Reverse<(Turn, usize)>>,
}

/// One tenant with its projects that still take part.
struct Tenant {
    holder: Holder,
    projects: BinaryHeap<Reverse<Standing>>,
}

impl Tenant {
    fn next_project(&self) -> Option<Standing> {
        self.projects.peek().map(|&Reverse(next)| next)
    }
}

/// Jobs of all shapes in the order of turns. Only the first job of each shape takes part, so that a shape without
/// hope costs nothing more, and a turn costs the logarithms of tenants, projects and shapes.
pub(crate) struct Queue<'a> {
    order: &'a Order,
    now: TimeMs,
    tenants: Vec<Tenant>,
    projects: Vec<Project>,
    tenant_seats: Seats,
    project_seats: Seats,
    /// Of tenants by seat.
    heads: Tournament,
    /// In the order of the snapshot's shapes.
    lanes: Vec<Lane<'a>>,
    /// The shape whose turn it is; it and its tenant and project are out of the heaps.
    current: Option<usize>,
    /// The job after the one whose turn it is: read when the turn begins, so that memory answers while it goes on.
    following: Option<Head>,
}

impl<'a> Queue<'a> {
    /// A queue of the shapes that have candidates.
    pub(crate) fn new(problem: &Problem<'a>) -> Self {
        let snapshot = problem.snapshot;
        let mut queue = Queue {
            order: &problem.policy.order,
            now: problem.now,
            tenants: problem
                .holders
                .tenants
                .iter()
                .map(|&holder| Tenant { holder, projects: BinaryHeap::new() })
                .collect(),
            projects: Vec::with_capacity(problem.holders.projects.len()),
            tenant_seats: Seats::new(&[]),
            project_seats: Seats::new(&[]),
            heads: Tournament::new(problem.holders.tenants.len()),
            lanes: snapshot.shapes.iter().zip(&problem.shapes).map(|(view, shape)| lane(view, shape)).collect(),
            current: None,
            following: None,
        };
        for &(tenant, holder) in &problem.holders.projects {
            queue.projects.push(Project { tenant, holder, shapes: BinaryHeap::new() });
        }
        for (number, shape) in problem.shapes.iter().enumerate() {
            if !shape.places.candidates.is_empty() {
                queue.join(number, queue.lanes[number].job(0));
            }
        }
        queue.seat();
        queue
    }

    /// Gives projects and tenants their seats and lets those take part that have jobs.
    fn seat(&mut self) {
        let firsts: Vec<Option<Turn>> =
            self.projects.iter().map(|project| project.shapes.peek().map(|Reverse((turn, _))| *turn)).collect();
        let mut of_tenants = vec![None; self.tenants.len()];
        for (project, first) in self.projects.iter().zip(&firsts) {
            let of: &mut Option<Turn> = &mut of_tenants[project.tenant];
            *of = (*of).into_iter().chain(*first).min();
        }
        (self.project_seats, self.tenant_seats) = (Seats::new(&firsts), Seats::new(&of_tenants));
        for (number, project) in self.projects.iter().enumerate() {
            if !project.shapes.is_empty() {
                let standing = (project.holder.share(), self.project_seats.of[number]);
                self.tenants[project.tenant].projects.push(Reverse(standing));
            }
        }
        for (number, tenant) in self.tenants.iter().enumerate() {
            if !tenant.projects.is_empty() {
                self.heads.set(self.tenant_seats.of[number], Some(tenant.holder.share()));
            }
        }
    }

    fn of_tenant(&self, number: usize) -> Standing {
        (self.tenants[number].holder.share(), self.tenant_seats.of[number])
    }

    fn of_project(&self, number: usize) -> Standing {
        (self.projects[number].holder.share(), self.project_seats.of[number])
    }

    /// The index of the shape whose turn it is and its job. It must be [put back](Queue::put_back) before the next.
    pub(crate) fn pop(&mut self) -> Option<(usize, Head)> {
        assert!(self.current.is_none(), "one turn at a time");
        let (_, seat) = self.heads.first()?;
        self.heads.set(seat, None);
        let tenant = self.tenant_seats.numbers[seat];
        let Reverse((_, seat)) = self.tenants[tenant].projects.pop().expect("a tenant in the heap has a project");
        let project = self.project_seats.numbers[seat];
        let Reverse((_, shape)) = self.projects[project].shapes.pop().expect("a project in the heap has a shape");
        self.current = Some(shape);
        let lane = &self.lanes[shape];
        self.following = lane.job(lane.next + 1);
        Some((shape, lane.head.expect("a shape in the heap has a job")))
    }

    /// How many of `most` tasks of this rate the turn lasts: as many as make it another's turn, or all.
    pub(crate) fn lasts(&self, class: usize, rate: u64, most: u64) -> u64 {
        let (tenant, project) = self.holders();
        let others = [
            (self.tenant_seats.of[tenant], &self.tenants[tenant].holder, self.heads.first()),
            (self.project_seats.of[project], &self.projects[project].holder, self.tenants[tenant].next_project()),
        ];
        let over = |tasks: u64| {
            let more = rate.saturating_mul(tasks);
            others
                .iter()
                .any(|(seat, holder, next)| next.is_some_and(|next| (holder.share_with(class, more), *seat) > next))
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
        self.give_to(self.current.expect("a turn goes on"), class, rate.saturating_mul(tasks));
    }

    /// Counts in what a shape is given, as a rate of a class.
    pub(crate) fn give_to(&mut self, shape: usize, class: usize, rate: u64) {
        let project = self.lanes[shape].project;
        self.tenants[self.projects[project].tenant].holder.add(class, rate);
        self.projects[project].holder.add(class, rate);
    }

    /// Counts out what is taken from it.
    pub(crate) fn take_from(&mut self, shape: usize, class: usize, rate: u64) {
        let project = self.lanes[shape].project;
        self.tenants[self.projects[project].tenant].holder.take(class, rate);
        self.projects[project].holder.take(class, rate);
    }

    /// Whether it is another's turn now.
    pub(crate) fn over(&self) -> bool {
        let (tenant, project) = self.holders();
        let passed = |own: Standing, next: Option<Standing>| next.is_some_and(|next| own > next);
        passed(self.of_tenant(tenant), self.heads.first())
            || passed(self.of_project(project), self.tenants[tenant].next_project())
    }

    /// Ends the turn. The shape takes part again with the same job, with its next one, or no more.
    pub(crate) fn put_back(&mut self, again: Again) {
        let (tenant, project) = self.holders();
        let shape = self.current.take().expect("a turn goes on");
        match again {
            Again::SameJob => self.join(shape, self.lanes[shape].head),
            Again::NextJob => {
                self.lanes[shape].next += 1;
                self.join(shape, self.following);
            }
            Again::Never => {}
        }
        if !self.projects[project].shapes.is_empty() {
            let standing = self.of_project(project);
            self.tenants[tenant].projects.push(Reverse(standing));
        }
        if !self.tenants[tenant].projects.is_empty() {
            self.heads.set(self.tenant_seats.of[tenant], Some(self.tenants[tenant].holder.share()));
        }
    }

    /// The job of the shape whose turn it is or would be.
    pub(crate) fn job(&self, shape: usize) -> &'a JobView {
        &self.lanes[shape].jobs[self.lanes[shape].next]
    }

    /// Where a job of a shape, given by its index, would stand in line now.
    pub(crate) fn rank(&self, shape: usize, job: usize) -> Option<Rank> {
        let lane = &self.lanes[shape];
        let turn = turn(self.order, self.now, &lane.job(job)?, lane);
        Some((self.of_tenant(self.projects[lane.project].tenant), self.of_project(lane.project), turn))
    }

    /// Lets the jobs of a shape before one, given by its index, take part no more.
    pub(crate) fn pass_to(&mut self, shape: usize, job: usize) {
        self.lanes[shape].next = job;
    }

    /// The index of the shape's first job that still takes part.
    pub(crate) fn next(&self, shape: usize) -> usize {
        self.lanes[shape].next
    }

    /// The tenant of a shape, with what it holds now.
    pub(crate) fn holder(&self, shape: usize) -> &Holder {
        &self.tenants[self.projects[self.lanes[shape].project].tenant].holder
    }

    /// What every tenant holds now.
    pub(crate) fn tenants(&self) -> Vec<Holder> {
        self.tenants.iter().map(|tenant| tenant.holder).collect()
    }

    /// The tenant and the project whose turn it is.
    fn holders(&self) -> (usize, usize) {
        let project = self.lanes[self.current.expect("a turn goes on")].project;
        (self.projects[project].tenant, project)
    }

    /// Lets a job of the shape take part; nothing when it has no more.
    fn join(&mut self, shape: usize, job: Option<Head>) {
        let lane = &mut self.lanes[shape];
        lane.head = job;
        if let Some(job) = job {
            let turn = turn(self.order, self.now, &job, lane);
            self.projects[lane.project].shapes.push(Reverse((turn, shape)));
        }
    }
}

fn lane<'a>(view: &'a ShapeView, shape: &ShapeProblem) -> Lane<'a> {
    Lane {
        jobs: &view.jobs,
        next: 0,
        head: None,
        project: shape.project,
        area: shape.places.area,
        walltime_ms: i64::try_from(view.shape.walltime.0).unwrap_or(i64::MAX),
    }
}

fn turn(order: &Order, now: TimeMs, job: &Head, lane: &Lane<'_>) -> Turn {
    let Order { urgent_ms, area_first, guard_ms, .. } = *order;
    let slack = job.deadline_at.map(|at| at.0.saturating_sub(now.0).saturating_sub(lane.walltime_ms));
    let slack = slack.filter(|&slack| slack < i64::try_from(urgent_ms).unwrap_or(i64::MAX)).unwrap_or(i64::MAX);
    let waited = u64::try_from(now.0.saturating_sub(job.submitted_at.0)).unwrap_or(0);
    let area = if area_first && waited < guard_ms { lane.area } else { 0 };
    (Reverse(job.priority), slack, area, job.submitted_at, job.id)
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
