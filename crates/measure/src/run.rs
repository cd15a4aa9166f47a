//! Times the kernels on all CPUs of a share and makes the rates.

use crate::crew::{self, Timing, Work};
use crate::host::Host;
use crate::kernel::{Check, Kernel, Path};
use crate::rating::{Basis, METHOD, METHOD_VERSION, Measurement, PrecisionRate, gemm_flop, gflops, upper_median};
use crate::spec::{MeasureError, MeasureSpec};
use crate::{cpus, part, stream};
use huisuan_model::Precision;

/// Products timed to choose between two ways of computing them.
const TRIALS: Timing = Timing { runs: 3, run_ms: 0 };

impl Work for Kernel {
    fn once(&mut self) {
        self.multiply();
    }
}

/// Measures the sustained rate of a CPU share, one precision after another, then its memory.
///
/// Every logical CPU of the share gets one thread, pinned to it, which computes its own products; the
/// threads start each run together. The time of a run is the processor time of the thread that computed
/// longest, so that neighbours on a loaded machine do not make it slower than it is. Where a control
/// group held the threads back, its limit is the share, and the run's wall time counts. The call blocks for
/// about `precisions x (runs + 2) x run_ms` and some seconds for large memories.
///
/// # Errors
///
/// When the request makes no sense, a thread cannot be pinned to its CPU, a product is wrong, or a rate is
/// above what the machine can compute: such a record is refused, not corrected.
pub fn measure(spec: &MeasureSpec) -> Result<Measurement, MeasureError> {
    spec.validate()?;
    let mut host = Host::detect();
    let physical_cores = cpus::physical_cores(&spec.cpus);
    let mut timed = Vec::with_capacity(spec.precisions.len());
    for &precision in &spec.precisions {
        timed.push((precision, time_precision(spec, precision)?));
    }
    // The highest clock seen in any run: a peak computed from the clock of another moment could be passed.
    if let Some(khz) = timed.iter().filter_map(|(_, timed)| timed.clock_khz).max() {
        host.raise_clock(khz);
    }
    let rates: Vec<_> =
        timed.into_iter().map(|(precision, timed)| rate(spec, precision, &host, physical_cores, timed)).collect();
    rates.iter().try_for_each(PrecisionRate::plausible)?;
    let bandwidth = if spec.stream_runs > 0 { Some(stream::bandwidth(spec)?) } else { None };
    Ok(Measurement {
        part: part::cpu_part(&host.cpu_model),
        method: METHOD.to_owned(),
        version: METHOD_VERSION,
        host,
        cpus: spec.cpus.clone(),
        physical_cores,
        rates,
        bandwidth,
    })
}

/// What all threads together found for one precision.
struct Timed {
    path: Path,
    products_per_run: u64,
    basis: Basis,
    runs_ns: Vec<u64>,
    runs_cpu_ns: Vec<u64>,
    clock_khz: Option<u64>,
    entries_checked: u32,
    error_max: f64,
}

fn time_precision(spec: &MeasureSpec, precision: Precision) -> Result<Timed, MeasureError> {
    let path = fastest_path(spec, precision)?;
    let throttled_before = cpus::throttled_us();
    let timing = Timing { runs: spec.runs, run_ms: spec.run_ms };
    let threads = crew::run(&spec.cpus, timing, |cpu| kernel(spec, precision, path, cpu))?;
    let mut timed = Timed {
        path,
        products_per_run: 0,
        basis: Basis::of(cpus::throttled_us() != throttled_before),
        runs_ns: crew::walls_ns(&threads),
        runs_cpu_ns: crew::slowest_cpu_ns(&threads),
        clock_khz: threads.iter().filter_map(|thread| thread.clock_khz).max(),
        entries_checked: 0,
        error_max: 0.0,
    };
    for (thread, &cpu) in threads.iter().zip(&spec.cpus) {
        let Check { entries, error_max: error, bound } = thread.work.check(u64::from(cpu));
        if error.is_nan() || error > bound {
            return Err(MeasureError::WrongProduct { precision, cpu, error, bound });
        }
        timed.products_per_run += thread.repeats;
        timed.entries_checked += entries;
        timed.error_max = timed.error_max.max(error);
    }
    Ok(timed)
}

fn kernel(spec: &MeasureSpec, precision: Precision, path: Path, cpu: u32) -> Kernel {
    Kernel::new(precision, path, spec.order, u64::from(cpu)).expect("a checked request has a kernel for each path")
}

/// Of two ways to compute a product, the one that is faster on the first CPU.
fn fastest_path(spec: &MeasureSpec, precision: Precision) -> Result<Path, MeasureError> {
    let paths = Kernel::paths(precision);
    if let [only] = paths {
        return Ok(*only);
    }
    let mut fastest = (u64::MAX, Path::Direct);
    for &path in paths {
        let threads = crew::run(&spec.cpus[..1], TRIALS, |cpu| kernel(spec, precision, path, cpu))?;
        let one_ns = crew::slowest_cpu_ns(&threads).into_iter().min().unwrap_or(u64::MAX);
        if one_ns < fastest.0 {
            fastest = (one_ns, path);
        }
    }
    Ok(fastest.1)
}

fn rate(spec: &MeasureSpec, precision: Precision, host: &Host, physical_cores: u32, timed: Timed) -> PrecisionRate {
    let flop_per_run = timed.products_per_run * gemm_flop(spec.order as u64);
    let median_ns = upper_median(timed.basis.pick(&timed.runs_ns, &timed.runs_cpu_ns));
    let class = precision.class();
    PrecisionRate {
        precision,
        class: class.as_str().to_owned(),
        unit: Precision::of_class(class) == precision,
        sustained_gflops: gflops(flop_per_run, median_ns),
        per_cpu_gflops: gflops(flop_per_run / spec.cpus.len() as u64, median_ns),
        nameplate_gflops: host.nameplate_gflops(precision, physical_cores),
        flop_per_cycle: host.flop_per_cycle(precision),
        path: timed.path,
        emulated: timed.path == Path::Widened || !host.native(precision),
        order: spec.order as u64,
        flop_per_run,
        basis: timed.basis,
        runs_ns: timed.runs_ns,
        runs_cpu_ns: timed.runs_cpu_ns,
        median_ns,
        entries_checked: timed.entries_checked,
        error_max: timed.error_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(cpus: Vec<u32>) -> MeasureSpec {
        MeasureSpec { cpus, order: 64, runs: 3, run_ms: 1, stream_runs: 0, ..MeasureSpec::default() }
    }

    #[test]
    fn a_tiny_measurement_keeps_every_timing() {
        let spec = tiny(MeasureSpec::default().cpus);
        let measurement = measure(&spec).expect("measured");
        assert_eq!((measurement.method.as_str(), measurement.version), (METHOD, METHOD_VERSION));
        assert!(measurement.part.starts_with("cpu:"));
        assert_eq!(measurement.rates.len(), spec.precisions.len());
        for rate in &measurement.rates {
            assert!(rate.sustained_gflops >= 1);
            assert!(rate.per_cpu_gflops <= rate.sustained_gflops);
            assert_eq!((rate.runs_ns.len(), rate.runs_cpu_ns.len()), (3, 3));
            assert!(rate.basis.pick(&rate.runs_ns, &rate.runs_cpu_ns).contains(&rate.median_ns));
            assert_eq!(rate.flop_per_run % gemm_flop(64), 0);
            assert_eq!(rate.entries_checked, 64 * spec.cpus.len() as u32);
            assert!(rate.nameplate_gflops.is_none_or(|peak| rate.sustained_gflops <= peak));
            assert_eq!(rate.recomputed_gflops(), rate.sustained_gflops);
        }
        let units = measurement.rates.iter().filter(|rate| rate.unit).count();
        assert_eq!(units, 3, "one precision of each class is its unit");
    }

    #[test]
    fn a_measurement_survives_json() {
        let cpu = MeasureSpec::default().cpus[0];
        let measurement = measure(&tiny(vec![cpu])).expect("measured");
        let text = serde_json::to_string(&measurement).expect("written");
        let back: Measurement = serde_json::from_str(&text).expect("read");
        assert_eq!((&back.host, &back.rates[0].runs_ns), (&measurement.host, &measurement.rates[0].runs_ns));
        assert_eq!(back.rates.len(), measurement.rates.len());
        assert!(text.contains("\"precision\":\"bf16\""));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error() {
        let present = MeasureSpec::default().cpus[0];
        let error = measure(&tiny(vec![present, 70_000])).expect_err("no such CPU");
        assert!(matches!(error, MeasureError::Pin { cpu: 70_000, .. }));
    }
}
