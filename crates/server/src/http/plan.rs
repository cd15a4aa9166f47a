//! The door for questions about jobs that are not submitted.

use axum::{Extension, extract::State, http::HeaderMap};
use huisuan_api::{
    Amount, ErrorCode,
    plan::{CandidateReason, CandidateView, ExpectedView, PlanView},
    reasons::describe,
    routes::PlanQuery,
    spec::read_job_file,
    views::mark_word,
};
use huisuan_control::{Candidate, Expected, Outlook, Run, Why};
use huisuan_model::{ApplicationId, Mark, TenantId, centre::CURRENCY};
use huisuan_store::{Reader, StoreError};
use serde_json::json;

use super::{
    App, Failure,
    door::RequestId,
    extract::{Bounded, Params, is_json},
    jobs::for_project,
};
use crate::identity::Identity;

const START_NOTE: &str = "starts are modelled: what runs and waits ahead takes the mean of its job's ended tasks, or \
    half its walltime while none has ended (p50), or its whole walltime (p90)";
const COST_NOTE: &str = "cost is what is held for the whole walltime: the job pays for what it uses";
const ENERGY_NOTE: &str = "energy is that of the whole walltime beyond idling, the site's share included; unknown where \
    no power is declared";

const EXPECTED_NOTE: &str = "expected is what the work takes that a demand in units would do in its walltime by the \
    rating, where a factor of its application is declared for the pool or learnt from finished runs of the tenant: a \
    quote, never what is held or paid";

/// What quotes learn from: so many of a tenant's latest jobs of the kind, and so many of their tasks.
const RUNS_MAX: (usize, usize) = (200, 2_000);

pub(crate) async fn plan(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Params(query): Params<PlanQuery>,
    headers: HeaderMap,
    Bounded(body): Bounded,
) -> Result<axum::Json<PlanView>, Failure> {
    is_json(&headers)?;
    let text = std::str::from_utf8(&body)
        .map_err(|error| Failure::new(ErrorCode::BadRequest, format!("the body is not UTF-8: {error}")))?;
    let spec = read_job_file(text).map_err(|problem| problem.to_problem())?;
    let origin = for_project(identity.origin(request)?, query.project)?;
    let tenant = origin.tenant.clone();
    let application = query.application.as_deref().map(ApplicationId::new).transpose();
    let application = application.map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let (now, tasks, after) = (shared.clock.now(), spec.tasks.len(), !spec.after.is_empty());
    let look = move |state: &huisuan_control::State| Outlook::of(state, &origin, &spec, now);
    let outlook = shared.writer.look(look).await??.for_application(application);
    let asked = outlook.application().cloned();
    let runs = match asked.clone() {
        Some(application) => shared.readers.read(move |reader| runs(reader, &tenant, &application)).await?,
        None => Vec::new(),
    };
    let outlook = outlook.knowing(&runs);
    // Cycles take their time; the threads that serve requests do not.
    let answered = tokio::task::spawn_blocking(move || outlook.candidates(now)).await;
    let candidates =
        answered.map_err(|error| Failure::new(ErrorCode::Internal, format!("planning broke off: {error}")))?;
    let mut view = view(candidates, tasks, after);
    if asked.is_some() {
        view.notes.push(EXPECTED_NOTE.to_owned());
    }
    Ok(axum::Json(view))
}

/// The tenant's own finished runs of a kind of work: what others' reach is not theirs to know.
fn runs(reader: &Reader, tenant: &TenantId, application: &ApplicationId) -> Result<Vec<Run>, StoreError> {
    let (jobs_max, tasks_max) = RUNS_MAX;
    let found = reader.runs(tenant, application, jobs_max, tasks_max)?;
    Ok(found.iter().map(|(job, attempt)| Run::of(job, attempt)).collect())
}

fn view(mut candidates: Vec<Candidate>, tasks: u64, after: bool) -> PlanView {
    // Feasible ones first, by their starts, then by cost; the order of names stays among equals.
    let unknown_last = |start: Option<huisuan_model::DurationMs>| start.map_or(u64::MAX, |start| start.0);
    candidates.sort_by_key(|one| (!one.feasible, unknown_last(one.start_p50), unknown_last(one.start_p90), one.cost));
    let mut notes = vec![START_NOTE.to_owned(), COST_NOTE.to_owned(), ENERGY_NOTE.to_owned()];
    if after {
        notes.push("what it waits for (`after`) is taken to be met".to_owned());
    }
    let tasks_now = candidates.iter().map(|candidate| candidate.tasks_now).sum();
    PlanView { candidates: candidates.into_iter().map(candidate).collect(), tasks_now, tasks, notes }
}

fn candidate(found: Candidate) -> CandidateView {
    let reason = found.why.map(|why| match why {
        Why::Never(message) => CandidateReason { code: "never-fits".to_owned(), message, details: json!({}) },
        Why::Waits(reason) => {
            let (message, details) = describe(&reason, CURRENCY);
            CandidateReason { code: reason.code().to_owned(), message, details }
        }
    });
    CandidateView {
        centre: found.centre.to_string(),
        pool: found.pool.to_string(),
        feasible: found.feasible,
        tasks_now: found.tasks_now,
        start_p50_ms: found.start_p50.map(|start| start.0),
        start_p90_ms: found.start_p90.map(|start| start.0),
        cost: found.cost.map(|cost| Amount::new(cost, CURRENCY)),
        energy_kwh: found.energy_j.map(kwh),
        expected: found.expected.map(|expected| {
            let Expected { factor_permille, runs, run, cost, energy_j } = expected;
            ExpectedView {
                factor: f64::from(factor_permille) / 1e3,
                run_ms: run.0,
                cost: Amount::new(cost, CURRENCY),
                energy_kwh: energy_j.map(kwh),
                mark: mark_word(if runs.is_some() { Mark::Measured } else { Mark::Declared }).to_owned(),
                runs,
            }
        }),
        reason,
        mark: mark_word(Mark::Modelled).to_owned(),
    }
}

/// Joules of a kWh are 3.6 million; the rest is noise beyond a thousandth of a Wh.
fn kwh(joules: u64) -> f64 {
    (joules as f64 / 3.6).round() / 1e6
}
