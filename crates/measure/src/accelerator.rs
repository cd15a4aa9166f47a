//! What the measurement of accelerators finds, with everything needed to doubt it, and why there may be none.

use huisuan_model::Precision;
use serde::Serialize;

use crate::devices::Device;
use crate::parts::Registry;
use crate::rating::{gflops, upper_median};

/// The name of the method for accelerators, written into every rating.
pub const DEVICE_METHOD: &str = "gemm-cublas";
/// The version of that method; rates of different versions must not be compared.
pub const DEVICE_METHOD_VERSION: u32 = 1;

/// A measured rate may pass what the maker declares by this: boost clocks do. What is above is not believed.
const NAMEPLATE_SLACK_PERCENT: u64 = 2;
/// The precisions of an accelerator that are measured, the units of the three classes first.
const PRECISIONS: [Precision; 6] =
    [Precision::Fp64, Precision::Fp32, Precision::Bf16, Precision::Fp16, Precision::Tf32, Precision::Int8];

/// What to measure of every accelerator, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSpec {
    /// The precisions to measure, one after another.
    pub precisions: Vec<Precision>,
    /// Rows and columns of every matrix; a multiple of 16 keeps all formats aligned. `None`: 8,192, or 4,096 where a
    /// device has less than 8 GiB.
    pub order: Option<usize>,
    /// Timed runs per precision; the rate is their median. Use at least five for a rating.
    pub runs: u32,
    /// How long one timed run should take at least, in milliseconds; products are repeated to fill it.
    pub run_ms: u32,
    /// Timed runs of copies within the device's memory; 0 leaves them out.
    pub copy_runs: u32,
}

impl Default for DeviceSpec {
    /// A rating: six precisions of about 2 s each, and memory.
    fn default() -> Self {
        Self { precisions: PRECISIONS.to_vec(), order: None, runs: 7, run_ms: 200, copy_runs: 7 }
    }
}

/// One accelerator, and what was measured of it or why nothing was.
#[derive(Debug)]
pub struct DeviceOutcome {
    /// The device as the runtime names it (`told_by`: `cuda`).
    pub device: Device,
    /// Its rates, or the reason why it stays declared and uncertified.
    pub outcome: Result<DeviceMeasurement, Unmeasured>,
}

/// What was measured of one accelerator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceMeasurement {
    /// The method that was used: [`DEVICE_METHOD`].
    pub method: &'static str,
    /// The method's version: [`DEVICE_METHOD_VERSION`].
    pub version: u32,
    /// The device as the runtime names it.
    pub device: Device,
    /// The part that it is, when name and memory leave only one.
    pub part: Option<String>,
    /// Version of the driver's interface, such as 13000 for 13.0.
    pub driver: u32,
    /// Version of the library that multiplied, such as 130001.
    pub library: u32,
    /// One entry per precision that the device can multiply, in the order asked for.
    pub rates: Vec<DeviceRate>,
    /// The precisions that it cannot, or did not, and why.
    pub left_out: Vec<LeftOut>,
    /// Memory bandwidth, when it was asked for.
    pub copy: Option<CopyRate>,
}

/// A precision without a rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which.
    pub precision: Precision,
    /// What the library said.
    pub why: String,
}

/// The sustained rate of one device in one precision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceRate {
    /// The number format.
    pub precision: Precision,
    /// Sustained rate in GFLOP/s (integer operations for `int8`), measured: the median run, rounded down, at least 1.
    pub sustained_gflops: u64,
    /// What the maker declares of the part, dense; `None` where the part or the figure is not known.
    pub nameplate_gflops: Option<u64>,
    /// Rows and columns of the matrices.
    pub order: u64,
    /// Operations of one timed run.
    pub flop_per_run: u64,
    /// Every timed run in nanoseconds on the clock, from the first product's order to the end of the last, in the order
    /// measured.
    pub runs_ns: Vec<u64>,
    /// Their median; the slower of the two middle runs when their number is even.
    pub median_ns: u64,
    /// Entries of the product that were compared with a naive computation.
    pub entries_checked: u32,
    /// The largest error found there, relative to the sum of absolute products.
    pub error_max: f64,
    /// Mean power over the timed runs by the device's own energy counter; `None` where it tells none.
    pub watts: Option<u32>,
}

impl DeviceRate {
    /// The sustained rate made anew from the raw timings, for whoever doubts the record.
    #[must_use]
    pub fn recomputed_gflops(&self) -> u64 {
        if self.runs_ns.is_empty() { 0 } else { gflops(self.flop_per_run, upper_median(&self.runs_ns)) }
    }

    /// Whether the rate is one that the part can have: at most 2 % above its nameplate. `None` without a nameplate.
    #[must_use]
    pub fn plausible(&self) -> Option<bool> {
        let sustained = u128::from(self.sustained_gflops) * 100;
        Some(sustained <= u128::from(self.nameplate_gflops?) * u128::from(100 + NAMEPLATE_SLACK_PERCENT))
    }
}

/// Memory bandwidth of one device: copies from one half of an area to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyRate {
    /// Measured: the median run, in millions of bytes a second, read and written, rounded down.
    pub mb_per_s: u64,
    /// Bytes of each half.
    pub array_bytes: u64,
    /// Bytes read and written in one run.
    pub bytes_per_run: u64,
    /// Every timed run in nanoseconds on the clock.
    pub runs_ns: Vec<u64>,
    /// Their median.
    pub median_ns: u64,
}

/// Why an accelerator has no measured rate: it stays declared and uncertified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmeasured {
    /// The program has no way to compute on accelerators.
    #[error("this program was built without a runtime for accelerators; hint: build it with `--features cuda`")]
    NotBuilt,
    /// A library is not there.
    #[error("no {library} was found; hint: install it, or name its folder in LD_LIBRARY_PATH")]
    NoLibrary {
        /// Which, as it is looked for.
        library: &'static str,
    },
    /// A library is too old.
    #[error("{library} has no function `{function}`; hint: install a newer version")]
    OldLibrary {
        /// Which.
        library: &'static str,
        /// What it lacks.
        function: &'static str,
    },
    /// The runtime sees no device.
    #[error("the runtime sees no device; hint: look at CUDA_VISIBLE_DEVICES and the rights to /dev/nvidia*")]
    NoDevice,
    /// Somebody computes on it.
    #[error("{processes} other processes compute on it; hint: measure it while it is idle")]
    Busy {
        /// How many.
        processes: u32,
    },
    /// There is not enough free memory.
    #[error("its memory is full; hint: measure it while it is idle")]
    Memory,
    /// A call failed.
    #[error("{doing} failed: {said}")]
    Call {
        /// What was tried.
        doing: &'static str,
        /// What the driver or the library said.
        said: String,
    },
    /// The product differs from the naive one: the device or the library computes wrongly.
    #[error(
        "wrong product in {precision}: relative error {error}, at most {bound} expected; hint: the device must not be \
         rated, have it checked"
    )]
    WrongProduct {
        /// The precision that was measured.
        precision: Precision,
        /// The largest error seen, relative to the sum of absolute products.
        error: String,
        /// The largest error that rounding can explain.
        bound: String,
    },
}

/// Measures every accelerator of this machine that a runtime can reach, all of them at once, because they share power
/// and air; blocks for about `precisions x (runs + 2) x run_ms`, longer where one product takes longer.
///
/// Nameplates are those of `registry`. Only NVIDIA's devices have a runtime so far (feature `cuda`).
///
/// # Errors
///
/// When no device can be measured at all, with the reason. What is wrong with one device stands in its outcome.
pub fn measure_devices(spec: &DeviceSpec, registry: &Registry) -> Result<Vec<DeviceOutcome>, Unmeasured> {
    #[cfg(feature = "cuda")]
    return crate::cuda::measure(spec, registry);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (spec, registry);
        Err(Unmeasured::NotBuilt)
    }
}

/// Whether a runtime for accelerators is there and sees a device, without measuring: how many.
///
/// # Errors
///
/// When none can be measured, with the reason.
pub fn measurable_devices() -> Result<usize, Unmeasured> {
    #[cfg(feature = "cuda")]
    return crate::cuda::count();
    #[cfg(not(feature = "cuda"))]
    Err(Unmeasured::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(sustained_gflops: u64, nameplate_gflops: Option<u64>) -> DeviceRate {
        DeviceRate {
            precision: Precision::Bf16,
            sustained_gflops,
            nameplate_gflops,
            order: 10,
            flop_per_run: 102_000,
            runs_ns: vec![1_010, 1_000, 990],
            median_ns: 1_000,
            entries_checked: 64,
            error_max: 0.0,
            watts: None,
        }
    }

    #[test]
    fn a_device_may_pass_its_nameplate_by_two_percent() {
        assert_eq!(rate(102, Some(100)).plausible(), Some(true));
        assert_eq!(rate(103, Some(100)).plausible(), Some(false));
        assert_eq!(rate(103, None).plausible(), None);
        assert_eq!(rate(1, None).recomputed_gflops(), 102);
        assert_eq!(DeviceRate { runs_ns: Vec::new(), ..rate(1, None) }.recomputed_gflops(), 0);
    }

    #[test]
    fn the_default_measures_the_unit_of_every_class() {
        let spec = DeviceSpec::default();
        assert!(spec.runs >= 5 && spec.copy_runs >= 5);
        for class in huisuan_model::Class::ALL {
            assert!(spec.precisions.contains(&Precision::of_class(class)), "{class}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_a_runtime_the_reason_says_how_to_get_one() {
        let unmeasured = measure_devices(&DeviceSpec::default(), &Registry::built_in()).expect_err("no runtime");
        assert_eq!(Err(unmeasured.clone()), measurable_devices());
        assert!(unmeasured.to_string().contains("--features cuda"), "{unmeasured}");
    }
}
