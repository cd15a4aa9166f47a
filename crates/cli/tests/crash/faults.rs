//! Rounds of faults of every kind against a server and agents that are processes of their own, behind a line that can
//! be cut: `cargo xtask faults`.
//!
//! In each round one thing breaks for a moment: a process is killed, at random or at a failpoint, or stopped, or the
//! line is cut or silent, or the server's disk is full. Users submit all the while. After some rounds everything is
//! mended, and within a minute every job has ended as the traces of its tasks say.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    apart::Apart,
    judge::{self, Lost},
    line::State,
    points::{POINTS, Victim},
    random::Random,
    support::running::{PATIENCE, pause, wait_until},
    work::Submitters,
};

/// Rounds between two judgements.
const EPISODE: u64 = 40;
/// The longest fault, in milliseconds.
const FAULT_MS: u64 = 400;
/// The longest time without one.
const CALM_MS: u64 = 250;
/// How long after the last fault every job must have ended.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// What breaks in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillServer,
    KillAgent,
    KillBoth,
    ServerAtPoint,
    AgentAtPoint,
    StopServer,
    StopAgent,
    StopSupervisor,
    LineCut,
    LineSilent,
    DiskFull,
}

/// How often each is drawn, in 100.
const KINDS: [(Fault, u64); 11] = [
    (Fault::KillServer, 16),
    (Fault::KillAgent, 14),
    (Fault::KillBoth, 6),
    (Fault::ServerAtPoint, 10),
    (Fault::AgentAtPoint, 10),
    (Fault::StopServer, 10),
    (Fault::StopAgent, 8),
    (Fault::StopSupervisor, 6),
    (Fault::LineCut, 10),
    (Fault::LineSilent, 6),
    (Fault::DiskFull, 4),
];

fn draw(random: &mut Random) -> Fault {
    let mut at = random.below(100);
    for (fault, share) in KINDS {
        match at.checked_sub(share) {
            None => return fault,
            Some(rest) => at = rest,
        }
    }
    unreachable!("shares add up to 100")
}

/// What the rounds came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) by_kind: std::collections::BTreeMap<Fault, u64>,
    pub(crate) jobs: usize,
    pub(crate) runs: usize,
    pub(crate) resent: u64,
    pub(crate) healed_max: Duration,
}

/// Rounds in episodes, each in a network of its own; panics at the first broken promise.
pub(crate) fn rounds(random: &mut Random, rounds: u64) -> Tally {
    let mut tally = Tally::default();
    while tally.rounds < rounds {
        episode(random, EPISODE.min(rounds - tally.rounds), &mut tally);
    }
    tally
}

fn episode(random: &mut Random, rounds: u64, tally: &mut Tally) {
    let mut apart = Apart::on_small_disk(random);
    let submitters = Submitters::start(&apart.door, &apart.trace(), random, None);
    for _ in 0..rounds {
        let mut fault = draw(random);
        if fault == Fault::DiskFull && !apart.has_disk() {
            fault = Fault::LineCut;
        }
        *tally.by_kind.entry(fault).or_default() += 1;
        strike(&mut apart, fault, random);
        pause(Duration::from_millis(random.below(CALM_MS)));
    }
    tally.rounds += rounds;
    apart.mend();
    let healed = Instant::now();
    let acknowledged = submitters.finish();
    let settled = wait_until(Instant::now() + PATIENCE, || {
        apart.mend();
        apart.client().centres().is_ok_and(|list| list.centres.iter().all(|centre| centre.connected)).then_some(())
    });
    assert!(settled.is_some(), "the agents did not come back");
    tally.runs += judge::judge(&apart.client(), &acknowledged, &apart.trace(), Lost::Never);
    let took = healed.elapsed();
    assert!(took <= HEALED_WITHIN, "jobs ended only {took:?} after the last fault");
    let alarms = apart.client().alarms().expect("alarms").alarms;
    assert!(alarms.is_empty(), "books and engines agree: {alarms:?}");
    tally.healed_max = tally.healed_max.max(took);
    tally.jobs += acknowledged.jobs.len();
    tally.resent += acknowledged.resent;
    apart.close();
}

/// Breaks one thing, waits, and mends it.
fn strike(apart: &mut Apart, fault: Fault, random: &mut Random) {
    let moment = Duration::from_millis(random.below(FAULT_MS));
    match fault {
        Fault::KillServer => {
            apart.kill_server();
            pause(moment);
        }
        Fault::KillAgent => {
            apart.kill_agent(random);
            pause(moment);
        }
        Fault::KillBoth => {
            apart.kill_server();
            apart.kill_agents();
            pause(moment);
        }
        Fault::ServerAtPoint => {
            apart.kill_server();
            apart.arm_server(&armed(random, |name| !name.starts_with("agent-")));
            pause(moment);
        }
        Fault::AgentAtPoint => {
            apart.kill_agent(random);
            apart.arm_agents(&armed(random, |name| name.starts_with("agent-")));
            pause(moment);
        }
        Fault::StopServer => stopped(apart.server_pid(), moment),
        Fault::StopAgent => stopped(apart.agent_pid(random), moment),
        Fault::StopSupervisor => stopped(apart.supervisor_pid(random), moment),
        Fault::LineCut => {
            apart.line().set(State::Cut);
            pause(moment);
        }
        Fault::LineSilent => {
            apart.line().set(State::Silent);
            pause(moment);
        }
        Fault::DiskFull => {
            apart.fill_disk();
            pause(moment);
        }
    }
    apart.mend();
}

/// A failpoint of a process that takes its network with it, at one of its hits.
fn armed(random: &mut Random, mine: impl Fn(&str) -> bool) -> String {
    let points: Vec<_> = POINTS.iter().filter(|point| point.victim == Victim::Network && mine(point.name)).collect();
    let pick = |random: &mut Random, count: usize| usize::try_from(random.below(count as u64)).expect("a small number");
    let point = points[pick(random, points.len())];
    let hit = point.hits[pick(random, point.hits.len())];
    format!("{}={}*off->return", point.name, hit - 1)
}

/// Stops a process for a moment, as a machine that hangs does.
fn stopped(pid: Option<i32>, moment: Duration) {
    let Some(pid) = pid.and_then(Pid::from_raw) else { return };
    // It may end by itself in the meantime.
    _ = kill_process(pid, Signal::STOP);
    pause(moment);
    _ = kill_process(pid, Signal::CONT);
}
