//! Why a file is not there, and how often it is tried.

use std::sync::atomic::Ordering::Relaxed;

use super::live::Progress;
use crate::pause::Backoff;

/// How often in a row a file may fail without a byte more.
const TRIES: u32 = 10;

/// What went wrong with one file; each text is a sentence for whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It may work at the next try.
    #[error("{0}")]
    Passing(String),
    /// It never will.
    #[error("{0}")]
    Lasting(String),
    /// Nobody wants it any more.
    #[error("stopped")]
    Stopped,
}

impl Fault {
    /// Of the agent's own disk: another try there is another attempt's matter.
    pub(crate) fn disk(what: &str) -> impl Fn(std::io::Error) -> Fault + use<'_> {
        move |error| Fault::Lasting(format!("{what} cannot be used at the centre: {error}"))
    }
}

/// Tries until it works, never will, nobody wants it any more, or too many tries in a row brought nothing.
pub(super) fn patiently(progress: &Progress, mut once: impl FnMut() -> Result<(), Fault>) -> Result<(), Fault> {
    let (mut backoff, mut failures, mut reached) = (Backoff::new(), 0, 0);
    loop {
        let what = match once() {
            _ if progress.stop.stopped() => return Err(Fault::Stopped),
            Err(Fault::Passing(what)) => what,
            result => return result,
        };
        let now = progress.reached.load(Relaxed);
        if now > reached {
            (failures, reached) = (0, now);
            backoff.reset();
        }
        failures += 1;
        if failures >= TRIES {
            return Err(Fault::Lasting(format!("{what}; {TRIES} tries brought no more of it")));
        }
        tracing::info!(what, failures, "data is tried again");
        if backoff.wait(&progress.stop) {
            return Err(Fault::Stopped);
        }
    }
}
