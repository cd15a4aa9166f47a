//! Cancels jobs. A number alone may have gone to another job, so each is looked at in the queue before: most in the
//! look that is due in any case, so that a cancel costs no question in bulk, however many there are.
//!
//! Names are compared here, not by `scancel`: one that is given a name asks for all jobs of the cluster, and cancels a
//! whole array where it is given one element of it that waits (seen in 22.05).

use std::collections::BTreeMap;

use super::{
    answers::{JobState, QueuedJob},
    client::first_line,
    job::{Number, SlurmJob},
    open::Doom,
    poll,
    shared::Shared,
    submit::IDS_MAX,
};

/// So many jobs may be looked at one by one between two looks at the queue: people who cancel a job see it end at once.
pub(super) const LONE_LOOKS_MAX: u32 = 2;

/// Cancels those that the queue has as they were doomed. Whether it worked shows in the next look at the queue: what is
/// still there is doomed again.
pub(super) fn cancel(shared: &Shared, doomed: &BTreeMap<SlurmJob, Doom>, queue: &BTreeMap<Number, QueuedJob>) {
    let mut jobs: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for (job, doom) in doomed {
        if queue.get(&job.number()).is_some_and(|queued| may_go(doom, queued)) {
            jobs.entry(doom.gently).or_default().push(job.to_string());
        }
    }
    for (gently, jobs) in jobs {
        for jobs in jobs.chunks(IDS_MAX) {
            scancel(shared, gently, jobs);
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
        match poll::queue(shared, Some(job)) {
            Ok(queue) => {
                cancel(shared, &doomed, &queue);
                shared.lock().doomed.retain(|other, doom| doomed.get(other) != Some(doom));
            }
            // Slurm does not know it any more, or does not answer: the look at the queue that is due will tell.
            Err(error) => tracing::debug!(%job, %error, "job is not cancelled yet"),
        }
    }
}

/// Whether a job is the one that was doomed, and stands as it was doomed.
fn may_go(doom: &Doom, queued: &QueuedJob) -> bool {
    let stands = match queued.state {
        // Its wrapper is asked, which a job that waits does not have.
        JobState::Pending { .. } => !doom.gently,
        JobState::Active => !doom.while_it_waits,
        JobState::Over(_) => false,
    };
    queued.name == doom.name && stands
}

fn scancel(shared: &Shared, gently: bool, jobs: &[String]) {
    if shared.stopped() {
        return;
    }
    let asks: &[&str] = if gently { &["--batch", "--signal=USR2"] } else { &[] };
    let arguments: Vec<&str> = asks.iter().copied().chain(jobs.iter().map(String::as_str)).collect();
    let answer = shared.client.call("scancel", &arguments);
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
        let check = |name: &str, [while_it_waits, gently]: [bool; 2], state: JobState, expected: bool| {
            let doom = Doom { name: "own".to_owned(), while_it_waits, gently };
            let (name, reason) = (name.to_owned(), String::new());
            let queued = QueuedJob { name, state, reason, runs: true, placed: true, began: None };
            assert_eq!(may_go(&doom, &queued), expected, "{doom:?} {queued:?}");
        };
        let waits = JobState::Pending { held: true };
        check("own", [false, false], waits, true);
        check("own", [false, false], JobState::Active, true);
        check("own", [false, false], JobState::Over(Ending::Completed), false);
        check("own", [true, false], waits, true);
        check("own", [true, false], JobState::Active, false);
        check("own", [false, true], waits, false);
        check("own", [false, true], JobState::Active, true);
        check("other", [false, false], waits, false);
        check("other", [false, false], JobState::Active, false);
    }
}
