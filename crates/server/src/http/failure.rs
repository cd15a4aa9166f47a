//! Errors on the wire: one shape, whatever went wrong.

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use huisuan_api::{ErrorCode, Problem, problem::PROBLEM_MEDIA_TYPE};
use huisuan_control::{
    Refusal,
    ledger::tariff::{ContractError, TariffError},
};
use huisuan_store::StoreError;

use crate::writer::WriterError;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Failure(Box<Problem>);

impl Failure {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Failure(Box::new(Problem::new(code, detail)))
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Failure(Box::new(self.0.with_hint(hint)))
    }

    /// What pages tell of it.
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure(Box::new(problem))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Spec(_) | Refusal::UnknownDependency(_) | Refusal::UnknownReservation(_) => ErrorCode::InvalidSpec,
            Refusal::DependencyUnmet { .. } | Refusal::NoSession { .. } => ErrorCode::Conflict,
            Refusal::NotSupported { .. } => ErrorCode::NotSupported,
            Refusal::Window { .. } | Refusal::Facts { .. } => ErrorCode::InvalidSpec,
            Refusal::NoWindow { .. } => ErrorCode::NotFound,
            Refusal::Reservation { .. } => ErrorCode::InvalidSpec,
            Refusal::MayNotReserve(_) => ErrorCode::Forbidden,
            Refusal::NothingToReserve { .. } => ErrorCode::Conflict,
            Refusal::NoReservation(_) => ErrorCode::NotFound,
            Refusal::OutsideReservation { .. } => ErrorCode::NeverFits,
            Refusal::TenantExists(_) | Refusal::CentreExists(_) => ErrorCode::Conflict,
            Refusal::Tenant { .. } | Refusal::NoProject { .. } => ErrorCode::InvalidSpec,
            Refusal::NeverFits { .. } => ErrorCode::NeverFits,
            Refusal::JobBudget { .. } => ErrorCode::Budget,
            Refusal::KeyReused { .. } => ErrorCode::KeyReused,
            Refusal::TooManyJobs { .. } => ErrorCode::TooMany,
            Refusal::NoTenant(_) | Refusal::NoJob(_) | Refusal::NoCentre(_) | Refusal::NoPool { .. } => {
                ErrorCode::NotFound
            }
            Refusal::TariffRule(TariffError::Unknown(_)) => ErrorCode::NotFound,
            Refusal::TariffRule(TariffError::Field { .. }) => ErrorCode::InvalidSpec,
            Refusal::Contract(ContractError::Unknown(_)) => ErrorCode::NotFound,
            Refusal::Contract(ContractError::Field { .. }) => ErrorCode::InvalidSpec,
            Refusal::TariffRule(_) | Refusal::Contract(_) | Refusal::Rerate { .. } => ErrorCode::Conflict,
            Refusal::Tariff { .. } | Refusal::Amount(_) => ErrorCode::BadRequest,
            Refusal::ForeignAttempt { .. } => ErrorCode::Forbidden,
            Refusal::NotLive { .. } => ErrorCode::Unavailable,
        };
        Failure::new(code, refusal.to_string()).hint(refusal.hint())
    }
}

impl From<WriterError> for Failure {
    fn from(error: WriterError) -> Self {
        match error {
            WriterError::Refused(refusal) => refusal.into(),
            WriterError::DiskFull => Failure::new(ErrorCode::Unavailable, error.to_string())
                .hint("free some space there; nothing acknowledged is lost"),
            WriterError::Busy | WriterError::Stopping => Failure::new(ErrorCode::Unavailable, error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "read failed");
        Failure::new(ErrorCode::Internal, error.to_string()).hint(error.hint())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0.code.retryable() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Writes the body of a problem once the request that it is about has its id.
pub(crate) fn finish(response: &mut Response, request_id: &str) {
    let Some(mut problem) = response.extensions_mut().remove::<Box<Problem>>() else { return };
    problem.request_id = request_id.to_owned();
    let body = serde_json::to_vec(&problem).expect("a problem has string keys");
    if problem.status >= 500 {
        tracing::error!(request_id, code = %problem.code, detail = problem.detail, "request failed");
    } else {
        tracing::debug!(request_id, code = %problem.code, detail = problem.detail, "request refused");
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    // The router measured the body that this one replaces.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = body.into();
}

pub(crate) async fn no_route(uri: Uri) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no route `{}`", uri.path()))
        .hint("GET /v1/openapi.json lists the routes")
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    Failure::new(ErrorCode::MethodNotAllowed, format!("route `{}` has no method {method}", uri.path()))
}
