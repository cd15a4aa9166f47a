//! What would help a waiting job to start now, or sooner, tried on a snapshot of this moment.

use huisuan_api::{ErrorCode, Timestamp, jobs::Help};
use huisuan_control::{
    State,
    schedule::{self, Policy, Snapshot, helps_of},
    snapshot,
};
use huisuan_model::{JobId, Shape};

use super::Failure;
use crate::server::Shared;

/// The most jobs that a snapshot may show for its helps to be computed: each one costs some dozens of cycles.
const JOBS_MAX: usize = 8192;

struct Seen {
    snapshot: Snapshot,
    policy: Policy,
    shape: Shape,
    tasks: u64,
}

/// The helps of a job; none when it does not wait, or when so much waits that they would cost too much. They are
/// computed beside the writer and the threads that serve requests, for one question after the other.
pub(super) async fn of(shared: &Shared, id: JobId) -> Result<Vec<Help>, Failure> {
    // A closed semaphore: the server stops.
    let Ok(_turn) = shared.helps.acquire().await else { return Ok(Vec::new()) };
    let now = shared.clock.now();
    let Some(seen) = shared.writer.look(move |state| look(state, id)).await? else { return Ok(Vec::new()) };
    let helps = move || {
        let Seen { snapshot, policy, shape, tasks } = seen;
        let told = |help: schedule::Help| Help {
            change: help.change.to_string(),
            effect: match help.start_at {
                None => {
                    let racks = match help.racks {
                        Some(1) => ", in one rack".to_owned(),
                        Some(racks) => format!(", in {racks} racks"),
                        None => String::new(),
                    };
                    format!("{} of {tasks} waiting tasks would start now{racks}", help.starts)
                }
                Some(at) => format!("the first of {tasks} waiting tasks would start by {}", Timestamp(at)),
            },
        };
        helps_of(&snapshot, &policy, now, &shape, id).into_iter().map(told).collect()
    };
    let found = tokio::task::spawn_blocking(helps).await;
    found.map_err(|error| Failure::new(ErrorCode::Internal, format!("planning broke off: {error}")))
}

fn look(state: &State, id: JobId) -> Option<Seen> {
    let job = state.job(id).filter(|job| !job.tasks.waiting.is_empty() && job.waits_for.is_empty())?;
    let snapshot = snapshot(state);
    let shown: usize = snapshot.shapes.iter().map(|view| view.jobs.len()).sum();
    let shape = Shape::of_job(job);
    let tasks = job.tasks.waiting.len();
    (shown <= JOBS_MAX).then(|| Seen { snapshot, policy: state.policy().clone(), shape, tasks })
}
