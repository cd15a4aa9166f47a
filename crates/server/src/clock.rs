//! The server's clock: milliseconds UTC that never step back.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use huisuan_model::TimeMs;

/// Time for the whole server. A system clock that steps back stops this one until it has caught up.
#[derive(Debug)]
pub(crate) struct Clock {
    last_ms: AtomicI64,
}

impl Clock {
    /// A clock that shows nothing before `earliest`, the time of the last journal entry.
    pub(crate) fn starting_at(earliest: TimeMs) -> Self {
        Clock { last_ms: AtomicI64::new(earliest.0) }
    }

    pub(crate) fn now(&self) -> TimeMs {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_millis());
        let system = i64::try_from(system).unwrap_or(i64::MAX);
        TimeMs(self.last_ms.fetch_max(system, Ordering::Relaxed).max(system))
    }
}
