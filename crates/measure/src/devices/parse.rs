//! What the makers' tools print. The texts in `crates/measure/tests/fixtures` were written from public documentation
//! and examples, not recorded on devices; the first line of each says so. What cannot be read is left out, never
//! guessed.

use serde_json::Value;

use super::Device;

/// `nvidia-smi --query-gpu=index,name,memory.total,power.limit --format=csv,noheader,nounits`: one line for each.
pub(super) fn nvidia_smi(text: &str) -> Vec<Device> {
    let device = |line: &str| {
        let mut fields = line.split(',').map(str::trim);
        let index = fields.next()?.parse().ok()?;
        let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
        let memory_mib = fields.next().and_then(|field| field.parse().ok());
        let watts = fields.next().and_then(watts);
        Some(Device { told_by: "nvidia-smi", index, name, memory_mib, watts })
    };
    text.lines().filter_map(device).collect()
}

/// `rocm-smi --showproductname --showmeminfo vram --showmaxpower --json`.
pub(super) fn rocm_smi(text: &str) -> Vec<Device> {
    cards("rocm-smi", text)
}

/// `hy-smi`, which descends from `rocm-smi` and prints the same with other words.
pub(super) fn hy_smi(text: &str) -> Vec<Device> {
    cards("hy-smi", text)
}

/// An object with one entry `cardN` for each device; the keys differ in case and unit between versions.
fn cards(told_by: &'static str, text: &str) -> Vec<Device> {
    // Warnings may stand before the object.
    let json = text.find('{').map_or("", |start| &text[start..]);
    let Ok(Value::Object(cards)) = serde_json::from_str(json) else { return Vec::new() };
    let device = |(card, facts): (&String, &Value)| {
        let index = card.strip_prefix("card")?.parse().ok()?;
        let facts = facts.as_object()?;
        let find = |wanted: &dyn Fn(&str) -> bool| {
            let (key, value) = facts.iter().find(|(key, _)| wanted(&key.to_ascii_lowercase()))?;
            Some((key.to_ascii_lowercase(), value.as_str()?.trim().to_owned()))
        };
        let (_, name) = find(&|key| key == "card series" || key == "card_series")?;
        let memory = find(&|key| key.contains("total memory") && !key.contains("used"));
        let memory_mib = memory.and_then(|(key, value)| {
            let number: u64 = value.parse().ok()?;
            Some(if key.contains("(mib)") { number } else { number >> 20 })
        });
        let watts = find(&|key| key.starts_with("max") && key.contains("power")).and_then(|(_, value)| watts(&value));
        Some(Device { told_by, index, name, memory_mib, watts })
    };
    let mut devices: Vec<Device> = cards.iter().filter_map(device).collect();
    devices.sort_by_key(|device| device.index);
    devices
}

/// `npu-smi info`: a table with two lines for each chip. The first names the device; the second has its memory last,
/// as `used / total` in MB.
pub(super) fn npu_smi(text: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    let mut named: Option<String> = None;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [first, _, third] = cells[..] else { continue };
        let words: Vec<&str> = first.split_whitespace().collect();
        match (&words[..], &named) {
            ([number, name], None) if number.parse::<u32>().is_ok() && name.parse::<u32>().is_err() => {
                named = Some((*name).to_owned());
            }
            ([number, ..], Some(name)) if number.parse::<u32>().is_ok() => {
                let memory_mib = third.rsplit('/').next().and_then(|total| total.trim().parse().ok());
                devices.push(Device {
                    told_by: "npu-smi",
                    index: u32::try_from(devices.len()).unwrap_or(u32::MAX),
                    name: name.clone(),
                    memory_mib: memory_mib.filter(|&mib| mib > 0),
                    watts: None,
                });
                named = None;
            }
            _ => {}
        }
    }
    devices
}

/// `cnmon info`: a block of indented `key : value` for each card, with sections of their own.
pub(super) fn cnmon(text: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(index) = line.trim().strip_prefix("Card ").and_then(|number| number.trim().parse().ok()) {
            devices.push(Device { told_by: "cnmon", index, name: String::new(), memory_mib: None, watts: None });
            section.clear();
            continue;
        }
        let Some(device) = devices.last_mut() else { continue };
        let (key, value) = line.split_once(':').map_or((line.trim(), ""), |(key, value)| (key.trim(), value.trim()));
        let first = value.split_whitespace().next().unwrap_or_default();
        match (key, value) {
            ("Product Name", name) => device.name = name.to_owned(),
            (name, "") => section = name.to_owned(),
            ("Total", _) if section.starts_with("Physical Memory") => device.memory_mib = first.parse().ok(),
            ("Cap", _) if section.starts_with("Power") => device.watts = watts(first),
            _ => {}
        }
    }
    devices.retain(|device| !device.name.is_empty());
    devices
}

/// Whole watts of `"700.00"`; what is no number, such as `[N/A]`, is nothing.
fn watts(text: &str) -> Option<u32> {
    text.trim().split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (u32, &'static str, Option<u64>, Option<u32>);

    fn check(read: fn(&str) -> Vec<Device>, text: &str, expected: &[Row]) {
        assert!(text.starts_with("Written from documentation, not recorded"), "a fixture says what it is");
        let text = text.split_once('\n').map_or("", |(_, rest)| rest);
        let found = read(text);
        let found: Vec<_> = found.iter().map(|d| (d.index, d.name.as_str(), d.memory_mib, d.watts)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_makers_tools_are_read() {
        check(
            nvidia_smi,
            include_str!("../../tests/fixtures/nvidia-smi.txt"),
            &[(0, "NVIDIA H200", Some(143_771), Some(700)), (1, "NVIDIA A100 80GB PCIe", Some(81_920), None)],
        );
        check(
            rocm_smi,
            include_str!("../../tests/fixtures/rocm-smi.txt"),
            &[
                (0, "AMD Instinct MI300X", Some(196_592), Some(750)),
                (10, "AMD Instinct MI300X", Some(196_592), Some(750)),
            ],
        );
        check(
            hy_smi,
            include_str!("../../tests/fixtures/hy-smi.txt"),
            &[(0, "K100_AI", Some(65_520), Some(400)), (1, "K100_AI", Some(65_520), Some(400))],
        );
        check(
            npu_smi,
            include_str!("../../tests/fixtures/npu-smi-910b.txt"),
            &[(0, "910B3", Some(65_536), None), (1, "910B3", Some(65_536), None)],
        );
        check(npu_smi, include_str!("../../tests/fixtures/npu-smi-310p.txt"), &[(0, "310P3", Some(21_527), None)]);
        check(
            cnmon,
            include_str!("../../tests/fixtures/cnmon.txt"),
            &[(0, "MLU370-X8", Some(46_080), Some(250)), (1, "MLU370-X8", Some(46_080), Some(250))],
        );
    }

    #[test]
    fn what_a_tool_says_without_devices_is_none() {
        for text in ["", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "{", "{}"] {
            for read in [nvidia_smi, rocm_smi, hy_smi, npu_smi, cnmon] {
                assert_eq!(read(text), [], "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_reader(text in ".{0,400}", lines in prop::collection::vec("[|+= a-zA-Z0-9:/.,{}\"-]{0,60}", 0..12)) {
            for text in [text, lines.join("\n")] {
                for read in [nvidia_smi, rocm_smi, hy_smi, npu_smi, cnmon] {
                    prop_assert!(read(&text).iter().all(|device| !device.name.is_empty()));
                }
            }
        }
    }
}
