//! Jobs that hold room at the centre and will never use it. Slurm leaves them behind when its controller is killed, and
//! keeps them until their time limit.

use std::collections::BTreeMap;

use huisuan_model::AttemptId;

use super::{
    answers::{JobState, QueuedJob},
    files::Files,
    job::SlurmJob,
    open::Phase,
    ours::Ours,
    state::State,
};
use crate::local::records::read_done;

/// A job may be cleaned up after for so many looks at the queue, before it is told once more to go.
const GHOST_LOOKS: u32 = 4;

/// An element that runs for so many looks and has not begun never will. A prolog may take its time.
const UNBEGUN_LOOKS: u32 = 30;

/// Cancels copies that wait, and what Slurm takes to run though its attempt has ended.
/// A controller that was killed before it saved an end believes in such a job until its time limit.
pub(super) fn doom_leftovers(state: &mut State, files: &Files, ours: &Ours) {
    let mut ghosts = BTreeMap::new();
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
                JobState::Active if state.open(id).is_none() => {
                    let looks = state.ghosts.get(&job).copied().unwrap_or(0) + 1;
                    ghosts.insert(job, looks);
                    state.unswept = true;
                    // Only what is known to have ended: an engine that lost its memory ends nothing.
                    let ended = || state.end(id).is_some() || read_done(&files.attempt(id)).is_some();
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

/// Gives up an element that was placed and never launched: its attempt is submitted again. Seen in 22.05: a controller
/// that was killed gives numbers again, a node that remembers the number refuses the launch and asks for the job to be
/// cancelled, and the controller does not find elements of arrays by the number that the node names.
pub(super) fn give_up_unbegun(state: &mut State, files: &Files, id: AttemptId, queued: Option<&QueuedJob>) {
    let Some(open) = state.open_mut(id) else { return };
    let runs = queued.is_some_and(|job| job.runs) && open.started_at.is_none() && !open.exit_seen;
    open.looks_unbegun = if runs { open.looks_unbegun + 1 } else { 0 };
    if let Some(job @ SlurmJob::Element(..)) = open.job
        && open.looks_unbegun >= UNBEGUN_LOOKS
    {
        (open.looks_unbegun, open.given_up) = (0, true);
        tracing::warn!(attempt = %id, %job, "slurm placed an element and did not launch it, cancelling it");
        state.doom(id, job, files);
    }
}
