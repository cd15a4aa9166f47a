//! How long a job will run. Users ask for far more than they need, so a plan made from what their last jobs
//! took is closer to what happens (Tsafrir, Etsion and Feitelson, "Backfilling using system-generated
//! predictions rather than user runtime estimates", TPDS 2007).

use std::collections::BTreeMap;

use huisuan_model::{DurationMs, TimeMs};

use super::job::QueueJob;

/// What every owner's last two jobs took, all of them and those with one limit.
///
/// A limit tells an owner's kinds of work apart: who asks for five minutes tests, who asks for a day produces.
#[derive(Debug, Clone, Default)]
pub struct History {
    last: BTreeMap<(u64, Option<DurationMs>), [DurationMs; 2]>,
}

impl History {
    /// A job has run for so long. Nothing is learnt where its owner is not known.
    pub fn learn(&mut self, job: &QueueJob, run: DurationMs) {
        let Some(owner) = job.owner else { return };
        for key in [(owner, Some(job.limit)), (owner, None)] {
            let last = self.last.entry(key).or_insert([run, run]);
            *last = [run, last[0]];
        }
    }

    /// How long a job will run: as long as its owner's last two with this limit on average, else as the owner's
    /// last two with any, but at most its limit; its limit where the owner is new or not known.
    pub fn predict(&self, job: &QueueJob) -> DurationMs {
        let found = job
            .owner
            .and_then(|owner| self.last.get(&(owner, Some(job.limit))).or_else(|| self.last.get(&(owner, None))));
        found.map_or(job.limit, |[newer, older]| DurationMs(newer.0.midpoint(older.0)).min(job.limit))
    }
}

/// When a job should end that has outlived its limit by `now`: when it has run a quarter longer than it has by
/// now, and not within a minute.
pub(super) fn overdue_end(started_at: TimeMs, now: TimeMs) -> TimeMs {
    now.after(DurationMs((now.since(started_at).0 / 4).max(60_000)))
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    fn job(owner: Option<u64>, limit_s: u64) -> QueueJob {
        let limit = DurationMs(limit_s * 1000);
        QueueJob { id: JobId(1), width: 1, limit, owner, submitted_at: TimeMs(0) }
    }

    #[test]
    fn the_last_two_of_the_same_kind_count() {
        let mut history = History::default();
        let runs = [(1, 100, 10), (1, 100, 20), (1, 100, 40), (1, 900, 500), (2, 100, 7)];
        for (owner, limit_s, run_s) in runs {
            history.learn(&job(Some(owner), limit_s), DurationMs(run_s * 1000));
        }
        history.learn(&job(None, 100), DurationMs(1));
        for (owner, limit_s, predicted_s) in [
            (Some(1), 100, 30),
            (Some(1), 900, 500),
            // Another limit: the last two of any, 40 and 500; never above the limit.
            (Some(1), 300, 270),
            (Some(1), 60, 60),
            (Some(2), 100, 7),
            (Some(3), 100, 100),
            (None, 100, 100),
        ] {
            assert_eq!(history.predict(&job(owner, limit_s)), DurationMs(predicted_s * 1000), "{owner:?} {limit_s}");
        }
    }

    #[test]
    fn what_is_overdue_lies_ahead() {
        for (started_s, now_s, end_s) in [(0, 10, 70), (0, 400, 500), (0, 4000, 5000), (100, 100, 160)] {
            let end = overdue_end(TimeMs(started_s * 1000), TimeMs(now_s * 1000));
            assert_eq!(end, TimeMs(end_s * 1000), "{started_s} {now_s}");
        }
    }
}
