//! The doors for centres.

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    ErrorCode,
    centres::{CentreList, CentreView, PoolRequest, PoolView, WindowRequest},
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

pub(crate) async fn measure(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<PoolRequest>,
) -> Result<axum::Json<CentreView>, Failure> {
    identity.origin(request)?;
    let (centre, pools) = pools(&shared, &name, &asked).await?;
    pools.into_iter().for_each(|pool| shared.hub.want_measured(&centre, pool));
    Ok(axum::Json(one(&shared, &name).await?))
}

pub(crate) async fn accept_ratings(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
    Json(asked): Json<PoolRequest>,
) -> Result<axum::Json<CentreView>, Failure> {
    let (centre, pools) = pools(&shared, &name, &asked).await?;
    for pool in pools {
        let command = Command::AcceptRating { centre: centre.clone(), pool };
        shared.writer.execute(identity.origin(request.clone())?, command).await?;
    }
    Ok(axum::Json(one(&shared, &name).await?))
}

/// The centre and the pools of it that are meant.
async fn pools(shared: &Shared, name: &str, asked: &PoolRequest) -> Result<(CentreId, Vec<PoolId>), Failure> {
    let known = one(shared, name).await?.pools;
    let centre = CentreId::new(name).map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let meant = |pool: &&PoolView| asked.pool.as_ref().is_none_or(|wanted| *wanted == pool.pool);
    let pools: Vec<PoolId> = known.iter().filter(meant).filter_map(|pool| PoolId::new(&pool.pool).ok()).collect();
    match (&asked.pool, pools.is_empty()) {
        (Some(pool), true) => Err(Failure::new(ErrorCode::NotFound, format!("centre `{name}` has no pool `{pool}`"))
            .hint(format!("`huisuan centre show {name}` lists its pools"))),
        _ => Ok((centre, pools)),
    }
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
