//! Files of parts: TOML with `[[part]]` for devices and `[[processor]]` for processors.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{PoolId, Precision};
use serde::Deserialize;

use super::{Confidence, Figure, Part};

/// Why a file of parts is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// The text is not of the form.
    #[error("parts file `{file}` is not valid: {problem}; hint: see `huisuan measure parts -o json` for the fields")]
    Form {
        /// Which file.
        file: String,
        /// What is wrong where.
        problem: String,
    },
    /// A part is there twice.
    #[error("parts file `{file}` has part `{part}` twice; hint: one id is one variant, memory and power cap")]
    Twice {
        /// Which file.
        file: String,
        /// Which part.
        part: String,
    },
    /// A figure cannot be what it says.
    #[error("parts file `{file}`, part `{part}`: {problem}; hint: {hint}")]
    Figure {
        /// Which file.
        file: String,
        /// Which part.
        part: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    part: Vec<Device>,
    #[serde(default)]
    processor: Vec<Processor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    id: String,
    vendor: String,
    part_number: String,
    variant: String,
    #[serde(default)]
    names: Vec<String>,
    memory_gib: u32,
    bandwidth_gb_per_s: Option<u32>,
    watts: Option<u32>,
    source: String,
    confidence: Confidence,
    peak: BTreeMap<Precision, Peak>,
}

/// A figure with the part's source, or with its own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Peak {
    Plain(u64),
    Sourced(Sourced),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sourced {
    gflops: u64,
    source: String,
    confidence: Confidence,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Processor {
    id: String,
    vendor: String,
    #[serde(default)]
    names: Vec<String>,
    cores: u32,
    base_mhz: u32,
    highest_mhz: u32,
    flop_per_cycle_fp64: u32,
    watts: Option<u32>,
    source: String,
    confidence: Confidence,
}

/// Reads a file's parts in the order in which they stand there.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Part>, PartsError> {
    let file: File = toml::from_str(text)
        .map_err(|error| PartsError::Form { file: name.to_owned(), problem: error.to_string().trim().to_owned() })?;
    let devices = file.part.into_iter().map(Part::from);
    let parts: Vec<Part> = devices.chain(file.processor.into_iter().map(Part::from)).collect();
    let mut seen = BTreeSet::new();
    for part in &parts {
        if !seen.insert(&part.id) {
            return Err(PartsError::Twice { file: name.to_owned(), part: part.id.clone() });
        }
        check(name, part)?;
    }
    Ok(parts)
}

fn check(name: &str, part: &Part) -> Result<(), PartsError> {
    let wrong =
        |problem: String, hint| PartsError::Figure { file: name.to_owned(), part: part.id.clone(), problem, hint };
    if let Err(error) = PoolId::new(&part.id) {
        return Err(wrong(error.to_string(), "an id is the name of a pool"));
    }
    if part.peak.is_empty() || part.memory_gib == Some(0) || part.cores == Some(0) {
        let hint = "give at least one dense rate, and the memory in GiB or the cores";
        return Err(wrong("it has no peak, no memory or no cores".into(), hint));
    }
    if let Some((precision, _)) = part.peak.iter().find(|(_, figure)| figure.gflops == 0) {
        return Err(wrong(format!("its {precision} rate is 0"), "leave out what nobody declares"));
    }
    let peak = |precision| part.peak.get(&precision).map(|figure| figure.gflops);
    // Matrix units at most quadruple the rate from FP16 to FP8 or INT8, sparsity included it would be eight times.
    for (narrow, wide) in [(Precision::Fp8, Precision::Bf16), (Precision::Int8, Precision::Fp16)] {
        if let (Some(narrow_rate), Some(wide_rate)) = (peak(narrow), peak(wide))
            && narrow_rate > 4 * wide_rate
        {
            let problem = format!("{narrow} is {narrow_rate} GFLOP/s and more than four times {wide}");
            return Err(wrong(problem, "enter dense rates, not those with sparsity"));
        }
    }
    Ok(())
}

/// Refuses a replacement that doubles a known figure exactly: rates with sparsity are twice the dense ones.
pub(super) fn not_sparse(name: &str, known: &Part, new: &Part) -> Result<(), PartsError> {
    for (precision, figure) in &new.peak {
        let Some(old) = known.peak.get(precision) else { continue };
        if figure.gflops.abs_diff(2 * old.gflops) <= old.gflops / 200 {
            return Err(PartsError::Figure {
                file: name.to_owned(),
                part: new.id.clone(),
                problem: format!("its {precision} rate of {} GFLOP/s is twice the known {}", figure.gflops, old.gflops),
                hint: "enter the dense rate, not the one with sparsity",
            });
        }
    }
    Ok(())
}

impl From<Device> for Part {
    fn from(device: Device) -> Self {
        let figure = |peak: Peak| {
            let (gflops, source, confidence) = match peak {
                Peak::Plain(gflops) => (gflops, device.source.clone(), device.confidence),
                Peak::Sourced(own) => (own.gflops, own.source, own.confidence),
            };
            Figure { gflops, ceiling_gflops: gflops, source, confidence }
        };
        Part {
            peak: device.peak.into_iter().map(|(precision, peak)| (precision, figure(peak))).collect(),
            id: device.id,
            vendor: device.vendor,
            part_number: device.part_number,
            variant: device.variant,
            names: device.names,
            cores: None,
            memory_gib: Some(device.memory_gib),
            bandwidth_gb_per_s: device.bandwidth_gb_per_s,
            watts: device.watts,
        }
    }
}

impl From<Processor> for Part {
    fn from(processor: Processor) -> Self {
        let gflops =
            |mhz: u32, per_cycle: u32| u64::from(processor.cores) * u64::from(mhz) * u64::from(per_cycle) / 1_000;
        let figure = |per_cycle: u32| Figure {
            gflops: gflops(processor.base_mhz, per_cycle),
            ceiling_gflops: gflops(processor.highest_mhz.max(processor.base_mhz), per_cycle),
            source: format!("computed from cores and clock: {}", processor.source),
            confidence: processor.confidence,
        };
        let fp64 = processor.flop_per_cycle_fp64;
        Part {
            peak: BTreeMap::from([(Precision::Fp64, figure(fp64)), (Precision::Fp32, figure(fp64.saturating_mul(2)))]),
            part_number: processor.id.trim_start_matches("cpu:").to_owned(),
            variant: format!("{} cores", processor.cores),
            cores: Some(processor.cores),
            id: processor.id,
            vendor: processor.vendor,
            names: processor.names,
            memory_gib: None,
            bandwidth_gb_per_s: None,
            watts: processor.watts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Registry;

    const OWN: &str = r#"
        [[part]]
        id = "X1-64G"
        vendor = "own"
        part_number = "X1"
        variant = "PCIe"
        memory_gib = 64
        source = "our own data sheet"
        confidence = "fair"
        [part.peak]
        bf16 = 200_000
        int8 = { gflops = 400_000, source = "a letter", confidence = "uncertain" }
    "#;

    #[test]
    fn a_user_extends_the_registry() {
        let mut registry = Registry::built_in();
        let before = registry.iter().count();
        registry.extend("own.toml", OWN).expect("a sound file");
        assert_eq!(registry.iter().count(), before + 1);
        let part = registry.get("X1-64G").expect("added");
        let sources: Vec<_> = part.peak.values().map(|figure| figure.source.as_str()).collect();
        assert_eq!(sources, ["our own data sheet", "a letter"]);
        // A correction replaces.
        registry.extend("own.toml", &OWN.replace("200_000", "190_000")).expect("a sound file");
        assert_eq!(registry.iter().count(), before + 1);
    }

    /// What is refused, and a word of the message.
    #[test]
    fn traps_are_refused() {
        for (from, to, word) in [
            ("bf16 = 200_000", "bf16 = 200_000\nbf16_sparse = 400_000", "bf16_sparse"),
            ("memory_gib = 64", "memory_gib = 0", "no memory"),
            ("memory_gib = 64", "", "memory_gib"),
            ("bf16 = 200_000", "bf16 = 0", "is 0"),
            ("bf16 = 200_000", "fp8 = 900_000\nbf16 = 200_000", "sparsity"),
            ("\"X1-64G\"", "\"two words\"", "name"),
            ("confidence = \"fair\"", "confidence = \"sure\"", "sure"),
        ] {
            let error = Registry::built_in().extend("own.toml", &OWN.replacen(from, to, 1)).expect_err(to);
            let text = error.to_string();
            assert!(text.contains("own.toml") && text.contains(word) && text.contains("hint: "), "{text}");
        }
        let twice = format!("{OWN}{OWN}");
        assert!(Registry::built_in().extend("own.toml", &twice).expect_err("twice").to_string().contains("twice"));
    }

    #[test]
    fn the_rate_with_sparsity_does_not_replace_the_dense_one() {
        let mut registry = Registry::built_in();
        registry.extend("own.toml", OWN).expect("a sound file");
        let error = registry.extend("own.toml", &OWN.replace("200_000", "400_500")).expect_err("sparse");
        assert!(error.to_string().contains("twice the known 200000"), "{error}");
    }
}
