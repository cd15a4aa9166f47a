//! Maintenance: spans of time in which a centre, or one pool of it, runs nothing.

use serde::{Deserialize, Serialize};

use crate::{
    ids::PoolId,
    quantity::{DurationMs, TimeMs},
};

/// A span in which nothing runs. No task is placed whose walltime would reach into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its number at its centre, from 1; never given again.
    pub id: u32,
    /// The pool that is closed; all of the centre when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolId>,
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The most windows of a centre that have not ended.
pub const WINDOWS_MAX: usize = 100;
/// The longest window: 366 days.
pub const WINDOW_MS_MAX: u64 = 366 * 24 * 3600 * 1000;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 500;

impl Window {
    /// Whether a task that begins at `now` and may run for `walltime` on `pool` could reach into it.
    pub fn meets(&self, pool: &PoolId, now: TimeMs, walltime: DurationMs) -> bool {
        let here = self.pool.as_ref().is_none_or(|closed| closed == pool);
        here && now < self.until && self.from < now.after(walltime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_meets_a_window_that_it_could_reach_into() {
        let pool = |name: &str| PoolId::new(name).expect("a name");
        let window = |closed: Option<&str>| Window {
            id: 1,
            pool: closed.map(pool),
            from: TimeMs(100),
            until: TimeMs(200),
            note: String::new(),
        };
        for (now, walltime, meets) in [(0, 100, false), (0, 101, true), (100, 1, true), (199, 1, true), (200, 9, false)]
        {
            assert_eq!(window(None).meets(&pool("a"), TimeMs(now), DurationMs(walltime)), meets, "{now} {walltime}");
        }
        assert!(window(Some("a")).meets(&pool("a"), TimeMs(99), DurationMs(2)));
        assert!(!window(Some("b")).meets(&pool("a"), TimeMs(99), DurationMs(2)));
        assert!(window(None).meets(&pool("a"), TimeMs(0), DurationMs(u64::MAX)));
    }
}
