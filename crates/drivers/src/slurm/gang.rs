//! Gangs: all tasks of one try of a gang are one job of Slurm, so that they start together or not at all.
//!
//! Orders of a gang may come one after the other. They wait here, each on disk, until all of them are there; who is
//! started again counts anew. The job runs `gang.sh`, which has `srun` start a wrapper for each rank; the wrapper finds
//! its attempt in the gang's list by its rank, and from then on an attempt is one like any other: it has a claim, signs of
//! life and a done record of its own. What is the gang's is in a folder beside those of its attempts:
//!
//! | `attempts/JOB/gang.TRY/` | holds |
//! |---|---|
//! | `list` | its attempts in the order of ranks, from 0 |
//! | `own/claim` | the number of the job that runs it: of two copies one has all ranks. Empty when it never starts |
//! | `own/out` | what Slurm and `srun` say of it |

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, EndCause, JobId, StartOrder};

use super::{
    config::SlurmConfig,
    files::{Files, read_optional, write_whole},
    job::SlurmJob,
    open::Phase,
    request::{Group, Request, Shape, Taken},
    share,
    shared::Shared,
    state::{Record, State, never_ran},
    submit::{Submission, call},
    users::{User, Users},
};
use crate::{
    engine::{Alarm, EngineError},
    failpoint,
};

/// The only accelerators that Slurm gives by the task; of others it gives as many on each node.
const BY_TASK: &str = "gpu";

/// So long the orders of one gang may come one after the other.
const INCOMPLETE: Duration = Duration::from_secs(120);

const BROKEN: &str = "the others of its gang began without it";

/// One try of a gang: `JOB.TRY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gang {
    job: JobId,
    attempt: u32,
}

impl Gang {
    /// The gang of one of its attempts.
    pub(super) fn with(id: AttemptId) -> Gang {
        Gang { job: id.job, attempt: id.attempt }
    }

    /// The gang of an order; `None` for what is a job by itself.
    pub(super) fn of(order: &StartOrder) -> Option<Gang> {
        order.spec.gang.then(|| Gang::with(order.attempt))
    }
}

impl fmt::Display for Gang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.attempt)
    }
}

impl FromStr for Gang {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        // The same digits as an attempt's, without its task.
        let (job, attempt) = text.split_once('.').ok_or(())?;
        let id: AttemptId = format!("{job}.0.{attempt}").parse().map_err(drop)?;
        Ok(Gang::with(id))
    }
}

/// Gangs that wait here.
#[derive(Debug, Default)]
pub(super) struct Gangs {
    /// The attempts of each that are to be submitted: with all of them it may be.
    waiting: BTreeMap<Gang, BTreeSet<AttemptId>>,
    /// Since when each of these waits.
    since: BTreeMap<Gang, Instant>,
}

impl Gangs {
    /// One of a gang waits; true when all of them do now.
    pub(super) fn join(&mut self, gang: Gang, order: &StartOrder) -> bool {
        let members = self.waiting.entry(gang).or_default();
        members.insert(order.attempt);
        self.since.entry(gang).or_insert_with(Instant::now);
        members.len() as u64 == order.spec.tasks.len()
    }

    /// One of a gang has ended.
    pub(super) fn leave(&mut self, id: AttemptId) {
        let gang = Gang::with(id);
        if let Some(members) = self.waiting.get_mut(&gang) {
            members.remove(&id);
            if members.is_empty() {
                self.remove(gang);
            }
        }
    }
}

impl Gangs {
    /// It waits no more, or is submitted.
    fn remove(&mut self, gang: Gang) {
        self.waiting.remove(&gang);
        self.since.remove(&gang);
    }
}

/// Gangs of which a part has waited for the rest for long: orders come together, so the rest went astray.
pub(super) fn incomplete(state: &State) -> Vec<Alarm> {
    let late = state.gangs.since.iter().filter(|(_, since)| since.elapsed() >= INCOMPLETE);
    let alarm = |gang: Gang| {
        let members = state.gangs.waiting.get(&gang)?;
        let of = state.open(*members.first()?)?.order.spec.tasks.len();
        let what = format!("waits: {} of its {of} tasks were ordered, and none starts alone", members.len());
        let hint = format!("hint: huisuan explain {}", gang.job);
        (members.len() as u64 != of).then(|| Alarm { subject: format!("gang {gang}"), what: format!("{what}; {hint}") })
    };
    late.filter_map(|(&gang, _)| alarm(gang)).collect()
}

/// All attempts of the gang of an order, in the order of ranks.
pub(super) fn members(order: &StartOrder) -> impl Iterator<Item = AttemptId> + '_ {
    order.spec.tasks.iter().map(|task| AttemptId { task, ..order.attempt })
}

/// These and all that are open of their gangs: who ends one, ends them all. With them, the gangs.
pub(super) fn with_mates(state: &State, ids: Vec<AttemptId>) -> (Vec<AttemptId>, BTreeSet<Gang>) {
    let (mut all, mut gangs, mut seen) = (Vec::with_capacity(ids.len()), BTreeSet::new(), BTreeSet::new());
    for id in ids {
        let order = state.open(id).map(|open| Arc::clone(&open.order));
        match order.and_then(|order| Some((Gang::of(&order)?, order))) {
            None => all.extend(seen.insert(id).then_some(id)),
            Some((gang, order)) => {
                if gangs.insert(gang) {
                    all.extend(members(&order).filter(|&id| state.open(id).is_some() && seen.insert(id)));
                }
            }
        }
    }
    (all, gangs)
}

/// Takes the gang whose first attempt is the next to be submitted: all of it, or nothing where one of them has ended.
pub(super) fn take(
    state: &mut State,
    config: &SlurmConfig,
    users: &Users,
    first: &StartOrder,
    taken: &mut Taken,
) -> usize {
    let gang = Gang::with(first.attempt);
    let waits = |id: AttemptId| state.open(id).filter(|open| open.phase == Phase::Waiting);
    let orders: Vec<Arc<StartOrder>> =
        members(first).filter_map(|id| waits(id).map(|open| Arc::clone(&open.order))).collect();
    state.waiting.pop_front_if(|next| *next == first.attempt);
    if orders.len() as u64 != first.spec.tasks.len() {
        // They wait for their fate: `end_broken` tells it.
        return 0;
    }
    state.gangs.remove(gang);
    let request = Request::of(first, &state.inventory, config, users).and_then(|request| {
        let alike =
            |order: &Arc<StartOrder>| Request::of(order, &state.inventory, config, users).as_ref() == Ok(&request);
        match orders.iter().all(alike) {
            true => Ok(request),
            false => Err("the tasks of its gang are given different shares".to_owned()),
        }
    });
    orders.iter().for_each(|order| state.note_submitting(order.attempt));
    let count = orders.len();
    match request {
        Ok(request) => taken.groups.push(Group { request, orders, size_max: 1, gang: Some(gang) }),
        Err(why) => taken.refused.extend(orders.into_iter().map(|order| (order, why.clone()))),
    }
    count
}

/// A gang goes whole or not at all.
pub(super) fn submit(
    shared: &Shared,
    group: &Group,
    gang: Gang,
    refused: Option<&(AttemptId, String)>,
) -> (Shape, Submission) {
    let attempts: Vec<AttemptId> = group.orders.iter().map(|order| order.attempt).collect();
    let user = group.request.user.as_deref();
    let submission = match (refused, shared.files.prepare_gang(gang, &attempts, user)) {
        (Some((id, why)), _) => Submission::Refused(format!("task {} of its gang cannot start: {why}", id.task)),
        (None, Ok(())) => call(shared, group, Shape::Gang(gang)),
        (None, Err(error)) => Submission::Doubtful(format!("its list cannot be written: {error}")),
    };
    (Shape::Gang(gang), submission)
}

/// Whether another job than the one that is known runs the gang of an attempt: of two copies that may be either. It is
/// the known one from then on.
pub(super) fn runs_elsewhere(shared: &Shared, id: AttemptId) -> Result<bool, EngineError> {
    let own = shared.lock().open(id).and_then(|open| open.job);
    let Some(own @ SlurmJob::Gang { .. }) = own else { return Ok(false) };
    let gang = Gang::with(id);
    let runs = shared.files.gang_job(gang).map_err(EngineError::file("claim", &shared.files.gang_own(gang)))?;
    let Some(job) = runs.filter(|job| *job != own) else { return Ok(false) };
    shared.lock().note_runs(id, job)?;
    Ok(true)
}

/// Ends what waits of gangs that began, or ended, without it: it can never start together with them.
pub(super) fn end_broken(shared: &Shared) -> Result<(), EngineError> {
    let mut state = shared.lock();
    let broken: Vec<AttemptId> =
        state.gangs.waiting.values().flat_map(|waiting| left(&state, &shared.files, waiting)).collect();
    let mut ends = Vec::new();
    for id in broken {
        let path = shared.files.attempt(id).claim();
        if shared.files.claim_against_start(id).map_err(EngineError::file("claim", &path))? {
            ends.push((id, never_ran(EndCause::Lost, BROKEN.to_owned())));
            continue;
        }
        // A job that Slurm forgot runs it after all: its record or its silence tells.
        state.gangs.leave(id);
        state.in_slurm.insert(id);
        if let Some(open) = state.open_mut(id) {
            open.phase = Phase::Doubtful(0);
        }
    }
    if !ends.is_empty() {
        state.finish(ends, &shared.files)?;
        shared.reports.notify_all();
    }
    Ok(())
}

/// Those of a gang that wait though others of it do not any more, and began or ended.
fn left(state: &State, files: &Files, waiting: &BTreeSet<AttemptId>) -> Vec<AttemptId> {
    let Some(open) = waiting.first().and_then(|&id| state.open(id)) else { return Vec::new() };
    let broken = members(&open.order).any(|id| !waiting.contains(&id) && began(state, files, id));
    if broken { waiting.iter().copied().collect() } else { Vec::new() }
}

/// Whether one of a gang began, or ended: what did not begin with it never will.
pub(super) fn began(state: &State, files: &Files, id: AttemptId) -> bool {
    match state.records.get(&id) {
        Some(Record::Open(open)) => open.started_at.is_some() || open.exit_seen,
        Some(Record::Ended(_)) => true,
        // It has not come yet, or its end was acknowledged: what began, or is never to, has a claim.
        None => files.claimed(id),
    }
}

/// The arguments of `sbatch` by which a gang of so many is laid out: Slurm chooses how many of them a node gets, unless
/// their accelerators are of a kind that it gives by the node.
pub(super) fn layout(
    tasks: usize,
    cores: u64,
    memory_mib: u64,
    gres: Option<&str>,
    spread: Option<Spread>,
) -> Vec<String> {
    let mut arguments = vec![
        format!("--ntasks={tasks}"),
        // Slurm has no memory of a task: that of its cores is the same.
        format!("--mem-per-cpu={}M", memory_mib.div_ceil(cores)),
    ];
    match (gres.and_then(|gres| gres.rsplit_once(':')), spread) {
        (None, _) => {}
        (Some((name, each)), None) => {
            let kind = name.strip_prefix(BY_TASK).unwrap_or(name).trim_start_matches(':');
            let kind = if kind.is_empty() { String::new() } else { format!("{kind}:") };
            arguments.push(format!("--gpus-per-task={kind}{each}"));
        }
        (Some((name, each)), Some(Spread { nodes, tasks_per_node })) => {
            let of_node = each.parse::<u64>().unwrap_or(1).saturating_mul(tasks_per_node);
            arguments.extend([
                format!("--nodes={nodes}"),
                format!("--ntasks-per-node={tasks_per_node}"),
                format!("--gres={name}:{of_node}"),
            ]);
        }
    }
    arguments
}

/// How a gang lies on nodes of which each gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) nodes: u64,
    pub(super) tasks_per_node: u64,
}

/// Whether Slurm gives these accelerators by the task.
pub(super) fn by_task(gres: &str) -> bool {
    gres.split(':').next() == Some(BY_TASK)
}

/// How so many tasks lie on nodes of which so many take that many tasks: on as few places too many as may be, and then
/// on as few nodes. `None` when they do not all fit at once.
pub(super) fn spread(tasks: u64, takes: &BTreeMap<u64, u64>) -> Option<Spread> {
    let most = takes.keys().next_back().copied().unwrap_or(0).min(tasks);
    let laid = (1..=most).filter_map(|tasks_per_node| {
        let nodes = tasks.div_ceil(tasks_per_node);
        let there: u64 = takes.range(tasks_per_node..).map(|(_, count)| count).sum();
        (nodes <= there).then_some(Spread { nodes, tasks_per_node })
    });
    laid.min_by_key(|spread| (spread.nodes * spread.tasks_per_node - tasks, spread.nodes))
}

impl Files {
    /// The folder of a gang.
    pub(super) fn gang(&self, gang: Gang) -> PathBuf {
        self.paths.attempts().join(gang.job.to_string()).join(format!("gang.{}", gang.attempt))
    }

    /// Where its job writes.
    pub(super) fn gang_own(&self, gang: Gang) -> PathBuf {
        self.gang(gang).join("own")
    }

    /// Writes down which attempt each rank is. No job runs it as far as anybody knows: an old claim is void.
    pub(super) fn prepare_gang(&self, gang: Gang, attempts: &[AttemptId], user: Option<&User>) -> io::Result<()> {
        let (folder, own) = (self.gang(gang), self.gang_own(gang));
        self.make_gang(gang)?;
        match fs::remove_file(own.join("claim")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let list = folder.join("list");
        let text: String = attempts.iter().map(|id| format!("{id}\n")).collect();
        write_whole(&list, text.as_bytes())?;
        // Whoever finds the job in the queue must find its list.
        File::open(&list)?.sync_all()?;
        File::open(&folder)?.sync_all()?;
        if let Some(user) = user {
            share::give(&list, user.group, 0o640)?;
            share::open(&own, user.group)?;
            share::pass(&folder, user.group)?;
        }
        failpoint::reach("slurm-after-list");
        Ok(())
    }

    fn make_gang(&self, gang: Gang) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.gang_own(gang))
    }

    /// The attempts of a gang; empty when it was never to be submitted.
    pub(super) fn gang_list(&self, gang: Gang) -> io::Result<Vec<AttemptId>> {
        let text = read_optional(&self.gang(gang).join("list"))?.unwrap_or_default();
        Ok(text.lines().map_while(|line| line.parse().ok()).collect())
    }

    /// Takes the claim of a gang, unless its job has it: what comes of it from now on never starts.
    pub(super) fn bar_gang(&self, gang: Gang) -> io::Result<()> {
        self.make_gang(gang)?;
        let claim = self.gang_own(gang).join("claim");
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(claim) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a job of a gang began, or it is never to start.
    pub(super) fn gang_claimed(&self, gang: Gang) -> bool {
        fs::symlink_metadata(self.gang_own(gang).join("claim")).is_ok()
    }

    /// The job that runs a gang, once it has begun.
    pub(super) fn gang_job(&self, gang: Gang) -> io::Result<Option<SlurmJob>> {
        let text = read_optional(&self.gang_own(gang).join("claim"))?.unwrap_or_default();
        let number = text.strip_suffix('\n').and_then(|number| number.parse().ok());
        Ok(number.map(|gang| SlurmJob::Gang { gang }))
    }
}

#[cfg(test)]
mod tests;
