//! How far shapes and jobs are while a cycle goes on, and what stops them.

use huisuan_model::{JobId, RangeSet};

use crate::translate::Problem;

/// How far a shape is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShapeState {
    /// The job whose tasks are being placed; `None` before its first turn.
    pub(crate) current: Option<Progress>,
    /// Candidates where no node has room for a task, though there is enough in sum.
    pub(crate) without_node: Vec<usize>,
    /// Whether something waits of a job that was passed over.
    pub(crate) passed: bool,
    /// Why its first job that still waits does so; `None` when no job was looked at that does.
    pub(crate) block: Option<Block>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// How many tasks wait at the beginning of the cycle.
    pub(crate) tasks: u64,
    /// How many tasks of all jobs were placed before its first one.
    pub(crate) ahead: u64,
    /// How many of its own were placed in this cycle.
    pub(crate) own: u64,
    /// The last of them.
    pub(crate) last: Option<u32>,
}

/// Why a job that was looked at still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// Its own limit of parallel tasks.
    ParallelMax(u32),
    /// No place has room, or none that its tenant can pay.
    Places {
        /// How many layers it may fill ahead.
        factor: u64,
        /// How many of its tasks go together: 1, or the size of the gang.
        unit: u64,
        /// How many tasks were placed before its first one.
        ahead: u64,
        /// How many of its own were placed in this cycle.
        own: u64,
    },
}

/// A shape whose first waiting job found no room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocked {
    pub(crate) shape: usize,
    /// How many of its tasks go together.
    pub(crate) unit: u64,
    /// How many of the job's tasks were placed in this cycle, and the last of them.
    pub(crate) own: u64,
    pub(crate) last: Option<u32>,
}

/// How far the jobs of a blocked shape are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) blocked: Blocked,
    /// The index of its job.
    pub(crate) job: usize,
}

impl Cursor {
    /// The next tasks that go together, and their job; `None` when there are no more.
    pub(crate) fn unit(&mut self, problem: &Problem<'_>) -> Option<(JobId, RangeSet)> {
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

/// What to look at next.
pub(crate) enum Next {
    /// The turn is over; more of the job may be placed when its tenant has the next one.
    Turn,
    /// The shape's next job takes part.
    Job,
    /// The shape is out: nothing of it can be placed in this cycle.
    Shape,
    /// The cycle's budget is spent.
    Cycle,
}

/// Where a placement of this cycle comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) shape: usize,
    pub(crate) candidate: usize,
    /// The index of the job in its shape.
    pub(crate) job: usize,
    /// Whether it may be taken back for others.
    pub(crate) preemptible: bool,
    /// Whether it may lie ahead of what is free, or within a reservation in advance.
    pub(crate) bound: bool,
}

/// What a job asks for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// How many tasks at most.
    pub(crate) goal: u64,
    /// How many together at least.
    pub(crate) unit: u64,
    /// How many layers may be filled ahead.
    pub(crate) factor: u64,
}

/// What one turn has placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) count: u64,
    /// Whether it is another's turn.
    pub(crate) over: bool,
}
