//! Who watches a run. Nothing that an observer does changes it.

use huisuan_control::{Refusal, State};
use huisuan_model::{Command, Event, TimeMs, command::Origin};

use crate::workload::Arrival;

/// Sees all that happens.
pub trait Observer {
    /// A job came and was taken or refused.
    fn arrived(&mut self, now: TimeMs, arrival: &Arrival, refusal: Option<&Refusal>);

    /// A command was executed and became these events; the state has taken them.
    fn decided(&mut self, now: TimeMs, state: &State, origin: &Origin, command: &Command, events: &[Event]);

    /// The state at a regular interval, and at the end.
    fn sampled(&mut self, now: TimeMs, state: &State);
}

/// Sees nothing.
impl Observer for () {
    fn arrived(&mut self, _: TimeMs, _: &Arrival, _: Option<&Refusal>) {}
    fn decided(&mut self, _: TimeMs, _: &State, _: &Origin, _: &Command, _: &[Event]) {}
    fn sampled(&mut self, _: TimeMs, _: &State) {}
}
