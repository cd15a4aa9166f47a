//! The processors of a share: which there are, how they are bound, what they share, what is taken from them.
//! Linux only, like the engines this crate serves.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The logical CPUs that the calling thread may run on, in ascending order. On a machine with more
/// CPUs than the affinity mask holds (1,024), those numbered from 0.
pub(crate) fn allowed() -> Vec<u32> {
    if let Ok(mask) = sched_getaffinity(None) {
        return (0..CpuSet::MAX_CPU)
            .filter(|&cpu| mask.is_set(cpu))
            .filter_map(|cpu| u32::try_from(cpu).ok())
            .collect();
    }
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    (0..u32::try_from(count).unwrap_or(1)).collect()
}

/// Binds the calling thread to one logical CPU.
pub(crate) fn pin_to(cpu: u32) -> std::io::Result<()> {
    let index = cpu as usize;
    if index >= CpuSet::MAX_CPU {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut mask = CpuSet::new();
    mask.set(index);
    Ok(sched_setaffinity(None, &mask)?)
}

/// Physical cores behind the logical CPUs. A CPU whose siblings cannot be read counts as a core.
pub(crate) fn physical_cores(cpus: &[u32]) -> u32 {
    let mut cores = BTreeSet::new();
    for cpu in cpus {
        let siblings = read(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
        cores.insert(siblings.unwrap_or_else(|| format!("only {cpu}")));
    }
    u32::try_from(cores.len()).unwrap_or(u32::MAX)
}

/// The highest frequency of the driver, boost included.
pub(crate) fn highest_khz(cpu: u32) -> Option<u64> {
    read(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq"))?.parse().ok()
}

/// What chooses the clock, such as `performance`.
pub(crate) fn governor(cpu: u32) -> Option<String> {
    read(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))
}

/// Bytes of all last-level caches behind the logical CPUs; 0 when the kernel does not tell.
pub(crate) fn last_level_cache_bytes(cpus: &[u32]) -> u64 {
    let mut caches: BTreeMap<String, u64> = BTreeMap::new();
    for cpu in cpus {
        let last = (0..8)
            .map(|index| format!("/sys/devices/system/cpu/cpu{cpu}/cache/index{index}"))
            .filter_map(|folder| Some((read(&format!("{folder}/level"))?.parse::<u32>().ok()?, folder)))
            .max();
        let Some((_, folder)) = last else { continue };
        let size = read(&format!("{folder}/size")).and_then(|text| kibibytes(&text));
        let shared = read(&format!("{folder}/shared_cpu_list")).unwrap_or_else(|| cpu.to_string());
        caches.insert(shared, size.unwrap_or(0));
    }
    caches.values().sum()
}

/// Memory that can be had without swapping, in bytes.
pub(crate) fn memory_available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Nanoseconds that the calling thread has computed.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Microseconds for which this process's control group, or one above it, was held back because its share of
/// the processors was used up. It only counts up; 0 where there is no such limit.
pub(crate) fn throttled_us() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let mut folder = std::path::PathBuf::from(format!("/sys/fs/cgroup{path}"));
    let mut sum = 0;
    while folder.starts_with("/sys/fs/cgroup") {
        sum += fs::read_to_string(folder.join("cpu.stat")).map_or(0, |text| throttled(&text));
        folder.pop();
    }
    sum
}

fn throttled(cpu_stat: &str) -> u64 {
    let value = |line: &str| line.strip_prefix("throttled_usec ")?.trim().parse().ok();
    cpu_stat.lines().find_map(value).unwrap_or(0)
}

/// `"266240K"` in bytes.
fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix('K')?.parse::<u64>().ok()?.checked_mul(1024)
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_core() {
        let cpus = allowed();
        assert!(!cpus.is_empty());
        let cores = physical_cores(&cpus);
        assert!(cores >= 1 && cores as usize <= cpus.len());
    }

    #[test]
    fn sizes_and_limits_are_read() {
        assert_eq!(kibibytes("266240K"), Some(266_240 * 1024));
        assert_eq!(kibibytes("2M"), None);
        assert_eq!(throttled("usage_usec 5\nnr_throttled 2\nthrottled_usec 70\n"), 70);
        assert_eq!(throttled("usage_usec 5\n"), 0);
    }

    #[test]
    fn computing_takes_the_threads_time() {
        let before = thread_cpu_ns();
        while thread_cpu_ns() == before {}
        assert!(thread_cpu_ns() > before);
    }
}
