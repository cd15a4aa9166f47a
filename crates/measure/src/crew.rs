//! One pinned thread for each logical CPU, all starting each timed run together.

use crate::spec::MeasureError;
use crate::{clock, cpus};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Repetitions of the work in a timed run at most, so that a clock that does not advance cannot loop for ever.
const REPEATS_MAX: u64 = 100_000;

/// Repetitions timed one by one to find how many fill a run. The fastest counts: one that a neighbour
/// disturbed would make every run too short.
const WARM_UP_REPEATS: u32 = 3;

/// What is timed.
pub(crate) trait Work {
    /// Does it once.
    fn once(&mut self);
}

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Timed runs after the warm-up.
    pub(crate) runs: u32,
    /// What one run should take, in milliseconds.
    pub(crate) run_ms: u32,
}

/// What one thread brings back.
pub(crate) struct ThreadRuns<W> {
    /// Repetitions in each run.
    pub(crate) repeats: u64,
    /// Beginning and end of each run.
    pub(crate) spans: Vec<(Instant, Instant)>,
    /// Nanoseconds that the thread computed in each run: less than the span when others took the CPU.
    pub(crate) cpu_ns: Vec<u64>,
    /// The clock of its core after warm-up and after the last run, whichever is higher.
    pub(crate) clock_khz: Option<u64>,
    /// The work, to be checked.
    pub(crate) work: W,
}

/// What the threads share.
struct Meeting {
    start: Barrier,
    /// Set when a thread could not be pinned; all leave before the first run.
    given_up: AtomicBool,
    /// The slowest thread's time for one undisturbed repetition, from which all derive the same number of them.
    slowest_ns: AtomicU64,
}

/// Runs work on each of `cpus` at once. The work is made on its own thread after pinning, so that its pages
/// lie on the memory node of the CPU.
///
/// # Errors
///
/// When a thread cannot be pinned to its CPU; nothing is timed then.
pub(crate) fn run<W: Work + Send>(
    cpus: &[u32],
    timing: Timing,
    make: impl Fn(u32) -> W + Sync,
) -> Result<Vec<ThreadRuns<W>>, MeasureError> {
    let meeting =
        Meeting { start: Barrier::new(cpus.len()), given_up: AtomicBool::new(false), slowest_ns: AtomicU64::new(1) };
    let (meeting, make) = (&meeting, &make);
    std::thread::scope(|scope| {
        let start = |&cpu: &u32| scope.spawn(move || run_thread(cpu, timing, meeting, make));
        let handles: Vec<_> = cpus.iter().map(start).collect();
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
    })
}

/// Pins the thread, warms up, agrees with the others on the length of a run, and runs.
fn run_thread<W: Work>(
    cpu: u32,
    timing: Timing,
    meeting: &Meeting,
    make: impl Fn(u32) -> W,
) -> Result<Option<ThreadRuns<W>>, MeasureError> {
    let pinned = cpus::pin_to(cpu);
    meeting.given_up.fetch_or(pinned.is_err(), Ordering::SeqCst);
    meeting.start.wait();
    pinned.map_err(|source| MeasureError::Pin { cpu, source })?;
    if meeting.given_up.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let mut work = make(cpu);
    // The first repetition pays for page faults, caches and the clock's ramp and is not counted.
    work.once();
    meeting.start.wait();
    let mut fastest_ns = u64::MAX;
    for _ in 0..WARM_UP_REPEATS {
        let (from, to) = timed(&mut work, 1);
        fastest_ns = fastest_ns.min(nanoseconds(to - from));
    }
    let clock_before = clock::timed_khz();
    meeting.slowest_ns.fetch_max(fastest_ns, Ordering::SeqCst);
    meeting.start.wait();
    let one_ns = meeting.slowest_ns.load(Ordering::SeqCst);
    let repeats = (u64::from(timing.run_ms) * 1_000_000 / one_ns).clamp(1, REPEATS_MAX);
    let (mut spans, mut cpu_ns) = (Vec::new(), Vec::new());
    for _ in 0..timing.runs {
        meeting.start.wait();
        let before = cpus::thread_cpu_ns();
        spans.push(timed(&mut work, repeats));
        cpu_ns.push((cpus::thread_cpu_ns() - before).max(1));
    }
    let clock_khz = clock_before.max(clock::timed_khz());
    Ok(Some(ThreadRuns { repeats, spans, cpu_ns, clock_khz, work }))
}

fn timed(work: &mut impl Work, repeats: u64) -> (Instant, Instant) {
    let from = Instant::now();
    for _ in 0..repeats {
        black_box(&mut *work).once();
    }
    (from, Instant::now())
}

/// Joins the threads' spans run by run, first start to last end, in nanoseconds.
pub(crate) fn walls_ns<W>(threads: &[ThreadRuns<W>]) -> Vec<u64> {
    let runs = threads.iter().map(|thread| thread.spans.len()).min().unwrap_or(0);
    let span = |run: usize| {
        let first = threads.iter().map(|thread| thread.spans[run].0).min()?;
        let last = threads.iter().map(|thread| thread.spans[run].1).max()?;
        Some(nanoseconds(last - first))
    };
    (0..runs).filter_map(span).collect()
}

/// The thread that computed longest in each run, in nanoseconds: what the run takes when nobody disturbs it.
pub(crate) fn slowest_cpu_ns<W>(threads: &[ThreadRuns<W>]) -> Vec<u64> {
    let runs = threads.iter().map(|thread| thread.cpu_ns.len()).min().unwrap_or(0);
    (0..runs).filter_map(|run| threads.iter().map(|thread| thread.cpu_ns[run]).max()).collect()
}

/// Nanoseconds, at least one, so that no rate divides by zero.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u64);

    impl Work for Counting {
        fn once(&mut self) {
            self.0 += 1;
        }
    }

    #[test]
    fn every_thread_does_every_run() {
        let cpus = cpus::allowed();
        let threads = run(&cpus, Timing { runs: 3, run_ms: 0 }, |_| Counting(0)).expect("runs");
        assert_eq!(threads.len(), cpus.len());
        for thread in &threads {
            // One to warm up, three timed one by one, and one for each run of no length.
            assert_eq!((thread.repeats, thread.work.0), (1, 1 + 3 + 3));
        }
        assert_eq!((walls_ns(&threads).len(), slowest_cpu_ns(&threads).len()), (3, 3));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_and_nobody_waits_for_it() {
        let present = cpus::allowed()[0];
        for absent in [1_023, 70_000] {
            let timing = Timing { runs: 3, run_ms: 0 };
            let error = run(&[present, absent], timing, |_| Counting(0)).map(|_| ()).expect_err("no such CPU");
            assert!(matches!(error, MeasureError::Pin { cpu, .. } if cpu == absent));
        }
    }
}
