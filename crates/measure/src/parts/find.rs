//! From a name that people or tools use to the parts that it may mean.

use std::collections::BTreeSet;

use super::{Part, Registry};

impl Registry {
    /// The parts that a name may mean, in the order of their ids: none, exactly one, or several of which
    /// somebody must choose. The id is exact; a marketing name, such as `A100` or `Ascend 910B`, means every
    /// part that carries it; further words narrow it down: `A100 80GB PCIe`.
    ///
    /// ```
    /// let registry = huisuan_measure::Registry::built_in();
    /// let ids = |name: &str| registry.find(name).iter().map(|part| part.id.clone()).collect::<Vec<_>>();
    /// assert_eq!(ids("A10"), ["A10-24G"]);
    /// assert_eq!(ids("Ascend 910B").len(), 4);
    /// assert_eq!(ids("A100 80GB PCIe"), ["A100-PCIE-80G"]);
    /// ```
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<&Part> {
        if let Some(part) = self.get(name) {
            return vec![part];
        }
        let wanted = plain(name);
        let words = words(name);
        if wanted.is_empty() {
            return Vec::new();
        }
        let stages: [&dyn Fn(&Part) -> bool; 3] = [
            &|part| names(part).any(|name| plain(name) == wanted),
            &|part| words.iter().all(|word| vocabulary(part).contains(word)),
            &|part| words.iter().all(|word| vocabulary(part).iter().any(|known| known.starts_with(word.as_str()))),
        ];
        let meant = stages.iter().map(|means| self.iter().filter(|part| means(part)).collect::<Vec<_>>());
        meant.into_iter().find(|parts| !parts.is_empty()).unwrap_or_default()
    }

    /// The part that a tool's name and memory mean, when they leave only one.
    #[must_use]
    pub fn identify(&self, name: &str, memory_gib: Option<u32>) -> Option<&Part> {
        let mut parts = self.find(name);
        if parts.len() > 1 {
            // Tools tell what is left of the memory after the driver's part, or the next larger power of two.
            parts.retain(|part| match (part.memory_gib, memory_gib) {
                (Some(known), Some(told)) => known.abs_diff(told) * 10 <= known,
                _ => false,
            });
        }
        match parts[..] {
            [part] => Some(part),
            _ => None,
        }
    }
}

fn names(part: &Part) -> impl Iterator<Item = &str> {
    part.names.iter().map(String::as_str).chain([part.id.as_str()])
}

/// Letters and digits in lower case.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .filter(|word| !word.is_empty())
        .collect()
}

/// Every word that speaks of a part.
fn vocabulary(part: &Part) -> BTreeSet<String> {
    let texts = names(part).chain([part.vendor.as_str(), part.part_number.as_str(), part.variant.as_str()]);
    let mut known: BTreeSet<String> = texts.flat_map(words).collect();
    if let Some(gib) = part.memory_gib {
        known.extend([format!("{gib}g"), format!("{gib}gb"), format!("{gib}gib")]);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_to_candidates() {
        let registry = Registry::built_in();
        for (name, ids) in [
            ("A100-SXM4-80G", &["A100-SXM4-80G"][..]),
            ("a100", &["A100-PCIE-40G", "A100-PCIE-80G", "A100-SXM4-40G", "A100-SXM4-80G"]),
            ("A100 80GB", &["A100-PCIE-80G", "A100-SXM4-80G"]),
            ("NVIDIA A100-SXM4-80GB", &["A100-SXM4-80G"]),
            ("NVIDIA A100 80GB PCIe", &["A100-PCIE-80G"]),
            ("A10", &["A10-24G"]),
            ("H100", &["H100-NVL-94G", "H100-PCIE-80G", "H100-SXM5-80G"]),
            ("NVIDIA H100 80GB HBM3", &["H100-SXM5-80G"]),
            ("NVIDIA H200", &["H200-SXM5-141G"]),
            ("910B", &["Ascend-910B1-64G", "Ascend-910B2-64G", "Ascend-910B3-64G", "Ascend-910B4-32G"]),
            ("Ascend 910B 32GB", &["Ascend-910B4-32G"]),
            ("910B3", &["Ascend-910B3-64G"]),
            ("MI300", &["MI300A-128G", "MI300X-192G"]),
            ("K100", &["K100-64G", "K100-AI-64G"]),
            ("MLU370", &["MLU370-S4-24G", "MLU370-X4-24G", "MLU370-X8-48G"]),
            ("EPYC 7742", &["cpu:EPYC-7742"]),
            ("Kunpeng 920", &["cpu:Kunpeng-920-4826", "cpu:Kunpeng-920-6426"]),
            ("no such thing", &[]),
            ("", &[]),
            ("昇腾", &[]),
        ] {
            let found: Vec<_> = registry.find(name).iter().map(|part| part.id.as_str()).collect();
            assert_eq!(found, ids, "{name}");
        }
    }

    #[test]
    fn memory_decides_between_candidates_or_nobody_does() {
        let registry = Registry::built_in();
        let id = |name, gib| registry.identify(name, gib).map(|part| part.id.as_str());
        assert_eq!(id("V100", Some(32)), None, "two forms have 32 GiB");
        assert_eq!(id("910B", Some(32)), Some("Ascend-910B4-32G"));
        assert_eq!(id("910B", Some(64)), None);
        assert_eq!(id("910B", None), None);
        assert_eq!(id("MLU370", Some(47)), Some("MLU370-X8-48G"));
        assert_eq!(id("NVIDIA H200", Some(140)), Some("H200-SXM5-141G"));
    }
}
