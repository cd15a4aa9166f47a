//! What `/proc` tells about processes.

use std::{fs, io, os::fd::OwnedFd, path::Path};

use huisuan_model::{DurationMs, TimeMs};
use rustix::{
    process::{Pid, PidfdFlags, pidfd_open},
    time::{ClockId, clock_gettime},
};

use crate::{clock::now, folder::program::DIR_VARIABLE};

/// One process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    /// Processor time of all its threads and of its children that it waited for, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// When it started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
    /// Resident memory in pages.
    pub(crate) resident_pages: u64,
    /// It ended and waits to be reaped.
    pub(crate) zombie: bool,
}

/// Where clock and kernel differ by less, the clock is taken: it is finer, and knows when a task, not its process,
/// began.
const AGREE_MS: u64 = 1_000;

/// For how long a process has run that started so many clock ticks after boot, and at this time by the clock. A clock
/// that jumped since is not believed: it must not end a task for its walltime. The kernel's count nobody can set.
pub(crate) fn run_time(start_ticks: u64, started_at: TimeMs) -> DurationMs {
    let (age, told) = (age(start_ticks), now().since(started_at));
    if age.0.abs_diff(told.0) < AGREE_MS { told } else { age }
}

fn age(start_ticks: u64) -> DurationMs {
    let boot = clock_gettime(ClockId::Boottime);
    let since_boot =
        u64::try_from(boot.tv_sec).unwrap_or(0) * 1000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
    let started = start_ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1);
    DurationMs(since_boot.saturating_sub(started))
}

/// The id of this boot of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Reads one process; `None` when it is gone.
pub(crate) fn stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the line of `/proc/PID/stat`. The second field is the program's name in parentheses and may hold
/// anything, more parentheses included, so fields are counted from the last one.
fn parse_stat(line: &[u8]) -> Option<ProcessStat> {
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(&line[..line.iter().position(|&byte| byte == b' ')?]).ok()?.parse().ok()?;
    let rest: Vec<&str> = std::str::from_utf8(&line[end + 1..]).ok()?.split_ascii_whitespace().collect();
    // `rest[0]` is field 3, the state.
    let number = |field: usize| rest.get(field - 3)?.parse::<u64>().ok();
    Some(ProcessStat {
        pid,
        parent: rest.get(1)?.parse().ok()?,
        group: rest.get(2)?.parse().ok()?,
        cpu_ticks: (14..=17).map(number).sum::<Option<u64>>()?,
        start_ticks: number(22)?,
        resident_pages: number(24)?,
        zombie: matches!(rest.first(), Some(&("Z" | "X"))),
    })
}

/// The ids of all processes of the machine.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A descriptor of the process that had this pid and start time; `None` when that one is gone.
pub(crate) fn open_pidfd(pid: i32, start_ticks: u64) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    // Looked at after opening: if it is the one we mean now, the descriptor is of that one.
    let stat = stat(pid)?;
    (stat.start_ticks == start_ticks && !stat.zombie).then_some(pidfd)
}

/// Living processes in whose environment the attempt's folder is named: those that the attempt started,
/// as far as they kept the environment. Used after a supervisor died, when no process id is known.
pub(crate) fn processes_of(attempt_dir: &Path) -> Vec<ProcessStat> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut marker = DIR_VARIABLE.as_bytes().to_vec();
    marker.push(b'=');
    marker.extend_from_slice(attempt_dir.as_os_str().as_bytes());
    let marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == marker)
    };
    pids().into_iter().filter(marked).filter_map(stat).filter(|process| !process.zombie).collect()
}

/// The most memory that this process ever had resident, in bytes. A child starts with this as its own
/// peak (the kernel carries it over `exec`), so a child's peak up to here says nothing.
pub(crate) fn own_peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_obstacle() {
        let line = b"42 (a) b (c)) S 7 42 42 0 -1 4194304 1 0 0 0 30 12 5 6 20 0 1 0 9000 1000000 256 184 0 0";
        let expected = ProcessStat {
            pid: 42,
            parent: 7,
            group: 42,
            cpu_ticks: 53,
            start_ticks: 9000,
            resident_pages: 256,
            zombie: false,
        };
        assert_eq!(parse_stat(line), Some(expected));
        for bad in ["", "42", "42 (x", "42 (x) S", "x (x) S 1 1 1"] {
            assert_eq!(parse_stat(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_seen() {
        let own = i32::try_from(std::process::id()).expect("a pid fits");
        let stat = stat(own).expect("it runs");
        assert!(stat.resident_pages > 0 && !stat.zombie);
        assert!(pids().contains(&own));
        assert!(open_pidfd(own, stat.start_ticks).is_some());
        assert!(open_pidfd(own, stat.start_ticks + 1).is_none());
        assert!(age(stat.start_ticks) < DurationMs(3_600_000), "this test is not that old");
        assert!(age(0) > age(stat.start_ticks));
        let began = TimeMs(now().0 - i64::try_from(age(stat.start_ticks).0).expect("small"));
        let day = 86_400_000;
        for (jump, off_max) in [(0, 200), (300, 500), (day, 200), (-day, AGREE_MS)] {
            let told = run_time(stat.start_ticks, TimeMs(began.0 - jump));
            assert!(told.0.abs_diff(age(stat.start_ticks).0) <= off_max, "{jump} ms: {told}");
        }
        assert!(own_peak_bytes() > 100_000);
        assert!(!boot_id().expect("readable").is_empty());
    }
}
