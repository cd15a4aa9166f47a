//! Number formats, and which of them the units of compute are pinned to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::centre::Class;

/// A number format of dense arithmetic. Rates in different formats are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 binary64 throughout; the unit of the class `hpc`.
    Fp64,
    /// IEEE 754 binary32 throughout; the unit of the class `general`.
    Fp32,
    /// 19-bit inputs, binary32 accumulation.
    Tf32,
    /// bfloat16 inputs, binary32 accumulation; the unit of the class `ai`.
    Bf16,
    /// IEEE 754 binary16 inputs, binary32 accumulation.
    Fp16,
    /// 8-bit floating point inputs, binary32 accumulation.
    Fp8,
    /// 8-bit integer inputs, 32-bit integer accumulation; its rates count integer operations.
    Int8,
}

impl Precision {
    /// All of them, from the widest to the narrowest.
    pub const ALL: [Self; 7] = [Self::Fp64, Self::Fp32, Self::Tf32, Self::Bf16, Self::Fp16, Self::Fp8, Self::Int8];

    /// The name in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
        }
    }

    /// The class of compute that a rate in it speaks of. Only for one precision of each class is the rate
    /// also its unit: [`Precision::of_class`].
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Fp64 => Class::Hpc,
            Self::Fp32 => Class::General,
            Self::Tf32 | Self::Bf16 | Self::Fp16 | Self::Fp8 | Self::Int8 => Class::Ai,
        }
    }

    /// The precision that a class's unit is pinned to.
    #[must_use]
    pub const fn of_class(class: Class) -> Self {
        match class {
            Class::Hpc => Self::Fp64,
            Class::General => Self::Fp32,
            Class::Ai => Self::Bf16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| format!("precision `{text}` is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_stored_words_and_units_agree_with_classes() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
            assert_eq!(serde_json::to_value(precision).expect("a word"), precision.name());
        }
        for class in Class::ALL {
            assert_eq!(Precision::of_class(class).class(), class);
            assert_eq!(Precision::of_class(class).name(), class.precision());
        }
        assert!("fp4".parse::<Precision>().is_err());
    }
}
