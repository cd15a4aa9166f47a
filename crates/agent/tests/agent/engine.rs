//! An engine that does what the test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use huisuan_drivers::{Engine, EngineError, Held, LogChunk, SubmitResult};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, Class, EndCause, EngineKind, MilliDevices, Millicores, Outcome, Pool, PoolId,
    ReportKind, StartOrder, Stream, TimeMs, Usage,
};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct PretendedEngine {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What the agent did with it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) submitted: Vec<AttemptId>,
    pub(crate) cancelled: Vec<AttemptId>,
    pub(crate) acknowledged: Vec<AttemptId>,
    pub(crate) looked_for: Vec<AttemptId>,
    pub(crate) accounts: Vec<Option<String>>,
    happened: VecDeque<AttemptReport>,
    refused: Vec<AttemptId>,
    failing_submits: u32,
    cpus: Vec<usize>,
    /// It has no pools for now.
    down: bool,
    /// It does not answer.
    silent: bool,
}

pub(crate) fn started(attempt: AttemptId) -> AttemptReport {
    AttemptReport { attempt, at: TimeMs(1), what: ReportKind::Started }
}

pub(crate) fn ended(attempt: AttemptId, cause: EndCause) -> AttemptReport {
    let outcome = Outcome { cause, exit_code: None, signal: None, detail: String::new() };
    let what = ReportKind::Ended { started_at: Some(TimeMs(1)), outcome, usage: Usage::default() };
    AttemptReport { attempt, at: TimeMs(2), what }
}

impl PretendedEngine {
    fn change<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let changed = change(&mut self.seen.lock().expect("no panic"));
        self.changed.notify_all();
        changed
    }

    pub(crate) fn happen(&self, reports: impl IntoIterator<Item = AttemptReport>) {
        self.change(|seen| seen.happened.extend(reports));
    }

    pub(crate) fn refuse(&self, attempt: AttemptId) {
        self.change(|seen| seen.refused.push(attempt));
    }

    pub(crate) fn fail_submits(&self, count: u32) {
        self.change(|seen| seen.failing_submits = count);
    }

    pub(crate) fn be_down(&self, down: bool) {
        self.change(|seen| seen.down = down);
    }

    pub(crate) fn be_silent(&self) {
        self.change(|seen| seen.silent = true);
    }

    pub(crate) fn be_made_of(&self, cpus: Vec<usize>) {
        self.change(|seen| seen.cpus = cpus);
    }

    pub(crate) fn submitted(&self) -> Vec<AttemptId> {
        self.change(|seen| seen.submitted.clone())
    }

    pub(crate) fn acknowledged(&self) -> Vec<AttemptId> {
        self.change(|seen| seen.acknowledged.clone())
    }

    /// Waits until the agent has done what is expected.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&Seen) -> bool) {
        let seen = self.seen.lock().expect("no panic");
        let (seen, timeout) = self.changed.wait_timeout_while(seen, PATIENCE, |seen| !done(seen)).expect("no panic");
        assert!(!timeout.timed_out(), "no {what} in {PATIENCE:?}: {seen:#?}");
    }
}

/// The agent's hold on the engine; the test keeps another.
pub(crate) struct Handle(pub(crate) Arc<PretendedEngine>);

impl Engine for Handle {
    fn blank(&self) -> bool {
        self.0.submitted().is_empty()
    }

    fn kind(&self) -> EngineKind {
        EngineKind::Local
    }

    fn memory_mode(&self) -> String {
        "pretended".into()
    }

    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        if self.0.change(|seen| seen.silent) {
            return Err(EngineError::Refused("no answer".into()));
        }
        self.pools()
    }

    fn pools(&self) -> Result<Vec<Pool>, EngineError> {
        if self.0.change(|seen| seen.down) {
            return Ok(Vec::new());
        }
        Ok(vec![Pool {
            id: PoolId::new("cpu:test").expect("a name"),
            class: Class::Hpc,
            cores: Millicores(2000),
            memory: Bytes(1 << 30),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: None,
            images: false,
            topology: None,
        }])
    }

    fn measurable_cpus(&self, pool: &PoolId) -> Vec<usize> {
        assert_eq!(pool.as_str(), "cpu:test");
        self.0.change(|seen| seen.cpus.clone())
    }

    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        self.0.change(|seen| {
            if seen.failing_submits > 0 {
                seen.failing_submits -= 1;
                return Err(EngineError::Refused("disk full".into()));
            }
            let result = |start: &StartOrder| {
                if seen.refused.contains(&start.attempt) {
                    return SubmitResult::Refused { why: "too large".into() };
                }
                if seen.submitted.contains(&start.attempt) {
                    return SubmitResult::Duplicate;
                }
                seen.submitted.push(start.attempt);
                seen.accounts.push(start.account.clone());
                SubmitResult::Accepted
            };
            Ok(starts.iter().map(result).collect())
        })
    }

    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        let seen = self.0.seen.lock().expect("no panic");
        let waited = self.0.changed.wait_timeout_while(seen, wait, |seen| seen.happened.is_empty());
        Ok(waited.expect("no panic").0.happened.drain(..).collect())
    }

    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        self.0.change(|seen| seen.acknowledged.extend(ended));
        Ok(())
    }

    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        self.0.change(|seen| seen.cancelled.extend(attempts));
        Ok(())
    }

    fn held(&self) -> Result<Option<Held>, EngineError> {
        Ok(Some(Held { live: self.0.submitted(), ended: vec![crate::id(404)] }))
    }

    fn knows(&self, attempt: AttemptId) -> Result<bool, EngineError> {
        Ok(self.0.submitted().contains(&attempt))
    }

    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        self.0.change(|seen| seen.looked_for.extend(attempts));
        Ok(())
    }

    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        if !self.0.submitted().contains(&attempt) || stream == Stream::Stdout {
            return Err(EngineError::UnknownAttempt(attempt));
        }
        let data = b"abcdefgh".iter().skip(usize::try_from(offset).expect("small")).take(limit).copied().collect();
        Ok(LogChunk { data, offset, end: true })
    }
}
