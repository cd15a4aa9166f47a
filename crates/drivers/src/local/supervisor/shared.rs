//! What the supervisor's threads share, and the few moves that need more than one lock.
//!
//! Locks are taken in this order: `accepted`, `done`, `state`, `ends`.

use std::{
    ffi::OsString,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, AttemptReport, EndCause, Outcome, ReportKind, TimeMs, Usage};

use super::{
    attempt::Attempt,
    process::own_peak_bytes,
    state::{Record, State},
    worker,
};
use crate::{
    clock::now,
    folder::{
        batch::Batch,
        log::{Log, append_line},
        paths::Paths,
        records::write_done,
    },
    local::records::{AcceptedLine, DoneLine},
};

/// How long to wait before another try when a record of an end cannot be written, disk full for instance.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// Everything that more than one thread touches.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) paths: Paths,
    pub(crate) boot_id: String,
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// The most attempts that may run at once, so that file descriptors do not run out.
    pub(crate) workers_max: usize,
    pub(crate) state: Mutex<State>,
    /// Something may start.
    pub(crate) work: Condvar,
    /// Something is to be reported.
    pub(crate) reports: Condvar,
    /// Something runs, after nothing ran.
    pub(crate) sampling: Condvar,
    /// Held during a whole submit, so that no order is taken twice.
    pub(crate) accepted: Mutex<Log>,
    pub(crate) done: Mutex<Log>,
    ends: Mutex<Vec<AttemptReport>>,
    ends_waiting: Condvar,
    /// Ends that are not on disk yet, those in the committer's hands included.
    uncommitted: AtomicU64,
    /// See [`Shared::informative_peak`].
    own_peak: AtomicU64,
}

/// A lock whose holder panicked is never met: a panic of any thread ends the supervisor.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(paths: Paths, boot_id: String, state: State, accepted: Log, done: Log) -> Self {
        Shared {
            paths,
            boot_id,
            environment: super::start::inherited_environment(),
            workers_max: workers_max(),
            state: Mutex::new(state),
            work: Condvar::new(),
            reports: Condvar::new(),
            sampling: Condvar::new(),
            accepted: Mutex::new(accepted),
            done: Mutex::new(done),
            ends: Mutex::new(Vec::new()),
            ends_waiting: Condvar::new(),
            uncommitted: AtomicU64::new(0),
            own_peak: AtomicU64::new(own_peak_bytes()),
        }
    }

    /// Waits for the next attempt that may start and gives it to the calling worker.
    pub(crate) fn next(self: &Arc<Self>, waker: &Arc<OwnedFd>, made_now: bool) -> Arc<Attempt> {
        let mut state = lock(&self.state);
        let mut waits = made_now;
        loop {
            if waits {
                state = self.work.wait_while(state, |state| state.tickets == 0).unwrap_or_else(PoisonError::into_inner);
                state.tickets -= 1;
            }
            if let Some((order, share)) = state.take_next() {
                if state.running.is_empty() {
                    self.sampling.notify_one();
                }
                let attempt = Arc::new(Attempt::new(order, share, Arc::clone(waker)));
                state.set_running(&attempt);
                self.wake_worker(&mut state);
                return attempt;
            }
            state.idle_workers += 1;
            waits = true;
        }
    }

    /// Wakes a worker, or makes one, when something may start. One at a time: it wakes the next.
    pub(crate) fn wake_worker(self: &Arc<Self>, state: &mut State) {
        if state.tickets > 0 || !state.startable() {
            return;
        }
        if state.idle_workers > 0 {
            state.idle_workers -= 1;
            state.tickets += 1;
            self.work.notify_one();
        } else if state.workers < self.workers_max {
            let shared = Arc::clone(self);
            match thread::Builder::new().name("worker".into()).spawn(move || worker::work(&shared)) {
                Ok(_) => {
                    state.workers += 1;
                    state.tickets += 1;
                }
                Err(error) => tracing::error!(%error, "worker thread cannot be made"),
            }
        }
    }

    /// An attempt that held a share has ended.
    pub(crate) fn finish(self: &Arc<Self>, attempt: &Attempt, outcome: Outcome, usage: Usage) {
        let id = attempt.order.attempt;
        // Of a container that could not be started there was a client, and nothing of the task.
        let process = attempt.process.get().filter(|_| outcome.cause != EndCause::StartFailed);
        let started_at = process.map(|process| process.started_at);
        let report = ended(id, started_at, outcome, usage);
        self.note_done(&report);
        self.uncommitted.fetch_add(1, Ordering::SeqCst);
        {
            let mut state = lock(&self.state);
            state.note_ending(id);
            self.wake_worker(&mut state);
        }
        self.commit(report);
    }

    /// An attempt that never held a share has ended. Its folder is made so that it can never start.
    pub(crate) fn finish_unstarted(&self, id: AttemptId, cause: EndCause, detail: &str) {
        let outcome = Outcome { cause, exit_code: None, signal: None, detail: detail.to_owned() };
        let report = ended(id, None, outcome, Usage::default());
        if let Err(error) = self.paths.attempt(id).make() {
            tracing::warn!(attempt = %id, %error, "attempt folder cannot be made");
        }
        self.note_done(&report);
        self.uncommitted.fetch_add(1, Ordering::SeqCst);
        self.commit(report);
    }

    fn note_done(&self, report: &AttemptReport) {
        // The log is what counts; this copy lets a successor know an end that was not in the log yet.
        if let Err(error) = write_done(&self.paths.attempt(report.attempt), report) {
            tracing::warn!(attempt = %report.attempt, %error, "done record cannot be written");
        }
    }

    /// Hands an end, already counted as uncommitted, to the committer.
    fn commit(&self, report: AttemptReport) {
        let mut ends = lock(&self.ends);
        ends.push(report);
        if ends.len() == 1 {
            self.ends_waiting.notify_one();
        }
    }

    /// The committer's loop: all ends that wait are written and synced together, then reported.
    pub(crate) fn commit_ends(&self) {
        loop {
            let waiting = lock(&self.ends);
            let waiting = self.ends_waiting.wait_while(waiting, |ends| ends.is_empty());
            let reports = std::mem::take(&mut *waiting.unwrap_or_else(PoisonError::into_inner));
            let mut text = Vec::new();
            let lines: Vec<_> = reports.into_iter().map(DoneLine::Ended).collect();
            for line in &lines {
                append_line(&mut text, line).expect("a report is JSON and memory does not refuse a write");
            }
            while let Err(error) = lock(&self.done).append(&text, true) {
                tracing::error!(%error, "ends cannot be written, trying again");
                let ends = lock(&self.ends);
                // Nobody ends this wait early; the condition variable is only a clock here.
                drop(self.ends_waiting.wait_timeout_while(ends, WRITE_AGAIN, |_| true));
            }
            crate::failpoint::reach("supervisor-after-done");
            let committed = lines.len() as u64;
            let mut state = lock(&self.state);
            for line in lines {
                if let DoneLine::Ended(report) = line {
                    state.note_ended(report);
                }
            }
            self.reports.notify_all();
            drop(state);
            self.uncommitted.fetch_sub(committed, Ordering::SeqCst);
            self.shorten_logs();
        }
    }

    /// Forgets ends that the network has committed. Not synced: at worst they are reported again.
    pub(crate) fn acknowledge(&self, ids: &[AttemptId]) {
        let forgotten = lock(&self.state).acknowledge(ids);
        if forgotten.is_empty() {
            return;
        }
        let mut text = Vec::new();
        let written = append_line(&mut text, &DoneLine::Acknowledged(forgotten));
        if let Err(error) = written.and_then(|()| lock(&self.done).append(&text, false)) {
            tracing::warn!(%error, "acknowledgement cannot be written");
        }
    }

    /// Rewrites both logs when either is mostly history. The accepted log goes first: an order whose end
    /// and acknowledgement are forgotten must not be found there.
    fn shorten_logs(&self) {
        let Ok(mut accepted) = self.accepted.try_lock() else { return };
        let mut done = lock(&self.done);
        if !accepted.worth_rewriting() && !done.worth_rewriting() {
            return;
        }
        let (orders, ended) = {
            let state = lock(&self.state);
            let (mut orders, mut ended) = (Vec::new(), Vec::new());
            for record in state.records.values() {
                match record {
                    Record::Queued(order) | Record::Ending(order) => orders.push(Arc::clone(order)),
                    Record::Running(attempt) => orders.push(Arc::clone(&attempt.order)),
                    Record::Ended(report) => ended.push(DoneLine::Ended(report.clone())),
                }
            }
            (orders, ended)
        };
        let batch = Batch::new(orders.iter().map(Arc::as_ref));
        let rewritten = Log::rewrite(accepted.path(), [AcceptedLine { boot_id: self.boot_id.clone(), batch }])
            .and_then(|log| {
                *accepted = log;
                *done = Log::rewrite(done.path(), ended)?;
                Ok(())
            });
        if let Err(error) = rewritten {
            tracing::warn!(%error, "logs cannot be shortened");
        }
    }

    /// A child's peak of resident memory, or nothing when it is not above this process's own peak, which
    /// the kernel gives to every child as its first.
    pub(crate) fn informative_peak(&self, peak: u64) -> u64 {
        if peak <= self.own_peak.load(Ordering::Relaxed) {
            return 0;
        }
        let own = own_peak_bytes();
        self.own_peak.fetch_max(own, Ordering::Relaxed);
        if peak <= own { 0 } else { peak }
    }

    /// Waits for reports; nothing when `wait` is over or another observer came.
    pub(crate) fn observe(&self, observer: u64, wait: Duration) -> Vec<AttemptReport> {
        let deadline = Instant::now().checked_add(wait);
        let mut state = lock(&self.state);
        loop {
            if state.observer != observer {
                return Vec::new();
            }
            let reports = state.take_reports();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !reports.is_empty() || left == Some(Duration::ZERO) {
                return reports;
            }
            let left = left.unwrap_or(Duration::from_secs(3600));
            let idle = |state: &mut State| !state.reportable() && state.observer == observer;
            state = self.reports.wait_timeout_while(state, left, idle).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// True when the supervisor has nothing to stay for: ends that are not acknowledged are on disk and
    /// can wait there.
    pub(crate) fn may_leave(&self) -> bool {
        let state = lock(&self.state);
        state.connections == 0 && state.idle() && self.uncommitted.load(Ordering::SeqCst) == 0
    }
}

/// The report of an end, as of now.
fn ended(attempt: AttemptId, started_at: Option<TimeMs>, outcome: Outcome, usage: Usage) -> AttemptReport {
    AttemptReport { attempt, at: now(), what: ReportKind::Ended { started_at, outcome, usage } }
}

/// Each running attempt needs two descriptors for as long as it runs and four more while it starts.
fn workers_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(64) / 6).unwrap_or(usize::MAX).clamp(1, 10_000)
}
