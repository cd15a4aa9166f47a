//! Between orders and the engine: what the site's rules let through now, what has to wait, what is refused.
//!
//! What waits here is nowhere else but with the server, which says it again at the next hello: it is placed and has not
//! begun, and a stop takes it away.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use huisuan_model::{AttemptId, StartOrder, TimeMs};

use crate::policy::SitePolicy;

/// The gate of one agent.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    policy: SitePolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the engine was given and has not ended.
    in_flight: BTreeSet<AttemptId>,
    /// The oldest first.
    waiting: VecDeque<StartOrder>,
}

impl Gate {
    /// A gate of a site whose engine has `held` already.
    pub(crate) fn new(policy: SitePolicy, held: impl IntoIterator<Item = AttemptId>) -> Self {
        let state = State { in_flight: held.into_iter().collect(), waiting: VecDeque::new() };
        Gate { policy, state: Mutex::new(state) }
    }

    pub(crate) fn policy(&self) -> &SitePolicy {
        &self.policy
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order that breaks no lasting rule; true when it is the engine's now, false when it waits here.
    pub(crate) fn admit(&self, order: &StartOrder, now: TimeMs) -> bool {
        let mut state = self.lock();
        if state.in_flight.contains(&order.attempt) {
            return true;
        }
        if state.waiting.iter().any(|waiting| waiting.attempt == order.attempt) {
            return false;
        }
        // Nobody overtakes what waits.
        if state.waiting.is_empty() && self.open(&state, order, now) {
            state.in_flight.insert(order.attempt);
            return true;
        }
        state.waiting.push_back(order.clone());
        false
    }

    fn open(&self, state: &State, order: &StartOrder, now: TimeMs) -> bool {
        let below = self.policy.attempts_max.is_none_or(|most| (state.in_flight.len() as u64) < most);
        let hours = self.policy.closed.as_ref().is_none_or(|closed| closed.open(now, order.walltime()));
        below && hours
    }

    /// The orders whose time has come.
    pub(crate) fn due(&self, now: TimeMs) -> Vec<StartOrder> {
        let mut state = self.lock();
        let mut due = Vec::new();
        let mut still = VecDeque::new();
        while let Some(order) = state.waiting.pop_front() {
            if self.open(&state, &order, now) {
                state.in_flight.insert(order.attempt);
                due.push(order);
            } else {
                still.push_back(order);
            }
        }
        state.waiting = still;
        due
    }

    /// The engine did not take these: they wait again, before all others.
    pub(crate) fn put_back(&self, orders: Vec<StartOrder>) {
        let mut state = self.lock();
        for order in orders.into_iter().rev() {
            state.in_flight.remove(&order.attempt);
            state.waiting.push_front(order);
        }
    }

    /// Takes away what waits and is to be stopped.
    pub(crate) fn stop(&self, attempts: &[AttemptId]) {
        self.lock().waiting.retain(|order| !attempts.contains(&order.attempt));
    }

    /// These have ended.
    pub(crate) fn ended(&self, attempts: &[AttemptId]) {
        let mut state = self.lock();
        for attempt in attempts {
            state.in_flight.remove(attempt);
        }
    }
}
