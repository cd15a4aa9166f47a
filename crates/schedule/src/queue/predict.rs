//! How long a job will run. Users ask for far more than they need, so a plan made from what their last jobs
//! took is closer to what happens (Tsafrir, Etsion and Feitelson, "Backfilling using system-generated
//! predictions rather than user runtime estimates", TPDS 2007).

use std::collections::BTreeMap;

use huisuan_model::{DurationMs, TimeMs};

/// What every owner's last two jobs took.
#[derive(Debug, Clone, Default)]
pub struct History {
    last: BTreeMap<u64, [DurationMs; 2]>,
}

impl History {
    /// A job of this owner has run for so long.
    pub fn learn(&mut self, owner: u64, run: DurationMs) {
        self.last.entry(owner).and_modify(|[newer, older]| (*older, *newer) = (*newer, run)).or_insert([run, run]);
    }

    /// How long a job will run: as long as the owner's last two on average, at most its limit; its limit
    /// where the owner is new.
    pub fn predict(&self, owner: u64, limit: DurationMs) -> DurationMs {
        match self.last.get(&owner) {
            Some([newer, older]) => DurationMs(newer.0.midpoint(older.0)).min(limit),
            None => limit,
        }
    }
}

/// When a job should end that has outlived what was expected: not before it has run a quarter longer than it
/// has by now and at least a minute, but at its limit where that comes first. What has passed its limit is
/// not believed to end there.
pub(super) fn corrected_end(started_at: TimeMs, limit: DurationMs, now: TimeMs) -> TimeMs {
    let longer = DurationMs((now.since(started_at).0 / 4).max(60_000));
    let limit_at = started_at.after(limit);
    let end = now.after(longer);
    if limit_at > now { end.min(limit_at) } else { end }
}
