//! Accelerators of this machine, as their makers' tools name them. Nothing here is measured: a device is what it says
//! it is, its rates are those that its maker declares of the part, and they stay uncertified unless
//! [`crate::measure_devices`] finds out.
//!
//! NVIDIA's devices are asked through NVML where this program is built with the feature `nvml` (loaded at run time;
//! absent without error), otherwise through `nvidia-smi`. The others are asked through `rocm-smi`, `hy-smi`,
//! `npu-smi` and `cnmon`. A tool that is not there says nothing; one that hangs is ended.

#[cfg(feature = "nvml")]
mod nvml;
mod parse;
mod tool;

#[cfg(feature = "cuda")]
pub(crate) use nvml::{Meter, Meters};

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
    /// What tells it from all others, where the tool says: the same in all of its maker's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

impl Device {
    /// The part that it is, when name and memory leave only one.
    #[must_use]
    pub fn part<'a>(&self, registry: &'a Registry) -> Option<&'a Part> {
        if self.told_by == "npu-smi" && FAMILIES.contains(&self.name.as_str()) {
            return None;
        }
        // Half a GiB more than the driver keeps for itself would round a 64 GiB device down.
        let gib = self.memory_mib.and_then(|mib| u32::try_from((mib + 512) / 1_024).ok());
        registry.identify(&self.name, gib)
    }
}

/// What `npu-smi` calls several chips alike: `910B` is the second form of the first generation there, whose memory is
/// that of the 910B4 of the second, and `Ascend910` one of many since.
const FAMILIES: [&str; 3] = ["910", "910B", "Ascend910"];

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
    Tool { program: "cnmon", arguments: &[], read: parse::cnmon },
];

/// What the makers' tools told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The accelerators that they name.
    pub devices: Vec<Device>,
    /// Tools that said something which is no list of devices in any form that is known here.
    pub unread: Vec<Unread>,
}

/// A tool that was not understood: its devices are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The command.
    pub told_by: String,
    /// The beginning of what it said.
    pub said: String,
}

/// The accelerators of this machine; none where there are none, or where no tool tells of them. Takes as long as the
/// makers' tools take, some seconds each at most.
#[must_use]
pub fn devices() -> Found {
    let mut found = Found::default();
    #[cfg(feature = "nvml")]
    found.devices.extend(nvml::devices(None));
    for tool in &TOOLS {
        if tool.program == "nvidia-smi" && found.devices.iter().any(|device| device.told_by == "nvml") {
            continue;
        }
        if let Some(text) = tool::output(tool.program, tool.arguments) {
            tool.take(&text, &mut found);
        }
    }
    found
}

/// What tools say where there is no device, in small letters.
const NO_DEVICES: [&str; 4] = ["no devices", "no device", "no amd gpu", "no hcu"];
/// So much of what was not understood is told.
const SAID_CHARS_MAX: usize = 120;

impl Tool {
    /// Takes what the tool said.
    fn take(&self, text: &str, found: &mut Found) {
        let devices = (self.read)(text);
        let small = text.to_ascii_lowercase();
        let nothing = matches!(text.trim(), "" | "{}") || NO_DEVICES.iter().any(|words| small.contains(words));
        if devices.is_empty() && !nothing {
            let command: Vec<&str> = [self.program].into_iter().chain(self.arguments.iter().copied()).collect();
            // Lines of a table say nothing by themselves.
            let line = text.lines().map(str::trim).find(|line| line.contains(char::is_alphanumeric));
            let said = line.unwrap_or_default().chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
            found.unread.push(Unread { told_by: command.join(" "), said });
        }
        found.devices.extend(devices);
    }
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
            let device = Device { told_by: "test", index: 0, name: name.into(), memory_mib, watts: None, uuid: None };
            assert_eq!(device.part(&registry).map(|part| part.id.as_str()), part, "{name}");
        }
    }

    #[test]
    fn a_name_of_many_chips_is_no_part() {
        let registry = Registry::built_in();
        for (told_by, name, part) in [
            ("npu-smi", "910B4", Some("Ascend-910B4-32G")),
            ("npu-smi", "910B", None),
            ("npu-smi", "Ascend910", None),
            // A card of two chips with half of the memory each.
            ("cnmon", "MLU370-X4", Some("MLU370-X4-24G")),
        ] {
            let memory_mib = Some(if told_by == "cnmon" { 23_308 } else { 32_768 });
            let device = Device { told_by, index: 0, name: name.into(), memory_mib, watts: None, uuid: None };
            assert_eq!(device.part(&registry).map(|part| part.id.as_str()), part, "{name}");
        }
    }

    #[test]
    fn what_no_reader_understands_is_told_and_not_guessed() {
        for (program, text, said) in [
            ("npu-smi", "+----+\n| npu-smi 99.0   Version: 99.0 |\n", Some("| npu-smi 99.0   Version: 99.0 |")),
            ("cnmon", "Card 0\n    Product Name : MLU370-X8\n", Some("Card 0")),
            ("rocm-smi", "[{\"gpu\": 0}]", Some("[{\"gpu\": 0}]")),
            ("hy-smi", "{}\n", None),
            ("nvidia-smi", "No devices were found\n", None),
            ("nvidia-smi", "", None),
            ("nvidia-smi", "0, NVIDIA H200, 143771, 700.00\n", None),
        ] {
            let tool = TOOLS.iter().find(|tool| tool.program == program).expect("a tool");
            let mut found = Found::default();
            tool.take(text, &mut found);
            assert_eq!(found.unread.first().map(|unread| unread.said.as_str()), said, "{program}");
            assert!(found.unread.iter().all(|unread| unread.told_by.starts_with(program)));
        }
    }

    #[test]
    fn a_machine_without_devices_is_no_error() {
        // Whatever this machine has, each device carries a name.
        assert!(devices().devices.iter().all(|device| !device.name.is_empty()));
    }
}
