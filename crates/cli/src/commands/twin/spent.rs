//! What this process took: processor time and memory.

use std::fs;

use serde::Serialize;

/// Resources of this process so far.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spent {
    /// Processor time of all threads.
    pub(crate) cpu_ms: u64,
    /// The most memory that was resident.
    pub(crate) peak_rss_mb: u64,
}

impl Spent {
    /// Up to now.
    pub(crate) fn now() -> Spent {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let cpu_ms = clock.tv_sec.unsigned_abs() * 1_000 + clock.tv_nsec.unsigned_abs() / 1_000_000;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        let kib: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0);
        Spent { cpu_ms, peak_rss_mb: kib.div_ceil(1024) }
    }
}
