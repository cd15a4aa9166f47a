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
    views::engine_word,
};
use huisuan_control::{Refusal, State as Network};
use huisuan_model::{Alarm, AlarmKind, CentreId, Command, OddityKind, TimeMs};

use super::{
    App, Failure,
    extract::{Bounded, Json, Params},
};
use crate::{
    failpoint::failpoint,
    hub::{LogPiece, Pulled},
    identity::{self, Identity},
    ratings,
    server::Shared,
    writer::WriterError,
};

/// The most reports of one batch.
const REPORTS_MAX: usize = 10_000;

pub(crate) fn centre(identity: Identity) -> Result<CentreId, Failure> {
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
    let name = centre.clone();
    let declared = shared.writer.look(move |state| state.centres().get(&name).map(|centre| centre.engine)).await?;
    if let Some(declared) = declared.filter(|declared| *declared != hello.engine) {
        let (declared, theirs) = (engine_word(declared), engine_word(hello.engine));
        let detail = format!("centre `{centre}` is declared with engine {declared}, its agent drives {theirs}");
        return Err(Failure::new(ErrorCode::Conflict, detail)
            .hint("give the agent --engine as declared, or add a centre with `huisuan centre add --engine`"));
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
    current(&shared, &centre, query.epoch).await?;
    let wait = Duration::from_millis(query.wait_ms.min(ORDERS_WAIT_MS_MAX));
    let pulled = tokio::select! {
        pulled = shared.hub.pull(&centre, query.after, wait, shared.clock.now()) => pulled,
        () = shared.stopping() => return Err(Failure::new(ErrorCode::Unavailable, "the server is stopping")),
    };
    failpoint!("server-before-orders");
    let Pulled { orders, log_requests, measure, channels } = pulled;
    Ok(axum::Json(Orders { epoch: shared.epoch, orders, log_requests, measure, channels }))
}

pub(crate) async fn reports(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(reports): Json<Reports>,
) -> Result<axum::Json<Taken>, Failure> {
    let centre = centre(identity)?;
    current(&shared, &centre, reports.epoch).await?;
    if reports.reports.len() > REPORTS_MAX {
        return Err(Failure::new(ErrorCode::TooLarge, format!("more than {REPORTS_MAX} reports at once")));
    }
    shared.hub.heard(&centre, shared.clock.now());
    let seq = reports.seq;
    if let Err(refused) = take(&shared, &centre, reports).await? {
        return Err(of_another(&shared, &centre, refused).await?);
    }
    failpoint!("server-after-report");
    Ok(axum::Json(Taken { seq }))
}

/// How often a batch is tried, as more of its attempts end meanwhile.
const TRIES: usize = 3;
/// The most attempts of one batch that are not live: the rows of each are read. Agents send no more reports at once.
const PAST_MAX: usize = 1_000;

/// Has a batch taken. The live state has forgotten attempts that ended: where some are reported again, their rows are
/// read first, so that what is new about them leaves a trace.
async fn take(shared: &Shared, centre: &CentreId, batch: Reports) -> Result<Result<(), WriterError>, Failure> {
    let (mut past, mut turn) = (Vec::new(), None);
    for _ in 0..TRIES {
        let (reports, told) = (batch.reports.clone(), std::mem::take(&mut past));
        let command = Command::Report { centre: centre.clone(), seq: batch.seq, reports, past: Some(told.clone()) };
        let attempts = match shared.writer.execute(identity::agent(centre), command).await {
            Err(WriterError::Refused(Refusal::NotLive { attempts })) => attempts,
            answer => return Ok(answer.map(|_| ())),
        };
        if attempts.len() + told.len() > PAST_MAX {
            let detail = format!("more than {PAST_MAX} attempts of the reports are not live");
            return Err(Failure::new(ErrorCode::TooLarge, detail).hint("send fewer reports at once"));
        }
        // One after the other: what is corrected is read from what the turn before has committed. What ended before the
        // refusal is durable by now.
        if turn.is_none() {
            turn = Some(shared.correcting.turn(centre).await);
        }
        let all: Vec<_> = told.iter().map(|known| known.id).chain(attempts).collect();
        past = shared.readers.read(move |reader| reader.past(&all)).await?;
    }
    Err(Failure::new(ErrorCode::Unavailable, "attempts of the reports go on ending").hint("send them again"))
}

/// Refuses what is for another run of the server. An earlier one is an agent that has not heard of the restart; a
/// later one was never there.
pub(crate) async fn current(shared: &Shared, centre: &CentreId, theirs: u64) -> Result<(), Failure> {
    let epoch = shared.epoch;
    if epoch == theirs {
        return Ok(());
    }
    let detail = format!("the agent speaks for server run {theirs}, this is run {epoch}");
    if theirs > epoch {
        let hint = "a backup may have been restored here, or somebody else has this centre's token";
        let alarm = Alarm {
            kind: AlarmKind::FalseEpoch,
            subject: centre.to_string(),
            detail: format!("{detail}: refused; {hint}"),
            since: TimeMs(0),
        };
        raise(shared, centre, alarm).await?;
    }
    Err(Failure::new(ErrorCode::StaleEpoch, detail))
}

/// The answer to reports that were not taken; those about another centre's attempt raise an alarm, and change nothing.
async fn of_another(shared: &Shared, centre: &CentreId, refused: WriterError) -> Result<Failure, Failure> {
    if let WriterError::Refused(Refusal::ForeignAttempt { attempt, owner, .. }) = &refused {
        let alarm = Alarm {
            kind: AlarmKind::FalseReport,
            subject: attempt.clone(),
            detail: format!("reported from here, and given to centre `{owner}`: refused"),
            since: TimeMs(0),
        };
        let (name, subject) = (centre.clone(), alarm.subject.clone());
        let raised = move |network: &Network| {
            let alarms = network.centres().get(&name).map(|centre| centre.alarms.as_slice()).unwrap_or_default();
            alarms.iter().any(|known| known.kind == AlarmKind::FalseReport && known.subject == subject)
        };
        let known = shared.writer.look(raised).await?;
        raise(shared, centre, alarm).await?;
        if let Some(attempt) = attempt.parse().ok().filter(|_| !known) {
            let (kind, centre) = (OddityKind::ForeignAttempt, centre.clone());
            let detail = format!("told of it; it is at centre `{owner}`");
            shared.writer.execute(identity::server(), Command::NoteOddity { centre, kind, attempt, detail }).await?;
        }
    }
    Ok(refused.into())
}

/// Raises one alarm of a centre.
pub(crate) async fn raise(shared: &Shared, centre: &CentreId, alarm: Alarm) -> Result<(), Failure> {
    tracing::warn!(%centre, kind = alarm.kind.as_str(), subject = %alarm.subject, "alarm at a centre");
    let command = Command::SetAlarms { centre: centre.clone(), raised: vec![alarm], cleared: Vec::new() };
    shared.writer.execute(identity::server(), command).await?;
    Ok(())
}

pub(crate) async fn ratings(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(ratings): Json<Ratings>,
) -> Result<axum::http::StatusCode, Failure> {
    let centre = centre(identity)?;
    for PoolRating { pool, rating } in ratings.ratings {
        shared.hub.no_question(&centre, &pool);
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
