//! The doors to sessions: a tenant opens a channel into its own, and the agent of the centre opens the other end.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use huisuan_api::{
    ErrorCode,
    channels::{CHANNEL_BYTES_MAX, ChannelOpened, ChannelOrder, ChannelRequest, ChannelTaken},
    routes::{CHANNEL_SECRET, ChannelQuery},
};
use huisuan_model::{Attempt, AttemptState, Command, JobId, JobSpec, channel::Frame, command::Origin, spec::JobKind};
use tokio::sync::mpsc;

use super::{
    App, Failure, agents,
    door::RequestId,
    extract::{Bounded, JobPath, Json, Params},
};
use crate::{
    channels::{Brought, Channel, Side, Wanted},
    identity::Identity,
    server::Shared,
};

/// How long both sides have to ask for their streams.
const COMPLETE_WITHIN: Duration = Duration::from_secs(20);
/// How long a post waits for room, at most; well below the time after which clients and proxies give up.
const ROOM_WAIT: Duration = Duration::from_secs(15);
/// A stream says this often that it is there: proxies close what is silent, and so a reader that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) async fn open(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Extension(RequestId(request)): Extension<RequestId>,
    JobPath(id): JobPath,
    Json(asked): Json<ChannelRequest>,
) -> Result<(StatusCode, axum::Json<ChannelOpened>), Failure> {
    let job = super::jobs::find(&shared, id, &identity.scope()).await?;
    let origin = identity.origin(request)?;
    if job.tenant != origin.tenant {
        let detail = format!("job {id} is tenant `{}`'s: a session is opened by its own tenant", job.tenant);
        return Err(Failure::new(ErrorCode::Forbidden, detail).hint("use that tenant's token"));
    }
    let target = asked.target().ok_or_else(|| Failure::new(ErrorCode::BadRequest, "`port` is 0: 1 to 65535"))?;
    let attempt = running(&shared, id, &job.spec).await?;
    let wanted = Wanted {
        attempt: attempt.id,
        centre: attempt.centre,
        tenant: job.tenant,
        actor: origin.actor.clone(),
        target,
        now: shared.clock.now(),
    };
    let random = |error| Failure::new(ErrorCode::Internal, format!("no random bits for a secret: {error}"));
    let channel = shared.channels.add(wanted).map_err(random)?.ok_or_else(|| {
        Failure::new(ErrorCode::Unavailable, "there are as many channels into sessions as there may be")
            .hint("close some: each connection to a forwarded port is one")
    })?;
    let command = Command::OpenChannel { attempt: channel.attempt, channel: channel.number, target };
    if let Err(error) = shared.writer.execute(origin.clone(), command).await {
        shared.channels.remove(&channel);
        return Err(error.into());
    }
    let order = ChannelOrder {
        channel: channel.number,
        secret: channel.secret(Side::Agent).to_owned(),
        attempt: channel.attempt,
        target,
    };
    shared.hub.open_channel(&channel.centre, order);
    let opened = ChannelOpened {
        channel: channel.number,
        secret: channel.secret(Side::User).to_owned(),
        centre: channel.centre.to_string(),
    };
    tokio::spawn(keep(shared, channel, origin));
    Ok((StatusCode::CREATED, axum::Json(opened)))
}

/// The attempt of a session that runs.
async fn running(shared: &Shared, id: JobId, spec: &JobSpec) -> Result<Attempt, Failure> {
    let refuse = |what: &str| {
        Failure::new(ErrorCode::Conflict, format!("job {id} {what}"))
            .hint(format!("`huisuan show {id}` says what it is and what became of it"))
    };
    if spec.kind != JobKind::Session {
        return Err(refuse("is no session"));
    }
    // It has one task; which number that has is its submitter's choice.
    let task = spec.tasks.first().unwrap_or(0);
    let attempt = shared.readers.read(move |reader| reader.last_attempt(id, task)).await?;
    attempt.filter(|attempt| attempt.state == AttemptState::Running).ok_or_else(|| refuse("does not run now"))
}

/// Sees a channel to its end, and has that recorded.
async fn keep(shared: Arc<Shared>, channel: Arc<Channel>, origin: Origin) {
    tokio::select! {
        () = channel.closed() => {}
        () = shared.stopping() => {}
        completed = tokio::time::timeout(COMPLETE_WITHIN, channel.complete()) => match completed {
            Ok(()) => tokio::select! {
                () = channel.closed() => {}
                () = shared.stopping() => {}
            },
            Err(_) => channel.refuse(&format!("centre {} does not answer", channel.centre)),
        }
    }
    channel.close();
    let (sent, received) = (channel.inward.taken(), channel.outward.taken());
    let command = Command::CloseChannel { attempt: channel.attempt, channel: channel.number, sent, received };
    if let Err(error) = shared.writer.execute(origin, command).await {
        tracing::info!(channel = channel.number, %error, "end of a channel is not recorded");
    }
    // What was said to the user last is still to be read.
    let _ = tokio::time::timeout(COMPLETE_WITHIN, channel.heard()).await;
    shared.channels.remove(&channel);
}

/// The channel that a request is for. Whoever does not know its secret does not learn that it is there.
fn find(shared: &Shared, number: &str, side: Side, headers: &HeaderMap) -> Result<Arc<Channel>, Failure> {
    let shown = headers.get(CHANNEL_SECRET).and_then(|value| value.to_str().ok()).unwrap_or("");
    let found = number.parse().ok().and_then(|number| shared.channels.find(number, side, shown));
    found.ok_or_else(|| no_channel(number))
}

fn no_channel(number: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no channel `{number}`"))
        .hint("it has ended, or its server has; `huisuan session attach JOB` opens another")
}

/// The user's channel: its secret alone is not enough.
fn of(
    shared: &Shared,
    identity: Identity,
    path: &(String, String),
    headers: &HeaderMap,
) -> Result<Arc<Channel>, Failure> {
    let (job, number) = path;
    let channel = find(shared, number, Side::User, headers)?;
    let tenant = identity.origin(String::new())?.tenant;
    let own = channel.tenant == tenant && *job == channel.attempt.job.to_string();
    if own { Ok(channel) } else { Err(no_channel(number)) }
}

/// The channel of an agent's centre.
fn at(shared: &Shared, identity: Identity, number: &str, headers: &HeaderMap) -> Result<Arc<Channel>, Failure> {
    let centre = agents::centre(identity)?;
    let channel = find(shared, number, Side::Agent, headers)?;
    if channel.centre == centre { Ok(channel) } else { Err(no_channel(number)) }
}

pub(crate) async fn to_user(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let channel = of(&shared, identity, &path, &headers)?;
    streamed(channel, Side::User)
}

pub(crate) async fn of_user(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Path(path): Path<(String, String)>,
    Params(query): Params<ChannelQuery>,
    headers: HeaderMap,
    Bounded(bytes): Bounded,
) -> Result<axum::Json<ChannelTaken>, Failure> {
    let channel = of(&shared, identity, &path, &headers)?;
    bring(&shared, &channel, Side::User, query, bytes).await
}

pub(crate) async fn to_agent(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Path((_, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let channel = at(&shared, identity, &number, &headers)?;
    streamed(channel, Side::Agent)
}

pub(crate) async fn of_agent(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Path((_, number)): Path<(String, String)>,
    Params(query): Params<ChannelQuery>,
    headers: HeaderMap,
    Bounded(bytes): Bounded,
) -> Result<axum::Json<ChannelTaken>, Failure> {
    let channel = at(&shared, identity, &number, &headers)?;
    bring(&shared, &channel, Side::Agent, query, bytes).await
}

/// Takes bytes of one side.
async fn bring(
    shared: &Shared,
    channel: &Channel,
    side: Side,
    query: ChannelQuery,
    bytes: Vec<u8>,
) -> Result<axum::Json<ChannelTaken>, Failure> {
    if bytes.len() > CHANNEL_BYTES_MAX {
        let detail = format!("{} bytes for a channel, at most {CHANNEL_BYTES_MAX} at once", bytes.len());
        return Err(Failure::new(ErrorCode::TooLarge, detail));
    }
    let brought = tokio::select! {
        brought = channel.to(side).bring(query.offset, bytes, ROOM_WAIT) => brought,
        () = channel.closed() => Brought::Closed,
        () = shared.stopping() => return Err(Failure::new(ErrorCode::Unavailable, "the server is stopping")),
    };
    let taken = match brought {
        Brought::Taken(taken) => taken,
        Brought::Gap(taken) => {
            let detail = format!("bytes from {} on, and {taken} came before", query.offset);
            return Err(Failure::new(ErrorCode::Conflict, detail));
        }
        Brought::Closed => return Err(no_channel(&channel.number.to_string())),
    };
    if query.end {
        // Frames say that one direction ends: who ends its side ends the channel.
        channel.close();
    }
    Ok(axum::Json(ChannelTaken { taken }))
}

/// A stream that is being read. When its reader goes, the channel ends.
struct Streaming {
    channel: Arc<Channel>,
    pieces: mpsc::Receiver<Vec<u8>>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.channel.close();
    }
}

fn streamed(channel: Arc<Channel>, side: Side) -> Result<Response, Failure> {
    let taken = || Failure::new(ErrorCode::Conflict, "this side of the channel is being read already");
    let pieces = channel.from(side).receiver().ok_or_else(taken)?;
    channel.arrived(side);
    let streaming = Streaming { channel, pieces };
    let pieces = stream::unfold(streaming, |mut streaming| async move {
        let piece = tokio::select! {
            piece = streaming.pieces.recv() => piece?,
            () = tokio::time::sleep(HEARTBEAT) => Frame::Ping.bytes(),
        };
        Some((Ok::<_, std::convert::Infallible>(piece), streaming))
    });
    // Proxies are told to pass on what comes as it comes.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
