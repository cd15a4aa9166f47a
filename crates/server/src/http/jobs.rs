//! The doors for jobs.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use huisuan_api::{
    ErrorCode,
    jobs::{AttemptList, Explain, JobCancelled, JobCreated, JobList, JobView},
    routes::{
        IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_LENGTH_MAX, JobsQuery, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageQuery,
        SubmitQuery,
    },
};
use huisuan_control::Refusal;
use huisuan_model::{Attempt, Command, EnergySum, JobId, JobState, ProjectId, TenantId, command::Origin};
use huisuan_store::{JobFilter, Reader, StoreError};

use super::{
    App, Failure, dependencies,
    door::RequestId,
    extract::{JobPath, Params, is_json, read},
    helps,
};
use crate::{
    identity::{Identity, Scope},
    server::Shared,
    views,
    writer::{Done, WriterError},
};

/// Attempts that come with a job.
const ATTEMPTS_SHOWN: usize = 100;

/// Takes a job. [`super::Door`] calls it past the router.
pub(super) async fn submit(
    shared: &Shared,
    identity: &Identity,
    request_id: &str,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let Params(query) = Params::<SubmitQuery>::of(&parts.uri)?;
    let body = read(body).await?;
    is_json(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let spec = shared.job_files.read(&body)?;
    let origin = for_project(identity.origin(request_id.to_owned())?, query.project)?;
    match dependencies::submit(shared, origin, spec, key).await? {
        Done::Job { job, new } => {
            let state = match new {
                true => JobState::Waiting,
                false => find(shared, job, &identity.scope()).await?.state,
            };
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            let created = JobCreated { job_id: job.0, state: state.as_str().to_owned() };
            Ok((status, axum::Json(created)).into_response())
        }
        Done::Changed | Done::Rule(_) | Done::Contract(_) | Done::Reserved(_) | Done::Rerated { .. } => {
            Err(Failure::new(ErrorCode::Internal, "the submission led to no job"))
        }
    }
}

pub(super) fn for_project(origin: Origin, project: Option<String>) -> Result<Origin, Failure> {
    let Some(name) = project else { return Ok(origin) };
    let project = ProjectId::new(&name).map_err(|error| Failure::new(ErrorCode::InvalidSpec, error.to_string()))?;
    Ok(Origin { project, ..origin })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::new(ErrorCode::KeyMalformed, "the header `Idempotency-Key` is there more than once"));
    }
    let good = |text: &&str| {
        (1..=IDEMPOTENCY_KEY_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    };
    match value.to_str().ok().filter(good) {
        Some(text) => Ok(Some(text.into())),
        None => Err(Failure::new(ErrorCode::KeyMalformed, "the header `Idempotency-Key` is not a key")),
    }
}

/// A job that may be seen; another tenant's is as unknown as one that never was.
pub(super) async fn find(shared: &Shared, id: JobId, scope: &Scope) -> Result<huisuan_model::Job, Failure> {
    let row = shared.readers.read(move |reader| reader.job(id)).await?;
    row.filter(|job| scope.has(&job.tenant)).ok_or_else(|| no_job(id))
}

fn no_job(id: JobId) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no job `{id}`"))
}

pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Params(query): Params<JobsQuery>,
) -> Result<axum::Json<JobList>, Failure> {
    Ok(axum::Json(page(&shared, query, &identity.scope()).await?))
}

/// A page of jobs, for the API and for pages.
pub(crate) async fn page(shared: &Shared, query: JobsQuery, scope: &Scope) -> Result<JobList, Failure> {
    let size = page_size(query.page_size)?;
    let before = query.page_token.map(|token| token.parse::<JobId>()).transpose().map_err(|_| bad_token())?;
    let state = query.state.map(|word| state_of(&word)).transpose()?;
    let tenant = query.tenant.map(|name| TenantId::new(&name)).transpose();
    let tenant = tenant.map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let filter = JobFilter { state, tenant: seen(scope, tenant)? };
    let mut rows = shared.readers.read(move |reader| reader.jobs(&filter, before, size + 1)).await?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next_page_token = rows.last().filter(|_| more).map(|job| job.id.to_string());
    let reasons = shared.last_reasons();
    let jobs = rows.iter().map(|job| views::summary(job, &reasons)).collect();
    Ok(JobList { jobs, next_page_token })
}

/// The tenant whose jobs are listed; `None` for all.
fn seen(scope: &Scope, asked: Option<TenantId>) -> Result<Option<TenantId>, Failure> {
    match (scope, asked) {
        (Scope::All, asked) => Ok(asked),
        (Scope::Tenant(own), asked) if asked.as_ref().is_none_or(|asked| asked == own) => Ok(Some(own.clone())),
        _ => Err(Failure::new(ErrorCode::Forbidden, "the token shows jobs of its own tenant only")),
    }
}

fn page_size(asked: Option<u32>) -> Result<usize, Failure> {
    match asked.unwrap_or(PAGE_SIZE_DEFAULT) {
        size @ 1..=PAGE_SIZE_MAX => Ok(size as usize),
        size => Err(Failure::new(ErrorCode::BadRequest, format!("`page_size` is {size}: 1 to {PAGE_SIZE_MAX}"))),
    }
}

fn bad_token() -> Failure {
    Failure::new(ErrorCode::BadRequest, "`page_token` is none that a page gave").hint("begin without it")
}

fn state_of(word: &str) -> Result<JobState, Failure> {
    JobState::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
        let known = JobState::ALL.map(JobState::as_str).join(", ");
        Failure::new(ErrorCode::BadRequest, format!("`state` is `{word}`: one of {known}"))
    })
}

pub(crate) async fn show(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    JobPath(id): JobPath,
) -> Result<axum::Json<JobView>, Failure> {
    Ok(axum::Json(view(&shared, id, &identity.scope()).await?))
}

/// A job as it is shown, for the API and for pages.
pub(crate) async fn view(shared: &Shared, id: JobId, scope: &Scope) -> Result<JobView, Failure> {
    let found = shared
        .readers
        .read(move |reader| {
            let Some(job) = reader.job(id)? else { return Ok(None) };
            let attempts = with_energy(reader, reader.attempts(id, None, ATTEMPTS_SHOWN)?)?;
            Ok(Some((job, reader.energy_of_job(id)?, attempts, reader.attempts_total(id)?)))
        })
        .await?;
    let seen = found.filter(|(job, ..)| scope.has(&job.tenant));
    let (job, energy, attempts, total) = seen.ok_or_else(|| no_job(id))?;
    let mut view = views::job(&job, energy, views::attempts(&attempts), total, &shared.last_reasons());
    view.channels = shared.channels.of_job(id);
    shared.mark_simulated(&mut view.attempts).await;
    shared.mark_unknown(&mut view.attempts).await;
    Ok(view)
}

/// Attempts, each with what its meter knows of energy.
fn with_energy(reader: &Reader, rows: Vec<Attempt>) -> Result<Vec<(Attempt, Option<EnergySum>)>, StoreError> {
    rows.into_iter().map(|row| reader.energy_of_attempt(row.id).map(|energy| (row, energy))).collect()
}

pub(crate) async fn explain(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    JobPath(id): JobPath,
) -> Result<axum::Json<Explain>, Failure> {
    let mut explain = why(&shared, id, &identity.scope()).await?;
    if explain.reason.is_some() {
        explain.helps = helps::of(&shared, id).await?;
    }
    Ok(axum::Json(explain))
}

/// Why a job waits, for the API and for pages.
pub(crate) async fn why(shared: &Shared, id: JobId, scope: &Scope) -> Result<Explain, Failure> {
    let job = find(shared, id, scope).await?;
    Ok(views::explain(&job, &shared.last_reasons()))
}

pub(crate) async fn attempts(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    JobPath(id): JobPath,
    Params(query): Params<PageQuery>,
) -> Result<axum::Json<AttemptList>, Failure> {
    let size = page_size(query.page_size)?;
    let after = query.page_token.map(|token| {
        let (task, attempt) = token.split_once('.')?;
        Some((task.parse::<u32>().ok()?, attempt.parse::<u32>().ok()?))
    });
    let after = match after {
        Some(None) => return Err(bad_token()),
        Some(after) => after,
        None => None,
    };
    find(&shared, id, &identity.scope()).await?;
    let read = move |reader: &Reader| with_energy(reader, reader.attempts(id, after, size + 1)?);
    let mut rows = shared.readers.read(read).await?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next_page_token = rows.last().filter(|_| more).map(|(last, _)| format!("{}.{}", last.id.task, last.id.attempt));
    let mut attempts = views::attempts(&rows);
    shared.mark_simulated(&mut attempts).await;
    shared.mark_unknown(&mut attempts).await;
    Ok(axum::Json(AttemptList { attempts, next_page_token }))
}

/// Cancelling a job that has ended changes nothing and says how it ended.
pub(crate) async fn cancel(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    JobPath(id): JobPath,
) -> Result<axum::Json<JobCancelled>, Failure> {
    find(&shared, id, &identity.scope()).await?;
    let origin = identity.origin(request)?;
    match shared.writer.execute(origin, Command::Cancel { job: id }).await {
        Ok(_) | Err(WriterError::Refused(Refusal::NoJob(_))) => {}
        Err(error) => return Err(error.into()),
    }
    let job = find(&shared, id, &identity.scope()).await?;
    let (state, cancel_requested) = (job.state.as_str().to_owned(), job.cancel_requested);
    Ok(axum::Json(JobCancelled { job_id: id.0, state, cancel_requested }))
}
