//! What the engine knows now, behind one lock: attempts, what is to be told, what is to be done.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, AttemptReport, EndCause, Outcome, ReportKind, StartOrder, TimeMs, Usage};

use super::{
    files::Files,
    gang::{Gang, Gangs, incomplete},
    inventory::Inventory,
    job::SlurmJob,
    journal::{Journal, Line, Remembered},
    open::{Doom, Open, Phase},
    record::Used,
    site::Site,
    verdict::Ended,
};
use crate::{
    clock::now,
    engine::{Alarm, EngineError},
    failpoint,
};

/// The most reports in one answer.
const REPORTS_MAX: usize = 1000;

/// What a wrapper has beyond the time to save before Slurm is told to end its job.
const ASKED_SLACK: Duration = Duration::from_secs(30);

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
    /// Attempts to submit, oldest first; of a gang whose tasks are all there, the first. Some may have ended since.
    pub(super) waiting: VecDeque<AttemptId>,
    pub(super) gangs: Gangs,
    /// Attempts that Slurm may have.
    pub(super) in_slurm: BTreeSet<AttemptId>,
    /// Of these, those that are held until they are released.
    pub(super) held: BTreeSet<AttemptId>,
    /// Jobs to cancel.
    pub(super) doomed: BTreeMap<SlurmJob, Doom>,
    /// How many of them were looked at alone since the last look at the queue.
    pub(super) lone_looks: u32,
    /// Some were cancelled, or a former engine may have left some, and no look at the queue since showed that none is
    /// left.
    pub(super) unswept: bool,
    /// Jobs that Slurm takes to run though their attempts are not open any more: by how many looks at the queue in a
    /// row.
    pub(super) ghosts: BTreeMap<SlurmJob, u32>,
    /// The largest array that Slurm takes, as far as it refused larger ones.
    pub(super) array_limit: usize,
    outbox: VecDeque<Outgoing>,
    used: BTreeSet<AttemptId>,
    pub(super) inventory: Inventory,
    pub(super) site: Site,
    /// By subject.
    pub(super) alarms: BTreeMap<String, String>,
    /// Counts the questions to the queue.
    pub(super) polls: u64,
}

impl State {
    /// Goes on where the log ends. What was accepted and has no number may be in Slurm all the same.
    pub(super) fn recover(journal: Journal, known: BTreeMap<AttemptId, Remembered>) -> State {
        let mut state = State {
            journal,
            records: BTreeMap::new(),
            waiting: VecDeque::new(),
            gangs: Gangs::default(),
            in_slurm: BTreeSet::new(),
            held: BTreeSet::new(),
            doomed: BTreeMap::new(),
            lone_looks: 0,
            unswept: true,
            ghosts: BTreeMap::new(),
            array_limit: usize::MAX,
            outbox: VecDeque::new(),
            used: BTreeSet::new(),
            inventory: Inventory::default(),
            site: Site::default(),
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
        self.records.insert(id, Record::Open(Box::new(Open::new(Arc::clone(&order)))));
        self.line_up(&order);
    }

    /// Has an attempt wait to be submitted. A gang waits in one place, once all of it is there.
    fn line_up(&mut self, order: &StartOrder) {
        let first = match Gang::of(order) {
            None => Some(order.attempt.task),
            Some(gang) if self.gangs.join(gang, order) => order.spec.tasks.first(),
            Some(_) => None,
        };
        self.waiting.extend(first.map(|task| AttemptId { task, ..order.attempt }));
    }

    /// How many more jobs Slurm may be given where it may have so many: a gang is one.
    pub(super) fn room(&self, open_max: usize) -> usize {
        let room = open_max.saturating_sub(self.in_slurm.len());
        if room > 0 {
            return room;
        }
        let not_first = |order: &StartOrder| order.spec.gang && order.spec.tasks.first() != Some(order.attempt.task);
        let beside = self.in_slurm.iter().filter(|&&id| self.open(id).is_some_and(|open| not_first(&open.order)));
        (open_max + beside.count()).saturating_sub(self.in_slurm.len())
    }

    /// The next attempt to submit, which stays in its place, and how often Slurm did not take it.
    pub(super) fn next_waiting(&mut self) -> Option<(Arc<StartOrder>, u32)> {
        while let Some(&id) = self.waiting.front() {
            if let Some(open) = self.open(id).filter(|open| open.phase == Phase::Waiting) {
                return Some((Arc::clone(&open.order), open.refusals));
            }
            self.waiting.pop_front();
        }
        None
    }

    /// It is being submitted.
    pub(super) fn note_submitting(&mut self, id: AttemptId) {
        self.waiting.pop_front_if(|first| *first == id);
        if let Some(open) = self.open_mut(id) {
            open.phase = Phase::Submitting;
            self.in_slurm.insert(id);
        }
    }

    /// It may be in Slurm: the next question to the queue tells.
    pub(super) fn doubt(&mut self, id: AttemptId) {
        let polls = self.polls;
        if let Some(open) = self.open_mut(id) {
            open.phase = Phase::Doubtful(polls);
            self.in_slurm.insert(id);
        }
    }

    /// Puts an attempt back, to be submitted again.
    pub(super) fn submit_again(&mut self, id: AttemptId) {
        let Some(open) = self.open_mut(id) else { return };
        (open.phase, open.job, open.quiet_since, open.given_up) = (Phase::Waiting, None, None, false);
        let order = Arc::clone(&open.order);
        self.in_slurm.remove(&id);
        self.held.remove(&id);
        self.line_up(&order);
    }

    /// Slurm has held jobs for attempts.
    pub(super) fn note_submitted(&mut self, jobs: &[(AttemptId, SlurmJob)], files: &Files) -> Result<(), EngineError> {
        let mut lines = Vec::with_capacity(jobs.len());
        for &(id, job) in jobs {
            let Some(open) = self.open_mut(id) else {
                // It was cancelled in the meantime. The copy can never start, for the claim is taken; it should go all
                // the same.
                self.doom(id, job, files);
                continue;
            };
            (open.phase, open.job, open.quiet_since) = (Phase::Held, Some(job), None);
            if open.cancelled {
                self.doom(id, job, files);
            } else {
                self.held.insert(id);
            }
            self.in_slurm.insert(id);
            lines.push(Line::Submitted(id, job));
        }
        self.note(&lines, false)
    }

    /// Another job than the one that was submitted last runs it.
    pub(super) fn note_runs(&mut self, id: AttemptId, job: SlurmJob) -> Result<(), EngineError> {
        if let Some(open) = self.open_mut(id) {
            (open.phase, open.job, open.quiet_since) = (Phase::Released, Some(job), None);
            self.held.remove(&id);
        }
        self.note(&[Line::Submitted(id, job)], false)
    }

    /// A job is to go that holds an attempt's place and does not run it.
    pub(super) fn doom(&mut self, id: AttemptId, job: SlurmJob, files: &Files) {
        self.unswept = true;
        self.doomed.insert(job, Doom { name: files.name_of(id, job), while_it_waits: false, gently: false });
    }

    /// A copy that waits is to go.
    pub(super) fn doom_copy(&mut self, id: AttemptId, job: SlurmJob, files: &Files) {
        self.unswept = true;
        self.doomed.insert(job, Doom { name: files.name_of(id, job), while_it_waits: true, gently: false });
    }

    /// An attempt that runs is to end: one that saves its state is asked first, and gets the time that it asked for.
    pub(super) fn end_running(&mut self, id: AttemptId, job: SlurmJob, files: &Files) {
        let gently = self.open_mut(id).is_some_and(|open| {
            let Some(grace) = open.order.spec.checkpoint.as_ref().map(|checkpoint| checkpoint.grace) else {
                return false;
            };
            let since = open.asked_since.get_or_insert_with(Instant::now);
            since.elapsed() < Duration::from_millis(grace.0) + ASKED_SLACK
        });
        self.doomed.insert(job, Doom { name: files.name_of(id, job), while_it_waits: false, gently });
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
            if let Err(error) = files.write_end(&report) {
                tracing::warn!(attempt = %id, %error, "done record cannot be written");
            }
            self.in_slurm.remove(&id);
            self.held.remove(&id);
            self.used.remove(&id);
            self.gangs.leave(id);
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
        let mut alarms: Vec<Alarm> =
            own.chain(self.inventory.alarms().iter().cloned()).chain(incomplete(self)).collect();
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
