//! The result of a measurement, with everything needed to doubt it.

use crate::host::Host;
use crate::spec::Precision;
use serde::{Deserialize, Serialize};

/// The name of the method, written into every rating.
pub const METHOD: &str = "gemm-matrixmultiply";
/// The version of the method; rates of different versions must not be compared.
pub const METHOD_VERSION: u32 = 1;

/// Floating point operations of one product of square matrices: `2 n^3`, a multiplication and an
/// addition per inner step, the count that HPL and vendors' peak rates use.
#[must_use]
pub const fn gemm_flop(order: u64) -> u64 {
    2 * order * order * order
}

/// What one call of [`crate::measure`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The pool's part number, for instance `cpu:EPYC-7742`.
    pub part: String,
    /// The method that was used: [`METHOD`].
    pub method: String,
    /// The method's version: [`METHOD_VERSION`].
    pub version: u32,
    /// What the machine says about itself.
    pub host: Host,
    /// The logical CPUs that were measured together.
    pub cpus: Vec<u32>,
    /// Physical cores behind those CPUs; two hardware threads of one core count once.
    pub physical_cores: u32,
    /// One entry per precision that was asked for, in that order.
    pub rates: Vec<PrecisionRate>,
}

impl Measurement {
    /// The rate of one precision, when it was measured.
    #[must_use]
    pub fn rate(&self, precision: Precision) -> Option<&PrecisionRate> {
        self.rates.iter().find(|rate| rate.precision == precision)
    }
}

/// The sustained rate of the share in one precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRate {
    /// The number format.
    pub precision: Precision,
    /// The class of compute that is rated: `hpc`, `general` or `ai`.
    pub class: String,
    /// Sustained rate of the whole share in GFLOP/s, measured: the median run, rounded down, at least 1.
    pub sustained_gflops: u64,
    /// Sustained rate per logical CPU in GFLOP/s, rounded down from the exact quotient, at least 1.
    pub per_cpu_gflops: u64,
    /// Peak rate in GFLOP/s, computed and not measured: physical cores x highest clock known x operations
    /// per cycle. `None` when the machine does not tell its clock or its SIMD width.
    pub nameplate_gflops: Option<u64>,
    /// Operations per cycle and core that the nameplate assumes; see `host.rs` for the table.
    pub flop_per_cycle: Option<u32>,
    /// Whether the sustained rate is at most the nameplate; `None` without a nameplate. False means that
    /// the clock or the SIMD width the machine tells is too low (common in virtual machines), and the
    /// rate is kept as measured.
    pub plausible: Option<bool>,
    /// Rows and columns of the matrices.
    pub order: u64,
    /// Floating point operations of one timed run, all CPUs together.
    pub flop_per_run: u64,
    /// Every timed run in nanoseconds, in the order measured, from the first thread's start to the
    /// last thread's end.
    pub runs_ns: Vec<u64>,
    /// The median of `runs_ns`; the slower of the two middle runs when their number is even.
    pub median_ns: u64,
    /// Entries of the product that were compared with a naive computation, all CPUs together.
    pub entries_checked: u32,
    /// The largest error found there, relative to the sum of absolute products.
    pub error_max: f64,
}

/// GFLOP/s from operations and nanoseconds, rounded down, at least 1 (a rate of zero would divide by
/// zero in every estimate made from it).
pub(crate) fn gflops(flop: u64, elapsed_ns: u64) -> u64 {
    (flop / elapsed_ns.max(1)).max(1)
}

/// The upper median: of an even number of runs the slower middle one, so that a rate is never flattered.
pub(crate) fn upper_median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flop_are_counted_as_two_per_inner_step() {
        assert_eq!(gemm_flop(1), 2);
        assert_eq!(gemm_flop(512), 268_435_456);
        let mut counted = 0;
        for _ in 0..7 * 7 * 7 {
            counted += 2;
        }
        assert_eq!(gemm_flop(7), counted);
    }

    #[test]
    fn rates_round_down_and_never_reach_zero() {
        assert_eq!(gflops(1_999, 1_000), 1);
        assert_eq!(gflops(2_000, 1_000), 2);
        assert_eq!(gflops(1, 1_000), 1);
        assert_eq!(gflops(5, 0), 5);
    }

    #[test]
    fn the_median_is_the_slower_middle_run() {
        assert_eq!(upper_median(&[3]), 3);
        assert_eq!(upper_median(&[9, 1, 5]), 5);
        assert_eq!(upper_median(&[4, 1, 9, 2]), 4);
    }
}
