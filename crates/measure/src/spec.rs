//! What to measure, and why a measurement can fail.

use crate::kernel::Kernel;
use huisuan_model::Precision;
use serde::{Deserialize, Serialize};

/// The order of the matrices unless asked otherwise. Three FP64 matrices of this order are 24 MiB: far
/// beyond the private caches of one core, and small enough for 200 cores at once.
const DEFAULT_ORDER: usize = 1_024;
/// The largest order accepted; above it one product takes minutes on a slow core, and sums of INT8 products
/// could pass 32 bits from 133,000 on.
const ORDER_MAX: usize = 8_192;
/// The precisions of a processor that are measured, the units of the three classes first.
const PRECISIONS: [Precision; 5] =
    [Precision::Fp64, Precision::Fp32, Precision::Bf16, Precision::Fp16, Precision::Int8];

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
    /// Timed runs of memory bandwidth; 0 leaves it out.
    pub stream_runs: u32,
}

impl Default for MeasureSpec {
    /// A rating of all CPUs this process may run on: five precisions of about 0.4 s each, and memory.
    fn default() -> Self {
        Self {
            cpus: crate::cpus::allowed(),
            precisions: PRECISIONS.to_vec(),
            order: DEFAULT_ORDER,
            runs: 7,
            run_ms: 40,
            stream_runs: 5,
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
        } else if self.precisions.iter().any(|&precision| Kernel::paths(precision).is_empty()) {
            "processors are measured in fp64, fp32, bf16, fp16 and int8"
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
    /// Memory does not give back what was written.
    #[error("wrong sum in memory on CPU {cpu}; hint: have the machine's memory checked, it must not be rated")]
    WrongTriad {
        /// The logical CPU on which it was seen.
        cpu: u32,
    },
    /// More than the machine can compute: a wrong clock, a wrong timer or a forged record.
    #[error(
        "{precision} rate of {sustained} GFLOP/s is above the computed peak of {nameplate} and refused; hint: the \
         machine hides cores or its clock, or the record was changed"
    )]
    AbovePeak {
        /// The precision.
        precision: Precision,
        /// What the record says.
        sustained: u64,
        /// What cores, clock and vectors can do at most.
        nameplate: u64,
    },
    /// A record whose figure does not follow from its own timings.
    #[error(
        "{precision} rate of {sustained} GFLOP/s does not follow from its timings, which make {recomputed}; hint: the \
         record was changed"
    )]
    OtherRate {
        /// The precision.
        precision: Precision,
        /// What the record says.
        sustained: u64,
        /// What its raw timings make.
        recomputed: u64,
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
        assert!(refused(|spec| spec.precisions = vec![Precision::Fp8]));
        assert!(refused(|spec| spec.order = 7));
        assert!(refused(|spec| spec.order = 10_000));
        assert!(refused(|spec| spec.runs = 0));
    }

    #[test]
    fn the_default_is_a_rating() {
        let spec = MeasureSpec::default();
        assert!(!spec.cpus.is_empty());
        assert!(spec.runs >= 5);
        assert!(spec.stream_runs >= 5);
        for class in huisuan_model::Class::ALL {
            assert!(spec.precisions.contains(&Precision::of_class(class)), "{class}");
        }
    }
}
