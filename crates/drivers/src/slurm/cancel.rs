//! Cancels jobs. A number alone may have gone to another job, so each is looked at in the queue before: most in the
//! look that is due in any case, so that a cancel costs no question in bulk, however many there are.
//!
//! What may go only as long as it waits is held first and goes at the next look, which shows it held: between a look and
//! `scancel` a job may begin, and be the one that has the claim.
//!
//! Names are compared here, not by `scancel`: one that is given a name asks for all jobs of the cluster, and cancels a
//! whole array where it is given one element of it that waits (seen in 22.05).

use std::collections::BTreeMap;

use super::{
    answers::{JobState, QueuedJob},
    ask,
    client::first_line,
    job::{Number, SlurmJob},
    open::Doom,
    shared::Shared,
    submit::IDS_MAX,
    users::User,
};

/// So many jobs may be looked at one by one between two looks at the queue: people who cancel a job see it end at once.
pub(super) const LONE_LOOKS_MAX: u32 = 2;

/// Cancels those that the queue has as they were doomed. Whether it worked shows in the next look at the queue: what is
/// still there is doomed again.
pub(super) fn cancel(shared: &Shared, doomed: &BTreeMap<SlurmJob, Doom>, queue: &BTreeMap<Number, QueuedJob>) {
    let mut jobs: BTreeMap<(Step, u32), Vec<String>> = BTreeMap::new();
    for (job, doom) in doomed {
        if let Some(queued) = queue.get(&job.number())
            && let Some(step) = next_step(doom, queued)
        {
            jobs.entry((step, queued.uid)).or_default().push(job.to_string());
        }
    }
    for ((step, uid), jobs) in jobs {
        let Some(user) = shared.users.by_uid(uid) else { continue };
        for jobs in jobs.chunks(IDS_MAX) {
            take_step(shared, user.as_deref(), step, jobs);
        }
    }
}

/// Looks at one doomed job alone and cancels it, if there are few.
pub(super) fn cancel_alone(shared: &Shared) {
    loop {
        let mut state = shared.lock();
        let Some((&job, doom)) = state.doomed.first_key_value().filter(|_| state.lone_looks < LONE_LOOKS_MAX) else {
            return;
        };
        let doomed = BTreeMap::from([(job, doom.clone())]);
        state.lone_looks += 1;
        drop(state);
        match ask::queue(shared, Some(job)) {
            Ok(queue) => {
                cancel(shared, &doomed, &queue);
                shared.lock().doomed.retain(|other, doom| doomed.get(other) != Some(doom));
            }
            // Slurm does not know it any more, or does not answer: the look at the queue that is due will tell.
            Err(error) => tracing::debug!(%job, %error, "job is not cancelled yet"),
        }
    }
}

/// What brings a job nearer to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It is kept from beginning.
    Hold,
    /// Its wrapper is asked.
    Ask,
    Cancel,
}

/// What is to be done with a job, if it is the one that was doomed and stands as it was doomed.
fn next_step(doom: &Doom, queued: &QueuedJob) -> Option<Step> {
    let step = match queued.state {
        // Held by an administrator is held, too.
        JobState::Pending { held } if doom.while_it_waits && !held && !queued.reason.starts_with("JobHeld") => {
            Some(Step::Hold)
        }
        // A job that waits has no wrapper.
        JobState::Pending { .. } => (!doom.gently).then_some(Step::Cancel),
        JobState::Active if doom.while_it_waits => None,
        JobState::Active => Some(if doom.gently { Step::Ask } else { Step::Cancel }),
        JobState::Over(_) => None,
    };
    step.filter(|_| queued.name == doom.name)
}

fn take_step(shared: &Shared, user: Option<&User>, step: Step, jobs: &[String]) {
    if shared.stopped() {
        return;
    }
    let (program, how): (_, &[&str]) = match step {
        // As a user does, which an administrator's `hold` is not: the queue then says so.
        Step::Hold => ("scontrol", &["uhold"]),
        Step::Ask => ("scancel", &["--batch", "--signal=USR2"]),
        Step::Cancel => ("scancel", &[]),
    };
    let arguments: Vec<&str> = how.iter().copied().chain(jobs.iter().map(String::as_str)).collect();
    let answer = shared.client.call_as(user, program, &arguments);
    if !answer.success {
        tracing::info!(?jobs, why = first_line(&answer.stderr), "jobs are not cancelled yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::answers::Ending;

    #[test]
    fn a_job_goes_as_it_was_doomed_and_under_its_name() {
        let check = |name: &str, [while_it_waits, gently]: [bool; 2], state: JobState, expected: Option<Step>| {
            let doom = Doom { name: "own".to_owned(), while_it_waits, gently };
            let (name, reason) = (name.to_owned(), String::new());
            let queued = QueuedJob { name, uid: 0, state, reason, runs: true, placed: true, began: None };
            assert_eq!(next_step(&doom, &queued), expected, "{doom:?} {queued:?}");
        };
        let (held, waits) = (JobState::Pending { held: true }, JobState::Pending { held: false });
        for state in [held, waits] {
            check("own", [false, false], state, Some(Step::Cancel));
            check("own", [false, true], state, None);
            check("other", [false, false], state, None);
        }
        check("own", [false, false], JobState::Active, Some(Step::Cancel));
        check("own", [false, true], JobState::Active, Some(Step::Ask));
        check("own", [false, false], JobState::Over(Ending::Completed), None);
        // A copy: never while it might begin.
        check("own", [true, false], waits, Some(Step::Hold));
        check("own", [true, false], held, Some(Step::Cancel));
        check("own", [true, false], JobState::Active, None);
        check("other", [true, false], waits, None);
        check("other", [false, false], JobState::Active, None);
    }
}
