//! The doors for centres.

use axum::{Extension, extract::State, http::StatusCode};
use huisuan_api::{
    ErrorCode,
    centres::{
        AlarmList, AlarmView, CentreList, CentreToken, CentreView, NewCentreRequest, PoolRequest, PoolView,
        WindowRequest,
    },
    facts::FactsFields,
    views::engine_word,
};
use huisuan_control::{PoolUse, State as Network};
use huisuan_model::{
    Centre, CentreId, CentreState, Class, Command, EngineKind, Money, PoolId, Tariff, centre::CURRENCY,
};

use super::{
    App, Failure,
    door::RequestId,
    extract::{Json, NamePath, WindowPath},
    held::is_of_site,
};
use crate::{
    centre_tokens,
    identity::{Identity, Scope},
    server::Shared,
    tenant_tokens,
};

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
    let presence = shared.hub.presence(&centre.id);
    let active = used.iter().map(|used| used.attempts).sum();
    CentreView {
        connected: presence.connected,
        last_seen_at: presence.heard_at.or(centre.reported_at).map(Into::into),
        site: presence.book.as_deref().map(Into::into),
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

/// Alarms name attempts of all tenants: they are for operators.
fn seen_by(identity: &Identity, view: CentreView) -> CentreView {
    match identity.scope() {
        Scope::All => view,
        Scope::Tenant(_) | Scope::Nothing => CentreView { alarms: Vec::new(), ..view },
    }
}

pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
) -> Result<axum::Json<CentreList>, Failure> {
    let centres = views(&shared).await?.into_iter().map(|view| seen_by(&identity, view)).collect();
    Ok(axum::Json(CentreList { centres }))
}

pub(crate) async fn show(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    NamePath(name): NamePath,
) -> Result<axum::Json<CentreView>, Failure> {
    Ok(axum::Json(seen_by(&identity, one(&shared, &name).await?)))
}

pub(crate) async fn alarms(State(shared): App) -> Result<axum::Json<AlarmList>, Failure> {
    let all = |network: &Network| {
        let of = |centre: &Centre| centre.alarms.iter().map(|alarm| AlarmView::new(&centre.id, alarm)).collect();
        network.centres().values().flat_map(|centre| -> Vec<AlarmView> { of(centre) }).collect()
    };
    Ok(axum::Json(AlarmList { alarms: shared.writer.look(all).await? }))
}

pub(crate) async fn clear_alarms(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(request): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<CentreView>, Failure> {
    let known = name.clone();
    let cleared = shared.writer.look(move |network| {
        let centre = network.centres().values().find(|centre| centre.id.as_str() == known)?;
        Some(centre.alarms.iter().map(|alarm| (alarm.kind, alarm.subject.clone())).collect::<Vec<_>>())
    });
    let cleared = cleared.await?.unwrap_or_default();
    let command = |centre| Command::SetAlarms { centre, raised: Vec::new(), cleared };
    change(&shared, identity, request, &name, command).await
}

pub(crate) async fn add(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(asked): Json<NewCentreRequest>,
) -> Result<(StatusCode, axum::Json<CentreView>), Failure> {
    let origin = identity.origin(request)?;
    let centre = declared(&asked).map_err(|error| Failure::new(ErrorCode::InvalidSpec, error))?;
    shared.writer.execute(origin, Command::AddCentre(Box::new(centre))).await?;
    Ok((StatusCode::CREATED, axum::Json(one(&shared, &asked.centre).await?)))
}

fn declared(asked: &NewCentreRequest) -> Result<Centre, String> {
    let id = CentreId::new(&asked.centre).map_err(|error| error.to_string())?;
    let class: Class = asked.class.parse()?;
    let engines = [EngineKind::Local, EngineKind::Slurm, EngineKind::Kubernetes];
    let engine = match asked.engine.as_deref() {
        None => EngineKind::Local,
        Some(word) => engines
            .into_iter()
            .find(|engine| engine_word(*engine) == word)
            .ok_or_else(|| format!("engine `{word}` is none of local, slurm, kubernetes"))?,
    };
    let zone = asked.zone.as_deref().unwrap_or("UTC");
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-');
    if zone.is_empty() || zone.len() > 64 || !zone.chars().all(letter) {
        return Err("a zone is a name such as Asia/Shanghai".to_owned());
    }
    let price_per_p_h = Money(asked.price_per_p_h.unwrap_or(0));
    Ok(Centre::new(id, class, engine, zone, Tariff { currency: CURRENCY.to_owned(), price_per_p_h }))
}

/// The token is in this answer alone: the state and the journal have its hash.
pub(crate) async fn token(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    NamePath(name): NamePath,
) -> Result<axum::Json<CentreToken>, Failure> {
    let view = one(&shared, &name).await?;
    let centre = CentreId::new(&name).map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let fault = |error: std::io::Error| Failure::new(ErrorCode::Internal, format!("no random bytes: {error}"));
    let token = centre_tokens::make().map_err(fault)?;
    let hash = tenant_tokens::hash(&token);
    let origin = identity.origin(request)?;
    // One after the other, so that the token known here is the one of the state.
    let _turn = shared.centre_tokens.turn.lock().await;
    shared.writer.execute(origin, Command::SetCentreToken { centre: centre.clone(), token: hash }).await?;
    shared.centre_tokens.set(centre, hash);
    Ok(axum::Json(CentreToken { centre: name, class: view.class, engine: view.engine, token }))
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
    if is_of_site(&note) {
        let what = format!("note `{note}` is what windows of a site's own are called");
        return Err(Failure::new(ErrorCode::InvalidSpec, what).hint("give another note"));
    }
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
