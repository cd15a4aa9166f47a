//! Dependencies between jobs: what must have become of one before another may start.

use serde::{Deserialize, Serialize};

use crate::{ids::JobId, job::JobState, quantity::Money};

/// One job that another waits for. Only jobs that were submitted before can be named, so no circle can exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The job that is waited for.
    pub job: JobId,
    /// What must have become of it.
    pub when: When,
}

/// What must have become of a job before another may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// It succeeded, all tasks of it.
    #[default]
    Ok,
    /// It ended, however.
    Any,
    /// It failed or was cancelled.
    NotOk,
    /// A task of it began to run, or it ended without.
    Start,
}

impl When {
    /// All conditions in their fixed order.
    pub const ALL: [When; 4] = [When::Ok, When::Any, When::NotOk, When::Start];

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            When::Ok => "ok",
            When::Any => "any",
            When::NotOk => "not-ok",
            When::Start => "start",
        }
    }

    /// Whether the condition holds for a job that stands so and has a task that began or not; `None` while that is
    /// open.
    pub fn holds(self, state: JobState, started: bool) -> Option<bool> {
        match self {
            When::Start if started => Some(true),
            _ if !state.terminal() => None,
            When::Ok => Some(state == JobState::Succeeded),
            When::NotOk => Some(state != JobState::Succeeded),
            When::Any | When::Start => Some(true),
        }
    }
}

/// A job that has ended, as a door read it from the store: the live state has forgotten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    /// Which.
    pub job: JobId,
    /// How; a terminal state.
    pub state: JobState,
}

/// Why a job ended that nobody cancelled and of which something never ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum EndReason {
    /// What it waited for can no longer come about.
    DependencyUnmet {
        /// The job that was waited for.
        on: JobId,
        /// What should have become of it.
        when: When,
        /// What became of it.
        ended: JobState,
    },
    /// The rules of every site that could have run it refused it.
    RefusedEverywhere {
        /// How many centres refused.
        centres: u32,
    },
    /// What was left of its own budget paid for none of the tasks that still waited.
    BudgetSpent {
        /// What the cheapest place asked for one of them, or for the whole gang.
        needed: Money,
        /// What was left.
        left: Money,
    },
}

impl EndReason {
    /// The stable code, as in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            EndReason::DependencyUnmet { .. } => "dependency-unmet",
            EndReason::RefusedEverywhere { .. } => "refused-everywhere",
            EndReason::BudgetSpent { .. } => "budget-spent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_by_how_a_job_stands() {
        use JobState::{Cancelled, Failed, Running, Succeeded, Waiting};
        let check = |when: When, expected: [Option<bool>; 6]| {
            let stands = [
                (Waiting, false),
                (Waiting, true),
                (Running, true),
                (Succeeded, true),
                (Failed, true),
                (Cancelled, false),
            ];
            assert_eq!(stands.map(|(state, started)| when.holds(state, started)), expected, "{when:?}");
        };
        let (yes, no) = (Some(true), Some(false));
        check(When::Ok, [None, None, None, yes, no, no]);
        check(When::Any, [None, None, None, yes, yes, yes]);
        check(When::NotOk, [None, None, None, no, yes, yes]);
        check(When::Start, [None, yes, yes, yes, yes, yes]);
    }

    #[test]
    fn words_are_those_of_the_stored_form() {
        for when in When::ALL {
            assert_eq!(serde_json::to_value(when).expect("JSON"), when.as_str());
        }
    }
}
