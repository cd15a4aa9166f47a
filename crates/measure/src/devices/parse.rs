//! What the makers' tools print. The texts in `crates/measure/tests/fixtures` have the layout of what people published
//! of several versions of each tool, with figures of our own; the first line of each names its source. None was run
//! here. What cannot be read is left out, never guessed.

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
        Some(Device { told_by: "nvidia-smi", index, name, memory_mib, watts, uuid: None })
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
    let read = |json: &str| serde_json::from_str(json).ok();
    let Some(Value::Object(cards)) = read(json).or_else(|| read(&with_commas(json))) else { return Vec::new() };
    let device = |(card, facts): (&String, &Value)| {
        let index = card.strip_prefix("card")?.parse().ok()?;
        let facts = facts.as_object()?;
        let find = |wanted: &dyn Fn(&str) -> bool| {
            let (key, value) = facts.iter().find(|(key, _)| wanted(&key.to_ascii_lowercase()))?;
            Some((key.to_ascii_lowercase(), value.as_str()?.trim().to_owned()))
        };
        let named = |wanted: &str| find(&|key| key == wanted).map(|(_, name)| chip(&name)).filter(|name| name != "N/A");
        let name = named("card series").or_else(|| named("device name"))?;
        let memory = find(&|key| key.contains("total memory") && !key.contains("used"));
        let memory_mib = memory.and_then(|(key, value)| {
            let number: u64 = value.parse().ok()?;
            Some(if key.contains("(mib)") { number } else { number >> 20 })
        });
        let watts = find(&|key| key.starts_with("max") && key.contains("power")).and_then(|(_, value)| watts(&value));
        Some(Device { told_by, index, name, memory_mib, watts, uuid: None })
    };
    let mut devices: Vec<Device> = cards.iter().filter_map(device).collect();
    devices.sort_by_key(|device| device.index);
    devices
}

/// The same with a comma before every text that stands where none may: versions of `hy-smi` leave some out.
fn with_commas(json: &str) -> String {
    let mut whole = String::with_capacity(json.len() + 64);
    let (mut inside, mut escaped, mut last) = (false, false, ',');
    for c in json.chars() {
        match c {
            '"' if !inside => {
                if !matches!(last, '{' | '[' | ',' | ':') {
                    whole.push(',');
                }
                inside = true;
            }
            '"' if !escaped => inside = false,
            _ => {}
        }
        escaped = inside && c == '\\' && !escaped;
        if !c.is_whitespace() {
            last = c;
        }
        whole.push(c);
    }
    whole
}

/// The name that people use, which stands in brackets behind that of the board where there is one: `Arcturus GL-XL [AMD
/// Instinct MI100]`.
fn chip(name: &str) -> String {
    let inner = name.strip_suffix(']').and_then(|name| name.split_once('['));
    inner.map_or(name, |(_, inner)| inner).trim().to_owned()
}

/// `npu-smi info`: a table with two rows for each chip. The first names it; the second has its memory last, as
/// `used / total` in MB, that of the device behind that of the processor where there are two. A NPU of several chips
/// repeats both. Names may be numbers, such as `310`.
pub(super) fn npu_smi(text: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    let mut named: Option<String> = None;
    // The table of processes comes behind, and has rows of another kind.
    for line in text.lines().take_while(|line| !line.contains("Process id")) {
        let Some(cells) = cells(line) else {
            named = None;
            continue;
        };
        let words: Vec<&str> = cells[0].split_whitespace().collect();
        if words.first().is_none_or(|number| number.parse::<u32>().is_err()) {
            continue;
        }
        match named.take() {
            None => named = words.get(1).map(|name| (*name).to_owned()),
            Some(name) => devices.push(Device {
                told_by: "npu-smi",
                index: u32::try_from(devices.len()).unwrap_or(u32::MAX),
                name,
                memory_mib: behind_slash(cells[2]).filter(|&mib| mib > 0),
                watts: None,
                uuid: None,
            }),
        }
    }
    devices
}

/// `cnmon`: a table with two rows for each card. The first has its number and name; the second its power cap, and its
/// memory as `used MiB/ total MiB`. A card of two chips is told as two.
pub(super) fn cnmon(text: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    let mut named: Option<(u32, String)> = None;
    for line in text.lines().take_while(|line| !line.contains("Processes:")) {
        let Some(cells) = cells(line) else {
            named = None;
            continue;
        };
        let words: Vec<&str> = cells[0].split_whitespace().collect();
        if let Some((index, name)) = named.take() {
            let memory_mib = behind_slash(cells[1]);
            let watts = behind_slash(cells[0]).and_then(|watts| u32::try_from(watts).ok());
            devices.push(Device { told_by: "cnmon", index, name, memory_mib, watts, uuid: None });
        } else if let [card, _, name, ..] = words[..] {
            named = card.parse().ok().map(|index| (index, name.to_owned()));
        }
    }
    devices
}

/// The three cells of a table's row.
fn cells(line: &str) -> Option<[&str; 3]> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    cells.try_into().ok()
}

/// The number behind the last slash, whatever its unit: `3401 / 65536`, `28 W/ 150 W`.
fn behind_slash(text: &str) -> Option<u64> {
    text.rsplit_once('/')?.1.split_whitespace().next()?.parse().ok()
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
        assert!(text.starts_with("Laid out as recorded ("), "a fixture says where it is from");
        let text = text.split_once('\n').map_or("", |(_, rest)| rest);
        let found = read(text);
        let found: Vec<_> = found.iter().map(|d| (d.index, d.name.as_str(), d.memory_mib, d.watts)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nvidia_smi_tells_words_where_it_knows_no_figure() {
        check(
            nvidia_smi,
            include_str!("../../tests/fixtures/nvidia-smi.txt"),
            &[
                (0, "NVIDIA H200", Some(143_771), Some(700)),
                (1, "NVIDIA A100 80GB PCIe", Some(81_920), None),
                (2, "NVIDIA GB10", None, None),
                (3, "NVIDIA L40S", None, None),
                (4, "Tesla K80", Some(11_441), None),
            ],
        );
    }

    #[test]
    fn rocm_smi_and_hy_smi_are_read_in_all_their_spellings() {
        check(
            rocm_smi,
            include_str!("../../tests/fixtures/rocm-smi-5.txt"),
            &[(0, "AMD Instinct MI100", Some(32_752), Some(290))],
        );
        check(
            rocm_smi,
            include_str!("../../tests/fixtures/rocm-smi-6.txt"),
            &[
                (0, "AMD Instinct MI300X", Some(196_592), Some(750)),
                (10, "AMD INSTINCT MI200 (MCM) OAM LC MBA HPE C2", Some(65_520), None),
            ],
        );
        check(
            hy_smi,
            include_str!("../../tests/fixtures/hy-smi.txt"),
            &[(0, "K100_AI", Some(65_520), Some(300)), (1, "K100_AI", Some(65_520), Some(300))],
        );
        check(
            hy_smi,
            include_str!("../../tests/fixtures/hy-smi-broken.txt"),
            &[(0, "BW", Some(65_520), Some(500)), (1, "BW", Some(65_520), Some(500))],
        );
    }

    #[test]
    fn missing_commas_are_set_and_texts_are_left_alone() {
        for (json, whole) in [
            (r#"{"a": "1""b": "2"}"#, r#"{"a": "1","b": "2"}"#),
            (r#"{"a": 1 "b": {} "c": ""}"#, r#"{"a": 1 ,"b": {} ,"c": ""}"#),
            (r#"{"a \" \\": "x, \"y\"", "b": ["", "c"]}"#, r#"{"a \" \\": "x, \"y\"", "b": ["", "c"]}"#),
        ] {
            assert_eq!(with_commas(json), whole);
            assert!(serde_json::from_str::<Value>(whole).is_ok(), "{whole}");
        }
    }

    #[test]
    fn npu_smi_is_read_from_version_22_to_26() {
        let one = |number, name, mib| (number, name, Some(mib), None);
        check(
            npu_smi,
            include_str!("../../tests/fixtures/npu-smi-22.0.4.txt"),
            &[one(0, "310", 7_757), one(1, "310P3", 21_527)],
        );
        check(npu_smi, include_str!("../../tests/fixtures/npu-smi-22.0.4-910.txt"), &[one(0, "910B", 32_768)]);
        check(
            npu_smi,
            include_str!("../../tests/fixtures/npu-smi-24.1.txt"),
            &[one(0, "910B4", 32_768), one(1, "910B4", 32_768)],
        );
        check(
            npu_smi,
            include_str!("../../tests/fixtures/npu-smi-26.0.txt"),
            &[one(0, "Ascend910", 65_536), one(1, "Ascend910", 65_536)],
        );
    }

    #[test]
    fn cnmon_is_read_in_versions_4_and_5() {
        check(
            cnmon,
            include_str!("../../tests/fixtures/cnmon-4.20.txt"),
            &[(0, "MLU370-X4", Some(23_308), Some(150)), (1, "MLU370-X4", Some(23_308), Some(150))],
        );
        check(
            cnmon,
            include_str!("../../tests/fixtures/cnmon-5.10.txt"),
            &[(0, "MLU370-X8", Some(23_374), Some(250)), (1, "MLU370-X8", Some(23_374), Some(250))],
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
