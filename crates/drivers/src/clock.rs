//! The clock of this machine.

use std::time::SystemTime;

use huisuan_model::TimeMs;

/// Now.
pub(crate) fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
