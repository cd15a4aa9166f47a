//! Why a job ended of which something never ran, in words.

use huisuan_model::{EndReason, centre::CURRENCY};
use serde_json::{Value, json};

use super::becomes;
use crate::wire::Amount;

/// The sentence and the numbers of why a job ended of which something never ran.
pub fn describe_end(reason: &EndReason) -> (String, Value) {
    match reason {
        EndReason::DependencyUnmet { on, when, ended } => (
            format!("it waited for job {on} to {}, which ended as {}", becomes(*when), ended.as_str()),
            json!({ "job_id": on, "when": when, "ended": ended }),
        ),
        EndReason::RefusedEverywhere { centres } => (
            format!("the rules of {centres} centres refused it, and no other may run it"),
            json!({ "centres": centres }),
        ),
        EndReason::BudgetSpent { needed, left } => {
            let (needed, left) = (Amount::new(*needed, CURRENCY), Amount::new(*left, CURRENCY));
            (
                format!("its budget is spent: {left} is left, and the cheapest place holds {needed} for the next task"),
                json!({ "needed": needed, "left": left }),
            )
        }
    }
}
