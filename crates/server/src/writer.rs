//! The one writer: takes what waits, executes it, has the batch committed, and only then answers.
//!
//! Two threads share the work: the writer decides and puts rows into their stored form, the committer
//! writes them and tells everyone. So the next batch is decided while the last one goes to the disk;
//! batches are committed and answered in their order.

use std::{sync::Arc, thread};

use huisuan_control::{Refusal, State, ledger::Chain};
use huisuan_model::{
    Command, Entry, Event, JobId, Money, ReservationId,
    command::{ENTRY_VERSION, Origin},
};
use huisuan_store::{Prepared, Store};
use tokio::sync::{mpsc, oneshot};

use crate::{
    answers::Replies,
    clock::Clock,
    commit,
    committer::{Committer, EndOnPanic, Listeners},
    disk::Disk,
    metrics::Metrics,
};

/// The most commands of one transaction: beyond this the batch gains little and the first in it waits longer
/// (measured: docs/decisions/0002).
const BATCH_MAX: usize = 256;
/// The most commands that wait for the writer; beyond this doors answer "unavailable".
const QUEUE_MAX: usize = 4096;

/// How much the writer gives way to other threads, as `nice` counts. Those who bring commands go first on a small machine,
/// so that more of them are decided and committed together: 15 % more submissions a second on two cores.
const NICENESS: i32 = 5;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// It changed something, or nothing had to change.
    Changed,
    /// It was a submission; the job may have been known by its key.
    Job {
        /// The job.
        job: JobId,
        /// False when the key was known.
        new: bool,
    },
    /// A rule of a tariff got this number.
    Rule(u32),
    /// A contract got this number.
    Contract(u32),
    /// A reservation in advance got this number.
    Reserved(ReservationId),
    /// So many readings were priced anew.
    Rerated {
        /// How many.
        corrected: u64,
        /// What tenants pay on top.
        difference: Money,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriterError {
    /// The command was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much waits already.
    #[error("the writer has {QUEUE_MAX} commands waiting")]
    Busy,
    /// The disk is nearly full: what runs may end, nothing new is taken.
    #[error("the disk of the data directory is nearly full")]
    DiskFull,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// Where the answer to a command goes.
pub(crate) type Reply = oneshot::Sender<Result<Done, WriterError>>;

#[expect(clippy::large_enum_variant, reason = "nearly every message is a command: a box would buy nothing")]
enum Message {
    Command {
        origin: Origin,
        command: Command,
        reply: Reply,
    },
    /// Reads the live state between two batches.
    Look(Box<dyn FnOnce(&State) -> Telling + Send>),
    Stop,
}

/// Tells what was read, once all that it shows is durable.
pub(crate) type Telling = Box<dyn FnOnce() + Send>;

fn look<T: Send + 'static>(read: impl FnOnce(&State) -> T + Send + 'static) -> (Message, oneshot::Receiver<T>) {
    let (reply, answer) = oneshot::channel();
    let look = move |state: &State| -> Telling {
        let seen = read(state);
        // Whoever asked may be gone.
        Box::new(move || _ = reply.send(seen))
    };
    (Message::Look(Box::new(look)), answer)
}

/// The cheap way to the writer; clones share it.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the writer's thread on a loaded state and the chain of its books.
    pub(crate) fn start(
        state: State,
        chain: Chain,
        store: Store,
        clock: Arc<Clock>,
        disk: Arc<Disk>,
        listeners: Listeners,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let metrics = listeners.metrics.clone();
        let committer = Committer::start(store, listeners)?;
        let thread = thread::Builder::new().name("writer".into()).spawn(move || {
            // On Linux it is that of the calling thread alone. Without it all works, a little slower.
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                tracing::debug!(%error, "niceness not set");
            }
            Loop { state, chain, clock, disk, metrics, committer }.run(queue);
        })?;
        Ok((Writer { queue: sender }, thread))
    }

    /// Has a command executed. `Ok` means that it is durable.
    pub(crate) async fn execute(&self, origin: Origin, command: Command) -> Result<Done, WriterError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Command { origin, command, reply };
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriterError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriterError::Stopping,
        })?;
        answer.await.unwrap_or(Err(WriterError::Stopping))
    }

    /// The same for threads outside the runtime; waits for room in the queue.
    pub(crate) fn execute_blocking(&self, origin: Origin, command: Command) -> Result<Done, WriterError> {
        let (reply, answer) = oneshot::channel();
        self.queue.blocking_send(Message::Command { origin, command, reply }).map_err(|_| WriterError::Stopping)?;
        answer.blocking_recv().unwrap_or(Err(WriterError::Stopping))
    }

    /// Reads something of the live state, between two batches. The reading must be short.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, WriterError> {
        let (look, answer) = look(read);
        self.queue.send(look).await.map_err(|_| WriterError::Stopping)?;
        answer.await.map_err(|_| WriterError::Stopping)
    }

    /// The same for threads outside the runtime.
    pub(crate) fn look_blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, WriterError> {
        let (look, answer) = look(read);
        self.queue.blocking_send(look).map_err(|_| WriterError::Stopping)?;
        answer.blocking_recv().map_err(|_| WriterError::Stopping)
    }

    /// Lets the writer finish what it has and end.
    pub(crate) fn stop(&self) {
        // A closed queue means that it has ended already.
        _ = self.queue.try_send(Message::Stop);
    }
}

struct Loop {
    state: State,
    /// Where the chain over all transfers is.
    chain: Chain,
    clock: Arc<Clock>,
    disk: Arc<Disk>,
    metrics: Arc<Metrics>,
    committer: Committer,
}

impl Loop {
    fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let _guard = EndOnPanic;
        let mut messages = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut messages, BATCH_MAX) > 0 {
            let mut batch = Batch::default();
            let mut looks = Vec::new();
            let mut stop = false;
            for message in messages.drain(..) {
                match message {
                    Message::Command { origin, command, reply } => self.take(origin, command, reply, &mut batch),
                    Message::Look(look) => looks.push(look),
                    Message::Stop => stop = true,
                }
            }
            self.send(batch);
            // Looks see what the commands before them did, and tell it only when that is durable.
            looks.into_iter().for_each(|look| self.committer.tell(look(&self.state)));
            if stop {
                break;
            }
        }
        self.committer.end();
    }

    /// Hands a batch to the committer; waits while that one has two more to do.
    fn send(&mut self, mut batch: Batch) {
        if batch.replies.is_empty() {
            return;
        }
        if !batch.entries.is_empty() {
            batch.rows = commit::prepare(&mut self.state, &batch.entries, &mut self.chain);
            batch.live = (self.state.jobs_live(), self.state.attempts_live());
        }
        self.committer.send(batch);
    }

    fn take(&mut self, origin: Origin, command: Command, reply: Reply, batch: &mut Batch) {
        if let Command::Submit { key, .. } = &command
            && self.disk.nearly_full()
            && key.as_ref().is_none_or(|key| self.state.job_of_key(&origin.tenant, key).is_none())
        {
            // A known key is answered all the same: nothing new is written for it.
            batch.replies.push((reply, Err(WriterError::DiskFull)));
            return;
        }
        let now = self.clock.now();
        let result = huisuan_control::execute(&mut self.state, &origin, &command, now);
        self.metrics.command(command.name(), result.is_ok());
        let events = match result {
            Ok(events) => events,
            Err(refusal) => {
                batch.replies.push((reply, Err(refusal.into())));
                return;
            }
        };
        let done = self.done(&origin, &command, &events);
        if let Command::Plan(plan) = &command
            && events.len() < plan.placements.len()
        {
            // The world moved on under the plan: what was dropped is planned again.
            batch.replan = true;
        }
        if !events.is_empty() {
            batch.replan |= events.iter().any(|event| huisuan_control::wakes_planner(&self.state, event));
            for event in &events {
                batch.orders.extend(huisuan_control::orders_of(&self.state, event));
            }
            let (seq, version) = (self.state.version(), ENTRY_VERSION);
            batch.entries.push(Arc::new(Entry { seq, at: now, version, origin, command, events }));
        }
        batch.replies.push((reply, Ok(done)));
    }

    fn done(&self, origin: &Origin, command: &Command, events: &[Event]) -> Done {
        match (command, events.first()) {
            (Command::Submit { .. }, Some(Event::JobSubmitted { job, .. })) => Done::Job { job: *job, new: true },
            (Command::Submit { key: Some(key), .. }, _) => match self.state.job_of_key(&origin.tenant, key) {
                Some(job) => Done::Job { job, new: false },
                None => Done::Changed,
            },
            (Command::Reserve(_), Some(_)) => match events.last() {
                // Those of the centre that have ended go before it.
                Some(Event::ReservationAdded { reservation, .. }) => Done::Reserved(reservation.id),
                _ => Done::Changed,
            },
            (_, Some(Event::TariffRuleSet(rule))) => Done::Rule(rule.id),
            (_, Some(Event::ContractMade(contract))) => Done::Contract(contract.id),
            (_, Some(Event::Rerated { corrections, .. })) => {
                let costs = corrections.iter().map(|correction| correction.reading.cost);
                let difference = costs.fold(Money::ZERO, Money::saturating_add);
                Done::Rerated { corrected: corrections.len() as u64, difference }
            }
            _ => Done::Changed,
        }
    }
}

#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) orders: Vec<(huisuan_model::CentreId, huisuan_model::Order)>,
    pub(crate) replies: Replies,
    pub(crate) replan: bool,
    pub(crate) rows: Prepared,
    /// Jobs and attempts that have not ended, as of this batch.
    pub(crate) live: (u64, u64),
}
