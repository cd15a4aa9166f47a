//! The door for jobs: what is refused here never waits.

use std::sync::Arc;

use huisuan_model::{
    Centre, CentreId, EndedJob, Event, JobId, JobSpec, Shape,
    command::Origin,
    quantity::TimeMs,
    spec::{JobKind, SpecError},
};

use huisuan_schedule::reach::{Near, near};

use crate::{Refusal, State, budget, dependencies, reservations, snapshot::centre_views, tenants};

pub(crate) fn decide(
    state: &State,
    origin: &Origin,
    spec: &Arc<JobSpec>,
    key: Option<&Arc<str>>,
    ended: &[EndedJob],
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    let known = state.specs.hash(spec);
    let spec_hash = known.unwrap_or_else(|| spec.hash());
    if let Some(key) = key
        && let Some((job, known)) = state.keys.get(&origin.tenant, key)
    {
        // The caller finds the answer by the key; nothing happens a second time.
        return match known == spec_hash {
            true => Ok(Vec::new()),
            false => Err(Refusal::KeyReused { key: key.to_string(), job }),
        };
    }
    let tenant = &origin.tenant;
    // What was accepted before is valid for good.
    if known.is_none() {
        spec.validate()?;
    }
    legal(state, origin, spec, now)?;
    let waits_for = dependencies::open(state, tenant, &spec.after, ended)?;
    let shape = state.specs.shape_of(tenant, &origin.project, spec);
    match spec.reservation {
        Some(_) => reservations::usable(state, tenant, spec, &shape, now)?,
        None => fits_somewhere(state, &shape)?,
    }
    budget::may_begin(state, &shape, spec)?;
    Ok(vec![Event::JobSubmitted {
        job: JobId(state.job_last + 1),
        tenant: tenant.clone(),
        project: origin.project.clone(),
        actor: origin.actor.clone(),
        spec: spec.clone(),
        spec_hash,
        at: now,
        key: key.cloned(),
        waits_for,
    }])
}

/// What does not depend on what the network has, of a valid spec: its kind, its deadline, whether the tenant may have
/// one more.
pub(crate) fn legal(state: &State, origin: &Origin, spec: &JobSpec, now: TimeMs) -> Result<(), Refusal> {
    supported(spec)?;
    in_time(spec, now)?;
    let tenant = &origin.tenant;
    let limit = tenants::jobs_max(state, tenant, &origin.project)?;
    if state.jobs_of(tenant) >= limit {
        return Err(Refusal::TooManyJobs { tenant: tenant.clone(), jobs: limit });
    }
    Ok(())
}

/// What has room in the spec from the first day and is not run yet.
fn supported(spec: &JobSpec) -> Result<(), Refusal> {
    let refuse = |field, why: &str| Err(Refusal::NotSupported { field, why: why.to_owned() });
    match spec.kind {
        JobKind::Batch => {}
        JobKind::Service => return refuse("kind", "services need endpoints and health checks"),
        JobKind::Session if spec.image.is_some() => return refuse("image", "sessions run as processes only"),
        JobKind::Session => {}
    }
    Ok(())
}

/// A deadline that a job would miss even if it began now is refused; whether it is kept then is not promised.
fn in_time(spec: &JobSpec, now: TimeMs) -> Result<(), Refusal> {
    let Some(deadline) = spec.deadline_at.filter(|&deadline| deadline < now.after(spec.walltime)) else {
        return Ok(());
    };
    let value = match deadline.since(now).0 {
        0 => "over".to_owned(),
        left => format!("{left} ms from now"),
    };
    let expected = format!("at least its walltime of {} ms from now", spec.walltime.0);
    Err(SpecError { field: "deadline", value, expected }.into())
}

fn fits_somewhere(state: &State, shape: &Arc<Shape>) -> Result<(), Refusal> {
    // A shape that already waits was found to fit; this spares the search for all but its first job.
    if state.queues.contains(shape) {
        return Ok(());
    }
    // Nearly every job fits somewhere, and then no view of all centres need be made to say what they lack.
    let homes = shape.reach.iter().flat_map(|reach| reach.reads.iter().map(|reading| &reading.at));
    let known = shape.centres.iter().chain(homes).all(|id| state.centres.contains_key(id));
    let open = state.centres.values().filter(|centre| may_go(state, shape, centre));
    if known
        && open.flat_map(|centre| centre.pools.values()).any(|pool| huisuan_schedule::demand(pool, shape).is_some())
    {
        return Ok(());
    }
    match huisuan_schedule::never_fits(&centre_views(state), shape) {
        None => Ok(()),
        Some(never) => {
            let centres = never.centres.iter().map(|(centre, lacks)| format!("{centre}: {lacks}"));
            let detail = centres.collect::<Vec<_>>().join("; ");
            Err(Refusal::NeverFits { detail, hint: never.hint })
        }
    }
}

/// Whether tasks of a shape may go to a centre at all: by its class and list, by who refused it and how far it is.
pub(crate) fn may_go(state: &State, shape: &Shape, centre: &Centre) -> bool {
    shape.class.is_none_or(|class| class == centre.class)
        && (shape.centres.is_empty() || shape.centres.contains(&centre.id))
        && !shape.refused_by.contains(&centre.id)
        && near_enough(state, shape, &centre.id)
}

fn near_enough(state: &State, shape: &Shape, centre: &CentreId) -> bool {
    let bound = shape.reach.as_ref().and_then(|reach| reach.latency.as_ref());
    let at = bound.and_then(|_| state.ways.index(centre));
    bound.is_none() || at.is_some_and(|at| near(&state.ways, at, shape) == Near::Within)
}
