//! What the threads of an engine share, and how they wait.

use std::{
    fs::File,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{client::Client, config::SlurmConfig, files::Files, state::State, users::Users};

/// What all threads use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SlurmConfig,
    pub(super) files: Files,
    pub(super) users: Users,
    pub(super) client: Client,
    pub(super) stop: Arc<AtomicBool>,
    /// When the site was asked last for what it announces; held while it is asked.
    pub(super) site_asked: Mutex<Option<Instant>>,
    state: Mutex<State>,
    /// There is something to report.
    pub(super) reports: Condvar,
    /// There is something to submit, release or cancel.
    pub(super) work: Condvar,
    /// Held as long as an engine uses the folder.
    _lock: File,
}

impl Shared {
    pub(super) fn new(config: SlurmConfig, files: Files, users: Users, state: State, lock: File) -> Shared {
        let stop = Arc::new(AtomicBool::new(false));
        let client = Client::new(&config, Arc::clone(&stop));
        Shared {
            config,
            files,
            users,
            client,
            stop,
            site_asked: Mutex::default(),
            state: Mutex::new(state),
            reports: Condvar::new(),
            work: Condvar::new(),
            _lock: lock,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends all waits for ever.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _state = self.lock();
        self.reports.notify_all();
        self.work.notify_all();
    }

    /// Waits on a condition until `done` says so, the time is over or the engine stops.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        on: &Condvar,
        time: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waits = on.wait_timeout_while(state, time, |state| !done(state) && !self.stopped());
        waits.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for a time, or until the engine stops.
    pub(super) fn pause(&self, time: Duration) {
        // Reports come all the while; only the time and the end of the engine matter here.
        drop(self.wait(self.lock(), &self.reports, time, |_| false));
    }
}
