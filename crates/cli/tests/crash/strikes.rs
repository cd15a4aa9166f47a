//! Breaks one thing for a moment and mends it.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    apart::Apart,
    cluster::NODES,
    line::State,
    links::Trouble,
    plans::{Fault, JUMPS_S},
    points::{POINTS, Point, SLURM_POINTS, Victim},
    random::Random,
    support::running::pause,
};

/// The longest fault, in milliseconds.
const FAULT_MS: u64 = 400;
/// The longest fault of a link, in milliseconds: TCP sends again what was lost after some hundreds of them.
const LINK_FAULT_MS: u64 = 3_000;
/// A fault of a link after which its centre is away, in milliseconds.
const AWAY_MS: u64 = 52_000;
/// A controller hangs for this long at most, in milliseconds: half as long again as the agent waits for an answer.
const HANG_MS: u64 = 6_000;

/// Breaks one thing, waits, and mends it.
pub(crate) fn strike(apart: &mut Apart, fault: Fault, random: &mut Random) {
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
            apart.arm_server(&armed(random, &network_points(|name| !name.starts_with("agent-"))));
            pause(moment);
        }
        Fault::AgentAtPoint => {
            apart.kill_agent(random);
            let mut points = network_points(|name| name.starts_with("agent-"));
            if apart.at_a_cluster() {
                points.extend(&SLURM_POINTS);
            }
            apart.arm_agents(&armed(random, &points));
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
        Fault::KillController => killed(apart, "slurmctld", moment),
        Fault::KillNode => killed(apart, &format!("slurmd.{}", 1 + random.below(NODES.into())), moment),
        Fault::KillAccounts => killed(apart, "slurmdbd", moment),
        Fault::StopController => {
            stopped(Some(apart.cluster().pid("slurmctld")), Duration::from_millis(random.below(HANG_MS)));
        }
        _ => strike_link(apart, fault, random),
    }
    apart.mend();
}

/// Kills a daemon of the cluster, which is started again when everything is mended.
fn killed(apart: &Apart, process: &str, moment: Duration) {
    apart.cluster().kill(process);
    pause(moment);
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

/// Failpoints of processes that take the network with them.
fn network_points(mine: impl Fn(&str) -> bool) -> Vec<&'static Point> {
    POINTS.iter().filter(|point| point.victim == Victim::Network && mine(point.name)).collect()
}

/// One of these failpoints, at one of its hits.
fn armed(random: &mut Random, points: &[&Point]) -> String {
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
