//! The thread that asks Slurm: one `squeue` in an interval, one `sacct` when something needs it, `sinfo` now and then,
//! however many jobs there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, Bytes};

use super::{
    answers::{AccountedJob, JobState, QueuedJob},
    ask::{accounts, queue},
    cancel::cancel,
    config::SlurmConfig,
    files::Files,
    gang::{end_broken, runs_elsewhere},
    job::{Number, SlurmJob},
    leftovers::{doom_leftovers, give_up_unbegun},
    nodes,
    open::{Open, Phase},
    ours::{Ours, recognise},
    record::{Claim, Exit, ExitKind, Used},
    shared::Shared,
    state::{State, never_ran},
    verdict::{Evidence, Verdict, judge},
};
use crate::{clock::now, engine::EngineError};

/// Nodes are asked for in every so many intervals; in each while there is none.
const NODES_EVERY: u64 = 6;

/// So many jobs are asked for in one `sacct`; more wait for the next interval.
const ACCOUNTS_MAX: usize = 500;

/// The thread's loop; returns when the engine stops.
pub(super) fn run(shared: &Shared) {
    let interval = Duration::from_millis(shared.config.poll_interval_ms);
    let mut round = 0u64;
    while !shared.stopped() {
        let nodes = match round.is_multiple_of(NODES_EVERY) || shared.lock().inventory.is_empty() {
            true => nodes::refresh(shared).map(drop),
            false => Ok(()),
        };
        round += 1;
        if let Err(error) = poll(shared).and(nodes) {
            tracing::warn!(%error, "slurm cannot be asked, nothing is decided");
            shared.lock().alarms.insert("slurm".to_owned(), error.to_string());
        } else {
            shared.lock().alarms.remove("slurm");
        }
        shared.pause(interval);
    }
}

/// One look at the queue, and what follows from it.
fn poll(shared: &Shared) -> Result<(), EngineError> {
    end_broken(shared)?;
    let (poll, mut doomed) = {
        let mut state = shared.lock();
        state.lone_looks = 0;
        if state.in_slurm.is_empty() && !state.unswept && state.doomed.is_empty() {
            return Ok(());
        }
        state.unswept = false;
        state.polls += 1;
        (state.polls, std::mem::take(&mut state.doomed))
    };
    let looked = queue(shared, None).and_then(|queue| Ok((recognise(&shared.files, &queue)?, queue)));
    let (mut ours, queue) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let mut state = shared.lock();
            state.unswept = true;
            state.doomed.append(&mut doomed);
            return Err(error);
        }
    };
    let doubts = {
        let mut state = shared.lock();
        // What was doomed in the meantime may have been submitted after this look.
        let later = std::mem::take(&mut state.doomed);
        ours.leave_out_forged(&state, &shared.users);
        let launch = Duration::from_millis(shared.config.launch_ms);
        let doubts = sort_out(&mut state, &shared.files, &ours, poll, launch);
        state.unswept |= !ours.strange.is_empty();
        doomed.append(&mut std::mem::replace(&mut state.doomed, later));
        doubts?
    };
    doomed.extend(ours.strange);
    shared.work.notify_all();
    cancel(shared, &doomed, &queue);
    settle(shared, doubts)
}

/// Takes over what the queue shows: numbers that were not known, copies that are too many, jobs that are still held.
/// Gives back the attempts that must be looked at one by one, with the state of their job.
fn sort_out(
    state: &mut State,
    files: &Files,
    ours: &Ours,
    poll: u64,
    launch: Duration,
) -> Result<Vec<Doubt>, EngineError> {
    doom_leftovers(state, files, ours);
    let (none, now) = (BTreeMap::new(), Instant::now());
    let mut doubts = Vec::new();
    for id in state.in_slurm.clone() {
        let jobs = ours.jobs.get(&id).unwrap_or(&none);
        let Some(open) = state.open_mut(id) else { continue };
        if let Phase::Doubtful(asked) = open.phase {
            if asked >= poll {
                continue;
            }
            match adopt(jobs) {
                Some(job) => state.note_submitted(&[(id, job)], files)?,
                None => doubts.push(Doubt { id, queue: None, left_out: false }),
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
        if let (true, true, Some(job)) = (here, open.cancelled, open.job) {
            match queued.map(|job| job.state) {
                Some(JobState::Active) => state.end_running(id, job, files),
                _ => state.doom(id, job, files),
            }
        } else if matches!(queued.map(|job| job.state), Some(JobState::Pending { held: true })) {
            state.held.insert(id);
        }
        note_waiting(state, id, queued);
        give_up_unbegun(state, files, id, queued, launch, now);
        let unheard = state.open(id).is_some_and(|open| open.exit_seen || open.started_at.is_none());
        if !here || (unheard && queued.is_some_and(|job| job.state == JobState::Active)) {
            let left_out = queued.is_none() && state.open(id).is_some_and(|open| ours.have_the_rest_of(open.job));
            doubts.push(Doubt { id, queue: queued.cloned(), left_out });
        }
    }
    Ok(doubts)
}

/// Of several copies the one that runs, else the first.
fn adopt(jobs: &BTreeMap<SlurmJob, QueuedJob>) -> Option<SlurmJob> {
    let runs = jobs.iter().find(|(_, job)| job.state == JobState::Active);
    let waits = jobs.iter().find(|(_, job)| matches!(job.state, JobState::Pending { .. }));
    runs.or(waits).or(jobs.iter().next()).map(|(&job, _)| job)
}

/// A job that waits for something that will not come by itself is an alarm.
fn note_waiting(state: &mut State, id: AttemptId, queued: Option<&QueuedJob>) {
    // Limits of a quality of service or an association that changed since it was submitted are `...PerJobLimit`.
    let stuck = [
        "BadConstraints",
        "JobHeldAdmin",
        "PartitionTimeLimit",
        "InvalidAccount",
        "InvalidQOS",
        "launch_failed",
        "PerJobLimit",
    ];
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
struct Doubt {
    id: AttemptId,
    queue: Option<QueuedJob>,
    left_out: bool,
}

/// What is known of it.
struct Look {
    doubt: Doubt,
    launches_failed: u32,
    given_up: bool,
    job: Option<SlurmJob>,
    claim: Option<Claim>,
    exit: Option<Exit>,
    memory: Bytes,
    /// Whole accelerators that were ordered for its job: by all of its gang, where that is one.
    devices: u64,
    contained: bool,
    cancelled: bool,
    silent: bool,
    used: Used,
}

/// Looks at attempts one by one: their records first, then accounting for those that need it.
fn settle(shared: &Shared, doubts: Vec<Doubt>) -> Result<(), EngineError> {
    let mut looks = Vec::with_capacity(doubts.len());
    for doubt in doubts {
        looks.extend(look(shared, doubt)?);
    }
    let mut ask: BTreeSet<SlurmJob> = BTreeSet::new();
    let mut unsettled = Vec::new();
    for look in looks {
        match judge(&look.evidence(&shared.config, None)) {
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
        let own = look.job.map(|job| (job.number(), shared.files.name_of(look.doubt.id, job)));
        let is_own = |number: Number, record: &AccountedJob| {
            own.as_ref().is_some_and(|(own, name)| *own == number && is_of(record, name))
        };
        let account = accounts.iter().rev().find(|(number, record)| is_own(*number, record)).map(|(_, record)| record);
        note_given(shared, &look, account);
        let verdict = judge(&look.evidence(&shared.config, Some(account)));
        carry_out(shared, &look, verdict)?;
    }
    Ok(())
}

/// An attempt that began, and of which Slurm says that it is over, is unknown until its record or its silence decides.
fn note_unknown(shared: &Shared, look: &Look, verdict: &Verdict) {
    let over = matches!(look.doubt.state(), None | Some(JobState::Over(_)));
    if *verdict == Verdict::Wait && over && look.claim.is_some() && look.exit.is_none() {
        let what = "began, and Slurm does not have it any more; its record or three missed signs of life will decide";
        shared.lock().alarms.insert(format!("attempt {}", look.doubt.id), what.to_owned());
    }
}

/// What is metered is what was ordered. Where Slurm gave another number of accelerators, somebody should know: a
/// partition that gives nodes whole does.
fn note_given(shared: &Shared, look: &Look, account: Option<&AccountedJob>) {
    // Where accounting does not keep accelerators, it has none.
    if let Some(given) = account.map(|job| job.devices).filter(|&given| given > 0 && given != look.devices) {
        let (id, ordered) = (look.doubt.id, look.devices);
        let what = format!(
            "the job of attempt {id} ordered {ordered} accelerators and is metered by that, Slurm counts {given}"
        );
        shared.lock().alarms.insert("accelerators".to_owned(), what + "; hint: sacct --format=JobID,AllocTRES");
    }
}

/// Accounting of a job may begin without its name: Slurm 22.05 then says `allocation`.
fn is_of(record: &AccountedJob, name: &str) -> bool {
    record.name == name || record.name == "allocation"
}

/// Reads the records of an attempt; `None` when it has ended in the meantime.
fn look(shared: &Shared, doubt: Doubt) -> Result<Option<Look>, EngineError> {
    let id = doubt.id;
    let path = shared.files.attempt(id).dir;
    let claim = shared.files.claim(id).map_err(EngineError::file("claim", &path))?;
    let exit = shared.files.exit(id).map_err(EngineError::file("done record", &path))?;
    let (beats, used) = (shared.files.beats(id), shared.files.used(id));
    if runs_elsewhere(shared, id)? {
        return Ok(None);
    }
    let mut state = shared.lock();
    if let Some(at) = claim.and_then(|claim| claim.at)
        && !matches!(exit, Some(Exit { how: ExitKind::StartFailed(_), .. }))
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
    let (memory, launches_failed, given_up) = (open.order.memory(), open.launches_failed, open.given_up);
    let (contained, devices) = (open.order.spec.image.is_some(), open.devices_of_job());
    Ok(Some(Look {
        doubt,
        launches_failed,
        given_up,
        job,
        claim,
        exit,
        memory,
        devices,
        contained,
        cancelled,
        silent,
        used,
    }))
}

/// How long an attempt may be quiet before it is taken to be gone. Where the claim settles it anyhow, not long; where
/// only its signs of life can tell, three of them.
fn patience(shared: &Shared, open: &Open, claimed: bool, exited: bool) -> Duration {
    let config = &shared.config;
    let short = config.poll_interval_ms.saturating_mul(3) / 2;
    Duration::from_millis(match (claimed, exited || open.cancelled) {
        (false, _) => short,
        (true, true) => short.saturating_add(config.grace_ms),
        (true, false) => short.max(config.beat_ms.saturating_mul(3)),
    })
}

impl Doubt {
    fn state(&self) -> Option<JobState> {
        self.queue.as_ref().map(|job| job.state)
    }
}

impl Look {
    fn evidence<'a>(&'a self, config: &SlurmConfig, account: Option<Option<&'a AccountedJob>>) -> Evidence<'a> {
        let queue = self.doubt.queue.as_ref();
        let accounted = account.flatten().and_then(|job| job.began);
        Evidence {
            claim: self.claim,
            exit: self.exit.as_ref(),
            used: self.used,
            queue: self.doubt.state(),
            began: queue.map_or(accounted, |job| job.began),
            placed: queue.is_some_and(|job| job.placed),
            left_out: self.doubt.left_out,
            launches_failed: self.launches_failed,
            given_up: self.given_up,
            memory: self.memory,
            contained: self.contained,
            together: matches!(self.job, Some(SlurmJob::Gang { .. })),
            accounts_count: config.usage_from_accounting,
            account,
            cancelled: self.cancelled,
            silent: self.silent,
            now: now(),
        }
    }
}

fn carry_out(shared: &Shared, look: &Look, verdict: Verdict) -> Result<(), EngineError> {
    let id = look.doubt.id;
    let end = match verdict {
        Verdict::Wait | Verdict::Ask => return Ok(()),
        Verdict::SubmitAgain => {
            let mut state = shared.lock();
            if let Some(open) = state.open_mut(id)
                && let Some(job) = open.job
            {
                open.launches_failed += u32::from(look.doubt.queue.is_some());
                tracing::warn!(attempt = %id, %job, "slurm forgot a job or could not launch it, submitting it again");
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
