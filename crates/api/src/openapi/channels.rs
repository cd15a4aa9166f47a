//! Channels into sessions: the user's end and the agent's.

use utoipa::openapi::{
    Required,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::Type,
};

use super::build::{Document, Route, text};
use crate::{
    channels::{ChannelOpened, ChannelRequest, ChannelTaken},
    problem::ErrorCode,
    routes::{self, ChannelQuery},
};

const BYTES: &str = "application/octet-stream";

pub(super) fn channel_routes(document: &mut Document) {
    let job = |route: Route| route.path_parameter("id", "The job's number.", Type::Integer);
    document.add(
        job(Route::post(routes::JOB_CHANNELS, "open-channel", "jobs", "Opens a channel into a session that runs."))
            .body::<ChannelRequest>("Where it leads to.")
            .answer::<ChannelOpened>(201, "It is open, and the agent of its centre is asked to open the other end.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::UnknownField, ErrorCode::NotFound, ErrorCode::Conflict]),
    );
    let user = |route: Route| job(route).path_parameter("channel", "The channel's number.", Type::Integer);
    document.add(stream(user(Route::get(
        routes::JOB_CHANNEL,
        "read-channel",
        "jobs",
        "Streams the frames that come out of a session.",
    ))));
    document.add(bring(user(Route::post(
        routes::JOB_CHANNEL,
        "write-channel",
        "jobs",
        "Brings frames that go into a session.",
    ))));
    let agent = |route: Route| {
        route.path_parameter("centre", "The agent's centre.", Type::String).path_parameter(
            "channel",
            "The channel's number.",
            Type::Integer,
        )
    };
    document.add(stream(agent(Route::get(
        routes::AGENT_CHANNEL,
        "agent-read-channel",
        "agent",
        "Streams the frames that go into a session.",
    ))));
    document.add(bring(agent(Route::post(
        routes::AGENT_CHANNEL,
        "agent-write-channel",
        "agent",
        "Brings frames that come out of a session.",
    ))));
}

fn secret() -> Parameter {
    ParameterBuilder::new()
        .name("X-Channel-Secret")
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some("The secret of this side of the channel."))
        .schema(Some(text()))
        .build()
}

fn stream(route: Route) -> Route {
    route
        .parameter(secret())
        .raw_answer(BYTES, "Frames as they come, until the channel ends. It can be asked for once.")
        .refused(&[ErrorCode::NotFound, ErrorCode::Conflict])
}

fn bring(route: Route) -> Route {
    route
        .parameter(secret())
        .query::<ChannelQuery>()
        .raw_body("Whole frames, at most 64 KiB.")
        .answer::<ChannelTaken>(200, "How much of this direction has been taken: less while nobody reads.")
        .refused(&[ErrorCode::BadRequest, ErrorCode::UnknownField, ErrorCode::NotFound, ErrorCode::Conflict])
}
