//! The thread that asks Slurm: one `squeue` in an interval, one `sacct` when something needs it, `sinfo` now and then,
//! however many jobs there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, Bytes};

use super::{
    answers::{
        ACCOUNT_FORMAT, AccountedJob, JobState, NODE_FORMAT, QUEUE_FORMAT, QueuedJob, read_accounts, read_nodes,
        read_queue,
    },
    files::{Claim, Exit, Files},
    inventory::Inventory,
    shared::Shared,
    state::{Open, Phase, State, never_ran},
    verdict::{Evidence, Verdict, judge},
};
use crate::{engine::EngineError, local::supervisor::process::now};

/// Nodes are asked for in every so many intervals.
const NODES_EVERY: u64 = 6;

/// So many jobs are asked for in one `sacct`; more wait for the next interval.
const ACCOUNTS_MAX: usize = 500;

/// The thread's loop; returns when the engine stops.
pub(super) fn run(shared: &Shared) {
    let interval = Duration::from_millis(shared.config.poll_interval_ms);
    let mut round = 0u64;
    while !shared.stopped() {
        if round.is_multiple_of(NODES_EVERY) || !shared.lock().inventory.known() {
            refresh_nodes(shared);
        }
        round += 1;
        if let Err(error) = poll(shared) {
            tracing::warn!(%error, "slurm cannot be asked, nothing is decided");
            shared.lock().alarms.insert("slurm".to_owned(), error.to_string());
        } else {
            shared.lock().alarms.remove("slurm");
        }
        shared.pause(interval);
    }
}

fn refresh_nodes(shared: &Shared) {
    match nodes(shared) {
        Ok(inventory) => {
            shared.lock().inventory = inventory;
            shared.work.notify_all();
        }
        Err(error) => tracing::warn!(%error, "nodes cannot be asked for"),
    }
}

/// Asks for the nodes of the engine's partitions.
pub(super) fn nodes(shared: &Shared) -> Result<Inventory, EngineError> {
    let partitions = format!("--partition={}", shared.config.partitions.join(","));
    let text = shared.client.ask("sinfo", &["--noheader", "--Node", &partitions, "--format", NODE_FORMAT])?;
    let nodes = read_nodes(&text).map_err(|what| EngineError::Program { program: "sinfo", what })?;
    if nodes.is_empty() {
        let what = format!("knows no nodes of partition {}", shared.config.partitions.join(","));
        return Err(EngineError::Program { program: "sinfo", what });
    }
    Ok(Inventory::of(&nodes, &shared.config))
}

/// One look at the queue, and what follows from it.
fn poll(shared: &Shared) -> Result<(), EngineError> {
    let poll = {
        let mut state = shared.lock();
        if state.in_slurm.is_empty() {
            return Ok(());
        }
        state.polls += 1;
        state.polls
    };
    let user = format!("--user={}", rustix::process::geteuid().as_raw());
    let text =
        shared.client.ask("squeue", &["--noheader", "--all", "--states=all", &user, "--format", QUEUE_FORMAT])?;
    let queue = read_queue(&text).map_err(|what| EngineError::Program { program: "squeue", what })?;
    let mut ours: BTreeMap<AttemptId, BTreeMap<u64, QueuedJob>> = BTreeMap::new();
    for (job, queued) in queue {
        if let Some(id) = shared.files.attempt_of(&queued.name) {
            ours.entry(id).or_default().insert(job, queued);
        }
    }
    let doubts = {
        let mut state = shared.lock();
        sort_out(&mut state, &shared.files, &ours, poll)?
    };
    shared.work.notify_all();
    settle(shared, &doubts)
}

/// Takes over what the queue shows: numbers that were not known, copies that are too many, jobs that are still held.
/// Gives back the attempts that must be looked at one by one, with the state of their job.
fn sort_out(
    state: &mut State,
    files: &Files,
    ours: &BTreeMap<AttemptId, BTreeMap<u64, QueuedJob>>,
    poll: u64,
) -> Result<Vec<Doubt>, EngineError> {
    let none = BTreeMap::new();
    for (&id, jobs) in ours {
        let own = state.open(id).and_then(|open| open.job);
        let waits_here =
            state.open(id).is_some_and(|open| matches!(open.phase, Phase::Doubtful(_) | Phase::Submitting));
        for (&job, queued) in jobs {
            let copy = Some(job) != own && !waits_here;
            if copy && matches!(queued.state, JobState::Pending { .. }) {
                tracing::warn!(attempt = %id, job, "job that is one too many is cancelled");
                state.doomed.insert(job, files.job_name(id));
            }
        }
    }
    let mut doubts = Vec::new();
    for id in state.in_slurm.clone() {
        let jobs = ours.get(&id).unwrap_or(&none);
        let Some(open) = state.open_mut(id) else { continue };
        if let Phase::Doubtful(asked) = open.phase {
            if asked >= poll {
                continue;
            }
            match adopt(jobs) {
                Some(job) => state.note_submitted(id, job, files)?,
                None => doubts.push(Doubt { id, queue: None, placed: false }),
            }
            continue;
        }
        if open.phase == Phase::Submitting {
            continue;
        }
        let queued = open.job.and_then(|job| jobs.get(&job));
        let here = matches!(queued.map(|job| job.state), Some(JobState::Pending { .. } | JobState::Active));
        if here && !open.exit_seen {
            open.quiet_since = None;
        }
        if here && open.cancelled {
            let job = open.job.unwrap_or_default();
            state.doomed.insert(job, files.job_name(id));
        } else if matches!(queued.map(|job| job.state), Some(JobState::Pending { held: true })) {
            state.held.insert(id);
        }
        note_waiting(state, id, queued);
        let unheard = state.open(id).is_some_and(|open| open.exit_seen || open.started_at.is_none());
        if !here || (unheard && queued.is_some_and(|job| job.state == JobState::Active)) {
            let placed = queued.is_some_and(|job| job.placed);
            doubts.push(Doubt { id, queue: queued.map(|job| job.state), placed });
        }
    }
    Ok(doubts)
}

/// Of several copies the one that runs, else the first.
fn adopt(jobs: &BTreeMap<u64, QueuedJob>) -> Option<u64> {
    let runs = jobs.iter().find(|(_, job)| job.state == JobState::Active);
    let waits = jobs.iter().find(|(_, job)| matches!(job.state, JobState::Pending { .. }));
    runs.or(waits).or(jobs.iter().next()).map(|(&job, _)| job)
}

/// A job that waits for something that will not come by itself is an alarm.
fn note_waiting(state: &mut State, id: AttemptId, queued: Option<&QueuedJob>) {
    let stuck =
        ["BadConstraints", "JobHeldAdmin", "PartitionTimeLimit", "InvalidAccount", "InvalidQOS", "launch_failed"];
    let subject = format!("attempt {id}");
    match queued
        .filter(|job| matches!(job.state, JobState::Pending { .. }) && stuck.iter().any(|s| job.reason.contains(s)))
    {
        Some(job) => drop(
            state.alarms.insert(subject, format!("waits in Slurm: {}; hint: squeue --name {}", job.reason, job.name)),
        ),
        None => drop(state.alarms.remove(&subject)),
    }
}

/// An attempt that must be looked at, with what the queue says of its job.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    id: AttemptId,
    queue: Option<JobState>,
    placed: bool,
}

/// What is known of it.
struct Look {
    id: AttemptId,
    queue: Option<JobState>,
    placed: bool,
    launches_failed: u32,
    job: Option<u64>,
    claim: Option<Claim>,
    exit: Option<Exit>,
    memory: Bytes,
    cancelled: bool,
    silent: bool,
    used: super::files::Used,
}

/// Looks at attempts one by one: their records first, then accounting for those that need it.
fn settle(shared: &Shared, doubts: &[Doubt]) -> Result<(), EngineError> {
    let mut looks = Vec::with_capacity(doubts.len());
    for &doubt in doubts {
        looks.extend(look(shared, doubt)?);
    }
    let mut ask: BTreeSet<u64> = BTreeSet::new();
    let mut unsettled = Vec::new();
    for look in looks {
        match judge(&look.evidence(None)) {
            // Without a number there is nothing to ask for: it never reached Slurm, as far as anybody knows.
            Verdict::Ask => {
                if ask.len() < ACCOUNTS_MAX || look.job.is_none() {
                    ask.extend(look.job);
                    unsettled.push(look);
                }
            }
            verdict => {
                note_unknown(shared, &look, &verdict);
                carry_out(shared, &look, verdict)?;
            }
        }
    }
    if unsettled.is_empty() {
        return Ok(());
    }
    let accounts = if ask.is_empty() { Vec::new() } else { accounts(shared, &ask)? };
    for look in unsettled {
        let name = shared.files.job_name(look.id);
        let account = accounts.iter().rev().find(|(job, record)| Some(*job) == look.job && is_of(record, &name));
        let verdict = judge(&look.evidence(Some(account.map(|(_, record)| record))));
        carry_out(shared, &look, verdict)?;
    }
    Ok(())
}

/// An attempt that began, and of which Slurm says that it is over, is unknown until its record or its silence decides.
fn note_unknown(shared: &Shared, look: &Look, verdict: &Verdict) {
    let over = matches!(look.queue, None | Some(JobState::Over(_)));
    if *verdict == Verdict::Wait && over && look.claim.is_some() && look.exit.is_none() {
        let what = "began, and Slurm does not have it any more; its record or three missed signs of life will decide";
        shared.lock().alarms.insert(format!("attempt {}", look.id), what.to_owned());
    }
}

/// Accounting of a job may begin without its name: Slurm 22.05 then says `allocation`.
fn is_of(record: &AccountedJob, name: &str) -> bool {
    record.name == name || record.name == "allocation"
}

fn accounts(shared: &Shared, jobs: &BTreeSet<u64>) -> Result<Vec<(u64, AccountedJob)>, EngineError> {
    if !shared.config.accounting {
        return Ok(Vec::new());
    }
    let jobs = jobs.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let user = format!("--user={}", rustix::process::geteuid().as_raw());
    let arguments = ["--noheader", "--parsable2", "--duplicates", &user, "--jobs", &jobs, "--format", ACCOUNT_FORMAT];
    let text = shared.client.ask("sacct", &arguments)?;
    read_accounts(&text).map_err(|what| EngineError::Program { program: "sacct", what })
}

/// Reads the records of an attempt; `None` when it has ended in the meantime.
fn look(shared: &Shared, doubt: Doubt) -> Result<Option<Look>, EngineError> {
    let Doubt { id, queue, placed } = doubt;
    let path = shared.files.attempt(id).dir;
    let claim = shared.files.claim(id).map_err(EngineError::file("claim", &path))?;
    let exit = shared.files.exit(id).map_err(EngineError::file("done record", &path))?;
    let (beats, used) = (shared.files.beats(id), shared.files.used(id));
    let mut state = shared.lock();
    if let Some(at) = claim.and_then(|claim| claim.at)
        && !matches!(exit, Some(Exit { how: super::files::ExitKind::StartFailed(_), .. }))
    {
        state.note_started(id, at);
        shared.reports.notify_all();
    }
    let Some(open) = state.open_mut(id) else { return Ok(None) };
    if beats != open.beats || open.quiet_since.is_none() {
        (open.beats, open.quiet_since) = (beats, Some(Instant::now()));
    }
    let quiet = open.quiet_since.map_or(Duration::ZERO, |since| since.elapsed());
    let silent = quiet >= patience(shared, open, claim.is_some(), exit.is_some());
    let (cancelled, job, used) = (open.cancelled, open.job, used.unwrap_or(open.used));
    let (memory, launches_failed) = (open.order.memory(), open.launches_failed);
    Ok(Some(Look { id, queue, placed, launches_failed, job, claim, exit, memory, cancelled, silent, used }))
}

/// How long an attempt may be quiet before it is taken to be gone. Where the claim settles it anyhow, not long; where only
/// its signs of life can tell, three of them.
fn patience(shared: &Shared, open: &Open, claimed: bool, exited: bool) -> Duration {
    let config = &shared.config;
    let short = config.poll_interval_ms.saturating_mul(3) / 2;
    Duration::from_millis(match (claimed, exited || open.cancelled) {
        (false, _) => short,
        (true, true) => short.saturating_add(config.grace_ms),
        (true, false) => short.max(config.beat_ms.saturating_mul(3)),
    })
}

impl Look {
    fn evidence<'a>(&'a self, account: Option<Option<&'a AccountedJob>>) -> Evidence<'a> {
        Evidence {
            claim: self.claim,
            exit: self.exit.as_ref(),
            used: self.used,
            queue: self.queue,
            placed: self.placed,
            launches_failed: self.launches_failed,
            memory: self.memory,
            account,
            cancelled: self.cancelled,
            silent: self.silent,
            now: now(),
        }
    }
}

fn carry_out(shared: &Shared, look: &Look, verdict: Verdict) -> Result<(), EngineError> {
    let id = look.id;
    let end = match verdict {
        Verdict::Wait | Verdict::Ask => return Ok(()),
        Verdict::SubmitAgain => {
            let mut state = shared.lock();
            if let Some(open) = state.open_mut(id)
                && let Some(job) = open.job
            {
                open.launches_failed += u32::from(look.queue.is_some());
                tracing::warn!(attempt = %id, job, "slurm forgot a job or could not launch it, submitting it again");
            }
            state.submit_again(id);
            shared.work.notify_all();
            return Ok(());
        }
        Verdict::Bar(cause, detail) => {
            let path = shared.files.attempt(id).claim();
            if !shared.files.claim_against_start(id).map_err(EngineError::file("claim", &path))? {
                // It was claimed at this very moment: the next look will see it.
                return Ok(());
            }
            never_ran(cause, detail)
        }
        Verdict::Ended(end) => end,
    };
    shared.lock().finish(vec![(id, end)], &shared.files)?;
    shared.reports.notify_all();
    Ok(())
}
