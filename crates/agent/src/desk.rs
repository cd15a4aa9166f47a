//! Hands orders to the engine: those with data by way of who brings it.

use huisuan_drivers::{Engine, EngineError, SubmitResult, failpoint};
use huisuan_model::{AttemptId, AttemptReport, EndCause, StartOrder};

use crate::{agent::not_started, contact::Contact, gate::Gate, staging::Stager};

/// What both threads of an agent hand orders over with.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) stager: &'a Stager,
    pub(crate) gate: &'a Gate,
    pub(crate) contact: &'a Contact,
}

impl Desk<'_> {
    /// Takes orders that the site lets through. After an error all of them may be given again.
    pub(crate) fn take(&self, orders: Vec<StartOrder>) -> Result<(), EngineError> {
        let (mut plain, mut refused) = (Vec::with_capacity(orders.len()), Vec::new());
        for order in orders {
            // What the engine has, it has with its data.
            if !order.spec.staged() || self.engine.knows(order.attempt)? {
                plain.push(order);
                continue;
            }
            let attempt = order.attempt;
            refused.extend(self.stager.bring(order).err().map(|why| not_started(attempt, EndCause::Refused, why)));
        }
        self.refuse(refused);
        self.submit(&plain)
    }

    /// Gives the engine what has all of its data.
    pub(crate) fn submit_ready(&self) {
        let ready = self.stager.ready();
        if let Err(error) = self.submit(&ready) {
            tracing::warn!(%error, "engine does not take orders whose data is there, trying again");
            self.stager.put_back(ready);
        }
    }

    /// Ends attempts, wherever they are.
    pub(crate) fn stop(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        // What waited here was never the engine's: it reports it as cancelled, like all that it does not know.
        self.gate.stop(attempts);
        self.stager.stop(attempts);
        self.engine.cancel(attempts)
    }

    fn submit(&self, orders: &[StartOrder]) -> Result<(), EngineError> {
        if orders.is_empty() {
            return Ok(());
        }
        failpoint::reach("agent-before-submit");
        let results = self.engine.submit(orders)?;
        failpoint::reach("agent-after-submit");
        let refused = orders.iter().zip(results).filter_map(|(order, result)| match result {
            SubmitResult::Refused { why } => Some(not_started(order.attempt, EndCause::Refused, why)),
            SubmitResult::Accepted | SubmitResult::Duplicate => None,
        });
        self.refuse(refused.collect());
        Ok(())
    }

    fn refuse(&self, refused: Vec<AttemptReport>) {
        self.gate.ended(&refused.iter().map(|report| report.attempt).collect::<Vec<_>>());
        self.contact.add_own(refused);
    }
}
