//! After a start: what was accepted minus what is done, each brought to where it belongs.
//!
//! | found | then |
//! |---|---|
//! | in `done.log`, or `done.json` | ended; reported until acknowledged |
//! | accepted in another boot of the machine | lost: it may have started before the power went |
//! | no claim | waits in the queue again |
//! | claim, process alive | watched to its end, which is then lost: only a parent learns an exit code |
//! | claim, process gone | lost |
//! | the same of a container that runs | watched to its end; podman keeps the exit code |
//! | the same of a container that ended | ended as podman says |

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, AttemptReport, EndCause, Outcome, ReportKind, StartOrder, TimeMs, Usage};
use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};

use super::{
    attempt::{Attempt, Process},
    process::{ProcessStat, open_pidfd, processes_of, run_time, stat},
    shared::{Shared, lock},
    state::{Record, State},
    watch::watch,
    worker::{describe, new_waker},
};
use crate::{
    clock::now,
    container::{Client, Container, Containers, State as ContainerState},
    engine::EngineError,
    failpoint,
    folder::{
        batch::Batch,
        log::{Log, read_log},
        paths::{AttemptPaths, Paths},
        records::{read_done, write_done},
    },
    local::{
        config::SupervisorConfig,
        records::{AcceptedLine, DoneLine, read_claim},
    },
};

/// What a former supervisor left.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) accepted: Log,
    pub(crate) done: Log,
    pub(crate) adopted: Vec<Adopted>,
}

/// An attempt that a former supervisor started and that still runs.
pub(crate) struct Adopted {
    attempt: Arc<Attempt>,
    pidfd: OwnedFd,
}

/// Where one accepted attempt belongs.
enum Found {
    Ended(AttemptReport),
    Waits,
    Runs(Process, OwnedFd),
}

/// Reads the folder, shortens both logs to what is still needed.
pub(crate) fn recover(paths: &Paths, config: SupervisorConfig, boot_id: &str) -> Result<Recovered, EngineError> {
    let (mut ended, acknowledged) = fold_done(read_log(&paths.done())?);
    let mut state = State::new(config);
    let containers = state.config.containers.clone();
    let (mut orders, mut adopted, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for line in read_log::<AcceptedLine>(&paths.accepted())? {
        let same_boot = line.boot_id == boot_id;
        let batch = line.batch.orders().ok_or_else(|| EngineError::Damaged {
            path: paths.accepted(),
            line: 0,
            detail: "an order names a spec that is not in its line".into(),
        })?;
        for order in batch {
            let id = order.attempt;
            if acknowledged.contains(&id) {
                over.push(id);
                continue;
            }
            if ended.contains_key(&id) || state.records.contains_key(&id) {
                continue;
            }
            let order = Arc::new(order);
            match find(paths, containers.as_ref(), &order, same_boot)? {
                Found::Ended(report) => drop(ended.insert(id, report)),
                Found::Waits => {
                    orders.push(Arc::clone(&order));
                    state.enqueue(order);
                }
                Found::Runs(process, pidfd) => {
                    orders.push(Arc::clone(&order));
                    adopted.push(adopt(&mut state, order, process, pidfd));
                }
            }
        }
    }
    // The ends go first, for an order that is in neither log is never heard of again. With them go the
    // acknowledgements of all orders that a supervisor killed right here leaves in the other log.
    let lines = ended.values().cloned().map(DoneLine::Ended).chain([DoneLine::Acknowledged(over)]);
    let done = Log::rewrite(&paths.done(), lines).map_err(EngineError::file("log", &paths.done()))?;
    failpoint::reach("supervisor-between-logs");
    let batch = Batch::new(orders.iter().map(Arc::as_ref));
    let accepted = Log::rewrite(&paths.accepted(), [AcceptedLine { boot_id: boot_id.to_owned(), batch }])
        .map_err(EngineError::file("log", &paths.accepted()))?;
    state.records.extend(ended.into_iter().map(|(id, report)| (id, Record::Ended(report))));
    Ok(Recovered { state, accepted, done, adopted })
}

fn fold_done(lines: Vec<DoneLine>) -> (BTreeMap<AttemptId, AttemptReport>, BTreeSet<AttemptId>) {
    let (mut ended, mut acknowledged) = (BTreeMap::new(), BTreeSet::new());
    for line in lines {
        match line {
            DoneLine::Ended(report) => drop(ended.insert(report.attempt, report)),
            DoneLine::Acknowledged(ids) => {
                for id in ids {
                    ended.remove(&id);
                    acknowledged.insert(id);
                }
            }
        }
    }
    (ended, acknowledged)
}

fn find(
    paths: &Paths,
    containers: Option<&Containers>,
    order: &StartOrder,
    same_boot: bool,
) -> Result<Found, EngineError> {
    let id = order.attempt;
    let files = paths.attempt(id);
    if let Some(report) = read_done(&files) {
        return Ok(Found::Ended(report));
    }
    if !same_boot {
        let detail = "the machine was restarted while it waited or ran";
        return Ok(Found::Ended(lost(&files, id, None, detail)));
    }
    let Some((claim, running)) = read_claim(&files).map_err(EngineError::file("claim", &files.claim()))? else {
        return Ok(Found::Waits);
    };
    let claimed_at = claim.map_or_else(now, |claim| claim.claimed_at);
    let (identity, started_at) = match running {
        Some(running) => (Some((running.pid, running.start_ticks)), Some(running.started_at)),
        // The former supervisor died between starting the process and writing down which it is.
        None => {
            let leader = processes_of(&files.dir).into_iter().find(|process| process.pid == process.group);
            (leader.map(|leader| (leader.pid, leader.start_ticks)), leader.map(|_| claimed_at))
        }
    };
    if let (Some((pid, start_ticks)), Some(started_at)) = (identity, started_at)
        && let Some(pidfd) = open_pidfd(pid, start_ticks)
    {
        let process = Process { pid, started_at, since: Instant::now(), before: run_time(start_ticks, started_at) };
        return Ok(Found::Runs(process, pidfd));
    }
    if let Some(container) = Container::of(containers, order, &files) {
        return Ok(find_container(&container, &files, id, started_at));
    }
    let rest = processes_of(&files.dir);
    kill_each(&rest);
    let detail = match (started_at, rest.is_empty()) {
        (None, true) => "its supervisor ended after it was claimed and before it ran",
        (Some(_), true) => "it ended while no supervisor watched, so its exit code is unknown",
        (_, false) => "it ended while no supervisor watched; processes that it left behind were killed",
    };
    Ok(Found::Ended(lost(&files, id, started_at, detail)))
}

/// The same of a container whose client is gone: podman knows what became of it.
fn find_container(container: &Container, files: &AttemptPaths, id: AttemptId, started_at: Option<TimeMs>) -> Found {
    if let Ok(ContainerState::Runs(pid)) = container.state()
        && let Some(stat) = stat(pid)
        && let Some(pidfd) = open_pidfd(pid, stat.start_ticks)
    {
        let started_at = started_at.unwrap_or_else(now);
        let process =
            Process { pid, started_at, since: Instant::now(), before: run_time(stat.start_ticks, started_at) };
        return Found::Runs(process, pidfd);
    }
    let outcome = container.end(EndCause::Exited, Client::Unknown, String::new());
    let started_at = started_at.filter(|_| outcome.cause != EndCause::StartFailed);
    Found::Ended(record(files, id, started_at, outcome))
}

fn lost(files: &AttemptPaths, id: AttemptId, started_at: Option<TimeMs>, detail: &str) -> AttemptReport {
    let outcome = Outcome { cause: EndCause::Lost, exit_code: None, signal: None, detail: detail.to_owned() };
    record(files, id, started_at, outcome)
}

fn record(files: &AttemptPaths, id: AttemptId, started_at: Option<TimeMs>, outcome: Outcome) -> AttemptReport {
    let what = ReportKind::Ended { started_at, outcome, usage: Usage::default() };
    let report = AttemptReport { attempt: id, at: now(), what };
    // The log is what counts; this marks the folder for people and for later submits.
    let written = files.make().and_then(|_| write_done(files, &report));
    if let Err(error) = written {
        tracing::warn!(attempt = %id, %error, "done record cannot be written");
    }
    report
}

pub(super) fn kill_each(processes: &[ProcessStat]) {
    for process in processes {
        if let Some(pidfd) = open_pidfd(process.pid, process.start_ticks) {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}

fn adopt(state: &mut State, order: Arc<StartOrder>, process: Process, pidfd: OwnedFd) -> Adopted {
    let share = state.take_running(&order);
    let attempt = Arc::new(Attempt::new(order, share, Arc::new(new_waker())));
    let _ = attempt.process.set(process);
    state.set_running(&attempt);
    Adopted { attempt, pidfd }
}

/// Watches an adopted attempt in a thread of its own.
pub(crate) fn watch_adopted(shared: &Arc<Shared>, adopted: Adopted) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("adopted".into()).spawn(move || finish_adopted(&shared, &adopted)).map(drop)
}

fn finish_adopted(shared: &Arc<Shared>, adopted: &Adopted) {
    let Adopted { attempt, pidfd } = adopted;
    let process = attempt.process.get().expect("an adopted attempt is made with its process");
    let group = Pid::from_raw(process.pid).expect("a process id in a claim is positive, for the process was found");
    let grace = Duration::from_millis(lock(&shared.state).config.grace_ms);
    let left = attempt.order.walltime().saturating_sub(process.before);
    let deadline = process.since.checked_add(Duration::from_millis(left.0));
    let cause = watch(attempt, pidfd, group, deadline, grace);
    // Another process may get the number once the group is empty; so only if the group is still its own.
    if stat(process.pid).is_none_or(|leader| leader.zombie) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let containers = lock(&shared.state).config.containers.clone();
    let paths = shared.paths.attempt(attempt.order.attempt);
    if let Some(container) = Container::of(containers.as_ref(), &attempt.order, &paths) {
        // Its exit code is podman's to tell, whoever started it.
        let outcome = container.end(cause, Client::Unknown, describe(cause, attempt));
        return shared.finish(attempt, outcome, attempt.usage());
    }
    let (cause, detail) = match cause {
        EndCause::Exited => {
            (EndCause::Lost, "its supervisor was replaced while it ran, so its exit code is unknown".to_owned())
        }
        cause => (cause, describe(cause, attempt)),
    };
    let usage = attempt.usage();
    shared.finish(attempt, Outcome { cause, exit_code: None, signal: None, detail }, usage);
}
