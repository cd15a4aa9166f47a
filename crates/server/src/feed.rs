//! What was committed, for those who watch: the stream of events.

use std::sync::Arc;

use huisuan_model::Entry;
use huisuan_store::Durable;
use tokio::sync::broadcast;

/// How many commits a slow watcher may be behind before it reads the journal instead.
const BEHIND_MAX: usize = 256;

/// One commit's entries, in order.
pub(crate) type Commit = Arc<Vec<Arc<Entry>>>;

/// Hands every commit to every watcher.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    sender: broadcast::Sender<Commit>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Feed { sender: broadcast::Sender::new(BEHIND_MAX) }
    }

    pub(crate) fn publish(&self, entries: Vec<Arc<Entry>>, _: &Durable) {
        // No watcher is no fault.
        _ = self.sender.send(Arc::new(entries));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Commit> {
        self.sender.subscribe()
    }
}
