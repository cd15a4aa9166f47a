//! What the two threads of an agent agree on: the run of the server that they speak with.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use huisuan_api::agent::Welcome;
use huisuan_model::AttemptReport;

use crate::pause::StopFlag;

/// How often a waiting thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);

/// Shared by the thread that pulls and the thread that reports.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the server said to the last hello; `None` while another is needed.
    welcome: Option<Welcome>,
    /// Reports that the engine does not make: of orders that it refused.
    own: Vec<AttemptReport>,
}

impl Contact {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server welcomed this agent.
    pub(crate) fn open(&self, welcome: Welcome) {
        self.lock().welcome = Some(welcome);
        self.opened.notify_all();
    }

    /// Another hello is needed, unless there was one since the server run `epoch` was spoken with.
    pub(crate) fn close(&self, epoch: u64) {
        let mut state = self.lock();
        if state.welcome.as_ref().is_some_and(|welcome| welcome.epoch == epoch) {
            state.welcome = None;
        }
    }

    /// The server run of the open session.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.lock().welcome.as_ref().map(|welcome| welcome.epoch)
    }

    /// Waits for an open session; `None` when the agent is to stop.
    pub(crate) fn wait(&self, stop: &StopFlag) -> Option<Welcome> {
        let mut state = self.lock();
        while !stop.stopped() {
            if let Some(welcome) = &state.welcome {
                return Some(welcome.clone());
            }
            state = self.opened.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    /// Adds reports that the engine does not make.
    pub(crate) fn add_own(&self, reports: Vec<AttemptReport>) {
        self.lock().own.extend(reports);
    }

    /// Takes them.
    pub(crate) fn take_own(&self) -> Vec<AttemptReport> {
        std::mem::take(&mut self.lock().own)
    }
}
