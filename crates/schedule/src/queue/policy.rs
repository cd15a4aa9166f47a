//! The policies by name, and what each of them does.

use std::{fmt, str::FromStr};

use huisuan_model::{JobId, TimeMs};
use thiserror::Error;

use super::{
    backfill::Backfill,
    conservative::Conservative,
    easy::ByArrival,
    easy_sjbf::ShortestFirst,
    fifo::Fifo,
    job::QueueJob,
    saf_guard::{GUARD, SmallestFirst},
};

/// A queue with the processors it serves: a state machine that is told what happens and says what starts.
///
/// `now` never falls from one call to the next. Events of one moment are told one after the other:
/// ends of jobs that reach their limit first, then submissions and ends each with their decision, then
/// [`starts`](Queue::starts) once.
/// Nothing is trusted further than it was told: a job holds its processors until its end is told, and one
/// that outlives its expected end is expected to go on.
pub trait Queue {
    /// A job enters the queue; what can start because of it is decided.
    ///
    /// # Panics
    /// If the job is wider than the pool: it could never start, so it is refused at the door.
    fn submit(&mut self, job: QueueJob, now: TimeMs);

    /// A running job has ended and its processors are free. Nothing is decided before the next call of
    /// [`submit`](Queue::submit) or [`replan`](Queue::replan); an unknown job changes nothing.
    fn end(&mut self, job: JobId, now: TimeMs);

    /// Decides anew with the processors that have come free.
    fn replan(&mut self, now: TimeMs);

    /// Appends the jobs that start now, in the order in which they were decided. From here on they run.
    fn starts(&mut self, now: TimeMs, into: &mut Vec<JobId>);

    /// When [`starts`](Queue::starts) must be asked again although nothing happens before.
    fn wake_at(&self) -> Option<TimeMs>;

    /// How many jobs wait.
    fn waiting(&self) -> usize;
}

/// The policies of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueuePolicy {
    /// In the order of arrival; the first that does not fit holds up all others.
    Fifo,
    /// In the order of arrival; others go ahead where they do not delay the first (Lifka 1995).
    Easy,
    /// As `easy`, the shortest going ahead first (Tsafrir, Etsion, Feitelson 2007).
    EasySjbf,
    /// Every job is promised a start when it arrives; others go ahead where they delay no promise
    /// (Feitelson and Weil 1998).
    Conservative,
    /// Small jobs first, by predictions, and backfilled; who has waited too long goes before them.
    SafGuard,
}

impl QueuePolicy {
    /// All policies, the simplest first.
    pub const ALL: [QueuePolicy; 5] =
        [QueuePolicy::Fifo, QueuePolicy::Easy, QueuePolicy::EasySjbf, QueuePolicy::Conservative, QueuePolicy::SafGuard];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            QueuePolicy::Fifo => "fifo",
            QueuePolicy::Easy => "easy",
            QueuePolicy::EasySjbf => "easy-sjbf",
            QueuePolicy::Conservative => "conservative",
            QueuePolicy::SafGuard => "saf-guard",
        }
    }

    /// An empty queue in front of so many free processors.
    pub fn open(self, processors: u64) -> Box<dyn Queue> {
        match self {
            QueuePolicy::Fifo => Box::new(Fifo::new(processors)),
            QueuePolicy::Easy => Box::new(Backfill::new(processors, ByArrival)),
            QueuePolicy::EasySjbf => Box::new(Backfill::new(processors, ShortestFirst)),
            QueuePolicy::Conservative => Box::new(Conservative::new(processors)),
            QueuePolicy::SafGuard => Box::new(Backfill::new(processors, SmallestFirst { guard: GUARD })),
        }
    }
}

impl fmt::Display for QueuePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no policy of this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("queue policy `{name}` is not known\nhint: one of fifo, easy, easy-sjbf, conservative, saf-guard")]
pub struct UnknownPolicy {
    /// What was asked for.
    pub name: String,
}

impl FromStr for QueuePolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let known = QueuePolicy::ALL.into_iter().find(|policy| policy.name() == name);
        known.ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_found_by_its_name_and_named_in_the_hint() {
        let hint = "nonsense".parse::<QueuePolicy>().expect_err("no such policy").to_string();
        for policy in QueuePolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert!(hint.contains(policy.name()), "{hint}");
        }
    }
}
