//! What is under way for one attempt.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use huisuan_model::{AttemptId, AttemptReport, Bytes, ReportKind, Staged, StartOrder, Usage};
use ureq::Agent;

use super::{
    record::{Home, Record},
    web::Line,
};
use crate::pause::StopFlag;

/// How far one file is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How much of it is in its place.
    pub(super) have: AtomicU64,
    /// How much went through, repetitions included.
    through: AtomicU64,
    /// Its size, as far as it is known.
    pub(super) size: AtomicU64,
    /// The most of it that was ever in its place: only more than that is progress.
    pub(super) reached: AtomicU64,
    pub(super) stop: StopFlag,
    /// The connections of the transfer that goes on.
    agent: Mutex<Option<Agent>>,
}

impl Progress {
    /// So many more bytes are there.
    pub(super) fn add(&self, bytes: u64) {
        let have = self.have.fetch_add(bytes, Relaxed) + bytes;
        self.through.fetch_add(bytes, Relaxed);
        self.reached.fetch_max(have, Relaxed);
    }

    /// So many bytes were there before.
    pub(super) fn found(&self, bytes: u64) {
        self.have.store(bytes, Relaxed);
        self.through.fetch_max(bytes, Relaxed);
        self.reached.fetch_max(bytes, Relaxed);
    }

    /// What a stop interrupts from now on.
    pub(super) fn hold(&self, line: &Line<'_>) {
        *self.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.agent.clone());
        if self.stop.stopped() {
            self.stop();
        }
    }

    /// Ends it, also while it waits for a server.
    pub(super) fn stop(&self) {
        self.stop.stop();
        if let Some(agent) = self.agent.lock().unwrap_or_else(PoisonError::into_inner).take() {
            agent.shutdown();
        }
    }
}

/// What an attempt waits for.
#[derive(Debug)]
pub(super) enum Goal {
    /// To be given to the engine.
    Start(Box<StartOrder>),
    /// To be told as ended.
    End(Box<AttemptReport>),
}

/// One attempt's files under way, all one way.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) attempt: AttemptId,
    pub(super) home: Home,
    pub(super) record: Record,
    pub(super) goal: Goal,
    /// One for each file.
    pub(super) files: Vec<Arc<Progress>>,
    /// How many of them are not done.
    pub(super) left: usize,
    /// Why it fails, once it does.
    pub(super) fault: Option<String>,
    /// Its end was asked for.
    pub(super) cancelled: bool,
    /// What was told of it, and when.
    pub(super) told: Option<(Instant, Staged)>,
}

impl Live {
    pub(super) fn new(attempt: AttemptId, home: Home, record: Record, goal: Goal) -> Live {
        let items = if matches!(goal, Goal::Start(_)) { &record.inputs } else { &record.outputs };
        let files: Vec<Arc<Progress>> = items.iter().map(|_| Arc::default()).collect();
        for (progress, item) in files.iter().zip(items) {
            progress.size.store(item.bytes.unwrap_or_default().0, Relaxed);
        }
        let left = files.len();
        Live { attempt, home, record, goal, files, left, fault: None, cancelled: false, told: None }
    }

    /// What was moved so far.
    pub(super) fn staged(&self) -> Staged {
        let sum = |of: fn(&Progress) -> &AtomicU64| {
            Bytes(self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(of(file).load(Relaxed))))
        };
        let (through, size) = (sum(|file| &file.through), sum(|file| &file.size));
        match self.goal {
            Goal::Start(_) => Staged { brought: through, to_bring: size, ..self.record.staged },
            Goal::End(_) => Staged { taken: through, to_take: size, ..self.record.staged },
        }
    }

    /// What it used, of its data and, once it has run, of all else.
    pub(super) fn usage(&self) -> Usage {
        let ran = match &self.goal {
            Goal::End(report) => match &report.what {
                ReportKind::Ended { usage, .. } => *usage,
                _ => Usage::default(),
            },
            Goal::Start(_) => Usage::default(),
        };
        Usage { staged: self.staged(), ..ran }
    }

    /// Ends its transfers.
    pub(super) fn stop(&self) {
        self.files.iter().for_each(|file| file.stop());
    }
}
