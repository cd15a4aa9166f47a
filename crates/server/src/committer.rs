//! Makes batches durable in their order, then tells everyone.

use std::{
    iter,
    sync::{Arc, mpsc},
    thread,
};

use huisuan_store::{Durable, Store};

use crate::{
    answers::{Answers, Replies},
    failpoint::failpoint,
    feed::Feed,
    hub::Hub,
    metrics::Metrics,
    wake::Wake,
    writer::{Batch, Telling},
};

/// How many batches may wait for the disk. They go to it together: while one transaction is written the writer
/// makes small batches of whatever arrives, and one sync for all of them costs as much as one for each.
const WAITING_MAX: usize = 8;

/// Who hears of each commit.
pub(crate) struct Listeners {
    pub(crate) hub: Arc<Hub>,
    pub(crate) feed: Feed,
    pub(crate) planner: Arc<Wake>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) answers: Answers,
}

enum Work {
    Commit(Box<Batch>),
    /// Is told once everything before it is durable.
    Tell(Telling),
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

    /// Has something told once all that was sent is durable; waits while too much waits already.
    pub(crate) fn tell(&self, telling: Telling) {
        self.work.send(Work::Tell(telling)).expect("the committer ends after the writer");
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
    let (mut batches, mut tellings) = (Vec::with_capacity(WAITING_MAX), Vec::new());
    while let Ok(work) = waiting.recv() {
        // What waits is no more than the channel holds and the one that the writer is about to send.
        for work in iter::once(work).chain(waiting.try_iter().take(WAITING_MAX)) {
            match work {
                Work::Commit(batch) => batches.push(*batch),
                Work::Tell(telling) => tellings.push(telling),
            }
        }
        commit(&mut store, listeners, &mut batches);
        tellings.drain(..).for_each(|telling| telling());
    }
}

/// Makes batches durable in one transaction and tells of each. A failed commit ends the process: the state in
/// memory is ahead of the disk and nothing of it may be told.
fn commit(store: &mut Store, listeners: &Listeners, batches: &mut Vec<Batch>) {
    if batches.iter().all(|batch| batch.entries.is_empty()) {
        // Refusals and repetitions: nothing is new, and what they repeat is durable, for batches go in order.
        return batches.drain(..).for_each(|batch| answer(listeners, batch.replies));
    }
    failpoint!("writer-before-commit");
    match store.commit(batches.iter().map(|batch| &batch.rows)) {
        Ok(durable) => {
            failpoint!("writer-after-commit");
            batches.drain(..).for_each(|batch| tell(listeners, batch, &durable));
        }
        Err(error) => {
            tracing::error!(%error, hint = error.hint(), "commit failed; the process ends");
            eprintln!("error: {error}\nhint: {}", error.hint());
            std::process::exit(1);
        }
    }
}

fn answer(listeners: &Listeners, replies: Replies) {
    // Whoever answers ends only with the process.
    _ = listeners.answers.send(replies);
}

/// Has those answered who wait for a batch, then tells everyone else who wants to know of it.
fn tell(listeners: &Listeners, batch: Batch, durable: &Durable) {
    answer(listeners, batch.replies);
    if batch.entries.is_empty() {
        return;
    }
    listeners.hub.deliver(batch.orders, durable);
    listeners.metrics.committed(batch.live, &batch.entries);
    listeners.feed.publish(batch.entries, durable);
    if batch.replan {
        listeners.planner.wake();
    }
}
