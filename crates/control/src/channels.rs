//! Ways into sessions: who may open one. What goes through them is nobody's business here.

use huisuan_model::{AttemptId, AttemptState, ChannelTarget, Event, command::Origin, spec::JobKind};

use crate::{Refusal, State};

/// A channel into a session of the asking tenant that runs now. Nothing of it is state: it ends with the server's run.
pub(crate) fn open(
    state: &State,
    origin: &Origin,
    attempt: AttemptId,
    channel: u64,
    target: ChannelTarget,
) -> Result<Vec<Event>, Refusal> {
    let job = state.jobs.get(&attempt.job).filter(|job| job.tenant == origin.tenant);
    let job = job.ok_or(Refusal::NoJob(attempt.job))?;
    if job.spec.kind != JobKind::Session {
        return Err(Refusal::NoSession { job: attempt.job, why: "it is no session" });
    }
    match state.attempts.get(&attempt).map(|attempt| attempt.state) {
        Some(AttemptState::Running) => Ok(vec![Event::ChannelOpened { attempt, channel, target }]),
        _ => Err(Refusal::NoSession { job: attempt.job, why: "it does not run now" }),
    }
}
