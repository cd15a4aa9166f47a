//! `fifo`: in the order of arrival. The first that does not fit holds up all others.

use std::collections::VecDeque;

use huisuan_model::{JobId, TimeMs};

use super::{job::QueueJob, policy::Queue, running::Running};

/// The queue in its order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Fifo {
    running: Running,
    waiting: VecDeque<QueueJob>,
    started: Vec<JobId>,
}

impl Fifo {
    pub(super) fn new(processors: u64) -> Self {
        Fifo { running: Running::new(processors), waiting: VecDeque::new(), started: Vec::new() }
    }
}

impl Queue for Fifo {
    fn submit(&mut self, job: QueueJob, now: TimeMs) {
        self.running.admit(&job);
        self.waiting.push_back(job);
        self.replan(now);
    }

    fn end(&mut self, job: JobId, _now: TimeMs) {
        self.running.end(job);
    }

    fn replan(&mut self, now: TimeMs) {
        while let Some(&job) = self.waiting.front()
            && job.width <= self.running.free()
        {
            self.waiting.pop_front();
            self.running.start(job, job.limit, now);
            self.started.push(job.id);
        }
    }

    fn starts(&mut self, _now: TimeMs, into: &mut Vec<JobId>) {
        into.append(&mut self.started);
    }

    fn wake_at(&self) -> Option<TimeMs> {
        None
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
