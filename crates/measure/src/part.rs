//! The part number of a CPU pool, made from the model string that the kernel gives.

/// Words that say nothing about the part: vendors whose model is unmistakable without them, and noise.
const NOISE: [&str; 12] =
    ["amd", "intel", "hisilicon", "phytium", "zhaoxin", "cpu", "processor", "soc", "gen", "dual", "quad", "eight"];

/// Arm parts by implementer and part number, as `lscpu` of util-linux knows them (`sys-utils/lscpu-arm.c`).
const ARM_PARTS: [(&str, &str, &str); 8] = [
    ("0x48", "0xd01", "Kunpeng-920"),
    ("0x48", "0xd02", "TaiShan-v120"),
    ("0x41", "0xd0c", "Neoverse-N1"),
    ("0x41", "0xd40", "Neoverse-V1"),
    ("0x41", "0xd49", "Neoverse-N2"),
    ("0x41", "0xd4f", "Neoverse-V2"),
    ("0x70", "0x662", "FTC662"),
    ("0x70", "0x663", "FTC663"),
];

/// The pool's part number from a CPU model string: `cpu:` and the words that tell the part, joined by
/// hyphens. `"AMD EPYC 9B14 96-Core Processor"` is `cpu:EPYC-9B14`; an empty or meaningless string is
/// `cpu:unknown`. Letters, digits, `.` and `-` only, so that the name needs no quoting anywhere.
///
/// ```
/// assert_eq!(huisuan_measure::cpu_part("AMD EPYC 7742 64-Core Processor"), "cpu:EPYC-7742");
/// ```
#[must_use]
pub fn cpu_part(model: &str) -> String {
    // Everything after the at sign is the base clock.
    let model = model.split('@').next().unwrap_or_default();
    let model = drop_trademarks(model).replace('+', "plus");
    let mut words: Vec<String> = Vec::new();
    for word in model.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')) {
        let word = word.trim_matches(|c| c == '-' || c == '.');
        if !is_noise(word) {
            words.push(word.to_owned());
        }
    }
    if words.is_empty() {
        return "cpu:unknown".to_owned();
    }
    format!("cpu:{}", words.join("-"))
}

/// The model of an Arm CPU from the implementer and part number in `/proc/cpuinfo`; a part not in the
/// table keeps its numbers, so that two different parts never share a name.
pub(crate) fn arm_model(implementer: &str, part: &str) -> String {
    ARM_PARTS
        .iter()
        .find(|known| known.0 == implementer && known.1 == part)
        .map_or_else(|| format!("arm-{implementer}-{part}"), |known| known.2.to_owned())
}

fn drop_trademarks(model: &str) -> String {
    ["(R)", "(r)", "(TM)", "(tm)", "®", "™"].iter().fold(model.to_owned(), |text, mark| text.replace(mark, " "))
}

fn is_noise(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let core_count = lower
        .strip_suffix("-core")
        .or_else(|| lower.strip_suffix("-cores"))
        .is_some_and(|count| count.bytes().all(|b| b.is_ascii_digit()));
    // "13th Gen Intel Core": the part number behind it says the generation.
    let ordinal = lower.strip_suffix("th").is_some_and(|count| count.bytes().all(|b| b.is_ascii_digit()));
    lower.is_empty() || core_count || ordinal || NOISE.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_strings_seen_in_the_field() {
        for (model, part) in [
            ("AMD EPYC 9B14 96-Core Processor", "cpu:EPYC-9B14"),
            ("AMD EPYC 7742 64-Core Processor", "cpu:EPYC-7742"),
            ("AMD EPYC-Milan Processor", "cpu:EPYC-Milan"),
            ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "cpu:Ryzen-Threadripper-PRO-5995WX"),
            ("AMD Ryzen 9 7950X 16-Core Processor", "cpu:Ryzen-9-7950X"),
            ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", "cpu:Xeon-Gold-6248R"),
            ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "cpu:Xeon-E5-2680-v4"),
            ("Intel(R) Xeon(R) Platinum 8480+", "cpu:Xeon-Platinum-8480plus"),
            ("INTEL(R) XEON(R) PLATINUM 8592+", "cpu:XEON-PLATINUM-8592plus"),
            ("Intel(R) Xeon(R) 6980P", "cpu:Xeon-6980P"),
            ("Intel(R) Xeon(R) Processor @ 2.60GHz", "cpu:Xeon"),
            ("13th Gen Intel(R) Core(TM) i9-13900K", "cpu:Core-i9-13900K"),
            ("Hygon C86 7185 32-core Processor", "cpu:Hygon-C86-7185"),
            ("Hygon C86-4G (OPN:7490)", "cpu:Hygon-C86-4G-OPN-7490"),
            ("Kunpeng-920", "cpu:Kunpeng-920"),
            ("HiSilicon Kunpeng 920-6426", "cpu:Kunpeng-920-6426"),
            ("Phytium,FT-2000+/64", "cpu:FT-2000plus-64"),
            ("Loongson-3C5000L", "cpu:Loongson-3C5000L"),
            ("ZHAOXIN KaiSheng KH-40000/16@2.2GHz", "cpu:KaiSheng-KH-40000-16"),
            ("QEMU Virtual CPU version 2.5+", "cpu:QEMU-Virtual-version-2.5plus"),
            ("arm-0x61-0x022", "cpu:arm-0x61-0x022"),
            ("Processor", "cpu:unknown"),
            ("", "cpu:unknown"),
            ("未知处理器", "cpu:unknown"),
        ] {
            assert_eq!(cpu_part(model), part, "{model}");
        }
    }

    #[test]
    fn arm_parts_are_named_or_numbered() {
        assert_eq!(arm_model("0x48", "0xd01"), "Kunpeng-920");
        assert_eq!(arm_model("0x61", "0x022"), "arm-0x61-0x022");
    }
}
