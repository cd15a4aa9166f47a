//! What became of an attempt, from all that can be known of it. Pure: the whole judgement is one table, tested as one.
//!
//! Slurm was seen to forget jobs that it had acknowledged, to give their numbers to others, and to call a job cancelled
//! that had succeeded. So the wrapper's own records come first, then the queue, then accounting; and while nothing can
//! be told, nothing is said.

use huisuan_model::{Bytes, EndCause, Outcome, TimeMs, Usage};

use super::{
    answers::{AccountedJob, Ending, JobState},
    record::{CLAIMED_ELSEWHERE, Claim, Exit, ExitKind, FOLDER_UNUSABLE, Used},
};

/// All that is known of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Evidence<'a> {
    pub(super) claim: Option<Claim>,
    pub(super) exit: Option<&'a Exit>,
    pub(super) used: Used,
    /// Its job in the queue; `None` when the queue was read and does not have it.
    pub(super) queue: Option<JobState>,
    /// When that job began, by the queue or else by accounting.
    pub(super) began: Option<TimeMs>,
    /// Slurm gave its job nodes.
    pub(super) placed: bool,
    /// It is an element that the queue does not have of an array that the queue has. Of elements that are cancelled
    /// while they wait Slurm keeps nothing.
    pub(super) left_out: bool,
    /// How often it was submitted again because Slurm had ended its job before it began.
    pub(super) launches_failed: u32,
    /// This engine cancelled its job because it did not begin.
    pub(super) given_up: bool,
    /// What it asked for.
    pub(super) memory: Bytes,
    /// It ran in a container: what Slurm saw of it is podman's client.
    pub(super) contained: bool,
    /// Its job is that of a whole gang: what Slurm says of it, of its exit code above all, is of no single task.
    pub(super) together: bool,
    /// The site wants accounting asked for each end, whatever its own record says: of use, not of the end.
    pub(super) accounts_count: bool,
    /// What accounting says; the outer `None` when it was not asked.
    pub(super) account: Option<Option<&'a AccountedJob>>,
    /// This engine was told to end it.
    pub(super) cancelled: bool,
    /// It has given no sign of life for so long that it cannot be running.
    pub(super) silent: bool,
    /// Now, by the clock of this machine.
    pub(super) now: TimeMs,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Ask accounting.
    Ask,
    /// Take the claim: if that works it never ran and never will, and this is its end.
    Bar(EndCause, String),
    /// Slurm forgot it before it ran: submit it again. Whichever of two copies is first takes the claim.
    SubmitAgain,
    /// It ended.
    Ended(Ended),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: TimeMs,
    pub(super) started_at: Option<TimeMs>,
    pub(super) outcome: Outcome,
    pub(super) usage: Usage,
}

/// So many jobs of an attempt may end before they begin.
const LAUNCHES_MAX: u32 = 5;

const TOO_MUCH_MEMORY: &str = "used more memory than it asked for";
const BEFORE_IT_RAN: &str = "cancelled at the centre before it ran";
const SLURM_SAYS: &str = "told by Slurm, its own record is missing";
const KILLED: &str = "Slurm calls it cancelled, and it had no time to record its end";
const NO_RECORD: &str = "it left no record of its end";
const NODE_OF_GANG: &str = "a node of its gang failed";
const FORGOTTEN: &str = "Slurm lost track of it, and it was ended";

/// So long Slurm may need to say why the job of a gang ended.
const GANG_CLEARED_MS: u64 = 40_000;

/// A job that began later than its attempt was claimed, by more than clocks differ, is not the one that ran it. Slurm
/// tells whole seconds, rounded down.
const CLOCKS_MS: u64 = 1_000;

pub(super) fn judge(evidence: &Evidence<'_>) -> Verdict {
    if let Some(exit) = evidence.exit {
        return judge_record(evidence, exit);
    }
    match (evidence.queue, evidence.account) {
        (Some(JobState::Pending { .. } | JobState::Active), _) => Verdict::Wait,
        // The record may be on its way through the shared folder, and a job that is called over may still run.
        (_, _) if !evidence.silent => Verdict::Wait,
        (None, None) => Verdict::Ask,
        (Some(JobState::Over(Ending::Failed)), None) => Verdict::Ask,
        (Some(JobState::Over(ending)), account) => judge_over(evidence, ending, account.flatten()),
        (None, Some(Some(job))) => match job.state {
            JobState::Over(ending) => judge_over(evidence, ending, Some(job)),
            // Accounting was not told of the end, or has not heard of it yet.
            JobState::Pending { .. } | JobState::Active => judge_forgotten(evidence),
        },
        (None, Some(None)) => judge_forgotten(evidence),
    }
}

/// The done record outranks everything that Slurm says.
fn judge_record(evidence: &Evidence<'_>, exit: &Exit) -> Verdict {
    let (started_at, exit_code, signal, outside, walltime) = match &exit.how {
        ExitKind::StartFailed(detail) => {
            let outcome = outcome(EndCause::StartFailed, detail);
            let usage = Usage::default();
            return Verdict::Ended(Ended { at: exit.at, started_at: None, outcome, usage });
        }
        ExitKind::Lost { started_at, detail } => {
            let (outcome, usage) = (outcome(EndCause::Lost, detail), used(evidence));
            return Verdict::Ended(Ended { at: exit.at, started_at: Some(*started_at), outcome, usage });
        }
        ExitKind::Exited { started_at, exit_code, signal, outside, walltime } => {
            (*started_at, *exit_code, *signal, *outside, *walltime)
        }
    };
    let (cause, detail) = match (evidence.cancelled, walltime, outside, evidence.queue) {
        (_, true, _, _) => (EndCause::Walltime, ""),
        (true, _, true, _) => (EndCause::Cancelled, ""),
        // The two signals of a cancel, which may reach the child and end it before its wrapper hears of it.
        (true, _, false, _) if matches!(signal, Some(9 | 15)) => (EndCause::Cancelled, ""),
        (_, _, false, Some(JobState::Over(Ending::OutOfMemory))) if signal == Some(9) => {
            (EndCause::Memory, TOO_MUCH_MEMORY)
        }
        (_, _, false, _) if signal == Some(9) && evidence.used.memory_peak > evidence.memory => {
            (EndCause::Memory, TOO_MUCH_MEMORY)
        }
        // The kernel ends what uses too much memory by this signal, and only Slurm hears of it.
        (_, _, false, None | Some(JobState::Active)) if signal == Some(9) && !evidence.silent => return Verdict::Wait,
        (_, _, false, _) => (EndCause::Exited, ""),
        (_, _, true, _) => match ended_by_slurm(evidence, started_at, exit.at) {
            Ok(why) => why,
            Err(verdict) => return *verdict,
        },
    };
    let accounts_count = evidence.accounts_count && !evidence.together;
    match evidence.account.filter(|_| accounts_count) {
        None if accounts_count => return Verdict::Ask,
        // It hears of an end later than we do, and is not waited for for ever.
        Some(account) if !account.is_some_and(is_over) && !evidence.silent => return Verdict::Wait,
        _ => {}
    }
    let wall = exit.at.since(started_at);
    let account = accounted(evidence, evidence.account.flatten()).unwrap_or_default();
    let cpu = exit.cpu.max(evidence.used.cpu).max(account.cpu);
    let memory_peak = evidence.used.memory_peak.max(account.memory_peak);
    let joules = joules(account.joules, started_at, exit.at);
    let usage = Usage { wall, cpu, memory_peak, joules, ..Usage::default() };
    let outcome = Outcome { cause, exit_code, signal, detail: detail.to_owned() };
    Verdict::Ended(Ended { at: exit.at, started_at: Some(started_at), outcome, usage })
}

/// Why Slurm asked a task to end, or what to do to find out.
fn ended_by_slurm(
    evidence: &Evidence<'_>,
    started_at: TimeMs,
    ended_at: TimeMs,
) -> Result<(EndCause, &'static str), Box<Verdict>> {
    let account = evidence.account.flatten().map(|job| job.state);
    let ending = match (evidence.queue, account) {
        // It waits in Slurm, and has run.
        (Some(JobState::Pending { .. }), _) => return Ok((EndCause::Lost, FORGOTTEN)),
        _ if evidence.given_up || began_later(evidence, Some(started_at)) => return Ok((EndCause::Lost, FORGOTTEN)),
        (Some(JobState::Over(ending)), _) | (None, Some(JobState::Over(ending))) => ending,
        // Slurm knows why, and will say so unless it is away.
        _ if !evidence.silent => return Err(Box::new(Verdict::Wait)),
        // The job of a gang is over only when its last node is cleared, or given up.
        (Some(JobState::Active), _) if evidence.together && evidence.now.since(ended_at).0 < GANG_CLEARED_MS => {
            return Err(Box::new(Verdict::Wait));
        }
        // It takes that long where a node does not answer.
        (Some(JobState::Active), _) if evidence.together => return Ok((EndCause::Lost, NODE_OF_GANG)),
        (Some(JobState::Active), _) => return Ok((EndCause::Cancelled, "ended by the centre")),
        (None, _) if evidence.account.is_none() => return Err(Box::new(Verdict::Ask)),
        (None, _) => return Ok((EndCause::Lost, "ended from outside, and Slurm does not know of it")),
    };
    Ok(match ending {
        Ending::Timeout => (EndCause::Walltime, "ended by Slurm's time limit"),
        Ending::OutOfMemory => (EndCause::Memory, TOO_MUCH_MEMORY),
        Ending::Preempted => (EndCause::Cancelled, "preempted by the centre"),
        Ending::NodeFailed if evidence.together => (EndCause::Lost, NODE_OF_GANG),
        _ => (EndCause::Cancelled, "cancelled at the centre"),
    })
}

/// A controller that was killed forgets what it launched last: it launches that again, or calls it cancelled because a
/// node runs it already, and ends what runs. Its job then is younger than the attempt.
fn began_later(evidence: &Evidence<'_>, claimed_at: Option<TimeMs>) -> bool {
    let claimed_at = claimed_at.or_else(|| evidence.claim.and_then(|claim| claim.at));
    claimed_at.zip(evidence.began).is_some_and(|(claimed, began)| began.since(claimed).0 > CLOCKS_MS)
}

/// The job is over and left no done record.
fn judge_over(evidence: &Evidence<'_>, ending: Ending, account: Option<&AccountedJob>) -> Verdict {
    let code = account.map(|job| job.exit_code);
    let Some(claim) = evidence.claim else { return judge_unclaimed(evidence, ending, account) };
    let usage = accounted(evidence, account).map_or_else(|| used(evidence), |usage| usage.merge(used(evidence)));
    let (cause, exit_code, signal, detail) = match ending {
        _ if evidence.cancelled => (EndCause::Cancelled, None, Some(9), ""),
        Ending::Cancelled | Ending::NodeFailed if evidence.given_up || began_later(evidence, None) => {
            (EndCause::Lost, None, None, FORGOTTEN)
        }
        Ending::Completed => (EndCause::Exited, Some(0), None, SLURM_SAYS),
        // This job only found the attempt claimed; the one that ran it is gone.
        Ending::Failed if code == Some(CLAIMED_ELSEWHERE) => (EndCause::Lost, None, None, NO_RECORD),
        Ending::Failed if evidence.together => (EndCause::Lost, None, None, NO_RECORD),
        Ending::Failed => match account.map(|job| (job.exit_code, job.signal)) {
            Some((code, 0)) => (EndCause::Exited, Some(code), None, SLURM_SAYS),
            Some((_, 9)) if usage.memory_peak > evidence.memory => (EndCause::Memory, None, Some(9), TOO_MUCH_MEMORY),
            Some((_, signal)) => (EndCause::Exited, None, Some(signal), SLURM_SAYS),
            None => (EndCause::Lost, None, None, "Slurm calls it failed, its own record is missing"),
        },
        // Who cancels a job gives it time to record that. A controller that was restarted kills what it does not know.
        Ending::Cancelled => (EndCause::Lost, None, None, KILLED),
        Ending::Preempted => (EndCause::Cancelled, None, None, "preempted by the centre"),
        Ending::Timeout => (EndCause::Walltime, None, Some(9), "ended by Slurm's time limit"),
        Ending::OutOfMemory => (EndCause::Memory, None, Some(9), TOO_MUCH_MEMORY),
        Ending::NodeFailed => (EndCause::Lost, None, None, "its node failed while it ran"),
    };
    let at = claim.at.map_or(evidence.now, |at| at.after(usage.wall));
    let usage = Usage { joules: claim.at.map_or(0, |from| joules(usage.joules, from, at)), ..usage };
    let outcome = Outcome { cause, exit_code, signal, detail: detail.to_owned() };
    Verdict::Ended(Ended { at, started_at: claim.at, outcome, usage })
}

/// The job is over, and the attempt never began. A controller that was killed gives numbers again that its nodes
/// remember, cannot launch those jobs, and calls them cancelled: what it had placed is submitted again, what somebody
/// cancelled while it waited is not.
fn judge_unclaimed(evidence: &Evidence<'_>, ending: Ending, account: Option<&AccountedJob>) -> Verdict {
    let code = account.map(|job| job.exit_code);
    let placed = evidence.placed || account.is_some_and(|job| job.placed);
    match ending {
        _ if evidence.cancelled => Verdict::Bar(EndCause::Cancelled, String::new()),
        // A copy found the attempt claimed, and the claim is not seen here yet. The claim of a gang is looked at before
        // this: its job was launched twice, and whoever came first could not start it.
        Ending::Failed if code == Some(CLAIMED_ELSEWHERE) && !evidence.together => Verdict::Wait,
        Ending::Failed if code == Some(FOLDER_UNUSABLE) => {
            let detail = "a compute node cannot write into the engine's folder; hint: `folder` must be shared";
            Verdict::Bar(EndCause::StartFailed, detail.to_owned())
        }
        // Slurm keeps what was cancelled in its queue for minutes. Where only accounting has it, a controller lost it.
        Ending::Cancelled if !placed && (evidence.queue.is_some() || evidence.left_out) => {
            Verdict::Bar(EndCause::Cancelled, BEFORE_IT_RAN.to_owned())
        }
        ending if evidence.launches_failed >= LAUNCHES_MAX => {
            Verdict::Bar(EndCause::StartFailed, format!("Slurm ended it before it ran, again and again: {ending:?}"))
        }
        _ => Verdict::SubmitAgain,
    }
}

/// Neither queue nor accounting has it.
fn judge_forgotten(evidence: &Evidence<'_>) -> Verdict {
    match evidence.claim {
        None if evidence.cancelled => Verdict::Bar(EndCause::Cancelled, String::new()),
        None if evidence.left_out => Verdict::Bar(EndCause::Cancelled, BEFORE_IT_RAN.to_owned()),
        None => Verdict::SubmitAgain,
        Some(claim) => {
            let outcome = outcome(EndCause::Lost, "it began, left no record of its end, and Slurm does not know it");
            Verdict::Ended(Ended { at: evidence.now, started_at: claim.at, outcome, usage: used(evidence) })
        }
    }
}

/// What Slurm saw of the task. Of one in a container that is podman's client, but for what its node took.
fn accounted(evidence: &Evidence<'_>, account: Option<&AccountedJob>) -> Option<Usage> {
    let usage = account.filter(|_| !evidence.together)?.usage;
    Some(if evidence.contained { Usage { joules: usage.joules, ..Usage::default() } } else { usage })
}

/// What a job's node took, where all of it is of one hour: hours are metered as they pass, and Slurm tells a sum at the
/// end. Of a longer one the sum would be metered once more, in its last hour.
fn joules(all: u64, from: TimeMs, until: TimeMs) -> u64 {
    const HOUR_MS: i64 = 3_600_000;
    if from.0.div_euclid(HOUR_MS) == until.0.div_euclid(HOUR_MS) { all } else { 0 }
}

fn is_over(job: &AccountedJob) -> bool {
    matches!(job.state, JobState::Over(_))
}

fn used(evidence: &Evidence<'_>) -> Usage {
    Usage {
        wall: evidence.used.wall,
        cpu: evidence.used.cpu,
        memory_peak: evidence.used.memory_peak,
        ..Usage::default()
    }
}

fn outcome(cause: EndCause, detail: &str) -> Outcome {
    Outcome { cause, exit_code: None, signal: None, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
