//! Jobs that hold room at the centre and will never use it. Slurm leaves them behind when its controller is killed, and
//! keeps them until their time limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_model::AttemptId;

use super::{
    answers::{JobState, QueuedJob},
    files::Files,
    gang::{began, members},
    job::SlurmJob,
    open::Phase,
    ours::Ours,
    state::State,
};

/// A job may be cleaned up after for so many looks at the queue, before it is told once more to go.
const GHOST_LOOKS: u32 = 4;

/// Cancels copies that wait, and what Slurm takes to run though its attempt has ended.
/// A controller that was killed before it saved an end believes in such a job until its time limit.
pub(super) fn doom_leftovers(state: &mut State, files: &Files, ours: &Ours) {
    let mut ghosts = BTreeMap::new();
    // What runs others of its gang is no leftover, though some have ended.
    let open = ours.jobs.iter().filter(|&(&id, _)| state.open(id).is_some());
    let shared: BTreeSet<SlurmJob> = open.flat_map(|(_, jobs)| jobs.keys().copied()).collect();
    for (&id, jobs) in &ours.jobs {
        let own = state.open(id).and_then(|open| open.job);
        let waits_here =
            state.open(id).is_some_and(|open| matches!(open.phase, Phase::Doubtful(_) | Phase::Submitting));
        for (&job, queued) in jobs {
            match queued.state {
                JobState::Pending { .. } if Some(job) != own && !waits_here => {
                    tracing::warn!(attempt = %id, %job, "job that is one too many is cancelled");
                    state.doom_copy(id, job, files);
                }
                JobState::Active if state.open(id).is_none() && !shared.contains(&job) => {
                    let looks = state.ghosts.get(&job).copied().unwrap_or(0) + 1;
                    ghosts.insert(job, looks);
                    state.unswept = true;
                    // Only what is known to have ended: an engine that lost its memory ends nothing.
                    let ended = || state.end(id).is_some() || files.end(id).is_some();
                    if looks.is_multiple_of(GHOST_LOOKS) && ended() {
                        tracing::warn!(attempt = %id, %job, "job whose attempt has ended is cancelled");
                        state.doom(id, job, files);
                    }
                }
                _ => {}
            }
        }
    }
    state.ghosts = ghosts;
}

/// Gives up a job that was placed and, for so long since the first look at it, not launched: its attempt is submitted
/// again. Seen in 22.05: a controller that was killed gives numbers again, a node that remembers the number refuses the
/// launch and asks for the job to be cancelled, and the controller does not find what the node names.
///
/// The job of a gang of which others began is theirs: it runs on, and its end is told of the one that did not begin. The
/// network then ends the others, who are given their time.
pub(super) fn give_up_unbegun(
    state: &mut State,
    files: &Files,
    id: AttemptId,
    queued: Option<&QueuedJob>,
    launch: Duration,
    now: Instant,
) {
    let Some(open) = state.open_mut(id) else { return };
    let runs = queued.is_some_and(|job| job.runs) && open.started_at.is_none() && !open.exit_seen;
    if !runs {
        open.unbegun_since = None;
        return;
    }
    let since = *open.unbegun_since.get_or_insert(now);
    let Some(job) = open.job.filter(|_| now.saturating_duration_since(since) >= launch) else { return };
    open.unbegun_since = None;
    let order = Arc::clone(&open.order);
    if matches!(job, SlurmJob::Gang { .. }) && members(&order).any(|mate| began(state, files, mate)) {
        tracing::warn!(attempt = %id, %job, "slurm launched others of a gang and not this one");
        // To wait for those who began is to end at the next look, unless it begins at this very moment.
        state.submit_again(id);
        return;
    }
    if let Some(open) = state.open_mut(id) {
        open.given_up = true;
    }
    tracing::warn!(attempt = %id, %job, "slurm placed a job and did not launch it, cancelling it");
    state.doom(id, job, files);
}

#[cfg(test)]
mod tests {
    use huisuan_model::{JobSpec, StartOrder, TimeMs};

    use super::*;
    use crate::slurm::{
        journal::{Journal, order},
        users::Users,
    };

    const EVERY: Duration = Duration::from_secs(10);
    const LAUNCH: Duration = Duration::from_secs(25);

    fn state(folder: &std::path::Path) -> (State, Files) {
        let files = Files::make(&folder.join("centre"), &Users::default()).expect("made");
        let (journal, known) = Journal::open(&files).expect("a new log");
        (State::recover(journal, known), files)
    }

    fn running() -> QueuedJob {
        let (state, name) = (JobState::Active, "x".to_owned());
        QueuedJob { state, runs: true, placed: true, began: None, uid: 0, reason: String::new(), name }
    }

    /// Whether a job is given up at its last look; `looks`, one each 10 s, say whether Slurm shows it as running.
    fn check(job: SlurmJob, looks: &[bool], begun: bool, expected: bool) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (mut state, files) = state(folder.path());
        let order = Arc::new(order(1));
        let id = order.attempt;
        state.enqueue(order);
        let open = state.open_mut(id).expect("it is open");
        open.job = Some(job);
        open.started_at = begun.then_some(TimeMs(1));
        let mut now = Instant::now();
        for &runs in looks {
            assert!(state.doomed.is_empty(), "too early: {looks:?}");
            let queued = QueuedJob { runs, ..running() };
            give_up_unbegun(&mut state, &files, id, Some(&queued), LAUNCH, now);
            now += EVERY;
        }
        assert_eq!(state.doomed.contains_key(&job), expected, "{job} {looks:?}");
        assert_eq!(state.open(id).expect("it is open").given_up, expected);
    }

    #[test]
    fn what_is_placed_and_never_launched_is_given_up() {
        for job in [SlurmJob::Single(7), SlurmJob::Element(7, 2, 1)] {
            check(job, &[true; 4], false, true);
            check(job, &[true; 3], false, false);
            check(job, &[true, true, true, false, true, true, true], false, false);
            check(job, &[true; 9], true, false);
        }
    }

    #[test]
    fn a_gang_runs_on_without_the_one_that_is_not_launched() {
        let job = SlurmJob::Gang { gang: 7 };
        for begun in [false, true] {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (mut state, files) = state(folder.path());
            let spec =
                JobSpec { gang: true, tasks: "0-1".parse().expect("ranges"), ..JobSpec::command("x", &["true"]) };
            let spec = Arc::new(spec);
            let ids = [0, 1].map(|task| AttemptId { task, ..order(1).attempt });
            for attempt in ids {
                state.enqueue(Arc::new(StartOrder { attempt, spec: Arc::clone(&spec), ..order(1) }));
                state.note_submitting(attempt);
                state.gangs.leave(attempt);
            }
            state.note_submitted(&ids.map(|id| (id, job)), &files).expect("noted");
            let [first, second] = ids;
            state.open_mut(first).expect("it is open").started_at = begun.then_some(TimeMs(1));
            let from = Instant::now();
            for now in [from, from + LAUNCH] {
                give_up_unbegun(&mut state, &files, second, Some(&running()), LAUNCH, now);
            }
            assert_eq!(state.doomed.contains_key(&job), !begun);
            let open = state.open(second).expect("its end is told later");
            assert_eq!((open.given_up, open.phase == Phase::Waiting), (!begun, begun));
        }
    }
}
