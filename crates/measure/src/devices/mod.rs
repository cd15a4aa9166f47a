//! Accelerators of this machine, as their makers' tools name them. Nothing here is measured: a device is what it says
//! it is, its rates are those that its maker declares of the part, and they stay uncertified.
//!
//! NVIDIA's devices are asked through NVML where this program is built with the feature `nvml` (loaded at run time;
//! absent without error), otherwise through `nvidia-smi`. The others are asked through `rocm-smi`, `hy-smi`,
//! `npu-smi` and `cnmon`. A tool that is not there says nothing; one that hangs is ended.

#[cfg(feature = "nvml")]
mod nvml;
mod parse;
mod tool;

use serde::Serialize;

use crate::parts::{Part, Registry};

/// One accelerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The tool that told of it.
    pub told_by: &'static str,
    /// Its number there.
    pub index: u32,
    /// Its name there: not always one part.
    pub name: String,
    /// All of its memory in MiB.
    pub memory_mib: Option<u64>,
    /// Its power cap in watts.
    pub watts: Option<u32>,
}

impl Device {
    /// The part that it is, when name and memory leave only one.
    #[must_use]
    pub fn part<'a>(&self, registry: &'a Registry) -> Option<&'a Part> {
        // Half a GiB more than the driver keeps for itself would round a 64 GiB device down.
        let gib = self.memory_mib.and_then(|mib| u32::try_from((mib + 512) / 1_024).ok());
        registry.identify(&self.name, gib)
    }
}

/// How one maker's devices are found.
struct Tool {
    program: &'static str,
    arguments: &'static [&'static str],
    read: fn(&str) -> Vec<Device>,
}

const TOOLS: [Tool; 5] = [
    Tool {
        program: "nvidia-smi",
        arguments: &["--query-gpu=index,name,memory.total,power.limit", "--format=csv,noheader,nounits"],
        read: parse::nvidia_smi,
    },
    Tool {
        program: "rocm-smi",
        arguments: &["--showproductname", "--showmeminfo", "vram", "--showmaxpower", "--json"],
        read: parse::rocm_smi,
    },
    Tool {
        program: "hy-smi",
        arguments: &["--showproductname", "--showmeminfo", "vram", "--showmaxpower", "--json"],
        read: parse::hy_smi,
    },
    Tool { program: "npu-smi", arguments: &["info"], read: parse::npu_smi },
    Tool { program: "cnmon", arguments: &["info"], read: parse::cnmon },
];

/// The accelerators of this machine; none where there are none, or where no tool tells of them. Takes as long as the
/// makers' tools take, some seconds each at most.
#[must_use]
pub fn devices() -> Vec<Device> {
    let mut found = Vec::new();
    #[cfg(feature = "nvml")]
    found.extend(nvml::devices());
    for tool in &TOOLS {
        if tool.program == "nvidia-smi" && found.iter().any(|device: &Device| device.told_by == "nvml") {
            continue;
        }
        if let Some(text) = tool::output(tool.program, tool.arguments) {
            found.extend((tool.read)(&text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_part_when_name_and_memory_say_so() {
        let registry = Registry::built_in();
        for (name, memory_mib, part) in [
            ("NVIDIA H200", Some(143_771), Some("H200-SXM5-141G")),
            ("NVIDIA A100-SXM4-80GB", Some(81_920), Some("A100-SXM4-80G")),
            ("910B3", Some(65_536), Some("Ascend-910B3-64G")),
            ("310P3", Some(21_527), Some("Ascend-310P3-24G")),
            ("AMD Instinct MI300X", Some(196_592), Some("MI300X-192G")),
            ("K100_AI", Some(65_520), Some("K100-AI-64G")),
            ("MLU370-X8", Some(46_080), Some("MLU370-X8-48G")),
            ("Tesla V100", Some(32_768), None),
            ("a device of tomorrow", Some(1_000), None),
        ] {
            let device = Device { told_by: "test", index: 0, name: name.into(), memory_mib, watts: None };
            assert_eq!(device.part(&registry).map(|part| part.id.as_str()), part, "{name}");
        }
    }

    #[test]
    fn a_machine_without_devices_is_no_error() {
        // Whatever this machine has, each device carries a name.
        assert!(devices().iter().all(|device| !device.name.is_empty()));
    }
}
