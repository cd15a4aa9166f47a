//! One list of all objects of a kind, then every change of them as it happens; a list again when the server has
//! forgotten where we were, and now and then to be sure.

mod attempts;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize as _, de::DeserializeOwned};
use tracing::warn;

use super::{
    client::{CallError, Lines},
    objects::{Metadata, Status, WatchEvent},
    shared::{Listed, Shared},
};

pub(super) use attempts::Attempts;

/// How long one watch lasts, in seconds; shorter than the client waits for a byte, so that a connection that died
/// without a word is noticed.
const WATCH_S: u32 = 15;
/// How often everything is listed although nothing asks for it.
const RELIST_EVERY: Duration = Duration::from_secs(600);
/// The pause after something failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What is watched, and who is told of it.
pub(super) trait Subject {
    /// One of them.
    type Object: DeserializeOwned;
    /// What is done, for errors.
    const DOING: &'static str;

    /// Where they are.
    fn path(&self, shared: &Shared) -> String;

    /// What selects them, for a query.
    fn query(&self, shared: &Shared) -> String;

    /// A list is about to be asked for.
    fn begin(&mut self, shared: &Shared);

    /// These are all that there are.
    fn all(&mut self, shared: &Shared, objects: Vec<Self::Object>) -> Result<(), CallError>;

    /// This is how one is now.
    fn take(&mut self, shared: &Shared, object: Self::Object);

    /// One is there no more; how it was last.
    fn gone(&mut self, shared: &Shared, object: Self::Object);
}

/// How a watch ended.
enum Watched {
    /// In time; goes on where it was.
    Over,
    /// The server forgot where we were.
    Gone,
}

/// Takes in all objects; gives back the version from which to watch.
pub(super) fn relist<S: Subject>(shared: &Shared, subject: &mut S) -> Result<String, CallError> {
    subject.begin(shared);
    let Listed { items, version } = shared.list(&subject.path(shared), &subject.query(shared))?;
    subject.all(shared, items)?;
    Ok(version)
}

/// Lists and watches until the engine is dropped.
pub(super) fn watch<S: Subject>(shared: &Arc<Shared>, mut subject: S, mut version: String) {
    let mut listed_at = Instant::now();
    while !shared.stopped() {
        let result = match version.is_empty() || listed_at.elapsed() >= RELIST_EVERY {
            true => relist(shared, &mut subject).map(|new| {
                listed_at = Instant::now();
                version = new;
            }),
            false => follow(shared, &mut subject, &mut version).map(|watched| {
                if matches!(watched, Watched::Gone) {
                    version.clear();
                }
            }),
        };
        match result {
            Ok(()) => shared.well(S::DOING),
            Err(error) => {
                let why = error.during(S::DOING).to_string();
                if shared.troubled(S::DOING, &why) {
                    warn!(error = why, "cluster cannot be watched");
                }
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a retry pause; the engine's callers do not wait for it"
                )]
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn follow<S: Subject>(shared: &Shared, subject: &mut S, version: &mut String) -> Result<Watched, CallError> {
    let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={version}");
    let path = format!("{}?{query}&{}", subject.path(shared), subject.query(shared));
    let stream = match shared.client.stream(&path) {
        Ok(stream) => stream,
        Err(error) if error.code() == 410 => return Ok(Watched::Gone),
        Err(error) => return Err(error),
    };
    let mut lines = Lines::new(stream);
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(Watched::Over),
            // A quiet watch whose end does not come is as good as one that ended.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Watched::Over),
            Err(error) => return Err(CallError::Broken(error)),
        };
        if shared.stopped() {
            return Ok(Watched::Over);
        }
        let garbled = |error: serde_json::Error| CallError::Broken(io::Error::new(io::ErrorKind::InvalidData, error));
        let event: WatchEvent = serde_json::from_slice(&line).map_err(garbled)?;
        if event.kind == "ERROR" {
            let status = Status::deserialize(event.object).map_err(garbled)?;
            return if status.code == 410 { Ok(Watched::Gone) } else { Err(CallError::Answer(status)) };
        }
        let metadata = event.object.get("metadata").cloned().unwrap_or_default();
        let next = Metadata::deserialize(metadata).map_err(garbled)?.resource_version;
        if event.kind != "BOOKMARK" {
            let object = S::Object::deserialize(event.object).map_err(garbled)?;
            match event.kind.as_str() {
                "DELETED" => subject.gone(shared, object),
                _ => subject.take(shared, object),
            }
        }
        *version = next;
    }
}
