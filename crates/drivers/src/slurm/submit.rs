//! The thread that gives Slurm work: submits held jobs, writes their numbers down, releases them; and cancels.
//!
//! A job that Slurm has and we do not know of can do no harm while it is held. So an `sbatch` whose outcome is not known
//! is followed by a look at the queue by name, in `poll.rs`, and only then repeated.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, EndCause, StartOrder};

use super::{
    client::{Answer, first_line},
    config::is_word,
    shared::Shared,
    state::{Phase, never_ran},
};
use crate::{engine::EngineError, failpoint};

/// So many are submitted before the first of them is released.
const BATCH_MAX: usize = 16;

/// So many `sbatch` run at once: most of their time is spent waiting.
const PARALLEL: usize = 4;

/// So many jobs are named in one call.
const IDS_MAX: usize = 500;

/// A refusal for a reason that may pass is believed at this repetition.
const REFUSALS_MAX: u32 = 20;

/// Texts of refusals by a controller that was reached, understood and will not change its mind. Everything else, time-outs
/// above all, leaves open whether the job exists.
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

/// What became of one `sbatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Submission {
    /// Slurm has it under this number.
    Held(u64),
    /// It will never run.
    Refused(String),
    /// Nobody knows.
    Doubtful(String),
}

/// The thread's loop; returns when the engine stops.
pub(super) fn run(shared: &Shared) {
    let mut bucket = Bucket::new(shared.config.submit_per_s, shared.config.submit_burst);
    while !shared.stopped() {
        let most = BATCH_MAX.min(bucket.level());
        let orders = {
            // Without tokens, time alone helps.
            let wait = if most == 0 { Duration::from_millis(20) } else { Duration::from_millis(500) };
            let open_max = shared.config.open_max;
            let ready = |state: &super::state::State| {
                // Before the cluster is known, orders may ask for what it does not have.
                let room = most > 0 && state.in_slurm.len() < open_max && state.inventory.known();
                (room && !state.waiting.is_empty()) || !state.held.is_empty() || !state.doomed.is_empty()
            };
            let mut state = shared.wait(shared.lock(), &shared.work, wait, ready);
            let room = if state.inventory.known() { open_max.saturating_sub(state.in_slurm.len()) } else { 0 };
            state.take_waiting(most.min(room))
        };
        bucket.take(orders.len());
        let failed = submit(shared, &orders).and_then(|()| {
            release(shared);
            cancel(shared)
        });
        if let Err(error) = failed {
            tracing::error!(%error, "engine cannot write its memory down, trying again");
            shared.pause(Duration::from_secs(1));
        }
    }
}

/// Submits orders, several at once, and notes what became of them.
fn submit(shared: &Shared, orders: &[Arc<StartOrder>]) -> Result<(), EngineError> {
    if orders.is_empty() {
        return Ok(());
    }
    let next = Mutex::new(orders.iter());
    let results = Mutex::new(Vec::with_capacity(orders.len()));
    thread::scope(|scope| {
        for _ in 0..PARALLEL.min(orders.len()) {
            scope.spawn(|| {
                loop {
                    let order = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(order) = order else { return };
                    let submission = submit_one(shared, order);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((order.attempt, submission));
                }
            });
        }
    });
    failpoint::reach("slurm-after-sbatch");
    let mut state = shared.lock();
    let mut ends = Vec::new();
    for (id, submission) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match submission {
            Submission::Held(job) => state.note_submitted(id, job, &shared.files)?,
            Submission::Refused(why) => ends.push((id, never_ran(EndCause::StartFailed, why))),
            Submission::Doubtful(why) => {
                tracing::warn!(attempt = %id, why, "submission with unknown outcome, asking the queue");
                let polls = state.polls;
                if let Some(open) = state.open_mut(id) {
                    open.phase = Phase::Doubtful(polls);
                    open.refusals += 1;
                    if open.refusals == REFUSALS_MAX {
                        state.alarms.insert(format!("attempt {id}"), format!("Slurm does not take it: {why}"));
                    }
                }
            }
        }
    }
    let ended = !ends.is_empty();
    state.finish(ends, &shared.files)?;
    if ended {
        shared.reports.notify_all();
    }
    failpoint::reach("slurm-after-record");
    Ok(())
}

fn submit_one(shared: &Shared, order: &StartOrder) -> Submission {
    if let Some(account) = order.account.as_ref().filter(|account| !is_word(account)) {
        return Submission::Refused(format!("account `{account}` is not a name that may reach Slurm"));
    }
    let (gres, minutes_max) = {
        let state = shared.lock();
        (state.inventory.gres(order), state.inventory.minutes_max())
    };
    let prepared = gres.and_then(|gres| shared.files.prepare(order).map(|()| gres));
    let gres = match prepared {
        Ok(gres) => gres,
        Err(why) => return Submission::Refused(why),
    };
    // The wrapper keeps the walltime to the millisecond; Slurm's limit is the second belt, in whole minutes.
    let slack_ms = shared.config.grace_ms.saturating_add(30_000);
    let minutes = order.walltime().0.saturating_add(slack_ms).div_ceil(60_000).min(minutes_max);
    failpoint::reach("slurm-before-sbatch");
    read_submission(&shared.client.call("sbatch", &arguments(shared, order, gres, minutes)))
}

/// What `sbatch` is called with. Nothing of it comes from a user but numbers; what is run is in a file.
fn arguments(shared: &Shared, order: &StartOrder, gres: Option<String>, minutes: u64) -> Vec<String> {
    let config = &shared.config;
    let id = order.attempt;
    let folder = shared.files.attempt(id).dir;
    let mut arguments = vec![
        "--parsable".to_owned(),
        "--hold".to_owned(),
        "--no-requeue".to_owned(),
        "--export=ALL".to_owned(),
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        "--open-mode=append".to_owned(),
        "--input=/dev/null".to_owned(),
        format!("--job-name={}", shared.files.job_name(id)),
        format!("--comment={}", order.spec.hash()),
        format!("--cpus-per-task={}", order.cores.cores_up().max(1)),
        format!("--mem={}M", order.memory().0.div_ceil(1 << 20).max(1)),
        format!("--time={minutes}"),
        format!("--chdir={}", folder.display()),
        format!("--output={}", folder.join("slurm.out").display()),
        format!("--partition={}", config.partitions.join(",")),
    ];
    let mut add = |name: &str, value: Option<&str>| arguments.extend(value.map(|value| format!("--{name}={value}")));
    // The site's rules come before this engine's configuration.
    add("account", order.account.as_deref().or_else(|| config.account_of(&order.tenant)));
    add("qos", config.qos.as_deref());
    add("reservation", config.reservation.as_deref());
    add("gres", gres.as_deref());
    arguments.extend([shared.files.wrapper(), folder, shared.files.news()].map(|path| path.display().to_string()));
    arguments.extend([id.to_string(), order.walltime().0.to_string()]);
    arguments.extend([config.grace_ms.to_string(), config.beat_ms.to_string()]);
    arguments
}

/// `--parsable` prints `NUMBER` or `NUMBER;CLUSTER`.
fn read_submission(answer: &Answer) -> Submission {
    if answer.success {
        let number = answer.stdout.trim().split(';').next().and_then(|number| number.parse().ok());
        return number.map_or_else(|| Submission::Doubtful(first_line(&answer.stdout)), Submission::Held);
    }
    // A line before the last may be a warning or a notice that sbatch tries again.
    let text = answer.stderr.trim();
    if REFUSALS.iter().any(|refusal| text.contains(refusal)) {
        let last = text.lines().next_back().unwrap_or_default();
        return Submission::Refused(format!("Slurm refuses it: {}", first_line(last)));
    }
    Submission::Doubtful(first_line(text))
}

/// Lets all that are held run. Doing so twice is harmless, so an error needs no care: the queue will show who is still held.
fn release(shared: &Shared) {
    let (ids, jobs): (Vec<AttemptId>, Vec<String>) = {
        let state = shared.lock();
        let held = state.held.iter().take(IDS_MAX);
        held.filter_map(|&id| Some((id, state.open(id)?.job?.to_string()))).unzip()
    };
    if jobs.is_empty() {
        return;
    }
    failpoint::reach("slurm-before-release");
    let answer = shared.client.call("scontrol", &["release".to_owned(), jobs.join(",")]);
    if !answer.success {
        tracing::warn!(why = first_line(&answer.stderr), "jobs may not be released, the queue will tell");
    }
    failpoint::reach("slurm-after-release");
    let mut state = shared.lock();
    for id in ids {
        state.held.remove(&id);
        if let Some(open) = state.open_mut(id).filter(|open| open.phase == Phase::Held) {
            open.phase = Phase::Released;
        }
    }
}

/// Cancels jobs that are to end. Each is named as well: the number alone may have gone to another job.
fn cancel(shared: &Shared) -> Result<(), EngineError> {
    let doomed = std::mem::take(&mut shared.lock().doomed);
    for (job, name) in doomed {
        if shared.stopped() {
            break;
        }
        // Whether it worked shows in the queue: what is still there is cancelled again after the next look at it.
        let answer = shared.client.call("scancel", &[format!("--jobname={name}"), job.to_string()]);
        if !answer.success {
            tracing::info!(job, why = first_line(&answer.stderr), "job is not cancelled yet");
        }
    }
    Ok(())
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    per_s: f64,
    burst: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    fn new(per_s: u32, burst: u32) -> Self {
        Bucket { per_s: per_s.into(), burst: burst.into(), level: burst.into(), filled: Instant::now() }
    }

    /// Whole tokens that are there.
    fn level(&mut self) -> usize {
        let since = self.filled.elapsed();
        self.filled += since;
        self.level = (self.level + since.as_secs_f64() * self.per_s).min(self.burst);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a burst")]
        let whole = self.level as usize;
        whole
    }

    fn take(&mut self, tokens: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most a batch")]
        let tokens = tokens as f64;
        self.level -= tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_a_refusal_or_a_doubt() {
        let check = |success: bool, stdout: &str, stderr: &str, expected: Result<u64, bool>| {
            let answer = Answer { success, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
            let read = match read_submission(&answer) {
                Submission::Held(job) => Ok(job),
                Submission::Refused(_) => Err(true),
                Submission::Doubtful(_) => Err(false),
            };
            assert_eq!(read, expected, "{answer:?}");
        };
        let failed = "sbatch: error: Batch job submission failed: ";
        check(true, "17\n", "", Ok(17));
        check(true, "17;alpha\n", "", Ok(17));
        check(true, "", "", Err(false));
        check(true, "Submitted batch job 17\n", "", Err(false));
        check(false, "", &format!("{failed}Invalid account or account/partition combination specified\n"), Err(true));
        check(
            false,
            "",
            &format!("sbatch: error: invalid partition specified: x\n{failed}Invalid partition"),
            Err(true),
        );
        check(false, "", &format!("{failed}Socket timed out on send/recv operation\n"), Err(false));
        check(false, "", &format!("{failed}Unable to contact slurm controller (connect failure)\n"), Err(false));
        check(
            false,
            "",
            &format!("{failed}Job violates accounting/QOS policy (job submit limit, user's size)\n"),
            Err(false),
        );
        check(false, "", "did not answer in 120s", Err(false));
        check(false, "", "", Err(false));
    }

    #[test]
    fn a_bucket_gives_its_burst_and_no_more() {
        let mut bucket = Bucket::new(1, 3);
        assert_eq!(bucket.level(), 3);
        bucket.take(3);
        assert_eq!(bucket.level(), 0);
        bucket.filled -= Duration::from_millis(2_100);
        assert_eq!(bucket.level(), 2);
        bucket.filled -= Duration::from_secs(100);
        assert_eq!(bucket.level(), 3);
    }
}
