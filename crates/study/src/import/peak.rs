//! The most that jobs held at once.

use super::ImportedPool;

/// Jobs to be counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Peak {
    /// When, and what is held more or less from then on. What ends at a moment is free for what starts then.
    changes: Vec<(i64, bool, [u64; 3])>,
}

impl Peak {
    /// Counts a job by when it started, how long it ran, and the cores, bytes and devices that it held.
    pub(super) fn add(&mut self, start_at_ms: i64, run_ms: u64, held: [u64; 3]) {
        // A job that ended at once held what it held all the same.
        let run_ms = i64::try_from(run_ms.max(1)).unwrap_or(i64::MAX);
        self.changes.push((start_at_ms, true, held));
        self.changes.push((start_at_ms.saturating_add(run_ms), false, held));
    }

    /// The peaks of cores, memory and devices, which need not be at the same time, as a pool.
    pub(super) fn pool(mut self, part: &str) -> ImportedPool {
        self.changes.sort_unstable();
        let (mut now, mut most) = ([0_u64; 3], [0_u64; 3]);
        for (_, starts, held) in self.changes {
            for ((now, most), held) in now.iter_mut().zip(&mut most).zip(held) {
                *now = if starts { now.saturating_add(held) } else { now.saturating_sub(held) };
                *most = (*most).max(*now);
            }
        }
        let [cores, memory_bytes, devices] = most;
        ImportedPool { part: part.to_owned(), cores, memory_bytes, devices }
    }
}
