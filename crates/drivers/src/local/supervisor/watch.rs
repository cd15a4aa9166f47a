//! Watches one process to its end, and brings the end about when it is due.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use huisuan_model::EndCause;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process_group},
};

use super::attempt::Attempt;

/// What is being done to the process.
enum Phase {
    /// Nothing: it may run until then.
    Runs(Option<Instant>),
    /// It was asked to end and has until then.
    Asked(EndCause, Instant),
    /// It was killed.
    Killed(EndCause),
}

/// Returns once the process has ended (it is not reaped here), with the cause: [`EndCause::Exited`]
/// unless its end was brought about.
///
/// An end that is due is asked for by SIGTERM to the whole process group, and enforced by SIGKILL when
/// `grace` is over. For memory there is no grace: the machine may have none left.
pub(crate) fn watch(
    attempt: &Attempt,
    pidfd: &OwnedFd,
    group: Pid,
    deadline: Option<Instant>,
    grace: Duration,
) -> EndCause {
    let mut phase = Phase::Runs(deadline);
    loop {
        let until = match &phase {
            Phase::Runs(deadline) => *deadline,
            Phase::Asked(_, kill_at) => Some(*kill_at),
            Phase::Killed(_) => None,
        };
        let ended = wait(pidfd, attempt.waker(), until);
        if ended {
            return match phase {
                Phase::Runs(_) => EndCause::Exited,
                Phase::Asked(cause, _) | Phase::Killed(cause) => cause,
            };
        }
        let over = until.is_some_and(|until| Instant::now() >= until);
        phase = match (phase, attempt.wished()) {
            (Phase::Runs(_) | Phase::Asked(..), Some(EndCause::Memory)) => {
                signal(group, Signal::KILL);
                Phase::Killed(EndCause::Memory)
            }
            (Phase::Runs(_), Some(cause)) => ask(group, cause, grace),
            (Phase::Runs(_), None) if over => ask(group, EndCause::Walltime, grace),
            (Phase::Asked(cause, _), _) if over => {
                signal(group, Signal::KILL);
                Phase::Killed(cause)
            }
            (phase, _) => phase,
        };
    }
}

fn ask(group: Pid, cause: EndCause, grace: Duration) -> Phase {
    signal(group, Signal::TERM);
    Phase::Asked(cause, Instant::now() + grace)
}

/// The group exists for as long as its first process is not reaped, which happens after the watch.
fn signal(group: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(group, signal) {
        tracing::debug!(group = group.as_raw_nonzero(), %error, "process group cannot be signalled");
    }
}

/// Waits for the end of the process (true), a wish, or the moment `until`.
fn wait(pidfd: &OwnedFd, waker: &OwnedFd, until: Option<Instant>) -> bool {
    let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
    // A span that the kernel cannot hold is as good as none.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut fds = [PollFd::new(pidfd, PollFlags::IN), PollFd::new(waker, PollFlags::IN)];
    if let Err(error) = poll(&mut fds, timeout.as_ref())
        && error != rustix::io::Errno::INTR
    {
        panic!("poll of two valid descriptors failed: {error}");
    }
    let (ended, woken) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
    if woken {
        let _ = rustix::io::read(waker, &mut [0u8; 8]);
    }
    ended
}
