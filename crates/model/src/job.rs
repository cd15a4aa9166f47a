//! Jobs and attempts as the network keeps them: one row each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    centre::{Class, Terms},
    dependency::{Dependency, EndReason},
    ids::{ActorId, AttemptId, CentreId, JobId, PoolId, ProjectId, TenantId},
    meter::Metered,
    oddity::OddityKind,
    order::{Outcome, Usage},
    plan::{NodeShare, ScoreTerm},
    quantity::{Gflop, MilliDevices, Millicores, Money, TimeMs},
    ranges::RangeSet,
    spec::{JobSpec, SpecHash},
    starts::Band,
};

/// Where a job stands. The last three are terminal and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// No task is placed.
    Waiting,
    /// At least one task is placed or running.
    Running,
    /// Every task succeeded.
    Succeeded,
    /// Every task ended and at least one failed.
    Failed,
    /// It was cancelled before every task had ended.
    Cancelled,
}

impl JobState {
    /// All states in their fixed order.
    pub const ALL: [JobState; 5] =
        [JobState::Waiting, JobState::Running, JobState::Succeeded, JobState::Failed, JobState::Cancelled];

    /// True for the states that never change again.
    pub fn terminal(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
    }

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Running => "running",
            JobState::Succeeded => "succeeded",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptState {
    /// Ordered; its centre has not said that it runs.
    Placed,
    /// Its centre said that it runs.
    Running,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
    /// Ended because it was asked for, by a user or to make room for others.
    Cancelled,
}

impl AttemptState {
    /// True for the states that never change again.
    pub fn terminal(self) -> bool {
        matches!(self, AttemptState::Succeeded | AttemptState::Failed | AttemptState::Cancelled)
    }

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptState::Placed => "placed",
            AttemptState::Running => "running",
            AttemptState::Succeeded => "succeeded",
            AttemptState::Failed => "failed",
            AttemptState::Cancelled => "cancelled",
        }
    }
}

/// One job: what was asked and how far it is. An array is one row, however large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// Who submitted it.
    pub actor: ActorId,
    /// What was asked.
    pub spec: Arc<JobSpec>,
    /// Hash of the canonical spec.
    pub spec_hash: SpecHash,
    /// When it was acknowledged.
    pub submitted_at: TimeMs,
    /// When its first task began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<TimeMs>,
    /// When its last task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<TimeMs>,
    /// Where it stands.
    pub state: JobState,
    /// Somebody asked to cancel it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// What it still waits for; none of its tasks is placed before this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Dependency>,
    /// Why it ended, where that does not follow from its tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// Its tasks by where they stand.
    pub tasks: TaskSets,
    /// Where its attempts are or were.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub centres: BTreeSet<CentreId>,
    /// Attempts so far of the tasks that had more than one; of a gang, whose tasks are tried together, the first task
    /// alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retried: BTreeMap<u32, u32>,
    /// How many attempts of a task were preempted or refused by a site: they do not count against its retries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub preempted: BTreeMap<u32, u32>,
    /// The centres whose own rules refused it, each with the rule: it does not go there again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_by: BTreeMap<CentreId, String>,
    /// Work done, by class. Classes are never added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<Class, Gflop>,
    /// Posted cost.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub cost: Money,
    /// Sum of the run times of ended attempts, for the mean; of those that ran as long as they wanted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ran_ms: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A job's tasks by where they stand; together they are all tasks of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskSets {
    /// Not placed.
    #[serde(default, skip_serializing_if = "RangeSet::is_empty")]
    pub waiting: RangeSet,
    /// Placed or running.
    #[serde(default, skip_serializing_if = "RangeSet::is_empty")]
    pub active: RangeSet,
    /// Ended well.
    #[serde(default, skip_serializing_if = "RangeSet::is_empty")]
    pub succeeded: RangeSet,
    /// Ended badly.
    #[serde(default, skip_serializing_if = "RangeSet::is_empty")]
    pub failed: RangeSet,
    /// Cancelled.
    #[serde(default, skip_serializing_if = "RangeSet::is_empty")]
    pub cancelled: RangeSet,
}

impl Job {
    /// Shares what is equal with a neighbour: jobs that came together mostly have the same names and the same
    /// spec, and a million of them then take a third of the memory.
    pub fn share_with(&mut self, neighbour: &Job) {
        if self.spec_hash == neighbour.spec_hash && self.spec == neighbour.spec {
            self.spec = neighbour.spec.clone();
        }
        if self.tenant == neighbour.tenant {
            self.tenant = neighbour.tenant.clone();
        }
        if self.project == neighbour.project {
            self.project = neighbour.project.clone();
        }
        if self.actor == neighbour.actor {
            self.actor = neighbour.actor.clone();
        }
    }

    /// The number of the attempt that task `task` has or had last, from 1; 1 when it was never retried.
    pub fn attempt_of(&self, task: u32) -> u32 {
        self.retried.get(&self.retried_key(task)).copied().unwrap_or(1)
    }

    /// Whether the task of an attempt that failed may have another one: those that were preempted do not count.
    pub fn may_retry(&self, attempt: AttemptId) -> bool {
        let preempted = self.preempted.get(&attempt.task).copied().unwrap_or(0);
        attempt.attempt.saturating_sub(preempted) <= self.spec.retries
    }

    /// Whose entry in `retried` a task has: the tasks of a gang are tried together and share that of the first.
    pub fn retried_key(&self, task: u32) -> u32 {
        if self.spec.gang { self.spec.tasks.first().unwrap_or(task) } else { task }
    }

    /// The mean run time of its ended attempts; `None` before the first.
    pub fn mean_run_ms(&self) -> Option<u64> {
        let ended = self.tasks.succeeded.len() + self.tasks.failed.len();
        (ended > 0).then(|| self.ran_ms / ended)
    }
}

/// One try to run one task at one centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// Cores given.
    pub cores: Millicores,
    /// Devices given.
    #[serde(default, skip_serializing_if = "MilliDevices::is_zero")]
    pub devices: MilliDevices,
    /// Where it stands.
    pub state: AttemptState,
    /// The journal entry that ordered it: a centre gets its open orders in this order.
    pub order_seq: u64,
    /// When it was ordered.
    pub placed_at: TimeMs,
    /// When it began to run, by the centre's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<TimeMs>,
    /// When it ended, by the centre's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<TimeMs>,
    /// The journal entry that told the centre to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_seq: Option<u64>,
    /// The job that is to start in its place, when it was told to end for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted_by: Option<JobId>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What its work is counted and priced with.
    pub terms: Terms,
    /// What was used so far, cumulative.
    #[serde(default)]
    pub usage: Usage,
    /// Work so far in units of the pool's class.
    #[serde(default, skip_serializing_if = "Gflop::is_zero")]
    pub work: Gflop,
    /// Money held for it while it is not terminal.
    pub hold: Money,
    /// Money posted so far.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub cost: Money,
    /// How far its meter was read while it runs: beyond the first hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<Metered>,
    /// What was found odd in its reports: each kind is recorded once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<OddityKind>,
    /// Why it went there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score: Vec<ScoreTerm>,
    /// At an opaque centre, how large it was and how full the pool when it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// Its node and devices, where the network chooses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeShare>,
}
