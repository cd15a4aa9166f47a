//! One list of all pods of the centre, then every change of them as it happens; a list again when the server has
//! forgotten where we were, and now and then to be sure.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize as _;
use tracing::warn;

use super::{
    client::{CallError, Lines},
    objects::{Metadata, Pod, Status, WatchEvent},
    pod::identity,
    shared::{Listed, Shared, now},
};

/// How long one watch lasts, in seconds; shorter than the client waits for a byte, so that a connection that died
/// without a word is noticed.
const WATCH_S: u32 = 15;
/// How often everything is listed although nothing asks for it.
const RELIST_EVERY: Duration = Duration::from_secs(600);
/// The pause after something failed.
const PAUSE: Duration = Duration::from_millis(500);

/// How a watch ended.
enum Watched {
    /// In time; goes on where it was.
    Over,
    /// The server forgot where we were.
    Gone,
}

/// Lists and watches until the engine is dropped.
pub(super) fn watch(shared: &Arc<Shared>, mut version: String) {
    let mut listed_at = Instant::now();
    while !shared.stopped() {
        let result = match version.is_empty() || listed_at.elapsed() >= RELIST_EVERY {
            true => relist(shared).map(|new| {
                listed_at = Instant::now();
                version = new;
            }),
            false => follow(shared, &mut version).map(|watched| {
                if matches!(watched, Watched::Gone) {
                    version.clear();
                }
            }),
        };
        match result {
            Ok(()) => *shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None,
            Err(error) => {
                let why = error.during("watching pods").to_string();
                let before = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(why.clone());
                if before.is_none() {
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

/// Takes in all pods; gives back the version from which to watch.
pub(super) fn relist(shared: &Shared) -> Result<String, CallError> {
    let round = shared.state().begin_round();
    let Listed { items, version } = shared.list::<Pod>(&shared.pods_path(), &shared.selector())?;
    let mut present = BTreeSet::new();
    for pod in items {
        present.extend(identity(&pod.metadata).map(|(id, _)| id));
        take(shared, pod);
    }
    let missing = shared.state().missing(round, &present);
    for id in missing {
        // A list may lie behind a cache; only the object itself is proof.
        match shared.find(id)? {
            Some(pod) => take(shared, pod),
            None => shared.state().gone(id, None, now()),
        }
    }
    shared.changed([]);
    Ok(version)
}

fn take(shared: &Shared, pod: Pod) {
    let errand = shared.state().take(pod, now(), shared.patience());
    shared.changed(errand);
}

fn follow(shared: &Shared, version: &mut String) -> Result<Watched, CallError> {
    let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={version}");
    let path = format!("{}?{query}&{}", shared.pods_path(), shared.selector());
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
        match event.kind.as_str() {
            "ERROR" => {
                let status = Status::deserialize(event.object).map_err(garbled)?;
                return if status.code == 410 { Ok(Watched::Gone) } else { Err(CallError::Answer(status)) };
            }
            "BOOKMARK" => {
                let metadata = event.object.get("metadata").cloned().unwrap_or_default();
                *version = Metadata::deserialize(metadata).map_err(garbled)?.resource_version;
            }
            kind => {
                let pod = Pod::deserialize(&event.object).map_err(garbled)?;
                let next = pod.metadata.resource_version.clone();
                if kind == "DELETED" {
                    if let Some((id, _)) = identity(&pod.metadata) {
                        shared.state().gone(id, Some(&pod), now());
                        shared.changed([]);
                    }
                } else {
                    take(shared, pod);
                }
                *version = next;
            }
        }
    }
}
