//! Rounds of faults of every kind against a server and agents that are processes of their own, behind a line that can
//! be cut, or at the ends of links of the kernel's: `cargo xtask faults`.
//!
//! In each round one thing breaks for a moment: a process is killed, at random or at a failpoint, or stopped, or the
//! line is cut or silent, or the server's disk is full, or a link loses packets. Users submit all the while. After some
//! rounds everything is mended, and within a minute every job has ended as the traces of its tasks say.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    apart::Apart,
    judge::{self, Lost},
    line::State,
    links::Trouble,
    points::{POINTS, Victim},
    random::Random,
    support::running::{PATIENCE, pause, wait_until},
    work::Submitters,
};

/// The longest fault, in milliseconds.
const FAULT_MS: u64 = 400;
/// The longest time without one.
const CALM_MS: u64 = 250;
/// How long after the last fault every job must have ended.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// The longest fault of a link, in milliseconds: TCP sends again what was lost after some hundreds of them.
const LINK_FAULT_MS: u64 = 3_000;
/// A fault of a link after which its centre is away, in milliseconds.
const AWAY_MS: u64 = 52_000;

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
    LinkDownAtServer,
    LinkDownAtSite,
    LinkOneWay,
    LinkLossy,
    LinkSlow,
    /// The link is down, and meanwhile the server is killed and started again.
    LinkDownKillServer,
    /// The link is down, and meanwhile its agent is.
    LinkDownKillAgent,
    /// The link is down for so long that its centre is away.
    LinkDownLong,
    /// The clock of the server's machine jumps, and stays wrong until it jumps again.
    ServerClock,
    /// The same of a site's.
    SiteClock,
}

/// What is drawn.
pub(crate) struct Plan {
    /// Faults, and how often each is drawn, in 100.
    kinds: &'static [(Fault, u64)],
    /// Rounds between two judgements.
    episode: u64,
    /// Processes may be armed with failpoints, so that all of them are started anew before they are judged. Where none
    /// is, those that lived through the faults have to find each other again.
    armed: bool,
}

/// For processes behind a line.
pub(crate) const BEHIND_A_LINE: Plan = Plan { kinds: &KINDS, episode: 40, armed: true };
/// For processes at the ends of links, whose faults last longer.
pub(crate) const ON_LINKS: Plan = Plan { kinds: &LINK_KINDS, episode: 16, armed: false };

/// For machines whose clocks can be set.
pub(crate) const WITH_CLOCKS: Plan = Plan { kinds: &CLOCK_KINDS, episode: 40, armed: true };

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

const LINK_KINDS: [(Fault, u64); 10] = [
    (Fault::LinkDownAtServer, 20),
    (Fault::LinkDownAtSite, 12),
    (Fault::LinkOneWay, 10),
    (Fault::LinkLossy, 10),
    (Fault::LinkSlow, 8),
    (Fault::LinkDownKillServer, 16),
    (Fault::LinkDownKillAgent, 12),
    (Fault::KillServer, 5),
    (Fault::KillAgent, 5),
    (Fault::LinkDownLong, 2),
];

const CLOCK_KINDS: [(Fault, u64); 8] = [
    (Fault::ServerClock, 30),
    (Fault::SiteClock, 30),
    (Fault::KillServer, 10),
    (Fault::KillAgent, 10),
    (Fault::KillBoth, 5),
    (Fault::LineCut, 5),
    (Fault::ServerAtPoint, 5),
    (Fault::AgentAtPoint, 5),
];

/// By how many seconds clocks are wrong.
const JUMPS_S: [i64; 8] = [0, 5, -5, 61, 3_600, -3_600, 86_400, -86_400];

fn draw(plan: &Plan, random: &mut Random) -> Fault {
    let mut at = random.below(100);
    for &(fault, share) in plan.kinds {
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

impl Tally {
    pub(crate) fn tell(&self, took: Duration) {
        let per_hour = self.rounds as f64 / took.as_secs_f64() * 3600.0;
        eprintln!("{self:#?}\n{per_hour:.0} rounds an hour, in {took:?}");
    }
}

/// Rounds in episodes, each in a network of its own that `network` makes; panics at the first broken promise.
pub(crate) fn rounds(
    plan: &Plan,
    network: impl Fn(&mut Random) -> Apart + Sync,
    random: &mut Random,
    rounds: u64,
) -> Tally {
    let (mut tally, began) = (Tally::default(), Instant::now());
    while tally.rounds < rounds {
        let of_episode = plan.episode.min(rounds - tally.rounds);
        // In a thread of its own: on links it goes to the server's machine for good.
        thread::scope(|scope| {
            let ran = scope.spawn(|| episode(plan, network(random), random, of_episode, &mut tally)).join();
            ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        eprintln!("{} rounds after {:?}: {} jobs, {} runs", tally.rounds, began.elapsed(), tally.jobs, tally.runs);
    }
    tally
}

fn episode(plan: &Plan, mut apart: Apart, random: &mut Random, rounds: u64, tally: &mut Tally) {
    let submitters = Submitters::start(&apart.door, &apart.trace(), random, None);
    for _ in 0..rounds {
        let mut fault = draw(plan, random);
        if fault == Fault::DiskFull && !apart.has_disk() {
            fault = Fault::LineCut;
        }
        if fault == Fault::LinkDownLong && rounds < plan.episode {
            // A minute is more than the whole of a short run.
            fault = Fault::LinkDownAtServer;
        }
        *tally.by_kind.entry(fault).or_default() += 1;
        strike(&mut apart, fault, random);
        pause(Duration::from_millis(random.below(CALM_MS)));
    }
    tally.rounds += rounds;
    if plan.armed {
        // Nothing breaks any more from here on.
        apart.kill_server();
        apart.kill_agents();
    }
    apart.mend();
    let healed = Instant::now();
    let acknowledged = submitters.finish();
    let settled = wait_until(Instant::now() + PATIENCE, || {
        apart.mend();
        apart.client().centres().is_ok_and(|list| list.centres.iter().all(|centre| centre.connected)).then_some(())
    });
    assert!(settled.is_some(), "the agents did not come back");
    judge::wait_ended(&apart.client());
    let took = healed.elapsed();
    assert!(took <= HEALED_WITHIN, "jobs ended only {took:?} after the last fault");
    tally.runs += judge::judge(&apart.client(), &acknowledged, &apart.trace(), Lost::Never);
    if apart.has_clocks() {
        judge::check_metered(&apart.client(), &acknowledged);
    }
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
            apart.set_line(State::Cut);
            pause(moment);
        }
        Fault::LineSilent => {
            apart.set_line(State::Silent);
            pause(moment);
        }
        Fault::DiskFull => {
            apart.fill_disk();
            pause(moment);
        }
        Fault::ServerClock | Fault::SiteClock => {
            let seconds = JUMPS_S[usize::try_from(random.below(JUMPS_S.len() as u64)).expect("a small number")];
            jump(apart, fault, seconds, random);
            pause(moment);
        }
        _ => strike_link(apart, fault, random),
    }
    apart.mend();
}

/// Sets a clock. Who was there before is there after it, unless the server ends meanwhile: it may be armed.
fn jump(apart: &Apart, fault: Fault, seconds: i64, random: &mut Random) {
    let there = || {
        let centres = apart.client().centres().ok()?.centres.into_iter().filter(|centre| centre.connected);
        Some(centres.map(|centre| centre.centre).collect::<Vec<_>>())
    };
    let before = there();
    match fault {
        Fault::ServerClock => apart.set_server_clock(seconds),
        _ => apart.set_site_clock(seconds, random),
    }
    let (Some(before), Some(after)) = (before, there()) else { return };
    assert!(before.iter().all(|name| after.contains(name)), "{before:?} were there, {after:?} are: {seconds} s");
}

/// Breaks the link of a site, and what else breaks meanwhile.
fn strike_link(apart: &mut Apart, fault: Fault, random: &mut Random) {
    let trouble = match fault {
        Fault::LinkDownAtSite => Trouble::DownAtSite,
        Fault::LinkOneWay => Trouble::OneWay,
        Fault::LinkLossy => Trouble::Lossy,
        Fault::LinkSlow => Trouble::Slow,
        _ => Trouble::DownAtServer,
    };
    let site = apart.break_link(trouble, random);
    pause(Duration::from_millis(random.below(LINK_FAULT_MS)));
    match fault {
        Fault::LinkDownKillServer => {
            apart.kill_server();
            pause(Duration::from_millis(random.below(FAULT_MS)));
            apart.start_server();
            pause(Duration::from_millis(random.below(FAULT_MS)));
        }
        Fault::LinkDownKillAgent => {
            apart.kill_agent_of(site);
            pause(Duration::from_millis(random.below(FAULT_MS)));
            apart.start_agents();
            pause(Duration::from_millis(random.below(FAULT_MS)));
        }
        Fault::LinkDownLong => pause(Duration::from_millis(AWAY_MS)),
        _ => {}
    }
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
