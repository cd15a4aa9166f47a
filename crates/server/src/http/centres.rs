//! The doors for centres.

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    ErrorCode,
    centres::{CentreList, CentreView, PoolView, WindowRequest},
    facts::FactsFields,
};
use huisuan_control::{PoolUse, State as Network};
use huisuan_model::{Centre, CentreId, CentreState, Command, PoolId};

use super::{
    App, Failure,
    access::RequestId,
    extract::{Json, NamePath, WindowPath},
};
use crate::{identity::Identity, server::Shared};

/// A centre and what is used of each of its pools.
type Row = (Centre, Vec<PoolUse>);

fn row(network: &Network, centre: &Centre) -> Row {
    (centre.clone(), centre.pools.keys().map(|pool| network.used(&centre.id, pool)).collect())
}

fn view(shared: &Shared, (centre, used): &Row) -> CentreView {
    let pools = centre
        .pools
        .values()
        .zip(used)
        .map(|(pool, used)| PoolView::new(pool, used.all.cores, used.all.memory, used.all.devices));
    let presence = shared.hub.presence(&centre.id, shared.clock.now());
    let active = used.iter().map(|used| used.attempts).sum();
    CentreView {
        connected: presence.connected,
        last_seen_at: presence.heard_at.or(centre.reported_at).map(Into::into),
        memory_mode: Some(presence.memory_mode).filter(|mode| !mode.is_empty()),
        ..CentreView::new(centre, pools.collect(), active)
    }
}

/// All centres as they are shown, for the API and for pages.
pub(crate) async fn views(shared: &Shared) -> Result<Vec<CentreView>, Failure> {
    let look = |network: &Network| network.centres().values().map(|centre| row(network, centre)).collect::<Vec<_>>();
    let rows = shared.writer.look(look).await?;
    Ok(rows.iter().map(|row| view(shared, row)).collect())
}

async fn one(shared: &Shared, name: &str) -> Result<CentreView, Failure> {
    let no_centre = || {
        Failure::new(ErrorCode::NotFound, format!("there is no centre `{name}`"))
            .hint("`huisuan centre ls` lists the centres")
    };
    let id = CentreId::new(name).map_err(|_| no_centre())?;
    let row = shared.writer.look(move |network| network.centres().get(&id).map(|centre| row(network, centre))).await?;
    row.map(|row| view(shared, &row)).ok_or_else(no_centre)
}

pub(crate) async fn list(State(shared): App) -> Result<axum::Json<CentreList>, Failure> {
    Ok(axum::Json(CentreList { centres: views(&shared).await? }))
}

pub(crate) async fn show(State(shared): App, NamePath(name): NamePath) -> Result<axum::Json<CentreView>, Failure> {
    Ok(axum::Json(one(&shared, &name).await?))
}

pub(crate) async fn pause(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<CentreView>, Failure> {
    set(&shared, identity, request, &name, CentreState::Paused).await
}

pub(crate) async fn resume(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<CentreView>, Failure> {
    set(&shared, identity, request, &name, CentreState::Active).await
}

pub(crate) async fn set_facts(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<FactsFields>,
) -> Result<axum::Json<CentreView>, Failure> {
    let zone = one(&shared, &name).await?.zone;
    let facts = asked.facts(&zone, shared.clock.now());
    let (place, facts) = facts.map_err(|problem| Failure::new(ErrorCode::InvalidSpec, problem))?;
    let command = |centre| Command::SetFacts { centre, place, facts };
    change(&shared, identity, request, &name, command).await
}

pub(crate) async fn maintain(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<WindowRequest>,
) -> Result<(StatusCode, axum::Json<CentreView>), Failure> {
    let pool = asked.pool.as_deref().map(PoolId::new).transpose();
    let pool = pool.map_err(|error| Failure::new(ErrorCode::InvalidSpec, error.to_string()))?;
    let (from, until, note) = (asked.from.0, asked.until.0, asked.note);
    let command = |centre| Command::AddWindow { centre, pool, from, until, note };
    Ok((StatusCode::CREATED, change(&shared, identity, request, &name, command).await?))
}

pub(crate) async fn cancel_window(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    WindowPath(name, id): WindowPath,
) -> Result<axum::Json<CentreView>, Failure> {
    change(&shared, identity, request, &name, |centre| Command::RemoveWindow { centre, id }).await
}

async fn set(
    shared: &Shared,
    identity: Identity,
    request: RequestId,
    name: &str,
    state: CentreState,
) -> Result<axum::Json<CentreView>, Failure> {
    change(shared, identity, request, name, |centre| Command::SetCentreState { centre, state }).await
}

/// Has a command about a centre executed and shows the centre as it is then.
async fn change(
    shared: &Shared,
    identity: Identity,
    RequestId(request): RequestId,
    name: &str,
    command: impl FnOnce(CentreId) -> Command,
) -> Result<axum::Json<CentreView>, Failure> {
    let origin = identity.origin(request)?;
    // Looked up first, so that a malformed name is "not found" like any other unknown one.
    one(shared, name).await?;
    let centre = CentreId::new(name).map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    shared.writer.execute(origin, command(centre)).await?;
    Ok(axum::Json(one(shared, name).await?))
}
