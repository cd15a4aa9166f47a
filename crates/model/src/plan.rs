//! What a scheduling cycle answers. A plan is a proposal: `control` re-checks every part of it.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CentreId, JobId, PoolId},
    quantity::{MilliDevices, Millicores, TimeMs},
    ranges::RangeSet,
    reason::Reason,
    shape::Shape,
    targets::Targets,
};

/// The answer of one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The state version of the snapshot that it was made from.
    pub version: u64,
    /// What to start now, in order.
    pub placements: Vec<Placement>,
    /// What is kept free for later, and what starts as soon as those that are preempted for it have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<Reservation>,
    /// What to end to make room; its tasks wait again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preemptions: Vec<Preemption>,
    /// What starts because other placements of this plan were given another place; it is among the placements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub improvements: Vec<Improvement>,
    /// Why the rest waits. Not journaled: it is made anew in every cycle.
    #[serde(skip)]
    pub reasons: Vec<ShapeReason>,
    /// The most tasks that any plan could start now, where the cycle computed a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<u64>,
    /// What it was made with; absent in plans of before this was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
}

/// What a plan was made with besides the state of its version: enough to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The moment that the cycle was given; its entry in the journal is decided later.
    pub now: TimeMs,
    /// Where its random choices began.
    pub seed: u64,
    /// The name of its policy.
    pub policy: String,
    /// What the network level wanted, where that is not what it wanted of the plan before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Arc<Targets>>,
    /// The moment by which its snapshot counted months, tariffs and contracts: that of the last command before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<TimeMs>,
}

impl Plan {
    /// Whether there is nothing in it to carry out.
    pub fn changes_nothing(&self) -> bool {
        self.placements.is_empty() && self.preemptions.is_empty()
    }

    /// The same, with what it was made with.
    #[must_use]
    pub fn made_with(self, now: TimeMs, seed: u64, policy: &str) -> Plan {
        Plan { basis: Some(Basis { now, seed, policy: policy.to_owned(), targets: None, seen_at: None }), ..self }
    }

    /// The same, with the moment by which its snapshot counted.
    #[must_use]
    pub fn seen_at(mut self, at: Option<TimeMs>) -> Plan {
        self.basis.iter_mut().for_each(|basis| basis.seen_at = at);
        self
    }
}

/// Tasks of one job that start at one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The job.
    pub job: JobId,
    /// Its tasks; all of a gang or none.
    pub tasks: RangeSet,
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// Cores of each task.
    pub cores: Millicores,
    /// Devices of each task.
    #[serde(default, skip_serializing_if = "MilliDevices::is_zero")]
    pub devices: MilliDevices,
    /// Where the centre shows its nodes: the node of each task, in the order of tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeShare>,
    /// Why there, the largest term first.
    pub score: Vec<ScoreTerm>,
}

/// The node of a task and what it has there of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShare {
    /// The node, by its place in the pool.
    pub node: u32,
    /// The devices taken from, one bit each.
    pub devices: u16,
    /// Thousandths taken of each of them.
    pub each: u16,
}

/// One term of a placement's score. Scores are integers; larger is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreTerm {
    /// What it stands for. The planner's own terms cost no allocation: a cycle writes several for every placement.
    pub term: Cow<'static, str>,
    /// Its part of the score.
    pub value: i64,
}

/// Capacity kept free for tasks of a job from some moment on: one task, or the whole gang.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The job.
    pub job: JobId,
    /// Its tasks.
    pub tasks: RangeSet,
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// From when.
    pub start_at: TimeMs,
}

/// Tasks that are ended so that others of a tenant that holds less than it is due can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// The job.
    pub job: JobId,
    /// Its tasks.
    pub tasks: RangeSet,
    /// Where they run.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// The job that starts in their place.
    pub by: JobId,
    /// Its tasks that do; they have a reservation from now on.
    pub by_tasks: RangeSet,
}

/// Tasks that start because others, placed by the same plan, were given another place that is as good for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Improvement {
    /// The job that starts.
    pub job: JobId,
    /// Its tasks that do.
    pub tasks: RangeSet,
    /// What was moved for them; nothing where what others left was enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
}

/// Tasks that were moved before they started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The job.
    pub job: JobId,
    /// Its tasks.
    pub tasks: RangeSet,
    /// Where they would have started.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
}

/// Why a shape's jobs wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeReason {
    /// The shape.
    pub shape: Shape,
    /// Why.
    pub reason: Reason,
    /// What every centre said, in the order of their names.
    pub rejected: Vec<(CentreId, Reason)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_optional_in_the_stored_form() {
        let old = r#"{"version":7,"placements":[]}"#;
        let plan: Plan = serde_json::from_str(old).expect("a plan of before the basis was stored");
        assert_eq!((plan.version, &plan.basis), (7, &None));
        assert_eq!(serde_json::to_string(&plan).expect("JSON"), old);
        let new = r#"{"version":7,"placements":[],"basis":{"now":5,"seed":9,"policy":"balanced"}}"#;
        let made = plan.made_with(TimeMs(5), 9, "balanced");
        assert_eq!(serde_json::to_string(&made).expect("JSON"), new);
        assert_eq!(serde_json::from_str::<Plan>(new).expect("a plan"), made);
    }

    #[test]
    fn improvements_are_stored_with_what_moved_for_them() {
        let moved = r#"{"job":2,"tasks":"4","centre":"a","pool":"cpu:x"}"#;
        let all = format!(r#"[{{"job":3,"tasks":"0-1","moved":[{moved}]}},{{"job":5,"tasks":"0"}}]"#);
        let text = &format!(r#"{{"version":7,"placements":[],"improvements":{all}}}"#);
        let plan: Plan = serde_json::from_str(text).expect("a plan with improvements");
        assert_eq!((plan.improvements.len(), plan.improvements[0].moved[0].job), (2, JobId(2)));
        assert_eq!(&serde_json::to_string(&plan).expect("JSON"), text);
    }
}
