//! What the engine knows now, behind one lock: attempts, what is to be told, what is to be done.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use huisuan_model::{AttemptId, AttemptReport, EndCause, Outcome, ReportKind, StartOrder, TimeMs, Usage};

use super::{
    files::{Files, Used},
    inventory::Inventory,
    journal::{Journal, Line, Remembered},
    verdict::Ended,
};
use crate::{
    engine::{Alarm, EngineError},
    failpoint,
    local::{records::write_done, supervisor::process::now},
};

/// The most reports in one answer.
const REPORTS_MAX: usize = 1000;

/// Where an attempt's job stands between here and Slurm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits here.
    Waiting,
    /// `sbatch` runs.
    Submitting,
    /// `sbatch` ended in a way that says nothing: a queue that was asked for after this question tells.
    Doubtful(u64),
    /// Slurm has it, held.
    Held,
    /// It was told to run.
    Released,
}

/// An attempt that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) order: Arc<StartOrder>,
    pub(super) phase: Phase,
    /// The number of its job. Slurm may give it to another job, so it counts only together with the name.
    pub(super) job: Option<u64>,
    pub(super) cancelled: bool,
    pub(super) started_at: Option<TimeMs>,
    pub(super) used: Used,
    /// Its done record was seen and does not say why it ended.
    pub(super) exit_seen: bool,
    pub(super) beats: u64,
    /// Since when it should have been heard of and was not.
    pub(super) quiet_since: Option<Instant>,
    /// How often Slurm ended its job before it began.
    pub(super) launches_failed: u32,
    /// How often Slurm refused it for a reason that is not known to last.
    pub(super) refusals: u32,
}

/// An attempt that is not acknowledged.
#[derive(Debug)]
pub(super) enum Record {
    Open(Box<Open>),
    Ended(AttemptReport),
}

#[derive(Debug, Clone, Copy)]
enum Outgoing {
    Started(AttemptId),
    Ended(AttemptId),
}

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    journal: Journal,
    pub(super) records: BTreeMap<AttemptId, Record>,
    /// Attempts to submit, oldest first. Some may have ended since.
    pub(super) waiting: VecDeque<AttemptId>,
    /// Attempts that Slurm may have.
    pub(super) in_slurm: BTreeSet<AttemptId>,
    /// Of these, those that are held until they are released.
    pub(super) held: BTreeSet<AttemptId>,
    /// Jobs to cancel, with the names that they must have.
    pub(super) doomed: BTreeMap<u64, String>,
    outbox: VecDeque<Outgoing>,
    used: BTreeSet<AttemptId>,
    pub(super) inventory: Inventory,
    /// By subject.
    pub(super) alarms: BTreeMap<String, String>,
    /// Counts the questions to the queue.
    pub(super) polls: u64,
}

impl Open {
    pub(super) fn new(order: Arc<StartOrder>) -> Self {
        Open {
            order,
            phase: Phase::Waiting,
            job: None,
            cancelled: false,
            started_at: None,
            used: Used::default(),
            exit_seen: false,
            beats: 0,
            quiet_since: None,
            launches_failed: 0,
            refusals: 0,
        }
    }
}

impl State {
    /// Goes on where the log ends. What was accepted and has no number may be in Slurm all the same.
    pub(super) fn recover(journal: Journal, known: BTreeMap<AttemptId, Remembered>) -> State {
        let mut state = State {
            journal,
            records: BTreeMap::new(),
            waiting: VecDeque::new(),
            in_slurm: BTreeSet::new(),
            held: BTreeSet::new(),
            doomed: BTreeMap::new(),
            outbox: VecDeque::new(),
            used: BTreeSet::new(),
            inventory: Inventory::default(),
            alarms: BTreeMap::new(),
            polls: 0,
        };
        for (id, one) in known {
            if let Some(report) = one.end {
                state.outbox.push_back(Outgoing::Ended(id));
                state.records.insert(id, Record::Ended(report));
            } else if let Some(order) = one.order {
                let phase = if one.job.is_some() { Phase::Released } else { Phase::Doubtful(0) };
                let open = Open { phase, job: one.job, cancelled: one.cancelled, ..Open::new(order) };
                state.in_slurm.insert(id);
                state.records.insert(id, Record::Open(Box::new(open)));
            }
        }
        state
    }

    pub(super) fn open(&self, id: AttemptId) -> Option<&Open> {
        match self.records.get(&id)? {
            Record::Open(open) => Some(open),
            Record::Ended(_) => None,
        }
    }

    pub(super) fn open_mut(&mut self, id: AttemptId) -> Option<&mut Open> {
        match self.records.get_mut(&id)? {
            Record::Open(open) => Some(open),
            Record::Ended(_) => None,
        }
    }

    /// The end of an attempt, until it is acknowledged.
    pub(super) fn end(&self, id: AttemptId) -> Option<AttemptReport> {
        match self.records.get(&id)? {
            Record::Open(_) => None,
            Record::Ended(report) => Some(report.clone()),
        }
    }

    /// Adds lines to the log.
    pub(super) fn note(&mut self, lines: &[Line], sync: bool) -> Result<(), EngineError> {
        self.journal.append(lines, sync)
    }

    /// Queues an order that is on disk.
    pub(super) fn enqueue(&mut self, order: Arc<StartOrder>) {
        let id = order.attempt;
        self.records.insert(id, Record::Open(Box::new(Open::new(order))));
        self.waiting.push_back(id);
    }

    /// The next attempts to submit, at most `most`.
    pub(super) fn take_waiting(&mut self, most: usize) -> Vec<Arc<StartOrder>> {
        let mut orders = Vec::new();
        while orders.len() < most
            && let Some(id) = self.waiting.pop_front()
        {
            let Some(open) = self.open_mut(id).filter(|open| open.phase == Phase::Waiting) else { continue };
            open.phase = Phase::Submitting;
            orders.push(Arc::clone(&open.order));
            self.in_slurm.insert(id);
        }
        orders
    }

    /// Puts an attempt back, to be submitted again.
    pub(super) fn submit_again(&mut self, id: AttemptId) {
        let Some(open) = self.open_mut(id) else { return };
        (open.phase, open.job, open.quiet_since) = (Phase::Waiting, None, None);
        self.in_slurm.remove(&id);
        self.held.remove(&id);
        self.waiting.push_back(id);
    }

    /// Slurm has a held job for an attempt.
    pub(super) fn note_submitted(&mut self, id: AttemptId, job: u64, files: &Files) -> Result<(), EngineError> {
        let Some(open) = self.open_mut(id) else {
            // It was cancelled in the meantime. The copy can never start, for the claim is taken; it should go all the same.
            self.doomed.insert(job, files.job_name(id));
            return Ok(());
        };
        (open.phase, open.job, open.quiet_since) = (Phase::Held, Some(job), None);
        if open.cancelled {
            self.doomed.insert(job, files.job_name(id));
        } else {
            self.held.insert(id);
        }
        self.in_slurm.insert(id);
        self.note(&[Line::Submitted(id, job)], false)
    }

    /// An attempt was claimed at this moment.
    pub(super) fn note_started(&mut self, id: AttemptId, at: TimeMs) {
        let Some(open) = self.open_mut(id) else { return };
        if open.started_at.is_none() {
            open.started_at = Some(at);
            self.outbox.push_back(Outgoing::Started(id));
        }
    }

    /// There is a new figure of what an attempt used.
    pub(super) fn note_used(&mut self, id: AttemptId, used: Used) {
        let Some(open) = self.open_mut(id) else { return };
        open.used = used;
        self.used.insert(id);
    }

    /// These attempts ended: first on disk, then in what is told.
    pub(super) fn finish(&mut self, ends: Vec<(AttemptId, Ended)>, files: &Files) -> Result<(), EngineError> {
        let mut reports: Vec<AttemptReport> = Vec::with_capacity(ends.len());
        for (id, end) in ends {
            if matches!(self.records.get(&id), Some(Record::Ended(_))) {
                continue;
            }
            let Ended { at, started_at, outcome, usage } = end;
            reports.push(AttemptReport { attempt: id, at, what: ReportKind::Ended { started_at, outcome, usage } });
        }
        if reports.is_empty() {
            return Ok(());
        }
        failpoint::reach("slurm-before-end");
        self.note(&reports.iter().cloned().map(Line::Ended).collect::<Vec<_>>(), true)?;
        failpoint::reach("slurm-after-end");
        for report in reports {
            let id = report.attempt;
            // The log is what counts; this answers who asks again for an attempt that was acknowledged.
            let paths = files.attempt(id);
            if let Err(error) = paths.make().and_then(|_| write_done(&paths, &report)) {
                tracing::warn!(attempt = %id, %error, "done record cannot be written");
            }
            self.in_slurm.remove(&id);
            self.held.remove(&id);
            self.used.remove(&id);
            self.alarms.remove(&format!("attempt {id}"));
            self.tell_end(report);
        }
        Ok(())
    }

    /// An end is on disk, and is told until it is acknowledged.
    pub(super) fn tell_end(&mut self, report: AttemptReport) {
        self.outbox.push_back(Outgoing::Ended(report.attempt));
        self.records.insert(report.attempt, Record::Ended(report));
    }

    /// Forgets ends.
    pub(super) fn acknowledge(&mut self, ids: &[AttemptId]) -> Result<(), EngineError> {
        let ended = |id: &&AttemptId| matches!(self.records.get(id), Some(Record::Ended(_)));
        let forgotten: Vec<AttemptId> = ids.iter().filter(ended).copied().collect();
        forgotten.iter().for_each(|id| drop(self.records.remove(id)));
        self.note(&[Line::Acknowledged(forgotten)], false)?;
        if self.journal.worth_rewriting() {
            let known = self.records.iter().map(|(&id, record)| (id, remembered(record))).collect();
            self.journal.rewrite(&known)?;
        }
        Ok(())
    }

    pub(super) fn reportable(&self) -> bool {
        !self.outbox.is_empty() || !self.used.is_empty()
    }

    /// Takes what there is to report, at most a thousand.
    pub(super) fn take_reports(&mut self) -> Vec<AttemptReport> {
        let mut reports = Vec::new();
        while reports.len() < REPORTS_MAX
            && let Some(outgoing) = self.outbox.pop_front()
        {
            reports.extend(match outgoing {
                Outgoing::Started(id) => self.open(id).and_then(|open| open.started_at).map(|at| AttemptReport {
                    attempt: id,
                    at,
                    what: ReportKind::Started,
                }),
                Outgoing::Ended(id) => match self.records.get(&id) {
                    Some(Record::Ended(report)) => Some(report.clone()),
                    _ => None,
                },
            });
        }
        while reports.len() < REPORTS_MAX
            && let Some(id) = self.used.pop_first()
        {
            let at = now();
            let usage = self.open(id).map(|open| open.used).map(|used| Usage {
                wall: used.wall,
                cpu: used.cpu,
                memory_peak: used.memory_peak,
                ..Usage::default()
            });
            reports.extend(usage.map(|usage| AttemptReport { attempt: id, at, what: ReportKind::Used(usage) }));
        }
        reports
    }

    /// What somebody should look at.
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let own = self.alarms.iter().map(|(subject, what)| Alarm { subject: subject.clone(), what: what.clone() });
        let mut alarms: Vec<Alarm> = own.chain(self.inventory.alarms().iter().cloned()).collect();
        alarms.sort();
        alarms
    }
}

fn remembered(record: &Record) -> Remembered {
    match record {
        Record::Open(open) => {
            Remembered { order: Some(Arc::clone(&open.order)), job: open.job, cancelled: open.cancelled, end: None }
        }
        Record::Ended(report) => Remembered { end: Some(report.clone()), ..Remembered::default() },
    }
}

/// The end of an attempt that never ran.
pub(super) fn never_ran(cause: EndCause, detail: String) -> Ended {
    let outcome = Outcome { cause, exit_code: None, signal: None, detail };
    Ended { at: now(), started_at: None, outcome, usage: Usage::default() }
}
