//! The engine: a timeline with a clock, a journal and somebody who waits for news.

use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, AttemptReport, EngineKind, Pool, PoolId, StartOrder, Stream, TimeMs};

use super::{
    journal::Journal,
    task::{Oracle, Task},
    timeline::Timeline,
};
use crate::{Engine, EngineError, LogChunk, SubmitResult, clock::now};

/// How long news are gathered before they are given: a batch for each of thousands of tasks would only be work.
const GATHER: Duration = Duration::from_millis(200);
/// How often everything that runs is sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What a virtual centre is made of.
pub struct SimulatedConfig {
    /// Its pools; ratings are what the oracle counts with, the inventory has none.
    pub pools: Vec<Pool>,
    /// What becomes of a task.
    pub fate: Oracle,
    /// Where a journal is kept, so that orders survive the process; `None` for a centre that ends with it.
    pub folder: Option<PathBuf>,
}

/// An engine that runs nothing: tasks take their room, last as long as their fate says, and end as it says.
pub struct SimulatedEngine {
    pools: Vec<Pool>,
    fate: Oracle,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    timeline: Timeline,
    journal: Option<Journal>,
    /// The clock does not step back.
    now: TimeMs,
    given_at: Instant,
    sampled_at: Instant,
}

impl SimulatedEngine {
    /// Opens a virtual centre. What a journal says was running went on meanwhile.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or is damaged.
    pub fn open(config: SimulatedConfig) -> Result<SimulatedEngine, EngineError> {
        let SimulatedConfig { mut pools, fate, folder } = config;
        pools.sort_by(|a, b| a.id.cmp(&b.id));
        let (journal, entries) = match folder {
            Some(folder) => {
                let (journal, entries) = Journal::open(&folder)?;
                (Some(journal), entries)
            }
            None => (None, Vec::new()),
        };
        let started = Instant::now();
        let state = State {
            timeline: Timeline::restore(&pools, entries),
            journal,
            now: TimeMs(0),
            given_at: started,
            sampled_at: started,
        };
        Ok(SimulatedEngine { pools, fate, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// The state of this moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.play();
        state
    }

    fn change(&self, mut state: MutexGuard<'_, State>) -> Result<(), EngineError> {
        let now = state.now;
        state.timeline.advance(now);
        let written = state.write();
        drop(state);
        self.changed.notify_all();
        written
    }
}

impl State {
    /// Plays what happened until now.
    fn play(&mut self) {
        self.now = self.now.max(now());
        self.timeline.advance(self.now);
    }

    fn write(&mut self) -> Result<(), EngineError> {
        let fresh = self.timeline.take_fresh();
        match &mut self.journal {
            Some(journal) if !fresh.is_empty() => journal.write(&fresh),
            _ => Ok(()),
        }
    }

    /// How long from now until something happens by itself.
    fn idle_ms(&self) -> u64 {
        self.timeline.next_end().map_or(u64::MAX, |at| at.since(self.now).0.max(1))
    }
}

impl Engine for SimulatedEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Simulated
    }

    fn memory_mode(&self) -> String {
        "simulated".to_owned()
    }

    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        Ok(self.pools.iter().map(|pool| Pool { rating: None, ..pool.clone() }).collect())
    }

    fn measurable_cpus(&self, _: &PoolId) -> Vec<usize> {
        Vec::new()
    }

    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        let mut state = self.lock();
        let mut take = |order: &StartOrder| {
            if state.timeline.tell_again(order.attempt) {
                return SubmitResult::Duplicate;
            }
            match Task::new(order, &self.pools, &self.fate) {
                Ok(task) => {
                    state.timeline.accept(task);
                    SubmitResult::Accepted
                }
                Err(why) => SubmitResult::Refused { why },
            }
        };
        let results = starts.iter().map(&mut take).collect();
        self.change(state)?;
        Ok(results)
    }

    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        let deadline = Instant::now() + wait;
        let mut state = self.lock();
        loop {
            if state.sampled_at.elapsed() >= SAMPLE_EVERY {
                let now = state.now;
                state.timeline.sample(now);
                state.sampled_at = Instant::now();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let pause = match state.timeline.has_news() {
                true => GATHER.saturating_sub(state.given_at.elapsed()),
                false => Duration::from_millis(state.idle_ms()),
            };
            if left.is_zero() || (state.timeline.has_news() && pause.is_zero()) {
                break;
            }
            state = self.changed.wait_timeout(state, pause.min(left)).unwrap_or_else(PoisonError::into_inner).0;
            state.play();
        }
        state.given_at = Instant::now();
        // What is told must be on disk before: a successor would otherwise not know of it.
        state.write()?;
        Ok(state.timeline.take_news())
    }

    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        let mut state = self.lock();
        ended.iter().for_each(|&attempt| state.timeline.acknowledge(attempt));
        state.write()
    }

    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        let mut state = self.lock();
        let now = state.now;
        attempts.iter().for_each(|&attempt| state.timeline.cancel(attempt, now));
        self.change(state)
    }

    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        let (started_at, ended) = self.lock().timeline.look(attempt).ok_or(EngineError::UnknownAttempt(attempt))?;
        let text = match (stream, started_at) {
            (Stream::Stdout, Some(_)) => {
                format!("SIMULATED 模拟: attempt {attempt} runs nothing; its length, end and usage are modelled.\n")
            }
            _ => String::new(),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        let data: Vec<u8> = text.bytes().skip(from).take(limit).collect();
        let end = ended && from + data.len() == text.len();
        Ok(LogChunk { data, offset, end })
    }
}
