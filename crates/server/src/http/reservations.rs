//! Doors for reservations in advance: operators make them for anybody, tenants with the right for themselves.

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
};
use huisuan_api::{
    ErrorCode,
    reservations::{ReservationList, ReservationRequest, ReservationView},
};
use huisuan_control::State as Network;
use huisuan_model::{Command, ReservationId, TimeMs};

use super::{App, Failure, door::RequestId, extract::Json};
use crate::{
    identity::{self, Identity, Scope},
    server::Shared,
    writer::Done,
};

/// All that somebody may see, by number.
fn views(network: &Network, scope: &Scope, now: TimeMs) -> Vec<ReservationView> {
    let all = network.centres().values().flat_map(|centre| centre.reservations.iter().map(move |kept| (centre, kept)));
    let seen = all.filter(|(_, kept)| scope.has(&kept.tenant)).map(|(centre, kept)| {
        let held = network.held_of_reservation(kept.id);
        ReservationView::new(&centre.id, kept, [held.cores.0, held.devices.0], now)
    });
    let mut views: Vec<ReservationView> = seen.collect();
    views.sort_by_key(|view| view.reservation);
    views
}

/// All that somebody may see, for the API and for pages.
pub(crate) async fn all(shared: &Shared, scope: &Scope) -> Result<Vec<ReservationView>, Failure> {
    let (scope, now) = (scope.clone(), shared.clock.now());
    Ok(shared.writer.look(move |network| views(network, &scope, now)).await?)
}

async fn one(shared: &Shared, identity: &Identity, id: u32) -> Result<ReservationView, Failure> {
    all(shared, &identity.scope())
        .await?
        .into_iter()
        .find(|view| view.reservation == id)
        .ok_or_else(|| no_reservation(&id.to_string()))
}

fn no_reservation(text: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no reservation `{text}`"))
        .hint("`huisuan reserve ls` lists reservations")
}

pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
) -> Result<axum::Json<ReservationList>, Failure> {
    Ok(axum::Json(ReservationList { reservations: all(&shared, &identity.scope()).await? }))
}

pub(crate) async fn add(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Json(asked): Json<ReservationRequest>,
) -> Result<(StatusCode, axum::Json<ReservationView>), Failure> {
    let own = match identity.scope() {
        Scope::All => None,
        Scope::Tenant(tenant) => Some(tenant),
        Scope::Nothing => return Err(Failure::new(ErrorCode::Forbidden, "an agent cannot do this")),
    };
    let asked = asked.asked(own.as_ref(), &identity::tenant()).map_err(|problem| problem.to_problem())?;
    match shared.writer.execute(identity.origin(request)?, Command::Reserve(Box::new(asked))).await? {
        Done::Reserved(ReservationId(id)) => Ok((StatusCode::CREATED, axum::Json(one(&shared, &identity, id).await?))),
        done => Err(Failure::new(ErrorCode::Internal, format!("a reservation became {done:?}"))),
    }
}

pub(crate) async fn cancel(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    Path(text): Path<String>,
) -> Result<axum::Json<ReservationView>, Failure> {
    let ReservationId(number) = text.parse().map_err(|_| no_reservation(&text))?;
    let view = one(&shared, &identity, number).await?;
    let tenant = match identity.scope() {
        Scope::Tenant(tenant) => Some(tenant),
        Scope::All | Scope::Nothing => None,
    };
    let command = Command::CancelReservation { id: ReservationId(number), tenant };
    shared.writer.execute(identity.origin(request)?, command).await?;
    Ok(axum::Json(view))
}
