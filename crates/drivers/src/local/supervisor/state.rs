//! What the supervisor knows, in memory: the queue, who runs, what is to be reported.
//!
//! Everything here can be made anew from the folder; `recover.rs` does so.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use huisuan_model::{AttemptId, AttemptReport, Bytes, ReportKind, StartOrder};

use super::{
    attempt::{Attempt, Process},
    cores::{Cores, Share},
};
use crate::{clock::now, local::config::SupervisorConfig};

/// The most reports in one answer.
pub(crate) const REPORTS_MAX: usize = 1000;

/// Where an attempt stands.
#[derive(Debug)]
pub(crate) enum Record {
    /// Waits for cores and memory.
    Queued(Arc<StartOrder>),
    /// Has them; about to start, or running.
    Running(Arc<Attempt>),
    /// Ended; the end is not on disk yet.
    Ending(Arc<StartOrder>),
    /// Ended; reported until it is acknowledged.
    Ended(AttemptReport),
}

/// Something to report. What exactly is looked up when it is given away, so that a start whose end is
/// known by then is not told.
#[derive(Debug, Clone, Copy)]
enum Outgoing {
    Started(AttemptId),
    Ended(AttemptId),
}

/// All of it; behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: SupervisorConfig,
    cores: Cores,
    memory_free: Bytes,
    /// Oldest first. Only the oldest may start, so that a large one is not overtaken for ever.
    queue: VecDeque<AttemptId>,
    pub(crate) records: BTreeMap<AttemptId, Record>,
    /// Those of `records` that hold a share.
    pub(crate) running: BTreeMap<AttemptId, Arc<Attempt>>,
    outbox: VecDeque<Outgoing>,
    used: BTreeSet<AttemptId>,
    /// Counts the connections that asked for reports; only the latest gets them.
    pub(crate) observer: u64,
    pub(crate) connections: u64,
    /// Worker threads that wait for something to start and were not woken.
    pub(crate) idle_workers: usize,
    /// All worker threads.
    pub(crate) workers: usize,
    /// Workers that were woken or made and have not looked at the queue yet.
    pub(crate) tickets: usize,
}

impl State {
    pub(crate) fn new(config: SupervisorConfig) -> Self {
        State {
            cores: Cores::new(&config.cores),
            memory_free: config.memory,
            config,
            queue: VecDeque::new(),
            records: BTreeMap::new(),
            running: BTreeMap::new(),
            outbox: VecDeque::new(),
            used: BTreeSet::new(),
            observer: 0,
            connections: 0,
            idle_workers: 0,
            workers: 0,
            tickets: 0,
        }
    }

    /// Takes over another configuration; only while nothing waits or runs.
    pub(crate) fn reconfigure(&mut self, config: SupervisorConfig) {
        self.cores = Cores::new(&config.cores);
        self.memory_free = config.memory;
        self.config = config;
    }

    /// True when nothing waits or runs.
    pub(crate) fn idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty()
    }

    /// Why an order can never run here; `None` when it can.
    pub(crate) fn refusal(&self, order: &StartOrder) -> Option<String> {
        let (cores, memory) = (self.cores.capacity(), self.config.memory.0);
        if order.cores.is_zero() {
            Some("it asks for no cores".into())
        } else if order.cores.0 > cores {
            Some(format!("it asks for {}, this centre has {cores} millicores", order.cores))
        } else if order.memory().0 > memory {
            Some(format!("it asks for {} of memory, this centre has {memory} B", order.memory()))
        } else if !order.devices.is_zero() {
            Some("it asks for accelerators, this centre has none".into())
        } else if order.spec.image.is_none() {
            None
        } else if self.config.containers.is_none() {
            Some("it asks for a container image, this centre runs processes only".into())
        } else {
            crate::container::refusal(order)
        }
    }

    pub(crate) fn enqueue(&mut self, order: Arc<StartOrder>) {
        self.queue.push_back(order.attempt);
        self.records.insert(order.attempt, Record::Queued(order));
    }

    /// Whether the oldest waiting attempt could start now.
    pub(crate) fn startable(&self) -> bool {
        let order = self.queue.front().and_then(|id| self.records.get(id));
        matches!(order, Some(Record::Queued(order))
            if order.cores.0 <= self.cores.free() && order.memory() <= self.memory_free)
    }

    /// Gives the oldest waiting attempt its share, if there is enough.
    pub(crate) fn take_next(&mut self) -> Option<(Arc<StartOrder>, Share)> {
        if !self.startable() {
            return None;
        }
        let id = self.queue.pop_front()?;
        let Some(Record::Queued(order)) = self.records.get(&id) else { return None };
        let order = Arc::clone(order);
        self.drop_unqueued();
        let share = self.cores.take(order.cores)?;
        self.memory_free = self.memory_free.saturating_sub(order.memory());
        Some((order, share))
    }

    /// Takes a share for an attempt that a former supervisor started.
    pub(crate) fn take_running(&mut self, order: &StartOrder) -> Share {
        self.memory_free = self.memory_free.saturating_sub(order.memory());
        self.cores.take_up_to(order.cores)
    }

    /// An attempt has its share and a thread.
    pub(crate) fn set_running(&mut self, attempt: &Arc<Attempt>) {
        let id = attempt.order.attempt;
        self.running.insert(id, Arc::clone(attempt));
        self.records.insert(id, Record::Running(Arc::clone(attempt)));
    }

    /// Takes an attempt out of the queue; its order when it was there.
    pub(crate) fn unqueue(&mut self, id: AttemptId) -> Option<Arc<StartOrder>> {
        let Some(Record::Queued(order)) = self.records.get(&id) else { return None };
        let order = Arc::clone(order);
        self.records.insert(id, Record::Ending(Arc::clone(&order)));
        self.drop_unqueued();
        Some(order)
    }

    /// Keeps the head of the queue one that waits. Those behind it that were cancelled are dropped when they
    /// get there: taking each out at once would make cancelling a long array quadratic.
    fn drop_unqueued(&mut self) {
        while let Some(id) = self.queue.front()
            && !matches!(self.records.get(id), Some(Record::Queued(_)))
        {
            self.queue.pop_front();
        }
    }

    /// An attempt's process is there.
    pub(crate) fn note_started(&mut self, id: AttemptId) {
        self.outbox.push_back(Outgoing::Started(id));
    }

    /// There is a new sample of an attempt.
    pub(crate) fn note_used(&mut self, id: AttemptId) {
        self.used.insert(id);
    }

    /// An attempt's process is gone: its share is free.
    pub(crate) fn note_ending(&mut self, id: AttemptId) {
        let Some(attempt) = self.running.remove(&id) else { return };
        self.cores.give_back(&attempt.share);
        let memory = self.memory_free.saturating_add(attempt.order.memory());
        self.memory_free = memory.min(self.config.memory);
        self.records.insert(id, Record::Ending(Arc::clone(&attempt.order)));
    }

    /// An attempt's end is on disk.
    pub(crate) fn note_ended(&mut self, report: AttemptReport) {
        self.used.remove(&report.attempt);
        self.outbox.push_back(Outgoing::Ended(report.attempt));
        self.records.insert(report.attempt, Record::Ended(report));
    }

    /// Forgets ends; those that were there.
    pub(crate) fn acknowledge(&mut self, ids: &[AttemptId]) -> Vec<AttemptId> {
        let mut forgotten = Vec::with_capacity(ids.len());
        for &id in ids {
            if matches!(self.records.get(&id), Some(Record::Ended(_))) {
                self.records.remove(&id);
                forgotten.push(id);
            }
        }
        forgotten
    }

    /// A new observer knows nothing: all that is not acknowledged is to be told again.
    pub(crate) fn new_observer(&mut self) -> u64 {
        self.outbox.clear();
        for (&id, record) in &self.records {
            match record {
                Record::Running(_) => self.outbox.push_back(Outgoing::Started(id)),
                Record::Ended(_) => self.outbox.push_back(Outgoing::Ended(id)),
                Record::Queued(_) | Record::Ending(_) => {}
            }
        }
        self.observer += 1;
        self.observer
    }

    /// Whether there is anything to report.
    pub(crate) fn reportable(&self) -> bool {
        !self.outbox.is_empty() || !self.used.is_empty()
    }

    /// Takes what there is to report, at most [`REPORTS_MAX`].
    pub(crate) fn take_reports(&mut self) -> Vec<AttemptReport> {
        let mut reports = Vec::new();
        while reports.len() < REPORTS_MAX
            && let Some(outgoing) = self.outbox.pop_front()
        {
            reports.extend(self.report(outgoing));
        }
        while reports.len() < REPORTS_MAX
            && let Some(id) = self.used.pop_first()
        {
            if let Some(attempt) = self.running.get(&id) {
                reports.push(AttemptReport { attempt: id, at: now(), what: ReportKind::Used(attempt.usage()) });
            }
        }
        reports
    }

    fn report(&self, outgoing: Outgoing) -> Option<AttemptReport> {
        match outgoing {
            Outgoing::Started(id) => {
                let Some(Record::Running(attempt)) = self.records.get(&id) else { return None };
                let Process { started_at, .. } = attempt.process.get()?;
                // Its client runs and its container does not yet: it is noted again when it does.
                if attempt.order.spec.image.is_some() && attempt.container.get().is_none() {
                    return None;
                }
                Some(AttemptReport { attempt: id, at: *started_at, what: ReportKind::Started })
            }
            Outgoing::Ended(id) => match self.records.get(&id) {
                Some(Record::Ended(report)) => Some(report.clone()),
                _ => None,
            },
        }
    }
}
