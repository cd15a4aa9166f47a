//! One attempt between its start and its end, as all threads of the supervisor see it.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use huisuan_model::{Bytes, DurationMs, EndCause, StartOrder, TimeMs, Usage};

use super::{cores::Share, session::Terminal};

/// An attempt that has taken its share. One thread watches it; others wish and sample.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) order: Arc<StartOrder>,
    pub(crate) share: Share,
    /// Known once its process runs.
    pub(crate) process: OnceLock<Process>,
    /// The first process of its container, once that runs.
    pub(crate) container: OnceLock<i32>,
    /// Its terminal, when it is a session, once its process runs.
    pub(crate) terminal: OnceLock<Arc<Terminal>>,
    /// Wakes the thread that watches it.
    waker: Arc<OwnedFd>,
    wish: AtomicU8,
    memory_peak: AtomicU64,
    cpu_ms: AtomicU64,
    /// Millionths of a joule.
    energy_uj: AtomicU64,
}

/// The process of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    /// Process id, and id of its process group.
    pub(crate) pid: i32,
    /// When it began, by the machine's clock.
    pub(crate) started_at: TimeMs,
    /// When it began, or when this supervisor found it.
    pub(crate) since: Instant,
    /// How long it had run before `since`.
    pub(crate) before: DurationMs,
}

impl Process {
    /// How long it has run.
    pub(crate) fn wall(&self) -> DurationMs {
        let since = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.before.saturating_add(DurationMs(since))
    }
}

/// Nobody wants it to end.
const NO_WISH: u8 = 0;
const CANCEL: u8 = 1;
const MEMORY: u8 = 2;

impl Attempt {
    pub(crate) fn new(order: Arc<StartOrder>, share: Share, waker: Arc<OwnedFd>) -> Self {
        Attempt {
            order,
            share,
            process: OnceLock::new(),
            container: OnceLock::new(),
            terminal: OnceLock::new(),
            waker,
            wish: AtomicU8::new(NO_WISH),
            memory_peak: AtomicU64::new(0),
            cpu_ms: AtomicU64::new(0),
            energy_uj: AtomicU64::new(0),
        }
    }

    /// Somebody wants it to end, for this cause; the first wish counts.
    pub(crate) fn wish(&self, cause: EndCause) {
        let wish = if cause == EndCause::Memory { MEMORY } else { CANCEL };
        if self.wish.compare_exchange(NO_WISH, wish, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            // The counter of an eventfd holds 2^64 - 2 wishes; it cannot be full.
            let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
        }
    }

    /// Why somebody wants it to end.
    pub(crate) fn wished(&self) -> Option<EndCause> {
        match self.wish.load(Ordering::SeqCst) {
            CANCEL => Some(EndCause::Cancelled),
            MEMORY => Some(EndCause::Memory),
            _ => None,
        }
    }

    pub(crate) fn waker(&self) -> &OwnedFd {
        &self.waker
    }

    /// Notes what was seen of it just now; how much more processor time that is than before.
    pub(crate) fn sample(&self, memory: Bytes, cpu: DurationMs) -> DurationMs {
        self.memory_peak.fetch_max(memory.0, Ordering::Relaxed);
        let before = self.cpu_ms.fetch_max(cpu.0, Ordering::Relaxed);
        DurationMs(cpu.0.saturating_sub(before))
    }

    /// Notes energy that it took since the last time.
    pub(crate) fn add_energy(&self, microjoules: u64) {
        self.energy_uj.fetch_add(microjoules, Ordering::Relaxed);
    }

    /// What it used as far as it was sampled.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            wall: self.process.get().map_or(DurationMs::ZERO, Process::wall),
            cpu: DurationMs(self.cpu_ms.load(Ordering::Relaxed)),
            memory_peak: Bytes(self.memory_peak.load(Ordering::Relaxed)),
            joules: self.energy_uj.load(Ordering::Relaxed) / 1_000_000,
            ..Usage::default()
        }
    }
}
