//! The agents' doors. The path's centre and the token agree: see `access`.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Path, State},
};
use huisuan_api::{
    ErrorCode,
    agent::{Hello, LogAnswer, Orders, PROTOCOL, PoolRating, Ratings, Reports, Taken, Welcome},
    routes::{ORDERS_WAIT_MS_MAX, OrdersQuery},
};
use huisuan_model::{CentreId, Command};

use super::{
    App, Failure,
    extract::{Bounded, Json, Params},
};
use crate::{
    failpoint::failpoint,
    hub::{LogPiece, Pulled},
    identity::{self, Identity},
    ratings,
};

/// The most reports of one batch.
const REPORTS_MAX: usize = 10_000;

fn centre(identity: Identity) -> Result<CentreId, Failure> {
    match identity {
        Identity::Agent(centre) => Ok(centre),
        Identity::Operator(_) | Identity::Tenant(_) => {
            Err(Failure::new(ErrorCode::Forbidden, "this route is for agents"))
        }
    }
}

pub(crate) async fn hello(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(hello): Json<Hello>,
) -> Result<axum::Json<Welcome>, Failure> {
    let centre = centre(identity)?;
    if hello.protocol == 0 || hello.protocol > PROTOCOL {
        let detail = format!("agent speaks protocol {}, this server 1 to {PROTOCOL}", hello.protocol);
        return Err(Failure::new(ErrorCode::Conflict, detail).hint("update the older of the two"));
    }
    let inventory = Command::Inventory { centre: centre.clone(), pools: hello.pools };
    shared.writer.execute(identity::agent(&centre), inventory).await?;
    if hello.fresh {
        let lose = Command::LoseRunning { centre: centre.clone() };
        shared.writer.execute(identity::agent(&centre), lose).await?;
    }
    let (hub, now, name) = (shared.hub.clone(), shared.clock.now(), centre.clone());
    let (reported_seq, unrated) = shared
        .writer
        .look(move |state| {
            hub.hello(&name, state.open_orders(&name), hello.memory_mode, now);
            let Some(centre) = state.centres().get(&name) else { return (0, Vec::new()) };
            let unrated = centre.pools.values().filter(|pool| ratings::missing(pool.rating.as_ref()));
            (centre.reported_seq, unrated.map(|pool| pool.id.clone()).collect())
        })
        .await?;
    Ok(axum::Json(Welcome { protocol: hello.protocol, epoch: shared.epoch, reported_seq, unrated }))
}

pub(crate) async fn orders(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Params(query): Params<OrdersQuery>,
) -> Result<axum::Json<Orders>, Failure> {
    let centre = centre(identity)?;
    current(shared.epoch, query.epoch)?;
    let wait = Duration::from_millis(query.wait_ms.min(ORDERS_WAIT_MS_MAX));
    let pulled = tokio::select! {
        pulled = shared.hub.pull(&centre, query.after, wait, shared.clock.now()) => pulled,
        () = shared.stopping() => return Err(Failure::new(ErrorCode::Unavailable, "the server is stopping")),
    };
    failpoint!("server-before-orders");
    let Pulled { orders, log_requests, measure } = pulled;
    Ok(axum::Json(Orders { epoch: shared.epoch, orders, log_requests, measure }))
}

pub(crate) async fn reports(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(reports): Json<Reports>,
) -> Result<axum::Json<Taken>, Failure> {
    let centre = centre(identity)?;
    current(shared.epoch, reports.epoch)?;
    if reports.reports.len() > REPORTS_MAX {
        return Err(Failure::new(ErrorCode::TooLarge, format!("more than {REPORTS_MAX} reports at once")));
    }
    shared.hub.heard(&centre, shared.clock.now());
    let command = Command::Report { centre: centre.clone(), seq: reports.seq, reports: reports.reports };
    shared.writer.execute(identity::agent(&centre), command).await?;
    failpoint!("server-after-report");
    Ok(axum::Json(Taken { seq: reports.seq }))
}

fn current(epoch: u64, theirs: u64) -> Result<(), Failure> {
    if epoch == theirs {
        return Ok(());
    }
    let detail = format!("the agent speaks for server run {theirs}, this is run {epoch}");
    Err(Failure::new(ErrorCode::StaleEpoch, detail))
}

pub(crate) async fn ratings(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(ratings): Json<Ratings>,
) -> Result<axum::http::StatusCode, Failure> {
    let centre = centre(identity)?;
    for PoolRating { pool, rating } in ratings.ratings {
        let rating = ratings::received(&shared, &centre, &pool, rating).await?;
        let command = Command::Rate { centre: centre.clone(), pool, rating };
        shared.writer.execute(identity::agent(&centre), command).await?;
    }
    Ok(axum::http::StatusCode::NO_CONTENT)
}

pub(crate) async fn logs(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Path((_, id)): Path<(String, String)>,
    Params(answer): Params<LogAnswer>,
    Bounded(data): Bounded,
) -> Result<axum::http::StatusCode, Failure> {
    let centre = centre(identity)?;
    let unknown = || Failure::new(ErrorCode::NotFound, format!("nobody asked for output by the number `{id}`"));
    let id = id.parse().map_err(|_| unknown())?;
    let piece = LogPiece { data, end: answer.end, error: answer.error };
    // Whoever asked may have gone away: that is no fault of the agent.
    shared.hub.answer(&centre, id, piece);
    Ok(axum::http::StatusCode::NO_CONTENT)
}
