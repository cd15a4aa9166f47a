//! What a server says of itself.

use axum::{extract::State, http::header, response::IntoResponse};
use huisuan_api::{ErrorCode, agent::PROTOCOL, health::Health, openapi};

use super::{App, Failure};
use crate::server::Shared;

fn health_of(shared: &Shared) -> Health {
    Health {
        ready: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        now: shared.clock.now().into(),
        started_at: shared.started_at.into(),
        data_free_bytes: Some(shared.disk.free_bytes()).filter(|&bytes| bytes < u64::MAX),
    }
}

pub(crate) async fn health(State(shared): App) -> axum::Json<Health> {
    axum::Json(health_of(&shared))
}

/// Ready while the writer answers and there is room for more.
pub(crate) async fn ready(State(shared): App) -> Result<axum::Json<Health>, Failure> {
    shared.writer.look(|state| state.version()).await?;
    if shared.disk.nearly_full() {
        return Err(Failure::new(ErrorCode::Unavailable, "the disk of the data directory is nearly full"));
    }
    Ok(axum::Json(health_of(&shared)))
}

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::json())
}

pub(crate) async fn metrics(State(shared): App) -> Result<impl IntoResponse, Failure> {
    let text = shared.metrics.text();
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
