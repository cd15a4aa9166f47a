//! Room on the disk of the data directory, looked at now and then.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use crate::clock::Clock;

/// Below this much room new work is refused, so that what runs can still be recorded as ended.
pub(crate) const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// How old the last look may be.
const LOOK_EVERY_MS: i64 = 1000;

/// What is known of the disk.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    clock: std::sync::Arc<Clock>,
    looked_at_ms: AtomicI64,
    free_bytes: AtomicU64,
}

impl Disk {
    pub(crate) fn new(path: PathBuf, clock: std::sync::Arc<Clock>) -> Self {
        Disk { path, clock, looked_at_ms: AtomicI64::new(i64::MIN), free_bytes: AtomicU64::new(u64::MAX) }
    }

    /// Bytes that this user may still write there; the most there can be when the system does not say.
    pub(crate) fn free_bytes(&self) -> u64 {
        let now = self.clock.now().0;
        if now.saturating_sub(self.looked_at_ms.load(Ordering::Relaxed)) >= LOOK_EVERY_MS {
            let free =
                rustix::fs::statvfs(&self.path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            self.free_bytes.store(free, Ordering::Relaxed);
            self.looked_at_ms.store(now, Ordering::Relaxed);
        }
        self.free_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn nearly_full(&self) -> bool {
        self.free_bytes() < FREE_BYTES_MIN
    }
}
