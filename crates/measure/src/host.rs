//! What the machine says about itself: CPU model, SIMD width, clock, cores, and the nameplate
//! computed from them.
//!
//! Sources: `/proc/cpuinfo` (model and flags), `/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq`
//! (highest clock), `topology/thread_siblings_list` (which hardware threads share a core) and the
//! calling thread's affinity mask. Linux only, like the engines this crate serves.

use crate::part;
use crate::spec::Precision;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Where the clock in [`Host::clock_khz`] comes from; it decides how far the nameplate can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The highest frequency of the cpufreq driver, boost included.
    CpufreqMax,
    /// The present frequency in `/proc/cpuinfo`; in a virtual machine usually the base clock, which
    /// boost exceeds, so a measured rate above the nameplate is then no contradiction.
    CpuinfoNow,
    /// The machine does not tell.
    Unknown,
}

/// What the machine says about itself. Declared by hardware and kernel, not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The CPU model as the kernel names it; on Arm, composed from implementer and part.
    pub cpu_model: String,
    /// The architecture, for instance `x86_64` or `aarch64`.
    pub architecture: String,
    /// Logical CPUs of the machine, whether or not this process may use them.
    pub logical_cpus: u32,
    /// Whether the CPU has 256-bit vectors (AVX2).
    pub avx2: bool,
    /// Whether it has fused multiply-add on x86 (FMA3).
    pub fma: bool,
    /// Whether it has 512-bit vectors (AVX-512F).
    pub avx512: bool,
    /// Whether it multiplies BF16 pairs in vectors (AVX512_BF16).
    pub avx512_bf16: bool,
    /// Whether it has BF16 tiles (AMX_BF16).
    pub amx_bf16: bool,
    /// Whether it has 128-bit vectors on Arm (ASIMD, with fused multiply-add).
    pub asimd: bool,
    /// The highest clock known, in kHz.
    pub clock_khz: Option<u64>,
    /// Where that clock comes from.
    pub clock_source: ClockSource,
}

impl Host {
    /// Reads the machine. What cannot be read is left unknown.
    #[must_use]
    pub fn detect() -> Self {
        let mut host =
            Self::from_cpuinfo(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), std::env::consts::ARCH);
        let highest = allowed_cpus().into_iter().filter_map(highest_khz).max();
        if highest.is_some() {
            host.clock_khz = highest;
            host.clock_source = ClockSource::CpufreqMax;
        }
        host
    }

    /// Reads the text of `/proc/cpuinfo`. Clocks are taken from it as a second best.
    fn from_cpuinfo(text: &str, architecture: &str) -> Self {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let mut logical_cpus = 0;
        let mut clock_khz = None;
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let (key, value) = (key.trim(), value.trim());
            match key {
                "processor" => logical_cpus += 1,
                "cpu MHz" | "CPU MHz" => clock_khz = clock_khz.max(khz_from_mhz(value)),
                _ => {}
            }
            first.entry(key).or_insert(value);
        }
        let get = |key: &str| first.get(key).copied();
        let flags: BTreeSet<&str> =
            get("flags").or_else(|| get("Features")).unwrap_or_default().split_whitespace().collect();
        let arm = || Some(part::arm_model(get("CPU implementer")?, get("CPU part")?));
        let model = get("model name").or_else(|| get("Model Name"));
        Self {
            cpu_model: model.map(str::to_owned).or_else(arm).unwrap_or_default(),
            architecture: architecture.to_owned(),
            logical_cpus,
            avx2: flags.contains("avx2"),
            fma: flags.contains("fma"),
            avx512: flags.contains("avx512f"),
            avx512_bf16: flags.contains("avx512_bf16"),
            amx_bf16: flags.contains("amx_bf16"),
            asimd: flags.contains("asimd"),
            clock_khz,
            clock_source: if clock_khz.is_some() { ClockSource::CpuinfoNow } else { ClockSource::Unknown },
        }
    }

    /// Floating point operations per cycle and physical core, at most: vector lanes x 2 for a fused
    /// multiply-add x 2 units. Sources: Intel's and AMD's optimisation manuals; cores with one 512-bit
    /// unit reach half of it, so a nameplate computed from this is an upper bound.
    ///
    /// | widest unit | FP64 | FP32 | BF16 |
    /// |---|---|---|---|
    /// | AVX-512 | 32 | 64 | 64 (AVX512_BF16: 128, AMX_BF16: 1024) |
    /// | AVX2 with FMA | 16 | 32 | 32 |
    /// | ASIMD, four units of 128 bits | 16 | 32 | 32 |
    ///
    /// BF16 without BF16 arithmetic is the FP32 rate, for it is widened. Many Arm cores have two units
    /// and reach half. `None` for anything older or unknown.
    pub(crate) fn flop_per_cycle(&self, precision: Precision) -> Option<u32> {
        let fp64 = if self.avx512 {
            32
        } else if (self.avx2 && self.fma) || self.asimd {
            16
        } else {
            return None;
        };
        Some(match precision {
            Precision::Fp64 => fp64,
            Precision::Fp32 => 2 * fp64,
            Precision::Bf16 if self.amx_bf16 => 1_024,
            Precision::Bf16 if self.avx512_bf16 => 128,
            Precision::Bf16 => 2 * fp64,
        })
    }

    /// The computed peak of so many physical cores, in GFLOP/s, rounded down.
    pub(crate) fn nameplate_gflops(&self, precision: Precision, physical_cores: u32) -> Option<u64> {
        let per_cycle = u64::from(self.flop_per_cycle(precision)?);
        Some(u64::from(physical_cores) * self.clock_khz? * per_cycle / 1_000_000)
    }
}

/// The logical CPUs that the calling thread may run on, in ascending order. On a machine with more
/// CPUs than the affinity mask holds (1,024), those numbered from 0.
pub(crate) fn allowed_cpus() -> Vec<u32> {
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
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let siblings = fs::read_to_string(path).unwrap_or_default();
        let siblings = siblings.trim();
        cores.insert(if siblings.is_empty() { format!("only {cpu}") } else { siblings.to_owned() });
    }
    u32::try_from(cores.len()).unwrap_or(u32::MAX)
}

fn highest_khz(cpu: u32) -> Option<u64> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `"2299.998"` is 2,299,998 kHz: the kernel prints at most three decimals.
fn khz_from_mhz(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = format!("{fraction}000").chars().take(3).collect();
    Some(whole.parse::<u64>().ok()? * 1_000 + digits.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ICE_LAKE: &str = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n\
        cpu MHz\t\t: 2000.000\nflags\t\t: fpu sse2 avx2 fma avx512f\n\n\
        processor\t: 1\nmodel name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n\
        cpu MHz\t\t: 3199.998\nflags\t\t: fpu sse2 avx2 fma avx512f\n";
    const KUNPENG: &str = "processor\t: 0\nBogoMIPS\t: 200.00\nFeatures\t: fp asimd evtstrm\n\
        CPU implementer\t: 0x48\nCPU architecture: 8\nCPU part\t: 0xd01\n";

    #[test]
    fn an_x86_server_is_read() {
        let host = Host::from_cpuinfo(ICE_LAKE, "x86_64");
        assert_eq!(host.cpu_model, "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz");
        assert_eq!(host.logical_cpus, 2);
        assert!(host.avx2 && host.fma && host.avx512 && !host.avx512_bf16 && !host.asimd);
        assert_eq!(host.clock_khz, Some(3_199_998));
        assert_eq!(host.clock_source, ClockSource::CpuinfoNow);
        // 2 cores x 3.199998 GHz x 32 operations per cycle.
        assert_eq!(host.nameplate_gflops(Precision::Fp64, 2), Some(204));
        assert_eq!(host.nameplate_gflops(Precision::Fp32, 2), Some(409));
        assert_eq!(host.nameplate_gflops(Precision::Bf16, 2), Some(409));
    }

    #[test]
    fn an_arm_server_has_no_clock_and_so_no_nameplate() {
        let host = Host::from_cpuinfo(KUNPENG, "aarch64");
        assert_eq!(host.cpu_model, "Kunpeng-920");
        assert!(host.asimd && !host.avx2);
        assert_eq!(host.clock_source, ClockSource::Unknown);
        assert_eq!(host.flop_per_cycle(Precision::Fp64), Some(16));
        assert_eq!(host.nameplate_gflops(Precision::Fp64, 64), None);
    }

    #[test]
    fn an_unreadable_machine_is_unknown() {
        let host = Host::from_cpuinfo("", "riscv64");
        assert_eq!(host.cpu_model, "");
        assert_eq!(host.logical_cpus, 0);
        assert_eq!(host.flop_per_cycle(Precision::Fp32), None);
    }

    #[test]
    fn clocks_are_read_exactly() {
        for (text, khz) in [
            ("2300.000", Some(2_300_000)),
            ("2299.998", Some(2_299_998)),
            ("2300", Some(2_300_000)),
            ("2300.5", Some(2_300_500)),
            ("unknown", None),
        ] {
            assert_eq!(khz_from_mhz(text), khz, "{text}");
        }
    }

    #[test]
    fn this_machine_has_a_core() {
        let cpus = allowed_cpus();
        assert!(!cpus.is_empty());
        let cores = physical_cores(&cpus);
        assert!(cores >= 1 && cores as usize <= cpus.len());
    }
}
