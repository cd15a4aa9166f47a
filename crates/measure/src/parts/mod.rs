//! The registry of parts: what makers declare of each device, keyed by vendor, part number, variant, memory and
//! power cap, never by a marketing name. `A100` is four parts and `910B` is four chips; who uses such a name is
//! asked which one is meant.
//!
//! The data lie in `crates/measure/parts/*.toml`, with the source and the confidence of every figure; users extend
//! them by files of the same form ([`Registry::extend`]). `file.rs` reads them, `find.rs` resolves names.

mod file;
mod find;

use std::collections::BTreeMap;

use huisuan_model::{Class, Precision};
use serde::{Deserialize, Serialize};

pub use file::PartsError;

/// The files that are built in, with their names.
const BUILT_IN: [(&str, &str); 4] = [
    ("nvidia.toml", include_str!("../../parts/nvidia.toml")),
    ("amd-intel.toml", include_str!("../../parts/amd-intel.toml")),
    ("china.toml", include_str!("../../parts/china.toml")),
    ("processors.toml", include_str!("../../parts/processors.toml")),
];

/// How far a figure can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Sources disagree or are second hand: for information, no rating is refused because of it.
    Uncertain,
    /// Several public sources agree.
    Fair,
    /// The maker's public data sheet.
    Good,
}

/// A dense peak rate that somebody declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The nameplate of one device or socket, in GFLOP/s.
    pub gflops: u64,
    /// What no measurement of it may pass, in GFLOP/s: the nameplate, or for a processor its peak at the
    /// highest clock.
    pub ceiling_gflops: u64,
    /// Who says so.
    pub source: String,
    /// How far that can be trusted.
    pub confidence: Confidence,
}

/// One part: exactly one vendor, part number, variant, memory and power cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name in pools, such as `A100-SXM4-80G` or `cpu:EPYC-7742`.
    pub id: String,
    /// Who makes it, in lower case.
    pub vendor: String,
    /// The chip or product.
    pub part_number: String,
    /// Which of its forms.
    pub variant: String,
    /// Names under which it is sold or names itself; several parts may share one.
    pub names: Vec<String>,
    /// Cores of one socket; `None` for devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Memory of one device in GiB; `None` for processors.
    pub memory_gib: Option<u32>,
    /// Declared memory bandwidth in GB/s.
    pub bandwidth_gb_per_s: Option<u32>,
    /// The power cap in watts.
    pub watts: Option<u32>,
    /// Dense peak rates of one device or socket.
    pub peak: BTreeMap<Precision, Figure>,
}

impl Part {
    /// The peak in the unit of a class; for `ai` the FP16 rate counts where there is no BF16.
    #[must_use]
    pub fn peak_of_class(&self, class: Class) -> Option<&Figure> {
        let pinned = self.peak.get(&Precision::of_class(class));
        let other = if class == Class::Ai { self.peak.get(&Precision::Fp16) } else { None };
        pinned.or(other)
    }
}

/// All known parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    parts: BTreeMap<String, Part>,
}

impl Registry {
    /// The parts that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        let mut registry = Self::default();
        for (name, text) in BUILT_IN {
            registry.extend(name, text).expect("the built-in parts are tested");
        }
        registry
    }

    /// Adds the parts of a file; one with a known `id` replaces it. `name` is the file's, for messages.
    ///
    /// # Errors
    ///
    /// When the text is not of the registry's form, names a part twice, or has a figure that cannot be a dense one.
    pub fn extend(&mut self, name: &str, text: &str) -> Result<(), PartsError> {
        for part in file::read(name, text)? {
            if let Some(known) = self.parts.get(&part.id) {
                file::not_sparse(name, known, &part)?;
            }
            self.parts.insert(part.id.clone(), part);
        }
        Ok(())
    }

    /// The part with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Part> {
        self.parts.get(id)
    }

    /// All parts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_parts_are_sound() {
        let registry = Registry::built_in();
        assert!(registry.iter().count() >= 60);
        for part in registry.iter() {
            assert!(!part.peak.is_empty() && !part.names.is_empty(), "{}", part.id);
            assert!(huisuan_model::PoolId::new(&part.id).is_ok(), "{} is a name of pools", part.id);
            assert!(part.vendor.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", part.vendor);
            assert_eq!(part.memory_gib.is_none(), part.id.starts_with("cpu:"), "{}", part.id);
            for figure in part.peak.values() {
                assert!(figure.gflops > 0 && figure.ceiling_gflops >= figure.gflops && !figure.source.is_empty());
            }
            // Every device has a rate in the unit of one class.
            assert!(Class::ALL.iter().any(|&class| part.peak_of_class(class).is_some()), "{}", part.id);
        }
    }

    #[test]
    fn keys_are_unique_down_to_the_power_cap() {
        let registry = Registry::built_in();
        let key = |part: &Part| {
            let device = (part.vendor.clone(), part.part_number.clone(), part.variant.clone());
            (device, part.memory_gib, part.watts)
        };
        let mut keys: Vec<_> = registry.iter().map(key).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    /// Figures that public tables often print with sparsity, and here are dense.
    #[test]
    fn figures_are_dense() {
        let registry = Registry::built_in();
        for (id, precision, gflops) in [
            ("A100-SXM4-80G", Precision::Bf16, 312_000),
            ("H100-SXM5-80G", Precision::Bf16, 989_400),
            ("H200-SXM5-141G", Precision::Fp8, 1_978_900),
            ("B200-SXM6-180G", Precision::Fp8, 4_500_000),
            ("L40S-48G", Precision::Bf16, 362_000),
            ("MI300X-192G", Precision::Bf16, 1_307_400),
        ] {
            assert_eq!(registry.get(id).expect(id).peak[&precision].gflops, gflops, "{id}");
        }
    }

    #[test]
    fn a_processor_is_computed() {
        let registry = Registry::built_in();
        let part = registry.get("cpu:Xeon-Platinum-8480plus").expect("known");
        // 56 cores x 2.0 GHz x 32, and 3.8 GHz at most.
        let figure = part.peak_of_class(Class::Hpc).expect("a figure");
        assert_eq!((figure.gflops, figure.ceiling_gflops), (3_584, 6_809));
        assert_eq!(part.peak_of_class(Class::General).map(|figure| figure.gflops), Some(7_168));
        assert_eq!(part.peak_of_class(Class::Ai), None);
    }

    #[test]
    fn the_ai_rate_may_be_that_of_fp16() {
        let registry = Registry::built_in();
        let peak = |id: &str| registry.get(id).and_then(|part| part.peak_of_class(Class::Ai)).map(|f| f.gflops);
        assert_eq!(peak("V100-SXM2-32G"), Some(125_000));
        assert_eq!(peak("Ascend-910A-32G"), Some(256_000));
        assert_eq!(peak("Z100-32G"), None);
    }
}
