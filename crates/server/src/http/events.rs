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
    /// Everything up to here was sent.
    seen: u64,
    /// True while the journal may have entries that were not sent.
    behind: bool,
    ready: VecDeque<sse::Event>,
}

pub(crate) async fn events(
    State(shared): App,
    headers: HeaderMap,
    Params(query): Params<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str().ok().and_then(|text| text.parse::<u64>().ok()));
    let after = match last {
        Some(None) => return Err(Failure::new(ErrorCode::BadRequest, "`Last-Event-ID` is not a sequence")),
        Some(Some(last)) => Some(last),
        None => query.after,
    };
    // Watching begins before the journal is read, so that nothing falls between the two.
    let commits = shared.feed.watch();
    let seen = match after {
        Some(after) => after,
        None => shared.writer.look(|state| state.version()).await?,
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
                let after = self.seen;
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
        if entry.seq <= self.seen {
            return;
        }
        self.seen = entry.seq;
        for view in views::events(entry) {
            let event = sse::Event::default().event(view.kind.clone()).id(view.seq.to_string());
            self.ready.extend(event.json_data(&view));
        }
    }
}
