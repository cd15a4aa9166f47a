//! Routes of centres: what is known of them, what operators declare and ask of them.

use utoipa::openapi::schema::Type;

use super::{
    REFUSED,
    build::{Document, Route},
};
use crate::{centres, facts::FactsFields, problem::ErrorCode, reservations, routes};

pub(super) fn site_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The centre's name.", Type::String);
    document.add(
        Route::post(routes::CENTRES, "add-centre", "network", "Makes a centre known; for operators.")
            .body::<centres::NewCentreRequest>("What its operator declares.")
            .answer::<centres::CentreView>(201, "The centre; its agent can join once it has a token.")
            .refused(&[
                ErrorCode::BadRequest,
                ErrorCode::UnknownField,
                ErrorCode::InvalidSpec,
                ErrorCode::Forbidden,
                ErrorCode::Conflict,
            ]),
    );
    document.add(
        id(Route::post(routes::CENTRE_TOKEN, "centre-token", "network", "Gives a centre's agent a new token."))
            .answer::<centres::CentreToken>(200, "The token, told once; the one before is void.")
            .refused(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    document.add(
        id(Route::post(routes::CENTRE_ALARMS_CLEAR, "clear-alarms", "network", "Clears the alarms of a centre."))
            .answer::<centres::CentreView>(200, "The centre. What is still so is raised again.")
            .refused(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    document.add(
        Route::get(routes::ALARMS, "alarms", "network", "Lists what at centres wants a person's eyes; for operators.")
            .answer::<centres::AlarmList>(200, "The alarms.")
            .refused(&[ErrorCode::Forbidden]),
    );
}

fn rating_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The centre's name.", Type::String);
    let pools = |route: Route| {
        id(route)
            .body::<centres::PoolRequest>("Which pool; all when none is named.")
            .answer::<centres::CentreView>(200, "The centre as it is now.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::UnknownField, ErrorCode::Forbidden, ErrorCode::NotFound])
    };
    document.add(pools(Route::post(
        routes::CENTRE_MEASURE,
        "measure",
        "network",
        "Has pools measured again when nothing runs there.",
    )));
    document.add(pools(Route::post(
        routes::CENTRE_ACCEPT,
        "accept-ratings",
        "network",
        "Believes doubted ratings and the key that signed them.",
    )));
}

pub(super) fn network_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The centre's name.", Type::String);
    document.add(
        Route::get(routes::CENTRES, "centres", "network", "Lists all centres by name.")
            .answer::<centres::CentreList>(200, "The centres."),
    );
    document.add(
        id(Route::get(routes::CENTRE, "centre", "network", "Shows one centre."))
            .answer::<centres::CentreView>(200, "The centre.")
            .refused(&[ErrorCode::NotFound]),
    );
    document.add(
        id(Route::post(routes::CENTRE_PAUSE, "pause", "network", "Gives a centre no new work; what runs goes on."))
            .answer::<centres::CentreView>(200, "The centre as it is now.")
            .refused(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    document.add(
        id(Route::post(routes::CENTRE_RESUME, "resume", "network", "Gives a centre work again."))
            .answer::<centres::CentreView>(200, "The centre as it is now.")
            .refused(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    rating_routes(document);
    declaration_routes(document);
}

/// What may be wrong with a declaration.
const DECLARED: [ErrorCode; 5] =
    [ErrorCode::BadRequest, ErrorCode::UnknownField, ErrorCode::InvalidSpec, ErrorCode::Forbidden, ErrorCode::NotFound];

/// What operators declare of centres.
fn declaration_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The centre's name.", Type::String);
    document.add(
        id(Route::post(routes::CENTRE_FACTS, "set-facts", "network", "Declares place, links and power of a centre."))
            .body::<FactsFields>("All that is declared; it replaces what was.")
            .answer::<centres::CentreView>(200, "The centre as it is now.")
            .refused(&DECLARED),
    );
    document.add(
        id(Route::post(routes::CENTRE_WINDOWS, "maintain", "network", "Declares maintenance of a centre or a pool."))
            .body::<centres::WindowRequest>("What is closed, and when.")
            .answer::<centres::CentreView>(201, "The centre with all its windows; the newest has the highest number.")
            .refused(&DECLARED),
    );
    document.add(
        id(Route::post(routes::CENTRE_WINDOW_CANCEL, "cancel-window", "network", "Takes maintenance back."))
            .path_parameter("window", "The window's number.", Type::Integer)
            .answer::<centres::CentreView>(200, "The centre as it is now.")
            .refused(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
}

pub(super) fn reservation_routes(document: &mut Document) {
    document.add(
        Route::get(routes::RESERVATIONS, "reservations", "network", "Lists reservations in advance; a tenant's own.")
            .answer::<reservations::ReservationList>(200, "The reservations."),
    );
    document.add(
        Route::post(routes::RESERVATIONS, "reserve", "network", "Keeps a part of a pool for a tenant's jobs.")
            .body::<reservations::ReservationRequest>("What, when and for whom.")
            .answer::<reservations::ReservationView>(201, "The reservation.")
            .refused(&REFUSED),
    );
    document.add(
        Route::post(routes::RESERVATION_CANCEL, "cancel-reservation", "network", "Takes a reservation back.")
            .path_parameter("id", "Its number.", Type::Integer)
            .answer::<reservations::ReservationView>(200, "What it was; its jobs that run go on.")
            .refused(&[ErrorCode::NotFound]),
    );
}
