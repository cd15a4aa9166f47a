//! Who watches a run. Nothing that an observer does changes it.

use huisuan_control::{Refusal, State};
use huisuan_model::{AttemptId, Bytes, Command, Event, TimeMs, command::Origin};

use crate::workload::Arrival;

/// What was brought to one task from one centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// For whom.
    pub attempt: AttemptId,
    /// The centres on the way, by their places in the setup: the data lay at the first, the task is at the last.
    pub path: &'a [usize],
    /// What was moved.
    pub bytes: Bytes,
    /// Whether that is all; the rest is not needed any more, or not there when the run ends.
    pub whole: bool,
    /// When it was asked for.
    pub began_at: TimeMs,
    /// When it was there, or given up.
    pub ended_at: TimeMs,
    /// How long the scheduler took the data of this task to be under way, in milliseconds.
    pub expected_ms: u64,
}

/// Sees all that happens.
pub trait Observer {
    /// A job came and was taken or refused.
    fn arrived(&mut self, now: TimeMs, arrival: &Arrival, refusal: Option<&Refusal>);

    /// A command was executed and became these events; the state has taken them.
    fn decided(&mut self, now: TimeMs, state: &State, origin: &Origin, command: &Command, events: &[Event]);

    /// Data was moved between centres.
    fn moved(&mut self, _: &Transfer<'_>) {}

    /// The state at a regular interval, and at the end.
    fn sampled(&mut self, now: TimeMs, state: &State);
}

/// Sees nothing.
impl Observer for () {
    fn arrived(&mut self, _: TimeMs, _: &Arrival, _: Option<&Refusal>) {}
    fn decided(&mut self, _: TimeMs, _: &State, _: &Origin, _: &Command, _: &[Event]) {}
    fn sampled(&mut self, _: TimeMs, _: &State) {}
}
