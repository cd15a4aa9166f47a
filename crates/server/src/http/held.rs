//! What a centre's engine holds against what the books say: the door where both are compared.
//!
//! Between the moment at which an agent looks and the moment at which the books are read, attempts start and end. A
//! difference therefore counts only when two questions in a row find it.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Extension, extract::State};
use huisuan_api::{
    ErrorCode,
    agent::{ClosedSpan, EngineAlarm, Held, HeldAnswer, HeldTasks},
};
use huisuan_control::Differences;
use huisuan_model::{
    Alarm, AlarmKind, AttemptId, CentreId, Command, PoolId, SiteBook, SiteReservation, TimeMs, Window,
    alarm::ALARMS_MAX, site::LINES_MAX, window::WINDOW_MS_MAX,
};

use super::{
    App, Failure,
    agents::{centre, current},
    extract::Json,
};
use crate::{
    identity::{self, Identity},
    server::Shared,
};

/// The most attempts of one question.
const HELD_MAX: u64 = 1_000_000;
/// What a comparison finds, and the next one clears.
const KINDS: [AlarmKind; 4] =
    [AlarmKind::UnknownAttempt, AlarmKind::EndedAttempt, AlarmKind::ForeignAttempt, AlarmKind::MissingAttempt];

pub(crate) async fn held(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Json(asked): Json<Held>,
) -> Result<axum::Json<HeldAnswer>, Failure> {
    let centre = centre(identity)?;
    current(&shared, &centre, asked.epoch).await?;
    shared.hub.heard(&centre, shared.clock.now());
    shared.hub.note_book(&centre, asked.book.filter(is_readable));
    let total =
        asked.attempts.iter().chain(&asked.ended).fold(0, |sum: u64, held| sum.saturating_add(held.tasks.len()));
    if total > HELD_MAX {
        return Err(Failure::new(ErrorCode::TooLarge, format!("more than {HELD_MAX} attempts at once")));
    }
    let held: BTreeSet<AttemptId> = asked.attempts.iter().flat_map(ids).collect();
    let ended: BTreeSet<AttemptId> = asked.ended.iter().flat_map(ids).collect();
    let name = centre.clone();
    let mut differences = shared.writer.look(move |state| state.differences(&name, &held)).await?;
    differences.missing.retain(|id| !ended.contains(id));
    let seen = differences.not_live.iter().chain(differences.foreign.iter().map(|(id, _)| id));
    let seen: BTreeSet<AttemptId> = seen.chain(&differences.missing).copied().collect();
    let before = shared.hub.suspects(&centre, seen.clone());
    let lasting: BTreeSet<AttemptId> = seen.intersection(&before).copied().collect();
    let (mut found, end) = judge(&shared, &differences, &lasting).await?;
    found.extend(of_engine(asked.alarms));
    tell(&shared, &centre, found, &seen).await?;
    close(&shared, &centre, asked.closed).await?;
    Ok(axum::Json(HeldAnswer { missing: differences.missing, end, again: seen.len() > lasting.len() }))
}

fn ids(held: &HeldTasks) -> impl Iterator<Item = AttemptId> + '_ {
    held.tasks.iter().map(|task| AttemptId { job: held.job, task, attempt: held.attempt })
}

/// The alarms that lasting differences come to, and what the centre is to end: what has ended in the books.
async fn judge(
    shared: &Shared,
    differences: &Differences,
    lasting: &BTreeSet<AttemptId>,
) -> Result<(Vec<Alarm>, Vec<AttemptId>), Failure> {
    let alarm =
        |kind, id: &AttemptId, detail: String| Alarm { kind, subject: id.to_string(), detail, since: TimeMs(0) };
    let (mut alarms, mut end) = (Vec::new(), Vec::new());
    let not_live: Vec<AttemptId> = differences.not_live.iter().filter(|id| lasting.contains(id)).copied().collect();
    let asked = not_live.clone();
    let ended = shared.readers.read(move |reader| reader.ended(&asked)).await?;
    for id in &not_live {
        if ended.contains(id) {
            end.push(*id);
            alarms.push(alarm(AlarmKind::EndedAttempt, id, "runs and has ended in the books: told to end".to_owned()));
        } else {
            let detail = "runs and was never ordered by this network: left alone".to_owned();
            alarms.push(alarm(AlarmKind::UnknownAttempt, id, detail));
        }
    }
    for (id, owner) in differences.foreign.iter().filter(|(id, _)| lasting.contains(id)) {
        let detail = format!("said to run here, and given to centre `{owner}`: not believed");
        alarms.push(alarm(AlarmKind::ForeignAttempt, id, detail));
    }
    for id in differences.missing.iter().filter(|id| lasting.contains(id)) {
        let detail = "ran here, and the engine does not say what became of it".to_owned();
        alarms.push(alarm(AlarmKind::MissingAttempt, id, detail));
    }
    Ok((alarms, end))
}

/// Whether a site's book is one for people: names of one line, and not too many.
fn is_readable(book: &SiteBook) -> bool {
    let name = |name: &str| name.len() <= SUBJECT_BYTES_MAX && !name.chars().any(char::is_control);
    let pools = |one: &SiteReservation| one.pools.len() <= LINES_MAX;
    book.reservations.len() <= LINES_MAX
        && book.qos.len() <= LINES_MAX
        && book.reservations.iter().all(|one| name(&one.name) && pools(one))
        && book.qos.iter().all(|one| name(&one.name))
        && book.features.len() <= LINES_MAX
        && book.features.iter().all(|one| one.all.len() + one.some.len() <= 2 * LINES_MAX)
        && book.features.iter().flat_map(|one| one.all.iter().chain(&one.some)).all(|word| name(word))
}

/// The longest subject of an engine's alarm, in bytes.
const SUBJECT_BYTES_MAX: usize = 200;

/// What a centre's engine says that somebody should look at. Subjects name alarms: what is no line of text is none.
fn of_engine(told: Vec<EngineAlarm>) -> impl Iterator<Item = Alarm> {
    let good =
        |alarm: &EngineAlarm| alarm.subject.len() <= SUBJECT_BYTES_MAX && !alarm.subject.chars().any(char::is_control);
    told.into_iter().filter(good).take(ALARMS_MAX).map(|EngineAlarm { subject, what }| Alarm {
        kind: AlarmKind::Engine,
        subject,
        detail: what,
        since: TimeMs(0),
    })
}

/// What windows of this kind are called, and what their notes begin with. An operator's own windows are left alone.
const CLOSED: &str = "closed by the site's own rules";
const CLOSED_BY: &str = "closed by the site's own scheduler: ";
/// The most spans, how far ahead closed hours may be and how far what a scheduler announces, in milliseconds: a site
/// tells of days, a scheduler of what people planned.
const SPANS_MAX: usize = 24;
const AHEAD_MS_MAX: u64 = 4 * 24 * 3_600_000;
/// The longest reason, in bytes.
const WHY_BYTES_MAX: usize = 100;

/// Whether a window of this note is one that a site closed by itself.
pub(crate) fn is_of_site(note: &str) -> bool {
    note == CLOSED || note.starts_with(CLOSED_BY)
}

/// A span as it is a window.
type Span = (TimeMs, TimeMs, Option<PoolId>, String);

fn span(told: ClosedSpan, now: TimeMs) -> Option<Span> {
    let ClosedSpan { from, until, pool, why } = told;
    let (far, note) = match why.is_empty() {
        true => (until.since(now).0 > AHEAD_MS_MAX, CLOSED.to_owned()),
        false => (until.since(from).0.max(from.since(now).0) > WINDOW_MS_MAX, format!("{CLOSED_BY}{why}")),
    };
    let good = from < until && until > now && !far && why.len() <= WHY_BYTES_MAX && !why.chars().any(char::is_control);
    good.then_some((from, until, pool, note))
}

/// Has the scheduler plan around the closed spans that a site tells, and no longer around those that it does not.
async fn close(shared: &Shared, centre: &CentreId, told: Vec<ClosedSpan>) -> Result<(), Failure> {
    let now = shared.clock.now();
    let wanted: BTreeSet<Span> = told.into_iter().filter_map(|told| span(told, now)).collect();
    let name = centre.clone();
    let (known, pools) = shared
        .writer
        .look(move |state| {
            let Some(centre) = state.centres().get(&name) else { return Default::default() };
            let ours = centre.windows.iter().filter(|window| is_of_site(&window.note) && window.until > now).cloned();
            let known = ours.map(|Window { id, pool, from, until, note }| ((from, until, pool, note), id));
            (known.collect::<BTreeMap<Span, u32>>(), centre.pools.keys().cloned().collect::<BTreeSet<PoolId>>())
        })
        .await?;
    // A pool that is not known yet is closed as soon as it is.
    let here = |span: &&Span| span.2.as_ref().is_none_or(|pool| pools.contains(pool));
    let wanted: BTreeSet<&Span> = wanted.iter().filter(here).take(SPANS_MAX).collect();
    let gone = known.iter().filter(|(span, _)| !wanted.contains(span)).map(|(_, id)| *id);
    let gone = gone.map(|id| Command::RemoveWindow { centre: centre.clone(), id });
    let new = wanted.iter().filter(|span| !known.contains_key(**span)).map(|&span| {
        let (from, until, pool, note) = span.clone();
        Command::AddWindow { centre: centre.clone(), pool, from, until, note }
    });
    for command in gone.chain(new) {
        shared.writer.execute(identity::agent(centre), command).await?;
    }
    Ok(())
}

/// Raises what was found and is not known, and clears what is no longer seen or said.
async fn tell(
    shared: &Shared,
    centre: &CentreId,
    found: Vec<Alarm>,
    seen: &BTreeSet<AttemptId>,
) -> Result<(), Failure> {
    let subjects: BTreeSet<String> = seen.iter().map(ToString::to_string).collect();
    let name = centre.clone();
    let known = shared.writer.look(move |state| {
        let alarms = state.centres().get(&name).map(|centre| &*centre.alarms).unwrap_or_default();
        alarms.iter().map(|alarm| (alarm.kind, alarm.subject.clone())).collect::<BTreeSet<_>>()
    });
    let known = known.await?;
    let found_names: BTreeSet<(AlarmKind, &str)> =
        found.iter().map(|alarm| (alarm.kind, alarm.subject.as_str())).collect();
    let over = known.iter().filter(|(kind, subject)| match kind {
        AlarmKind::Engine => !found_names.contains(&(*kind, subject.as_str())),
        kind => KINDS.contains(kind) && !subjects.contains(subject),
    });
    let cleared: Vec<(AlarmKind, String)> = over.cloned().collect();
    let raised: Vec<Alarm> =
        found.iter().filter(|alarm| !known.contains(&(alarm.kind, alarm.subject.clone()))).cloned().collect();
    if raised.is_empty() && cleared.is_empty() {
        return Ok(());
    }
    for alarm in &raised {
        tracing::warn!(%centre, kind = alarm.kind.as_str(), subject = %alarm.subject, "alarm at a centre");
    }
    let command = Command::SetAlarms { centre: centre.clone(), raised, cleared };
    shared.writer.execute(identity::agent(centre), command).await?;
    Ok(())
}
