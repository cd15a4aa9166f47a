//! What to measure, and why a measurement can fail.

use serde::{Deserialize, Serialize};

/// The order of the matrices unless asked otherwise. Three FP64 matrices of this order are 6 MiB:
/// larger than the private caches of one core, small enough for 200 cores at once.
const DEFAULT_ORDER: usize = 512;
/// The largest order accepted; above it one product takes minutes on a slow core.
const ORDER_MAX: usize = 8_192;

/// The number format of a measurement; each one rates one class of compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 binary64 throughout; rates the class `hpc`.
    Fp64,
    /// IEEE 754 binary32 throughout; rates the class `general`.
    Fp32,
    /// bfloat16 inputs, binary32 accumulation; rates the class `ai`.
    Bf16,
}

impl Precision {
    /// All precisions in the order in which they are measured.
    pub const ALL: [Self; 3] = [Self::Fp64, Self::Fp32, Self::Bf16];

    /// The name used in JSON and in tables: `fp64`, `fp32` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }

    /// The class of compute that this precision rates: `hpc`, `general` or `ai`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Fp64 => "hpc",
            Self::Fp32 => "general",
            Self::Bf16 => "ai",
        }
    }
}

/// What to measure: which cores, which precisions, how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureSpec {
    /// The logical CPUs of the share, as the kernel numbers them. One pinned thread runs on each.
    pub cpus: Vec<u32>,
    /// The precisions to measure, one after another.
    pub precisions: Vec<Precision>,
    /// Rows and columns of every matrix.
    pub order: usize,
    /// Timed runs per precision; the rate is their median. Use at least five for a rating.
    pub runs: u32,
    /// How long one timed run should take, in milliseconds; products are repeated to fill it.
    pub run_ms: u32,
}

impl Default for MeasureSpec {
    /// A rating of all CPUs this process may run on: three precisions, about 0.4 s each.
    fn default() -> Self {
        Self {
            cpus: crate::host::allowed_cpus(),
            precisions: Precision::ALL.to_vec(),
            order: DEFAULT_ORDER,
            runs: 7,
            run_ms: 40,
        }
    }
}

impl MeasureSpec {
    /// The default rating restricted to the given logical CPUs.
    #[must_use]
    pub fn on_cpus(cpus: Vec<u32>) -> Self {
        Self { cpus, ..Self::default() }
    }

    /// Refuses what cannot be measured, before any thread is started.
    pub(crate) fn validate(&self) -> Result<(), MeasureError> {
        let mut sorted = self.cpus.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let problem = if self.cpus.is_empty() {
            "no CPU is named"
        } else if sorted.len() != self.cpus.len() {
            "a CPU is named twice"
        } else if self.precisions.is_empty() {
            "no precision is named"
        } else if !(8..=ORDER_MAX).contains(&self.order) {
            "the matrix order must be 8 to 8192"
        } else if self.runs == 0 {
            "at least one timed run is needed"
        } else {
            return Ok(());
        };
        Err(MeasureError::Spec(problem))
    }
}

/// Why there is no measurement. A rate that cannot be trusted is an error, never a number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The request makes no sense.
    #[error("measurement refused: {0}")]
    Spec(&'static str),
    /// A thread could not be bound to its CPU, so the rate would not be that of the share.
    #[error("thread cannot be pinned to CPU {cpu}: {source}")]
    Pin {
        /// The logical CPU that was asked for.
        cpu: u32,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("measuring thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The kernel's product differs from the naive one: the machine or the kernel computes wrongly.
    #[error(
        "wrong product in {precision} on CPU {cpu}: relative error {error:e}, at most {bound:e} expected",
        precision = precision.name()
    )]
    WrongProduct {
        /// The precision that was measured.
        precision: Precision,
        /// The logical CPU on which the wrong product was computed.
        cpu: u32,
        /// The largest error seen, relative to the sum of absolute products.
        error: f64,
        /// The largest error that rounding can explain.
        bound: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut MeasureSpec)) -> bool {
        let mut spec = MeasureSpec::on_cpus(vec![0]);
        change(&mut spec);
        spec.validate().is_err()
    }

    #[test]
    fn senseless_requests_are_refused() {
        assert!(!refused(|_| {}));
        assert!(refused(|spec| spec.cpus.clear()));
        assert!(refused(|spec| spec.cpus = vec![0, 0]));
        assert!(refused(|spec| spec.precisions.clear()));
        assert!(refused(|spec| spec.order = 7));
        assert!(refused(|spec| spec.order = 10_000));
        assert!(refused(|spec| spec.runs = 0));
    }

    #[test]
    fn the_default_is_a_rating() {
        let spec = MeasureSpec::default();
        assert!(!spec.cpus.is_empty());
        assert!(spec.runs >= 5);
        assert_eq!(spec.precisions, Precision::ALL);
    }
}
