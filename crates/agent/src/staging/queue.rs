//! What waits to be moved, and what came of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use huisuan_model::{AttemptId, AttemptReport, StartOrder};

use super::live::Live;

/// So many files of one tenant move at once: a slow server holds no other tenant's data up.
const OF_ONE_TENANT: usize = 4;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) live: BTreeMap<AttemptId, Live>,
    pub(super) queue: VecDeque<Task>,
    /// How many files of each tenant move now.
    pub(super) moving: BTreeMap<String, usize>,
    /// All inputs are there: the engine's turn.
    pub(super) ready: Vec<StartOrder>,
    /// Ends to tell.
    pub(super) ended: Vec<AttemptReport>,
    /// Could not be brought; an order that comes again changes nothing.
    pub(super) failed: BTreeSet<AttemptId>,
    /// Have a folder.
    pub(super) known: BTreeSet<AttemptId>,
    pub(super) threads: usize,
    pub(super) stopped: bool,
}

#[derive(Debug)]
pub(super) enum Task {
    /// A file of a live attempt.
    File { attempt: AttemptId, tenant: String, index: usize },
    /// A folder that nobody needs any more.
    Remove(AttemptId),
}

impl State {
    /// The next task whose tenant has not as many on their way as it may.
    pub(super) fn next(&mut self) -> Option<Task> {
        let free = |task: &Task| match task {
            Task::File { tenant, .. } => self.moving.get(tenant).is_none_or(|moving| *moving < OF_ONE_TENANT),
            Task::Remove(_) => true,
        };
        let place = self.queue.iter().position(free)?;
        let task = self.queue.remove(place)?;
        if let Task::File { tenant, .. } = &task {
            *self.moving.entry(tenant.clone()).or_default() += 1;
        }
        Some(task)
    }

    /// Takes the files of an attempt out of the queue, and says how many there were.
    pub(super) fn drop_queued(&mut self, of: AttemptId) -> usize {
        let before = self.queue.len();
        self.queue.retain(|task| !matches!(task, Task::File { attempt, .. } if *attempt == of));
        before - self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    fn file(job: u64, tenant: &str) -> Task {
        let attempt = AttemptId { job: JobId(job), task: 0, attempt: 1 };
        Task::File { attempt, tenant: tenant.to_owned(), index: 0 }
    }

    #[test]
    fn a_tenant_with_slow_servers_does_not_hold_another_up() {
        let mut state = State::default();
        state.queue.extend((0..10).map(|job| file(job, "slow")));
        state.queue.push_back(file(77, "other"));
        let taken: Vec<Task> = std::iter::from_fn(|| state.next()).collect();
        let of = |name: &str| {
            taken.iter().filter(|task| matches!(task, Task::File { tenant, .. } if tenant == name)).count()
        };
        assert_eq!((of("slow"), of("other")), (OF_ONE_TENANT, 1));
        let attempt = AttemptId { job: JobId(9), task: 0, attempt: 1 };
        assert_eq!((state.drop_queued(attempt), state.drop_queued(attempt)), (1, 0));
    }
}
