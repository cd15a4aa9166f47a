//! What breaks in rounds of faults, and how often each of it.

use crate::{random::Random, work};

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
    /// A cluster's controller is killed, and started again a moment later.
    KillController,
    /// It hangs for longer than an agent waits for an answer: nobody knows what became of a submission.
    StopController,
    /// The daemon of a node is killed, and what runs there goes on without it.
    KillNode,
    /// The daemon of the cluster's accounts is killed.
    KillAccounts,
}

/// What is drawn.
pub(crate) struct Plan {
    /// Faults, and how often each is drawn, in 100.
    kinds: &'static [(Fault, u64)],
    /// Rounds between two judgements.
    pub(crate) episode: u64,
    /// The longest time without a fault, in milliseconds.
    pub(crate) calm_ms: u64,
    /// The longest pause between two submissions of a user, in milliseconds.
    pub(crate) pause_ms: u64,
    /// Processes may be armed with failpoints, so that all of them are started anew before they are judged. Where none
    /// is, those that lived through the faults have to find each other again.
    pub(crate) armed: bool,
}

/// For processes behind a line.
pub(crate) const BEHIND_A_LINE: Plan =
    Plan { kinds: &KINDS, episode: 40, calm_ms: 250, pause_ms: work::PAUSE_MS, armed: true };
/// For processes at the ends of links, whose faults last longer.
pub(crate) const ON_LINKS: Plan = Plan { kinds: &LINK_KINDS, episode: 16, armed: false, ..BEHIND_A_LINE };
/// For machines whose clocks can be set.
pub(crate) const WITH_CLOCKS: Plan = Plan { kinds: &CLOCK_KINDS, ..BEHIND_A_LINE };
/// For a centre that is a Slurm cluster: its daemons need a second to find each other again, and each job costs them a
/// tenth of a second of a processor.
pub(crate) const AT_A_CLUSTER: Plan =
    Plan { kinds: &CLUSTER_KINDS, episode: 40, calm_ms: 2_000, pause_ms: 4 * work::PAUSE_MS, armed: true };

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

const CLUSTER_KINDS: [(Fault, u64); 15] = [
    (Fault::KillController, 14),
    (Fault::StopController, 8),
    (Fault::KillNode, 12),
    (Fault::KillAccounts, 4),
    (Fault::KillServer, 9),
    (Fault::KillAgent, 10),
    (Fault::KillBoth, 4),
    (Fault::ServerAtPoint, 6),
    (Fault::AgentAtPoint, 12),
    (Fault::StopServer, 3),
    (Fault::StopAgent, 4),
    (Fault::LineCut, 4),
    (Fault::DiskFull, 5),
    (Fault::ServerClock, 2),
    (Fault::SiteClock, 3),
];

/// By how many seconds clocks are wrong.
pub(crate) const JUMPS_S: [i64; 8] = [0, 5, -5, 61, 3_600, -3_600, 86_400, -86_400];

pub(crate) fn draw(plan: &Plan, random: &mut Random) -> Fault {
    let mut at = random.below(100);
    for &(fault, share) in plan.kinds {
        match at.checked_sub(share) {
            None => return fault,
            Some(rest) => at = rest,
        }
    }
    unreachable!("shares add up to 100")
}
