//! Makes batches durable in their order, then tells everyone.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use huisuan_store::Store;

use crate::{failpoint::failpoint, feed::Feed, hub::Hub, metrics::Metrics, wake::Wake, writer::Batch};

/// How many batches may wait for the disk: one is enough to keep it busy, more only delay answers.
const WAITING_MAX: usize = 1;

/// Who hears of each commit.
pub(crate) struct Listeners {
    pub(crate) hub: Arc<Hub>,
    pub(crate) feed: Feed,
    pub(crate) planner: Arc<Wake>,
    pub(crate) metrics: Arc<Metrics>,
}

enum Work {
    Commit(Box<Batch>),
    /// Answers once everything before it is durable.
    Settle(mpsc::Sender<()>),
}

/// The writer's way to the committer's thread.
pub(crate) struct Committer {
    work: mpsc::SyncSender<Work>,
    thread: thread::JoinHandle<()>,
}

impl Committer {
    pub(crate) fn start(store: Store, listeners: Listeners) -> std::io::Result<Self> {
        let (work, waiting) = mpsc::sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("committer".into()).spawn(move || run(store, &listeners, &waiting))?;
        Ok(Committer { work, thread })
    }

    /// Has a batch committed and answered; waits while too much waits already.
    pub(crate) fn send(&self, batch: Batch) {
        self.work.send(Work::Commit(Box::new(batch))).expect("the committer ends after the writer");
    }

    /// Waits until all that was sent is durable.
    pub(crate) fn settle(&self) {
        let (settled, done) = mpsc::channel();
        self.work.send(Work::Settle(settled)).expect("the committer ends after the writer");
        done.recv().expect("the committer ends after the writer");
    }

    /// Lets the thread finish what it has and waits for its end.
    pub(crate) fn end(self) {
        drop(self.work);
        // A thread that panicked has said so already.
        _ = self.thread.join();
    }
}

/// A broken invariant ends the process at once: it restarts from what is durable, which is better than a
/// server that answers reads and takes no command.
pub(crate) struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

fn run(mut store: Store, listeners: &Listeners, waiting: &mpsc::Receiver<Work>) {
    let _guard = EndOnPanic;
    while let Ok(work) = waiting.recv() {
        match work {
            Work::Commit(batch) => commit(&mut store, listeners, *batch),
            // Whoever waits may have gone with the process.
            Work::Settle(settled) => _ = settled.send(()),
        }
    }
}

/// A failed commit ends the process: the state in memory is ahead of the disk and nothing of it may be told.
fn commit(store: &mut Store, listeners: &Listeners, batch: Batch) {
    if !batch.entries.is_empty() {
        failpoint!("writer-before-commit");
        if let Err(error) = store.commit(&batch.rows) {
            tracing::error!(%error, hint = error.hint(), "commit failed; the process ends");
            eprintln!("error: {error}\nhint: {}", error.hint());
            std::process::exit(1);
        }
        failpoint!("writer-after-commit");
    }
    for (reply, result) in batch.replies {
        // A client that went away does not need its answer.
        _ = reply.send(result);
    }
    if batch.entries.is_empty() {
        return;
    }
    listeners.hub.deliver(batch.orders);
    listeners.metrics.committed(batch.live, &batch.entries);
    listeners.feed.publish(batch.entries);
    if batch.replan {
        listeners.planner.wake();
    }
}
