//! What the machine says about itself: CPU model, flags, clock, governor, cores, kernel.
//!
//! Sources: `/proc/cpuinfo` (model and flags), `/sys/devices/system/cpu/cpu*/cpufreq` (highest clock and
//! governor), `/proc/sys/kernel/osrelease`. Linux only, like the engines this crate serves.

use crate::{cpus, part};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Where the clock in [`Host::clock_khz`] comes from; it decides how far the nameplate can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The highest frequency of the cpufreq driver, boost included.
    CpufreqMax,
    /// The present frequency in `/proc/cpuinfo`; in a virtual machine usually the base clock.
    CpuinfoNow,
    /// Timed while measuring, because it was higher than what the machine tells: boost in a virtual machine.
    Timed,
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
    /// What chooses the clock, such as `performance`; virtual machines usually do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// Whether a hypervisor says that it is there.
    #[serde(default)]
    pub virtual_machine: bool,
    /// The kernel's release.
    #[serde(default)]
    pub kernel: String,
    /// All flags of the processor in alphabetical order, joined by spaces.
    #[serde(default)]
    pub flags: String,
}

impl Host {
    /// Reads the machine. What cannot be read is left unknown.
    #[must_use]
    pub fn detect() -> Self {
        let mut host =
            Self::from_cpuinfo(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), std::env::consts::ARCH);
        let allowed = cpus::allowed();
        host.governor = allowed.first().and_then(|&cpu| cpus::governor(cpu));
        host.kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let highest = allowed.into_iter().filter_map(cpus::highest_khz).max();
        if highest.is_some() {
            host.clock_khz = highest;
            host.clock_source = ClockSource::CpufreqMax;
        }
        host
    }

    /// Reads the text of `/proc/cpuinfo`. Clocks are taken from it as a second best.
    pub(crate) fn from_cpuinfo(text: &str, architecture: &str) -> Self {
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
            governor: None,
            virtual_machine: flags.contains("hypervisor"),
            kernel: String::new(),
            flags: flags.into_iter().collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether the processor has this flag, as the kernel names it.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|known| known == flag)
    }

    /// A clock that a core was seen to reach: a peak computed from a lower one would be passed.
    pub(crate) fn raise_clock(&mut self, timed_khz: u64) {
        if self.clock_khz.is_none_or(|told| told < timed_khz) {
            self.clock_khz = Some(timed_khz);
            self.clock_source = ClockSource::Timed;
        }
    }
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
    use huisuan_model::Precision;

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
}
