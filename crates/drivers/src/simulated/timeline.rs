//! What is accepted, waits, runs and ended at a virtual centre. Pure: every change is an [`Entry`], and the same
//! entries make the same timeline, whether they are new or come from the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use huisuan_model::{AttemptId, AttemptReport, EndCause, Pool, PoolId, ReportKind, TimeMs};
use serde::{Deserialize, Serialize};

use super::task::{End, Takes, Task, ended_by, never_began};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Entry {
    /// A task waits for room.
    Accepted(Task),
    /// It runs.
    Started { attempt: AttemptId, pool: PoolId, at: TimeMs },
    /// It ended, or was cancelled before it was ever heard of.
    Ended { attempt: AttemptId, end: End },
    /// Its end is committed elsewhere.
    Acknowledged(AttemptId),
}

#[derive(Debug, Clone)]
enum Stage {
    Queued(Task),
    Running { task: Task, pool: PoolId, started_at: TimeMs },
    Ended { end: End, acknowledged: bool },
}

/// A virtual centre at one moment.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    free: BTreeMap<PoolId, Takes>,
    attempts: BTreeMap<AttemptId, Stage>,
    queue: VecDeque<AttemptId>,
    /// When what runs will end.
    ends: BTreeSet<(TimeMs, AttemptId)>,
    /// What was not told yet.
    outbox: Vec<AttemptReport>,
    /// What was not written yet.
    fresh: Vec<Entry>,
}

impl Timeline {
    /// An empty centre.
    pub(super) fn new(pools: &[Pool]) -> Timeline {
        let free = pools.iter().map(|pool| (pool.id.clone(), Takes::of_pool(pool))).collect();
        Timeline { free, ..Timeline::default() }
    }

    /// The centre after all of `entries`; everything that was not acknowledged is told again.
    pub(super) fn restore(pools: &[Pool], entries: Vec<Entry>) -> Timeline {
        let mut timeline = Timeline::new(pools);
        entries.into_iter().for_each(|entry| timeline.apply(entry));
        timeline.outbox.clear();
        for (&attempt, stage) in &timeline.attempts {
            match stage {
                Stage::Queued(_) | Stage::Ended { acknowledged: true, .. } => {}
                Stage::Running { started_at, .. } => timeline.outbox.push(started(attempt, *started_at)),
                Stage::Ended { end, acknowledged: false } => timeline.outbox.push(ended(attempt, end)),
            }
        }
        timeline
    }

    /// Takes a task; false when its attempt is known, in which case its end, if any, is told again.
    pub(super) fn accept(&mut self, task: Task) -> bool {
        if self.tell_again(task.attempt) {
            return false;
        }
        self.record(Entry::Accepted(task));
        true
    }

    /// True for an attempt that is known; its end, if any, is told again.
    pub(super) fn tell_again(&mut self, attempt: AttemptId) -> bool {
        match self.attempts.get(&attempt) {
            None => return false,
            Some(Stage::Ended { end, .. }) => self.outbox.push(ended(attempt, end)),
            Some(_) => {}
        }
        true
    }

    /// Plays what happens until `now`, in the order of time.
    pub(super) fn advance(&mut self, now: TimeMs) {
        while let Some(&(at, attempt)) = self.ends.first()
            && at <= now
        {
            let Some(Stage::Running { task, .. }) = self.attempts.get(&attempt) else {
                unreachable!("only what runs has an end to come");
            };
            let outcome = task.outcome();
            self.end(attempt, at, outcome);
            self.refill(at);
        }
        self.refill(now);
    }

    /// Ends an attempt; one that is not known will never run.
    pub(super) fn cancel(&mut self, attempt: AttemptId, now: TimeMs) {
        match self.attempts.get(&attempt) {
            Some(Stage::Ended { .. }) => {}
            Some(Stage::Running { .. }) => self.end(attempt, now, ended_by(EndCause::Cancelled)),
            Some(Stage::Queued(_)) | None => self.record(Entry::Ended { attempt, end: never_began(now) }),
        }
    }

    /// Notes that an end needs not be told again; nothing for what has not ended.
    pub(super) fn acknowledge(&mut self, attempt: AttemptId) {
        if let Some(Stage::Ended { acknowledged: false, .. }) = self.attempts.get(&attempt) {
            self.record(Entry::Acknowledged(attempt));
        }
    }

    /// Puts a sample of everything that runs among what is to be told.
    pub(super) fn sample(&mut self, now: TimeMs) {
        for (&attempt, stage) in &self.attempts {
            if let Stage::Running { task, started_at, .. } = stage {
                let what = ReportKind::Used(task.usage(now.since(*started_at)));
                self.outbox.push(AttemptReport { attempt, at: now, what });
            }
        }
    }

    /// When the next task ends.
    pub(super) fn next_end(&self) -> Option<TimeMs> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// When an attempt began and whether it has ended; `None` for one that is not known.
    pub(super) fn look(&self, attempt: AttemptId) -> Option<(Option<TimeMs>, bool)> {
        Some(match self.attempts.get(&attempt)? {
            Stage::Queued(_) => (None, false),
            Stage::Running { started_at, .. } => (Some(*started_at), false),
            Stage::Ended { end, .. } => (end.started_at, true),
        })
    }

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What was not told yet, in the order in which it happened.
    pub(super) fn take_news(&mut self) -> Vec<AttemptReport> {
        std::mem::take(&mut self.outbox)
    }

    /// What was not written yet.
    pub(super) fn take_fresh(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.fresh)
    }

    /// Starts what waits, the first first: a task passes over another only into a pool that the other cannot use.
    fn refill(&mut self, now: TimeMs) {
        let mut blocked: BTreeSet<PoolId> = BTreeSet::new();
        let mut starting = Vec::new();
        let mut free = self.free.clone();
        for &attempt in &self.queue {
            if blocked.len() == free.len() {
                break;
            }
            let Some(Stage::Queued(task)) = self.attempts.get(&attempt) else { continue };
            let open =
                |pool: &&PoolId| !blocked.contains(*pool) && free.get(*pool).is_some_and(|free| task.takes.fits(*free));
            match task.pools.iter().find(open) {
                Some(pool) => {
                    free.entry(pool.clone()).and_modify(|free| *free = free.minus(task.takes));
                    starting.push((attempt, pool.clone()));
                }
                None => blocked.extend(task.pools.iter().cloned()),
            }
        }
        for (attempt, pool) in starting {
            self.record(Entry::Started { attempt, pool, at: now });
        }
    }

    fn end(&mut self, attempt: AttemptId, at: TimeMs, outcome: huisuan_model::Outcome) {
        let Some(Stage::Running { task, started_at, .. }) = self.attempts.get(&attempt) else { return };
        let end = End { at, started_at: Some(*started_at), outcome, usage: task.usage(at.since(*started_at)) };
        self.record(Entry::Ended { attempt, end });
    }

    fn record(&mut self, entry: Entry) {
        self.fresh.push(entry.clone());
        self.apply(entry);
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Accepted(task) => {
                self.queue.push_back(task.attempt);
                self.attempts.insert(task.attempt, Stage::Queued(task));
            }
            Entry::Started { attempt, pool, at } => {
                let Some(Stage::Queued(task)) = self.attempts.remove(&attempt) else { return };
                self.queue.retain(|&queued| queued != attempt);
                self.free.entry(pool.clone()).and_modify(|free| *free = free.minus(task.takes));
                self.ends.insert((at.after(task.span()), attempt));
                self.attempts.insert(attempt, Stage::Running { task, pool, started_at: at });
                self.outbox.push(started(attempt, at));
            }
            Entry::Ended { attempt, end } => {
                match self.attempts.remove(&attempt) {
                    Some(Stage::Running { task, pool, started_at }) => {
                        self.free.entry(pool).and_modify(|free| *free = free.plus(task.takes));
                        self.ends.remove(&(started_at.after(task.span()), attempt));
                    }
                    Some(Stage::Queued(_)) => self.queue.retain(|&queued| queued != attempt),
                    Some(Stage::Ended { .. }) | None => {}
                }
                self.outbox.push(ended(attempt, &end));
                self.attempts.insert(attempt, Stage::Ended { end, acknowledged: false });
            }
            Entry::Acknowledged(attempt) => {
                if let Some(Stage::Ended { acknowledged, .. }) = self.attempts.get_mut(&attempt) {
                    *acknowledged = true;
                }
            }
        }
    }
}

fn started(attempt: AttemptId, at: TimeMs) -> AttemptReport {
    AttemptReport { attempt, at, what: ReportKind::Started }
}

fn ended(attempt: AttemptId, end: &End) -> AttemptReport {
    let what = ReportKind::Ended { started_at: end.started_at, outcome: end.outcome.clone(), usage: end.usage };
    AttemptReport { attempt, at: end.at, what }
}
