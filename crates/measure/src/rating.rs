//! The result of a measurement, with everything needed to doubt it.

use crate::host::Host;
use crate::kernel::Path;
use crate::spec::MeasureError;
use huisuan_model::Precision;
use serde::{Deserialize, Serialize};

/// The name of the method, written into every rating.
pub const METHOD: &str = "gemm-gemmkit";
/// The version of the method; rates of different versions must not be compared. Version 1 was
/// `gemm-matrixmultiply`: wall time, order 512, no memory bandwidth.
pub const METHOD_VERSION: u32 = 2;

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
    /// Memory bandwidth, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

impl Measurement {
    /// The rate of one precision, when it was measured.
    #[must_use]
    pub fn rate(&self, precision: Precision) -> Option<&PrecisionRate> {
        self.rates.iter().find(|rate| rate.precision == precision)
    }
}

/// Which of a run's two times makes the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The processor time of the thread that computed longest: what the share does while it has its CPUs.
    Cpu,
    /// The time on the clock, because a control group held the threads back: its limit belongs to the share.
    Wall,
}

impl Basis {
    pub(crate) fn of(throttled: bool) -> Self {
        if throttled { Self::Wall } else { Self::Cpu }
    }

    pub(crate) fn pick<'a>(self, wall_ns: &'a [u64], cpu_ns: &'a [u64]) -> &'a [u64] {
        match self {
            Self::Cpu => cpu_ns,
            Self::Wall => wall_ns,
        }
    }
}

/// The sustained rate of the share in one precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRate {
    /// The number format.
    pub precision: Precision,
    /// The class of compute that it speaks of: `hpc`, `general` or `ai`.
    pub class: String,
    /// Whether the class's unit is pinned to this precision; other rates of the class are for information.
    pub unit: bool,
    /// Sustained rate of the whole share in GFLOP/s (integer operations for `int8`), measured: the median run,
    /// rounded down, at least 1.
    pub sustained_gflops: u64,
    /// Sustained rate per logical CPU in GFLOP/s, rounded down from the exact quotient, at least 1.
    pub per_cpu_gflops: u64,
    /// Peak rate in GFLOP/s, computed and not measured: physical cores x highest clock known x operations
    /// per cycle. `None` when the machine does not tell its SIMD width, or neither tells nor shows its clock.
    pub nameplate_gflops: Option<u64>,
    /// Operations per cycle and core that the nameplate assumes; see `peak.rs` for the table.
    pub flop_per_cycle: Option<u32>,
    /// How the product was computed.
    pub path: Path,
    /// Whether arithmetic of a wider format did the work: the processor has none for this one, or widening
    /// was faster.
    pub emulated: bool,
    /// Rows and columns of the matrices.
    pub order: u64,
    /// Operations of one timed run, all CPUs together.
    pub flop_per_run: u64,
    /// Which of the following two makes the rate.
    pub basis: Basis,
    /// Every timed run in nanoseconds of wall time, in the order measured, from the first thread's start to
    /// the last thread's end.
    pub runs_ns: Vec<u64>,
    /// The same runs in nanoseconds of processor time of the thread that computed longest. Much less than
    /// the wall time says that others used the CPUs.
    pub runs_cpu_ns: Vec<u64>,
    /// The median of the times that make the rate; the slower of the two middle runs when their number is even.
    pub median_ns: u64,
    /// Entries of the product that were compared with a naive computation, all CPUs together.
    pub entries_checked: u32,
    /// The largest error found there, relative to the sum of absolute products.
    pub error_max: f64,
}

impl PrecisionRate {
    /// The sustained rate made anew from the raw timings, for whoever doubts the record.
    #[must_use]
    pub fn recomputed_gflops(&self) -> u64 {
        let times = self.basis.pick(&self.runs_ns, &self.runs_cpu_ns);
        if times.is_empty() { 0 } else { gflops(self.flop_per_run, upper_median(times)) }
    }

    /// Whether the rate is one that the machine can have.
    ///
    /// # Errors
    ///
    /// When it is above the computed peak, or its raw timings make another one.
    pub fn plausible(&self) -> Result<(), MeasureError> {
        let (precision, sustained) = (self.precision, self.sustained_gflops);
        let recomputed = self.recomputed_gflops();
        match self.nameplate_gflops {
            Some(nameplate) if sustained > nameplate => {
                Err(MeasureError::AbovePeak { precision, sustained, nameplate })
            }
            _ if recomputed != sustained => Err(MeasureError::OtherRate { precision, sustained, recomputed }),
            _ => Ok(()),
        }
    }
}

/// Memory bandwidth of the share by STREAM's triad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Measured: the median run, in millions of bytes a second, rounded down.
    pub mb_per_s: u64,
    /// Bytes of each of the three arrays, all CPUs together.
    pub array_bytes: u64,
    /// Bytes of the last-level caches that the machine tells; 0 when it does not.
    pub cache_bytes: u64,
    /// Whether each array was four times as large as those caches, as STREAM asks. Otherwise the rate may be
    /// that of the caches in part.
    pub beyond_caches: bool,
    /// Bytes counted for one run: 24 for each element.
    pub bytes_per_run: u64,
    /// Which of the following two makes the rate.
    pub basis: Basis,
    /// Every timed run in nanoseconds of wall time.
    pub runs_ns: Vec<u64>,
    /// The same in processor time of the slowest thread.
    pub runs_cpu_ns: Vec<u64>,
    /// The median of the times that make the rate.
    pub median_ns: u64,
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

    fn rate(sustained_gflops: u64, nameplate_gflops: Option<u64>) -> PrecisionRate {
        PrecisionRate {
            precision: Precision::Fp64,
            class: "hpc".into(),
            unit: true,
            sustained_gflops,
            per_cpu_gflops: sustained_gflops,
            nameplate_gflops,
            flop_per_cycle: Some(32),
            path: Path::Direct,
            emulated: false,
            order: 10,
            flop_per_run: 60_000,
            basis: Basis::Cpu,
            runs_ns: vec![2_000, 9_000, 2_000],
            runs_cpu_ns: vec![1_000, 1_010, 990],
            median_ns: 1_000,
            entries_checked: 64,
            error_max: 0.0,
        }
    }

    #[test]
    fn a_rate_above_the_peak_or_not_of_its_timings_is_refused() {
        assert!(rate(60, Some(60)).plausible().is_ok());
        assert!(rate(60, None).plausible().is_ok());
        assert!(matches!(rate(60, Some(59)).plausible(), Err(MeasureError::AbovePeak { nameplate: 59, .. })));
        assert!(matches!(rate(61, None).plausible(), Err(MeasureError::OtherRate { recomputed: 60, .. })));
        // The same timings by wall time: a control group held the threads back.
        let held = PrecisionRate { basis: Basis::Wall, ..rate(30, None) };
        assert_eq!((held.recomputed_gflops(), held.plausible().is_ok()), (30, true));
    }

    #[test]
    fn the_median_is_the_slower_middle_run() {
        assert_eq!(upper_median(&[3]), 3);
        assert_eq!(upper_median(&[9, 1, 5]), 5);
        assert_eq!(upper_median(&[4, 1, 9, 2]), 4);
    }
}
