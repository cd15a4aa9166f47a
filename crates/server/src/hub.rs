//! Where agents are met: orders wait here until they are pulled, and so do questions about output.
//!
//! Everything here can be made anew: orders from the live state when an agent says hello, questions by
//! asking again. Orders of a centre are numbered while the server runs, so that a page of them ends anywhere.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use huisuan_api::{
    agent::{LogRequest, SequencedOrder},
    channels::ChannelOrder,
};
use huisuan_model::{AttemptId, CentreId, Order, PoolId, SiteBook, Stream, TimeMs};
use huisuan_store::Durable;
use tokio::sync::{Notify, oneshot};

/// The most orders of one answer.
const ORDERS_MAX: usize = 512;
/// The most questions about output that wait for one centre.
const LOG_REQUESTS_MAX: usize = 256;
/// The most channels that wait for one agent.
const CHANNELS_WAITING_MAX: usize = 64;
/// A measurement that was asked for has this long to arrive before it is asked for again.
const MEASURE_AGAIN_MS: u64 = 600_000;
/// An agent that measured nothing for so long after it was asked, though nothing ran there, ignores it: it was asked
/// three times by then.
const MEASURE_IGNORED_MS: u64 = 3 * MEASURE_AGAIN_MS;
/// An agent that was not heard for this long is called away; it polls at least every 30 s.
pub(crate) const AWAY_AFTER_MS: u64 = 45_000;

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogPiece {
    pub(crate) data: Vec<u8>,
    pub(crate) end: bool,
    pub(crate) error: Option<String>,
}

/// All centres' agents.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    links: Mutex<BTreeMap<CentreId, Link>>,
}

#[derive(Debug, Default)]
struct Link {
    orders: VecDeque<SequencedOrder>,
    order_last: u64,
    questions: VecDeque<LogRequest>,
    question_last: u64,
    answers: BTreeMap<u64, oneshot::Sender<LogPiece>>,
    /// Channels that the agent is to open; nobody waits long for that, so none is kept.
    channels: Vec<ChannelOrder>,
    heard: Option<Heard>,
    /// Shared with every wait for orders that is open: whoever waits is there.
    pulls: Arc<()>,
    memory_mode: String,
    /// What the site's own scheduler keeps to.
    book: Option<Arc<SiteBook>>,
    /// Where the books and the engine differed when they were last compared.
    suspects: BTreeSet<AttemptId>,
    /// Pools that are to be measured now.
    measure: BTreeSet<PoolId>,
    /// Pools that an operator wants measured when nothing runs there.
    wanted: BTreeSet<PoolId>,
    /// When each pool was last asked to be measured: not again before that had time to come back.
    asked_at: BTreeMap<PoolId, TimeMs>,
    /// Since when a question to measure has no answer, by pool; forgotten when something runs there.
    unanswered_since: BTreeMap<PoolId, TimeMs>,
    something: Arc<Notify>,
}

/// When an agent was heard last: for people, and for decisions, which no change of the system's clock may turn.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: TimeMs,
    moment: Instant,
}

impl Heard {
    fn now(at: TimeMs) -> Option<Heard> {
        Some(Heard { at, moment: Instant::now() })
    }
}

/// What an agent is given for a pull.
#[derive(Debug, Default)]
pub(crate) struct Pulled {
    pub(crate) orders: Vec<SequencedOrder>,
    pub(crate) log_requests: Vec<LogRequest>,
    pub(crate) measure: Vec<PoolId>,
    pub(crate) channels: Vec<ChannelOrder>,
}

/// What is known of an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence {
    pub(crate) connected: bool,
    pub(crate) heard_at: Option<TimeMs>,
    pub(crate) memory_mode: String,
    pub(crate) book: Option<Arc<SiteBook>>,
}

impl Hub {
    fn links(&self) -> MutexGuard<'_, BTreeMap<CentreId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers all open orders again. Called by the writer's thread, so that no order of a
    /// later commit can come before it.
    pub(crate) fn hello(&self, centre: &CentreId, open: Vec<Order>, memory_mode: String, now: TimeMs) {
        let mut links = self.links();
        let link = links.entry(centre.clone()).or_default();
        // The numbering goes on: a poll of an agent that was killed may still wait with the number it knew.
        link.orders.clear();
        link.memory_mode = memory_mode;
        link.heard = Heard::now(now);
        open.into_iter().for_each(|order| link.push(order));
        link.something.notify_waiters();
    }

    /// Puts orders where their agents find them.
    pub(crate) fn deliver(&self, orders: Vec<(CentreId, Order)>, _: &Durable) {
        if orders.is_empty() {
            return;
        }
        let mut links = self.links();
        for (centre, order) in orders {
            // Without a link nobody ever said hello; the first hello brings all open orders.
            if let Some(link) = links.get_mut(&centre) {
                link.push(order);
                link.something.notify_waiters();
            }
        }
    }

    /// Waits for orders after `after` or for questions, for at most `wait`.
    pub(crate) async fn pull(&self, centre: &CentreId, after: u64, wait: Duration, now: TimeMs) -> Pulled {
        let deadline = tokio::time::Instant::now() + wait;
        let _here = {
            let mut links = self.links();
            let link = links.entry(centre.clone()).or_default();
            link.heard = Heard::now(now);
            link.pulls.clone()
        };
        loop {
            let something = {
                let mut links = self.links();
                let link = links.entry(centre.clone()).or_default();
                link.orders.retain(|order| order.seq > after);
                let orders: Vec<_> = link.orders.iter().take(ORDERS_MAX).cloned().collect();
                let log_requests: Vec<_> = link.questions.drain(..).collect();
                let measure: Vec<_> = std::mem::take(&mut link.measure).into_iter().collect();
                let channels = std::mem::take(&mut link.channels);
                if !orders.is_empty() || !log_requests.is_empty() || !measure.is_empty() || !channels.is_empty() {
                    return Pulled { orders, log_requests, measure, channels };
                }
                let mut something = Box::pin(link.something.clone().notified_owned());
                // Registered before the lock is released, so that nothing pushed after it is missed.
                something.as_mut().enable();
                something
            };
            if tokio::time::timeout_at(deadline, something).await.is_err() {
                return Pulled::default();
            }
        }
    }

    /// Notes that an operator wants a pool measured when nothing runs there.
    pub(crate) fn want_measured(&self, centre: &CentreId, pool: PoolId) {
        let mut links = self.links();
        let link = links.entry(centre.clone()).or_default();
        link.asked_at.remove(&pool);
        link.wanted.insert(pool);
    }

    /// Has an idle pool measured when that is due or an operator wants it, and it was not asked a moment ago.
    pub(crate) fn measure_idle(&self, centre: &CentreId, pool: &PoolId, due: bool, now: TimeMs) {
        let mut links = self.links();
        let Some(link) = links.get_mut(centre) else { return };
        let asked_lately = link.asked_at.get(pool).is_some_and(|at| now.since(*at).0 < MEASURE_AGAIN_MS);
        if asked_lately || !(link.wanted.remove(pool) || due) {
            return;
        }
        link.asked_at.insert(pool.clone(), now);
        link.unanswered_since.entry(pool.clone()).or_insert(now);
        link.measure.insert(pool.clone());
        link.something.notify_waiters();
    }

    /// Notes that a pool was measured, or that it cannot be now because something runs there.
    pub(crate) fn no_question(&self, centre: &CentreId, pool: &PoolId) {
        if let Some(link) = self.links().get_mut(centre) {
            link.unanswered_since.remove(pool);
        }
    }

    /// Since when an idle pool was not measured though that was asked, where this is too long.
    pub(crate) fn ignored_since(&self, centre: &CentreId, pool: &PoolId, now: TimeMs) -> Option<TimeMs> {
        let since = self.links().get(centre)?.unanswered_since.get(pool).copied()?;
        (now.since(since).0 >= MEASURE_IGNORED_MS).then_some(since)
    }

    /// Notes that an agent was heard.
    pub(crate) fn heard(&self, centre: &CentreId, now: TimeMs) {
        if let Some(link) = self.links().get_mut(centre) {
            link.heard = Heard::now(now);
        }
    }

    /// Notes what the site's own scheduler keeps to, as its agent says it.
    pub(crate) fn note_book(&self, centre: &CentreId, book: Option<SiteBook>) {
        if let Some(link) = self.links().get_mut(centre) {
            link.book = book.map(Arc::new);
        }
    }

    /// Whether the agent is there.
    pub(crate) fn presence(&self, centre: &CentreId) -> Presence {
        let links = self.links();
        let Some(link) = links.get(centre) else { return Presence::default() };
        let away = Duration::from_millis(AWAY_AFTER_MS);
        let connected = link.heard.is_some_and(|heard| heard.moment.elapsed() < away);
        let (heard_at, memory_mode) = (link.heard.map(|heard| heard.at), link.memory_mode.clone());
        Presence { connected, heard_at, memory_mode, book: link.book.clone() }
    }

    /// Whether the agent was heard after a moment or waits for orders now.
    pub(crate) fn heard_after(&self, centre: &CentreId, moment: Instant) -> bool {
        let links = self.links();
        let after = |link: &Link| link.heard.is_some_and(|heard| heard.moment > moment);
        links.get(centre).is_some_and(|link| Arc::strong_count(&link.pulls) > 1 || after(link))
    }

    /// Notes where the books and the engine differ now, and gives back where they did the last time.
    pub(crate) fn suspects(&self, centre: &CentreId, now: BTreeSet<AttemptId>) -> BTreeSet<AttemptId> {
        std::mem::replace(&mut self.links().entry(centre.clone()).or_default().suspects, now)
    }

    /// Asks a centre for a piece of output; `None` when too much is asked of it already.
    pub(crate) fn ask(
        &self,
        centre: &CentreId,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        limit: u64,
    ) -> Option<oneshot::Receiver<LogPiece>> {
        let mut links = self.links();
        let link = links.entry(centre.clone()).or_default();
        // Those who asked and went away make room.
        link.answers.retain(|_, answer| !answer.is_closed());
        if link.answers.len() >= LOG_REQUESTS_MAX {
            return None;
        }
        link.question_last += 1;
        let (sender, receiver) = oneshot::channel();
        link.answers.insert(link.question_last, sender);
        link.questions.push_back(LogRequest { id: link.question_last, attempt, stream, offset, limit });
        link.something.notify_waiters();
        Some(receiver)
    }

    /// Asks a centre's agent to open its end of a channel. What nobody pulled is old, and makes room.
    pub(crate) fn open_channel(&self, centre: &CentreId, order: ChannelOrder) {
        let mut links = self.links();
        let link = links.entry(centre.clone()).or_default();
        if link.channels.len() >= CHANNELS_WAITING_MAX {
            link.channels.remove(0);
        }
        link.channels.push(order);
        link.something.notify_waiters();
    }

    /// Brings an answer to whoever asked; false when nobody did.
    pub(crate) fn answer(&self, centre: &CentreId, id: u64, piece: LogPiece) -> bool {
        let answer = self.links().get_mut(centre).and_then(|link| link.answers.remove(&id));
        answer.is_some_and(|answer| answer.send(piece).is_ok())
    }
}

impl Link {
    fn push(&mut self, order: Order) {
        self.order_last += 1;
        self.orders.push_back(SequencedOrder { seq: self.order_last, order });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_to_measure_stays_open_until_it_is_answered_or_something_runs() {
        let (hub, centre) = (Hub::default(), CentreId::new("hpc-1").expect("a name"));
        let pool = PoolId::new("cpu:x").expect("a name");
        hub.hello(&centre, Vec::new(), String::new(), TimeMs(0));
        let ignored = |now: u64| hub.ignored_since(&centre, &pool, TimeMs(now as i64));
        let ask = |now: u64| hub.measure_idle(&centre, &pool, true, TimeMs(now as i64));
        assert_eq!(ignored(u64::MAX >> 1), None, "nobody asked");
        ask(5);
        // Asked again, it is still the first question that has no answer.
        ask(5 + MEASURE_AGAIN_MS);
        assert_eq!((ignored(4 + MEASURE_IGNORED_MS), ignored(5 + MEASURE_IGNORED_MS)), (None, Some(TimeMs(5))));
        hub.no_question(&centre, &pool);
        assert_eq!(ignored(9 * MEASURE_IGNORED_MS), None);
        ask(9 * MEASURE_IGNORED_MS);
        assert_eq!(ignored(10 * MEASURE_IGNORED_MS - 1), None, "counted from the next question on");
        assert!(ignored(10 * MEASURE_IGNORED_MS).is_some());
    }
}
