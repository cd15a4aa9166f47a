//! The thread that gives Slurm work: submits held jobs and arrays, writes their numbers down, releases them.
//!
//! A job that Slurm has and we do not know of can do no harm while it is held. So an `sbatch` whose outcome is not
//! known is followed by a look at the queue by name, in `poll.rs`, and only then repeated.

use std::{
    fs, io,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use huisuan_model::{AttemptId, EndCause, StartOrder};

use super::{
    bucket::Bucket,
    cancel::{LONE_LOOKS_MAX, cancel_alone},
    client::{Answer, first_line},
    gang,
    job::SlurmJob,
    open::Phase,
    release::release,
    request::{Group, Shape, Taken, take},
    shared::Shared,
    state::{State, never_ran},
    users::User,
};
use crate::{engine::EngineError, failpoint};

/// So many calls of `sbatch` are made before the first of their jobs is released.
const BATCH_MAX: usize = 16;

/// So many attempts are submitted before the first of them is released: to write down what they run takes most of the
/// time.
const ATTEMPTS_MAX: usize = 2_000;

/// So many `sbatch` run at once: most of their time is spent waiting.
const PARALLEL: usize = 4;

/// So many jobs are named in one call.
pub(super) const IDS_MAX: usize = 500;

/// A refusal for a reason that may pass is believed at this repetition.
const REFUSALS_MAX: u32 = 20;

/// Texts of refusals by a controller that was reached, understood and will not change its mind. Everything else,
/// time-outs above all, leaves open whether the job exists.
const REFUSALS: [&str; 9] = [
    "Invalid account",
    "Invalid partition",
    "invalid partition",
    "Invalid qos",
    "Invalid feature",
    "Invalid generic resource",
    "Requested node configuration is not available",
    "Requested time limit is invalid",
    "nvalid reservation",
];

/// Texts by which `sudo` refuses to run anything.
const SUDO_REFUSALS: [&str; 5] = [
    "a password is required",
    "is not allowed to execute",
    "is not in the sudoers file",
    "you are not allowed to set the following environment variables",
    "unknown user",
];

/// Text of `sbatch` when the user that calls it cannot read the wrapper.
const UNREADABLE: &str = "Unable to open file";

/// Text of a refusal of an array, not of its attempts.
const ARRAY_REFUSAL: &str = "Invalid job array specification";

/// What became of one `sbatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Submission {
    /// Slurm has it under this number.
    Held(u64),
    /// It will never run.
    Refused(String),
    /// Slurm does not take an array of this size.
    TooLarge,
    /// Nobody knows.
    Doubtful(String),
}

/// What became of one group.
struct Submitted {
    group: Group,
    shape: Shape,
    submission: Submission,
    /// Those that could not be prepared, with a sentence for people: they are not in the group any more.
    refused: Vec<(AttemptId, String)>,
}

/// The thread's loop; returns when the engine stops.
pub(super) fn run(shared: &Shared) {
    let mut bucket = Bucket::new(shared.config.submit_per_s, shared.config.submit_burst);
    while !shared.stopped() {
        let most = BATCH_MAX.min(bucket.level());
        let taken = {
            // Without tokens, time alone helps.
            let wait = if most == 0 { Duration::from_millis(20) } else { Duration::from_millis(500) };
            let open_max = shared.config.open_max;
            let ready = |state: &State| {
                // Before the cluster is known, orders may ask for what it does not have.
                let room = most > 0 && state.inventory.known() && state.room(open_max) > 0;
                let cancels = !state.doomed.is_empty() && state.lone_looks < LONE_LOOKS_MAX;
                (room && !state.waiting.is_empty()) || !state.held.is_empty() || cancels
            };
            let mut state = shared.wait(shared.lock(), &shared.work, wait, ready);
            let room = if state.inventory.known() { state.room(open_max) } else { 0 };
            take(&mut state, &shared.config, &shared.users, most, room.min(ATTEMPTS_MAX))
        };
        bucket.take(taken.groups.len());
        let submitted = submit(shared, taken);
        release(shared);
        cancel_alone(shared);
        if let Err(error) = submitted {
            tracing::error!(%error, "engine cannot write its memory down, trying again");
            shared.pause(Duration::from_secs(1));
        }
    }
}

/// Submits groups, several at once, and notes what became of them.
fn submit(shared: &Shared, taken: Taken) -> Result<(), EngineError> {
    let Taken { groups, refused } = taken;
    let never: Vec<_> = refused.into_iter().map(|(order, why)| (order.attempt, why)).collect();
    let parallel = PARALLEL.min(groups.len());
    let next = Mutex::new(groups.into_iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| {
                loop {
                    let group = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(group) = group else { return };
                    let submitted = submit_group(shared, group);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(submitted);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if results.is_empty() && never.is_empty() {
        return Ok(());
    }
    failpoint::reach("slurm-after-sbatch");
    note_all(shared, results, never)?;
    failpoint::reach("slurm-after-record");
    Ok(())
}

/// Notes what became of all of them. What cannot be noted may be in Slurm all the same: the queue is asked for it by
/// name.
fn note_all(shared: &Shared, results: Vec<Submitted>, never: Vec<(AttemptId, String)>) -> Result<(), EngineError> {
    let of_groups = results.iter().flat_map(|submitted| {
        let refused = submitted.refused.iter().map(|(id, _)| *id);
        submitted.group.orders.iter().map(|order| order.attempt).chain(refused)
    });
    let all: Vec<AttemptId> = never.iter().map(|(id, _)| *id).chain(of_groups).collect();
    let mut state = shared.lock();
    let noted = note_each(&mut state, shared, results, never);
    if noted.is_err() {
        let lost = |id: &AttemptId| state.open(*id).is_some_and(|open| open.phase == Phase::Submitting);
        let lost: Vec<AttemptId> = all.into_iter().filter(lost).collect();
        lost.into_iter().for_each(|id| state.doubt(id));
    }
    noted
}

fn note_each(
    state: &mut State,
    shared: &Shared,
    results: Vec<Submitted>,
    mut never: Vec<(AttemptId, String)>,
) -> Result<(), EngineError> {
    for submitted in results {
        never.extend(note(state, shared, submitted)?);
    }
    let mut ends = Vec::with_capacity(never.len());
    for (id, why) in never {
        // An earlier job of it, which Slurm forgot and we gave up, may have begun meanwhile.
        match shared.files.claim_against_start(id) {
            Ok(false) => state.doubt(id),
            _ => ends.push((id, never_ran(EndCause::StartFailed, why))),
        }
    }
    if !ends.is_empty() {
        state.finish(ends, &shared.files)?;
        shared.reports.notify_all();
    }
    Ok(())
}

/// Notes what became of a group. Gives back those that will never run, with a sentence for people.
fn note(state: &mut State, shared: &Shared, submitted: Submitted) -> Result<Vec<(AttemptId, String)>, EngineError> {
    let Submitted { group, shape, submission, mut refused } = submitted;
    let ids = group.orders.iter().map(|order| order.attempt);
    match submission {
        Submission::Held(number) => {
            let job = |index| match shape {
                Shape::Single => SlurmJob::Single(number),
                Shape::Gang(_) => SlurmJob::Gang { gang: number },
                Shape::Array { list, .. } => SlurmJob::Element(number, index, list),
            };
            let jobs: Vec<_> = ids.zip((0..).map(job)).collect();
            state.note_submitted(&jobs, &shared.files)?;
        }
        Submission::Refused(why) => refused.extend(ids.map(|id| (id, why.clone()))),
        Submission::TooLarge => {
            let limit = (group.orders.len() / 2).max(1);
            tracing::warn!(limit, "slurm does not take an array of this size, making smaller ones");
            state.array_limit = state.array_limit.min(limit);
            ids.for_each(|id| state.submit_again(id));
        }
        Submission::Doubtful(why) => {
            tracing::warn!(attempts = group.orders.len(), why, "submission with unknown outcome, asking the queue");
            let polls = state.polls;
            for id in ids {
                let Some(open) = state.open_mut(id) else { continue };
                open.phase = Phase::Doubtful(polls);
                open.refusals += 1;
                if open.refusals == REFUSALS_MAX {
                    state.alarms.insert(format!("attempt {id}"), format!("Slurm does not take it: {why}"));
                }
            }
        }
    }
    Ok(refused)
}

/// Why what an attempt runs is not written down: a sentence for people.
enum Unprepared {
    /// It can never start.
    Never(String),
    /// The disk is full, which passes.
    Later(String),
}

/// Writes down what an attempt runs. The disk may have been full a moment ago, so a failure is believed the second time.
fn prepare(shared: &Shared, order: &StartOrder, user: Option<&User>) -> Result<(), Unprepared> {
    let mut failed = Ok(());
    for _ in 0..2 {
        failed = match shared.files.prepare(order, user) {
            Ok(()) => return Ok(()),
            Err(why) if full(shared) => return Err(Unprepared::Later(why)),
            Err(why) => Err(Unprepared::Never(why)),
        };
    }
    failed
}

/// Whether nothing more fits on the disk, or into what this user may have of it.
fn full(shared: &Shared) -> bool {
    let probe = shared.files.paths.dir.join("probe");
    let written = fs::write(&probe, [0; 4096]);
    // It may not have been made.
    let _ = fs::remove_file(&probe);
    let kind = written.err().map(|error| error.kind());
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// Writes down what to run, then calls `sbatch` once for all of them.
fn submit_group(shared: &Shared, mut group: Group) -> Submitted {
    let (mut refused, mut full) = (Vec::new(), None);
    let user = group.request.user.clone();
    group.orders.retain(|order| match prepare(shared, order, user.as_deref()) {
        Ok(()) => true,
        Err(Unprepared::Never(why)) => {
            refused.push((order.attempt, why));
            false
        }
        Err(Unprepared::Later(why)) => {
            full = Some(why);
            true
        }
    });
    let (shape, submission) = match group.orders.as_slice() {
        // As after a call that nobody answered: the queue is asked, which does not have them, and they are tried again.
        [_, ..] if let Some(why) = full => (Shape::Single, Submission::Doubtful(why)),
        [] => (Shape::Single, Submission::Refused("nothing is left of it".to_owned())),
        [..] if let Some(gang) = group.gang => gang::submit(shared, &group, gang, refused.first()),
        [_] => (Shape::Single, call(shared, &group, Shape::Single)),
        orders => {
            let attempts: Vec<AttemptId> = orders.iter().map(|order| order.attempt).collect();
            match shared.files.lists.write(&attempts, user.as_deref()) {
                Ok(list) => {
                    failpoint::reach("slurm-after-list");
                    let shape = Shape::Array { list, elements: attempts.len() };
                    (shape, call(shared, &group, shape))
                }
                Err(error) => (Shape::Single, Submission::Doubtful(format!("its list cannot be written: {error}"))),
            }
        }
    };
    Submitted { group, shape, submission, refused }
}

pub(super) fn call(shared: &Shared, group: &Group, shape: Shape) -> Submission {
    let arguments = group.request.arguments(&shared.config, &shared.files, &group.orders, shape);
    failpoint::reach("slurm-before-sbatch");
    read_submission(&shared.client.call_as(group.request.user.as_deref(), "sbatch", &arguments))
}

/// `--parsable` prints `NUMBER` or `NUMBER;CLUSTER`.
fn read_submission(answer: &Answer) -> Submission {
    if answer.success {
        let number = answer.stdout.trim().split(';').next().and_then(|number| number.parse().ok());
        return number.map_or_else(|| Submission::Doubtful(first_line(&answer.stdout)), Submission::Held);
    }
    // A line before the last may be a warning or a notice that sbatch tries again.
    let text = answer.stderr.trim();
    if text.contains(ARRAY_REFUSAL) {
        return Submission::TooLarge;
    }
    if SUDO_REFUSALS.iter().any(|refusal| text.contains(refusal)) {
        let hint = "hint: see what the page on Slurm says of `[users]` and sudoers";
        return Submission::Refused(format!(
            "this centre may not submit as its tenant's user: {}; {hint}",
            first_line(text)
        ));
    }
    if text.contains(UNREADABLE) {
        let hint = "hint: others must be able to go through all folders above `folder`";
        return Submission::Refused(format!("its tenant's user cannot read the engine's folder; {hint}"));
    }
    if REFUSALS.iter().any(|refusal| text.contains(refusal)) {
        let last = text.lines().next_back().unwrap_or_default();
        return Submission::Refused(format!("Slurm refuses it: {}", first_line(last)));
    }
    Submission::Doubtful(first_line(text))
}

#[cfg(test)]
mod tests;
