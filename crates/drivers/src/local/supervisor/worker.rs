//! A worker thread takes attempts one after another and sees each from its claim to its end.

use std::{
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    process::Child,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_model::{Bytes, DurationMs, EndCause, Outcome, Usage, spec::JobKind};
use rustix::{
    event::{EventfdFlags, eventfd},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group},
    thread::{CpuSet, sched_setaffinity},
};
use wait4::{ResUse, Wait4 as _};

use super::{
    attempt::{Attempt, Process},
    process::{processes_of, stat},
    recover::kill_each,
    session,
    shared::{Shared, lock},
    start::start,
    watch::watch,
};
use crate::{
    clock::now,
    container::{self, Client, Container},
    failpoint,
    folder::program::Outputs,
    local::{
        config::VERSION,
        records::{Claim, Running, write_claim},
        wire::write_line,
    },
};

/// The loop of a worker thread; never returns.
pub(crate) fn work(shared: &Arc<Shared>) {
    let waker = Arc::new(new_waker());
    let mut pinned = Vec::new();
    let mut made_now = true;
    loop {
        let attempt = shared.next(&waker, made_now);
        made_now = false;
        let cpus = attempt.share.cpus();
        if cpus != pinned {
            pin(&cpus);
            pinned = cpus;
        }
        let (outcome, usage) = run(shared, &attempt);
        shared.finish(&attempt, outcome, usage);
    }
}

/// A descriptor by which other threads interrupt a watch.
pub(crate) fn new_waker() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .expect("the number of workers is limited so that descriptors suffice")
}

/// Binds this thread, and so every process that it starts, to the CPUs of a share.
fn pin(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU).for_each(|&cpu| set.set(cpu));
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(?cpus, %error, "thread cannot be pinned, its attempts may use other cores");
    }
}

fn run(shared: &Shared, attempt: &Attempt) -> (Outcome, Usage) {
    let unstarted =
        |cause, detail: String| (Outcome { cause, exit_code: None, signal: None, detail }, Usage::default());
    let order = &attempt.order;
    let paths = shared.paths.attempt(order.attempt);
    if let Err(error) = paths.make() {
        return unstarted(EndCause::StartFailed, format!("the attempt's folder cannot be made: {error}"));
    }
    if attempt.wished().is_some() {
        return unstarted(EndCause::Cancelled, "cancelled before it started".into());
    }
    let outputs = Outputs::of(order, &paths.dir);
    let claim = Claim {
        version: VERSION,
        attempt: order.attempt,
        boot_id: shared.boot_id.clone(),
        claimed_at: now(),
        stdout: outputs.stdout.clone(),
        stderr: outputs.stderr.clone(),
    };
    let mut file = match write_claim(&paths, &claim) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return unstarted(EndCause::Lost, "it was claimed before, so it was not started again".into());
        }
        Err(error) => return unstarted(EndCause::StartFailed, format!("it cannot be claimed: {error}")),
    };
    failpoint::reach("supervisor-after-claim");
    let containers = order.spec.image.as_ref().and_then(|_| lock(&shared.state).config.containers.clone());
    let started = match &containers {
        Some(containers) => container::start(containers, order, &paths, &attempt.share.cpus()),
        None if order.spec.kind == JobKind::Session => {
            session::start(order, &paths, &shared.environment).map(|(child, terminal)| {
                let _ = attempt.terminal.set(terminal);
                child
            })
        }
        None => start(order, &paths, &outputs, &shared.environment),
    };
    let child = match started {
        Ok(child) => child,
        Err(detail) => return unstarted(EndCause::StartFailed, detail),
    };
    let since = Instant::now();
    failpoint::reach("supervisor-after-spawn");
    let pid = i32::try_from(child.id()).expect("the kernel's process ids are positive i32");
    let process = Process { pid, started_at: now(), since, before: DurationMs::ZERO };
    let start_ticks = stat(pid).map_or(0, |stat| stat.start_ticks);
    let running = Running { pid, start_ticks, started_at: process.started_at };
    if let Err(error) = write_line(&mut file, &running) {
        tracing::warn!(attempt = %order.attempt, %error, "process id cannot be recorded");
    }
    drop(file);
    let _ = attempt.process.set(process);
    match Container::of(containers.as_ref(), order, &paths) {
        // It has not started yet; who samples tells when it has.
        Some(container) => finish_container(shared, attempt, child, &container),
        None => {
            let mut state = lock(&shared.state);
            state.note_started(order.attempt);
            shared.reports.notify_all();
            drop(state);
            finish_child(shared, attempt, child)
        }
    }
}

/// Watches the client of a container to its end, and sees that the container has ended, too.
fn finish_container(shared: &Shared, attempt: &Attempt, child: Child, container: &Container) -> (Outcome, Usage) {
    let (cause, waited, _) = watch_child(shared, attempt, child);
    let client = match (waited.status.code(), waited.status.signal()) {
        (Some(code), _) => Client::Code(code),
        (None, signal) => Client::Signal(signal.unwrap_or_default()),
    };
    let outcome = container.end(cause, client, describe(cause, attempt));
    // The client's own use is not the task's: what counts is what was seen of the container.
    (outcome, attempt.usage())
}

/// Watches the child to its end, ends what is left of its group, reaps it.
fn finish_child(shared: &Shared, attempt: &Attempt, child: Child) -> (Outcome, Usage) {
    let (cause, waited, mut left) = watch_child(shared, attempt, child);
    if let Some(terminal) = attempt.terminal.get() {
        // The jobs of a shell at a terminal have groups of their own.
        let rest = processes_of(&shared.paths.attempt(attempt.order.attempt).dir);
        kill_each(&rest);
        left |= !rest.is_empty();
        terminal.finish(waited.status.code().unwrap_or_else(|| 128 + waited.status.signal().unwrap_or_default()));
    }
    let wall = attempt.usage().wall;
    let cpu = waited.rusage.utime + waited.rusage.stime;
    let used = Usage {
        wall,
        cpu: DurationMs(u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX)),
        memory_peak: Bytes(shared.informative_peak(waited.rusage.maxrss)),
        ..Usage::default()
    };
    let usage = attempt.usage().merge(used);
    let usage = Usage { wall, ..usage };
    let mut detail = describe(cause, attempt);
    if left && cause == EndCause::Exited {
        detail = "processes that it left behind were killed".into();
    }
    let outcome = Outcome { cause, exit_code: waited.status.code(), signal: waited.status.signal(), detail };
    (outcome, usage)
}

/// Why a child ended, what the kernel says of it, and whether others of its group were still there; none is now.
fn watch_child(shared: &Shared, attempt: &Attempt, child: Child) -> (EndCause, ResUse, bool) {
    let group = Pid::from_child(&child);
    let grace = Duration::from_millis(lock(&shared.state).config.grace_ms);
    let since = attempt.process.get().map_or_else(Instant::now, |process| process.since);
    let deadline = since.checked_add(Duration::from_millis(attempt.order.walltime().0));
    let cause = match pidfd_open(group, PidfdFlags::empty()) {
        Ok(pidfd) => watch(attempt, &pidfd, group, deadline, grace),
        Err(error) => panic!("a child that is not reaped has no descriptor: {error}"),
    };
    // Its pid, which is the group's id, cannot be given to another while the child is not reaped.
    let _ = kill_process_group(group, Signal::KILL);
    let waited = child.wait4();
    let left = test_kill_process_group(group).is_ok();
    (cause, waited.expect("a child that nobody else waits for can be waited for"), left)
}

/// What people want to know beyond the cause.
pub(crate) fn describe(cause: EndCause, attempt: &Attempt) -> String {
    match cause {
        EndCause::Memory => {
            format!("used {} of memory, asked for {}", attempt.usage().memory_peak, attempt.order.memory())
        }
        EndCause::Walltime => format!("ran longer than its walltime of {}", attempt.order.walltime()),
        _ => String::new(),
    }
}
