//! Runs the kernels on pinned threads and times them.

use crate::host::{self, Host};
use crate::kernel::{Check, Kernel};
use crate::rating::{METHOD, METHOD_VERSION, Measurement, PrecisionRate, gemm_flop, gflops, upper_median};
use crate::spec::{MeasureError, MeasureSpec, Precision};
use crate::{part, rating};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Products per timed run at most, so that a clock that does not advance cannot loop for ever.
const PRODUCTS_PER_RUN_MAX: u64 = 100_000;

/// Products timed one by one to find how many fill a run. The fastest counts: one that a neighbour
/// disturbed would make every run too short.
const WARM_UP_PRODUCTS: u32 = 4;

/// Measures the sustained rate of a CPU share, one precision after another.
///
/// Every logical CPU of the share gets one thread, pinned to it, which computes its own products; the
/// threads start each run together. A run ends when the last thread ends, so a share that is slowed
/// down by a neighbour is rated as slow as it is. The call blocks for about
/// `precisions x (runs + 1) x run_ms`.
///
/// # Errors
///
/// When the request makes no sense, a thread cannot be pinned to its CPU, or a product is wrong.
pub fn measure(spec: &MeasureSpec) -> Result<Measurement, MeasureError> {
    spec.validate()?;
    let host = Host::detect();
    let physical_cores = host::physical_cores(&spec.cpus);
    let mut rates = Vec::with_capacity(spec.precisions.len());
    for &precision in &spec.precisions {
        let timed = time_precision(spec, precision)?;
        rates.push(rate(spec, precision, &host, physical_cores, &timed));
    }
    Ok(Measurement {
        part: part::cpu_part(&host.cpu_model),
        method: METHOD.to_owned(),
        version: METHOD_VERSION,
        host,
        cpus: spec.cpus.clone(),
        physical_cores,
        rates,
    })
}

/// What all threads together found for one precision.
struct Timed {
    products_per_run: u64,
    runs_ns: Vec<u64>,
    entries_checked: u32,
    error_max: f64,
}

/// What the threads of one precision share.
struct Meeting {
    start: Barrier,
    /// Set when a thread could not be pinned; all leave before the first run.
    given_up: AtomicBool,
    /// The slowest thread's time for one undisturbed product, from which all derive the same number of products.
    slowest_ns: AtomicU64,
}

/// What one thread brings back.
struct ThreadRuns {
    products_per_run: u64,
    spans: Vec<(Instant, Instant)>,
    check: Check,
}

fn time_precision(spec: &MeasureSpec, precision: Precision) -> Result<Timed, MeasureError> {
    let meeting = Meeting {
        start: Barrier::new(spec.cpus.len()),
        given_up: AtomicBool::new(false),
        slowest_ns: AtomicU64::new(1),
    };
    let threads = std::thread::scope(|scope| {
        let handles: Vec<_> = spec
            .cpus
            .iter()
            .map(|&cpu| {
                let meeting = &meeting;
                scope.spawn(move || run_thread(spec, precision, cpu, meeting))
            })
            .collect();
        let mut threads = Vec::with_capacity(handles.len());
        for handle in handles {
            match handle.join() {
                Ok(Ok(Some(thread))) => threads.push(thread),
                // Left because another thread gave up; that thread's error is the one to report.
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(threads)
    })?;
    collect(spec, precision, &threads)
}

/// Pins the thread, warms up, agrees with the others on the length of a run, and runs.
fn run_thread(
    spec: &MeasureSpec,
    precision: Precision,
    cpu: u32,
    meeting: &Meeting,
) -> Result<Option<ThreadRuns>, MeasureError> {
    let pinned = host::pin_to(cpu);
    meeting.given_up.fetch_or(pinned.is_err(), Ordering::SeqCst);
    meeting.start.wait();
    pinned.map_err(|source| MeasureError::Pin { cpu, source })?;
    if meeting.given_up.load(Ordering::SeqCst) {
        return Ok(None);
    }
    // Allocated after pinning, so that the pages lie on the memory node of the CPU.
    let mut kernel = Kernel::new(precision, spec.order, u64::from(cpu));
    // The first product pays for page faults, caches and the clock's ramp and is not counted.
    kernel.multiply();
    meeting.start.wait();
    let mut fastest_ns = u64::MAX;
    for _ in 0..WARM_UP_PRODUCTS {
        let (from, to) = timed_products(&mut kernel, 1);
        fastest_ns = fastest_ns.min(nanoseconds(to - from));
    }
    meeting.slowest_ns.fetch_max(fastest_ns, Ordering::SeqCst);
    meeting.start.wait();
    let one_ns = meeting.slowest_ns.load(Ordering::SeqCst);
    let products_per_run = (u64::from(spec.run_ms) * 1_000_000 / one_ns).clamp(1, PRODUCTS_PER_RUN_MAX);
    let mut spans = Vec::with_capacity(spec.runs as usize);
    for _ in 0..spec.runs {
        meeting.start.wait();
        spans.push(timed_products(&mut kernel, products_per_run));
    }
    Ok(Some(ThreadRuns { products_per_run, spans, check: kernel.check(u64::from(cpu)) }))
}

fn timed_products(kernel: &mut Kernel, products: u64) -> (Instant, Instant) {
    let from = Instant::now();
    for _ in 0..products {
        black_box(&mut *kernel).multiply();
    }
    (from, Instant::now())
}

/// Joins the threads' spans run by run: first start to last end.
fn collect(spec: &MeasureSpec, precision: Precision, threads: &[ThreadRuns]) -> Result<Timed, MeasureError> {
    let mut timed = Timed {
        products_per_run: 0,
        runs_ns: Vec::with_capacity(spec.runs as usize),
        entries_checked: 0,
        error_max: 0.0,
    };
    for (thread, &cpu) in threads.iter().zip(&spec.cpus) {
        let (error, bound) = (thread.check.error_max, thread.check.bound);
        if error.is_nan() || error > bound {
            return Err(MeasureError::WrongProduct { precision, cpu, error, bound });
        }
        timed.products_per_run += thread.products_per_run;
        timed.entries_checked += thread.check.entries;
        timed.error_max = timed.error_max.max(error);
    }
    for run in 0..spec.runs as usize {
        let first = threads.iter().map(|thread| thread.spans[run].0).min();
        let last = threads.iter().map(|thread| thread.spans[run].1).max();
        if let (Some(first), Some(last)) = (first, last) {
            timed.runs_ns.push(nanoseconds(last - first));
        }
    }
    Ok(timed)
}

fn rate(spec: &MeasureSpec, precision: Precision, host: &Host, physical_cores: u32, timed: &Timed) -> PrecisionRate {
    let flop_per_run = timed.products_per_run * gemm_flop(spec.order as u64);
    let median_ns = upper_median(&timed.runs_ns);
    let sustained_gflops = gflops(flop_per_run, median_ns);
    let nameplate_gflops = host.nameplate_gflops(precision, physical_cores);
    PrecisionRate {
        precision,
        class: precision.class().to_owned(),
        sustained_gflops,
        per_cpu_gflops: rating::gflops(flop_per_run / spec.cpus.len() as u64, median_ns),
        nameplate_gflops,
        flop_per_cycle: host.flop_per_cycle(precision),
        plausible: nameplate_gflops.map(|nameplate| sustained_gflops <= nameplate),
        order: spec.order as u64,
        flop_per_run,
        runs_ns: timed.runs_ns.clone(),
        median_ns,
        entries_checked: timed.entries_checked,
        error_max: timed.error_max,
    }
}

/// Nanoseconds, at least one, so that no rate divides by zero.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(cpus: Vec<u32>) -> MeasureSpec {
        MeasureSpec { cpus, precisions: Precision::ALL.to_vec(), order: 64, runs: 3, run_ms: 1 }
    }

    #[test]
    fn a_tiny_measurement_keeps_every_timing() {
        let spec = tiny(MeasureSpec::default().cpus);
        let measurement = measure(&spec).unwrap();
        assert_eq!(measurement.method, METHOD);
        assert!(measurement.part.starts_with("cpu:"));
        assert_eq!(measurement.rates.len(), 3);
        for rate in &measurement.rates {
            assert!(rate.sustained_gflops >= 1);
            assert!(rate.per_cpu_gflops <= rate.sustained_gflops);
            assert_eq!(rate.runs_ns.len(), 3);
            assert!(rate.runs_ns.contains(&rate.median_ns));
            assert_eq!(rate.flop_per_run % gemm_flop(64), 0);
            assert_eq!(rate.entries_checked, 64 * spec.cpus.len() as u32);
            let nameplate = rate.nameplate_gflops;
            assert_eq!(rate.plausible, nameplate.map(|peak| rate.sustained_gflops <= peak));
        }
    }

    #[test]
    fn a_measurement_survives_json() {
        let cpu = MeasureSpec::default().cpus[0];
        let measurement = measure(&tiny(vec![cpu])).unwrap();
        let text = serde_json::to_string(&measurement).unwrap();
        let back: Measurement = serde_json::from_str(&text).unwrap();
        assert_eq!(back.rates.len(), measurement.rates.len());
        assert_eq!(back.rates[0].runs_ns, measurement.rates[0].runs_ns);
        assert!(text.contains("\"precision\":\"bf16\""));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_and_nobody_waits_for_it() {
        let present = MeasureSpec::default().cpus[0];
        for absent in [1_023, 70_000] {
            let error = measure(&tiny(vec![present, absent])).unwrap_err();
            assert!(matches!(error, MeasureError::Pin { cpu, .. } if cpu == absent));
        }
    }
}
