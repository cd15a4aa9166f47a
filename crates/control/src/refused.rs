//! Jobs that a site's own rules refused: they go elsewhere, and end where nothing else is left.
//!
//! A centre is asked once for a job. There is no storm of attempts: each refusal leaves one centre less.

use huisuan_model::{CentreId, Event, Job, Shape};

use crate::State;

/// Whether a centre is left that may take a job's tasks now or once its pools are told and rated, without those that
/// refused it and without `also`.
pub(crate) fn elsewhere(state: &State, job: &Job, also: Option<&CentreId>) -> bool {
    let mut shape = Shape::of_job(job);
    shape.refused_by.extend(also.cloned());
    state.centres.values().any(|centre| {
        let open = shape.class.is_none_or(|class| class == centre.class)
            && (shape.centres.is_empty() || shape.centres.contains(&centre.id))
            && !shape.refused_by.contains(&centre.id);
        let may = |pool| huisuan_schedule::demand(pool, &shape).is_some();
        open && (centre.pools.is_empty() || centre.pools.values().any(|pool| pool.rating.is_none() || may(pool)))
    })
}

/// The end of what still waits of a job that every centre refused; told once, also where nothing waits any more.
pub(crate) fn nowhere(state: &State, job: &Job) -> Option<Event> {
    let open = job.end_reason.is_none() || !job.tasks.waiting.is_empty();
    let over = !job.cancel_requested && open && !elsewhere(state, job, None);
    over.then_some(Event::JobRefused { job: job.id })
}
