//! Memory bandwidth by STREAM's triad (McCalpin 1995): `a[i] = b[i] + s * c[i]` on FP64 arrays that no
//! cache holds. It counts 24 bytes for each element, two loads and a store; what the processor loads of `a`
//! before it writes there is not counted, as everywhere in STREAM.

use crate::cpus;
use crate::crew::{self, Timing, Work};
use crate::rating::{Bandwidth, Basis, upper_median};
use crate::spec::{MeasureError, MeasureSpec};

/// Bytes that STREAM counts for each element.
const BYTES_PER_ELEMENT: u64 = 24;
/// Each array is to be so many times as large as all last-level caches: STREAM's own rule.
const CACHES_PER_ARRAY: u64 = 4;
/// The least bytes of one array over all threads, where the kernel tells no caches.
const ARRAY_BYTES_MIN: u64 = 64 << 20;
/// Of the memory that is free, an array takes at most this part; there are three.
const FREE_PARTS: u64 = 128;

struct Triad {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

const SCALAR: f64 = 3.0;

impl Triad {
    fn new(elements: usize) -> Self {
        Self { a: vec![0.5; elements], b: vec![1.0; elements], c: vec![2.0; elements] }
    }

    /// Whether every sampled element is what it must be: 1 + 3 x 2.
    fn right(&self) -> bool {
        self.a.iter().step_by(4_097).chain(self.a.last()).all(|&value| value.to_bits() == 7.0_f64.to_bits())
    }
}

impl Work for Triad {
    fn once(&mut self) {
        for ((a, b), c) in self.a.iter_mut().zip(&self.b).zip(&self.c) {
            *a = *b + SCALAR * *c;
        }
    }
}

/// Bytes of one array over all threads, and whether STREAM's rule on its size is kept.
fn array_bytes(cache: u64, free: Option<u64>) -> (u64, bool) {
    let wanted = (CACHES_PER_ARRAY * cache).max(ARRAY_BYTES_MIN);
    let bytes = wanted.min(free.map_or(wanted, |free| free / FREE_PARTS)).max(8 << 10);
    (bytes, cache > 0 && bytes >= wanted)
}

/// Measures the bandwidth of all of the share's CPUs together.
///
/// # Errors
///
/// When a thread cannot be pinned, or memory gives back something other than what was written.
pub(crate) fn bandwidth(spec: &MeasureSpec) -> Result<Bandwidth, MeasureError> {
    let cache = cpus::last_level_cache_bytes(&spec.cpus);
    let (bytes, beyond_caches) = array_bytes(cache, cpus::memory_available());
    let threads = spec.cpus.len() as u64;
    let elements = (bytes / 8 / threads).max(1);
    let throttled_before = cpus::throttled_us();
    let timing = Timing { runs: spec.stream_runs, run_ms: 0 };
    let runs = crew::run(&spec.cpus, timing, |_| Triad::new(usize::try_from(elements).unwrap_or(1)))?;
    let basis = Basis::of(cpus::throttled_us() != throttled_before);
    if let Some((_, &cpu)) = runs.iter().zip(&spec.cpus).find(|(thread, _)| !thread.work.right()) {
        return Err(MeasureError::WrongTriad { cpu });
    }
    let (runs_ns, runs_cpu_ns) = (crew::walls_ns(&runs), crew::slowest_cpu_ns(&runs));
    let median_ns = upper_median(basis.pick(&runs_ns, &runs_cpu_ns));
    let bytes_per_run = elements * threads * BYTES_PER_ELEMENT;
    Ok(Bandwidth {
        // Bytes per nanosecond are gigabytes per second.
        mb_per_s: u64::try_from(u128::from(bytes_per_run) * 1_000 / u128::from(median_ns)).unwrap_or(u64::MAX),
        array_bytes: elements * threads * 8,
        cache_bytes: cache,
        beyond_caches,
        bytes_per_run,
        basis,
        runs_ns,
        runs_cpu_ns,
        median_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_streams_rule_where_memory_allows() {
        const GIB: u64 = 1 << 30;
        for (cache, free, expected) in [
            (32 << 20, Some(64 * GIB), (128 << 20, true)),
            (1 << 20, Some(64 * GIB), (ARRAY_BYTES_MIN, true)),
            (GIB, Some(16 * GIB), (GIB / 8, false)),
            (0, Some(16 * GIB), (ARRAY_BYTES_MIN, false)),
            (1 << 20, None, (ARRAY_BYTES_MIN, true)),
        ] {
            assert_eq!(array_bytes(cache, free), expected, "{cache} {free:?}");
        }
    }

    #[test]
    fn the_triad_is_right_and_an_unwritten_one_is_seen() {
        let mut triad = Triad::new(10_000);
        assert!(!triad.right());
        triad.once();
        assert!(triad.right());
        triad.a[9_999] = 1.0;
        assert!(!triad.right());
    }
}
