//! A flag that one thread waits for and others raise.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Raised any number of times, seen once.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<Flags>,
    raised: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    raised: bool,
    stopped: bool,
}

impl Wake {
    pub(crate) fn wake(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Who rests need not be disturbed by each of many: once it is raised, the wait to come returns at once.
        if !std::mem::replace(&mut state.raised, true) {
            self.raised.notify_one();
        }
    }

    /// Ends every wait from now on.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.raised.notify_all();
    }

    /// Waits until raised; false when stopped.
    pub(crate) fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.raised.wait_while(state, |flags| !flags.raised && !flags.stopped);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.raised = false;
        !state.stopped
    }

    /// Rests for a span that only a stop ends early.
    pub(crate) fn rest(&self, span: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.raised.wait_timeout_while(state, span, |flags| !flags.stopped));
    }
}
