//! Watches one process to its end, and brings the end about when it is due.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use huisuan_model::{EndCause, StartOrder, spec::JobKind};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process_group},
};

use super::attempt::Attempt;

/// How a task is asked to end.
#[derive(Debug, Clone, Copy)]
struct Notice {
    signal: Signal,
    /// How long it then has.
    grace: Duration,
    /// How long before its walltime it is asked.
    ahead: Duration,
}

impl Notice {
    /// As the job wishes. One that saves its state gets its time within its walltime; to the others, SIGTERM comes
    /// when it is over.
    fn of(order: &StartOrder, grace: Duration) -> Self {
        match &order.spec.checkpoint {
            Some(checkpoint) => {
                let grace = Duration::from_millis(checkpoint.grace.0);
                Notice { signal: signal_of(&checkpoint.signal), grace, ahead: grace }
            }
            // Shells at a terminal ignore SIGTERM; this is what they are told when a terminal is closed.
            None if order.spec.kind == JobKind::Session => Notice { signal: Signal::HUP, grace, ahead: Duration::ZERO },
            None => Notice { signal: Signal::TERM, grace, ahead: Duration::ZERO },
        }
    }
}

/// The signals of [`huisuan_model::spec::checkpoint::SIGNALS`].
fn signal_of(name: &str) -> Signal {
    match name {
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => Signal::TERM,
    }
}

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
/// An end that is due is asked for by a signal to the whole process group, and enforced by SIGKILL when the time to
/// end is over: what the job asks for to save its state, else `grace` after SIGTERM. For memory there is no grace: the
/// machine may have none left.
pub(crate) fn watch(
    attempt: &Attempt,
    pidfd: &OwnedFd,
    group: Pid,
    deadline: Option<Instant>,
    grace: Duration,
) -> EndCause {
    let notice = Notice::of(&attempt.order, grace);
    let mut phase = Phase::Runs(deadline.map(|deadline| deadline.checked_sub(notice.ahead).unwrap_or(deadline)));
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
            (Phase::Runs(_), Some(cause)) => ask(group, cause, notice),
            (Phase::Runs(_), None) if over => ask(group, EndCause::Walltime, notice),
            (Phase::Asked(cause, _), _) if over => {
                signal(group, Signal::KILL);
                Phase::Killed(cause)
            }
            (phase, _) => phase,
        };
    }
}

fn ask(group: Pid, cause: EndCause, notice: Notice) -> Phase {
    signal(group, notice.signal);
    Phase::Asked(cause, Instant::now() + notice.grace)
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
