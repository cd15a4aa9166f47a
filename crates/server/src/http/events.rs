//! What happens, as Server-Sent Events: first what the journal has after the asked sequence, then what is new.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::stream::{self, Stream};
use huisuan_api::{
    ErrorCode,
    routes::{EventsQuery, LAST_EVENT_ID},
};
use huisuan_model::Entry;
use tokio::sync::broadcast;

use super::{App, Failure, extract::Params};
use crate::{feed::Commit, server::Shared, views};

/// Entries read from the journal at once.
const PAGE: usize = 500;
/// How often a silent stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Watching {
    shared: Arc<Shared>,
    commits: broadcast::Receiver<Commit>,
    /// What was sent.
    seen: Position,
    /// True while the journal may have entries that were not sent.
    behind: bool,
    ready: VecDeque<sse::Event>,
}

/// How far a watcher is: every entry up to `seq`, and this many events of the next one.
///
/// Written as the id of an event it is the entry's sequence, and for all but the last event of an entry
/// also the number of the event in it: `12.1`, `12.2`, `12`. So a break inside an entry loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    seq: u64,
    part: usize,
}

impl Position {
    fn after_entry(seq: u64) -> Self {
        Position { seq, part: 0 }
    }

    fn parse(id: &str) -> Option<Self> {
        match id.split_once('.') {
            None => id.parse().ok().map(Position::after_entry),
            Some((seq, part)) => {
                Some(Position { seq: seq.parse::<u64>().ok()?.checked_sub(1)?, part: part.parse().ok()? })
            }
        }
    }
}

pub(crate) async fn events(
    State(shared): App,
    headers: HeaderMap,
    Params(query): Params<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str().ok().and_then(Position::parse));
    let after = match last {
        Some(None) => return Err(Failure::new(ErrorCode::BadRequest, "`Last-Event-ID` is not an event's id")),
        Some(Some(last)) => Some(last),
        None => query.after.map(Position::after_entry),
    };
    // Watching begins before the journal is read, so that nothing falls between the two.
    let commits = shared.feed.watch();
    let seen = match after {
        Some(after) => after,
        None => Position::after_entry(shared.writer.look(|state| state.version()).await?),
    };
    let watching = Watching { shared, commits, seen, behind: true, ready: VecDeque::new() };
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Watching {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                let after = self.seen.seq;
                let entries = self.shared.readers.read(move |reader| reader.entries(after, PAGE)).await.ok()?;
                self.behind = entries.len() == PAGE;
                entries.iter().for_each(|entry| self.take(entry));
                continue;
            }
            let received = tokio::select! {
                received = self.commits.recv() => received,
                () = self.shared.stopping() => return None,
            };
            match received {
                Ok(commit) => commit.iter().for_each(|entry| self.take(entry)),
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, entry: &Entry) {
        if entry.seq <= self.seen.seq {
            return;
        }
        let sent = if entry.seq == self.seen.seq + 1 { self.seen.part } else { 0 };
        self.seen = Position::after_entry(entry.seq);
        let views = views::events(entry);
        let last = views.len();
        for (number, view) in (1..).zip(views).skip(sent) {
            let id = if number == last { view.seq.to_string() } else { format!("{}.{number}", view.seq) };
            let event = sse::Event::default().event(view.kind.clone()).id(id);
            self.ready.extend(event.json_data(&view));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positions() {
        let at = |seq, part| Some(Position { seq, part });
        for (id, position) in [
            ("0", at(0, 0)),
            ("12", at(12, 0)),
            ("12.2", at(11, 2)),
            ("0.1", None),
            ("", None),
            ("a", None),
            ("1.x", None),
        ] {
            assert_eq!(Position::parse(id), position, "{id}");
        }
    }
}
