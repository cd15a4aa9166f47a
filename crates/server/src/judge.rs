//! A sample of the plans goes before the independent judge before it is carried out. In tests and in the twin every
//! plan does.

use huisuan_control::schedule::{Policy, Snapshot, check};
use huisuan_model::{Plan, TimeMs};

use crate::metrics::Metrics;

/// One plan of so many is judged: it costs less than making it, and this makes it cheap.
const ONE_OF: u32 = 16;

/// Whose turn it is to be judged: the first plan, and after one that is refused the next.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    unseen_left: u32,
}

impl Judge {
    /// Whether a plan may be carried out: it obeys every rule, or it was not its turn.
    pub(crate) fn allows(
        &mut self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: TimeMs,
        plan: &Plan,
        metrics: &Metrics,
    ) -> bool {
        if let Some(left) = self.unseen_left.checked_sub(1) {
            self.unseen_left = left;
            return true;
        }
        let judged = check(snapshot, policy, now, plan);
        metrics.judged(judged.is_ok());
        match judged {
            Ok(()) => self.unseen_left = ONE_OF - 1,
            Err(violations) => {
                tracing::error!(version = plan.version, ?violations, "plan breaks rules and is not carried out");
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use huisuan_control::State;

    use super::*;

    #[test]
    fn what_breaks_a_rule_is_found_at_its_turn() {
        let state = State::default();
        let (snapshot, policy, metrics) = (huisuan_control::snapshot(&state), state.policy(), Metrics::new(&state));
        let good = Plan { version: snapshot.version, ..Plan::default() };
        let bad = Plan { version: snapshot.version + 1, ..Plan::default() };
        let mut judge = Judge::default();
        let mut allows = |plan| judge.allows(&snapshot, policy, TimeMs(0), plan, &metrics);
        assert!(!allows(&bad) && !allows(&bad), "as long as it is bad");
        assert!(allows(&good));
        assert!((1..ONE_OF).all(|_| allows(&bad)), "not looked at");
        assert!(!allows(&bad));
        let text = metrics.text();
        assert!(text.contains("huisuan_plans_judged_total{verdict=\"refused\"} 3"), "{text}");
        assert!(text.contains("huisuan_plans_judged_total{verdict=\"good\"} 1"), "{text}");
    }
}
