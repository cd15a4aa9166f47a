//! Jobs on the wire: what is submitted and what is seen of it.

use std::{collections::BTreeMap, fmt};

use huisuan_model::JobSpec;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    channels::ChannelView,
    spec::job_file::JobFile,
    wire::{Amount, EnergyFields, Timestamp, Usage},
};

/// The body of `POST /v1/jobs`: the job file of a user. Read it with [`crate::spec::read_job_file`],
/// whose errors name field, value and expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest(pub JobSpec);

impl Serialize for JobRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JobFile::from_spec(&self.0).serialize(serializer)
    }
}

/// The answer to a submission: the job is on disk and will not be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCreated {
    /// The job's number.
    pub job_id: u64,
    /// Where it stands; for a repeated key this may be any state.
    pub state: String,
}

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TaskCounts {
    /// Not placed.
    pub waiting: u64,
    /// Placed or running.
    pub active: u64,
    /// Ended well.
    pub succeeded: u64,
    /// Ended badly.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// All.
    pub total: u64,
}

/// One line of a list of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobSummary {
    /// The job's number.
    pub job_id: u64,
    /// What people call it.
    pub name: String,
    /// Who pays.
    pub tenant: String,
    /// What for.
    pub project: String,
    /// `waiting`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// Where its attempts are or were, by name.
    pub centres: Vec<String>,
    /// When it was acknowledged.
    pub submitted_at: Timestamp,
    /// When its first task began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its last task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why tasks of it wait; `null` when none does.
    pub reason: Option<ReasonView>,
    /// Why it ended without having run, where nobody cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<ReasonView>,
    /// Work done so far by class.
    pub usage: Usage,
    /// Posted cost so far.
    pub cost: Amount,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobSummary>,
    /// Give it back as `page_token` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// All that is known of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Who submitted it.
    pub actor: String,
    /// The canonical spec.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// SHA-256 of the canonical spec, in hexadecimal.
    pub spec_hash: String,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Energy and CO2 of what was metered of it so far: of what runs, the full hours.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// The centres whose own rules refused it, each with the rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_by: BTreeMap<String, String>,
    /// Who is attached to a running session now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelView>,
    /// Its attempts in the order of task and try; the first page of them.
    pub attempts: Vec<AttemptView>,
    /// How many attempts there are in all.
    pub attempts_total: u64,
}

/// A page of attempts of one job, in the order of task and try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptList {
    /// The attempts.
    pub attempts: Vec<AttemptView>,
    /// Give it back as `page_token` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One try to run one task at one centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// `job.task.attempt`, such as `12.0.1`.
    pub attempt: String,
    /// The index of the task in its job.
    pub task: u32,
    /// Where.
    pub centre: String,
    /// On what.
    pub pool: String,
    /// `placed`, `running`, `succeeded`, `failed` or `cancelled`; `unknown` while its centre is away: it may run, and
    /// it is started nowhere else.
    pub state: String,
    /// Since when it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Why it ended: `exited`, `walltime`, `memory`, `cancelled`, `preempted`, `refused` (by the rules of its site),
    /// `start-failed`, `staging` (its data could not be moved) or `lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The exit code; `null` when it did not exit by itself, or not yet.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What the engine said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Cores given.
    pub cores: f64,
    /// Devices given.
    #[serde(default)]
    pub devices: f64,
    /// The number of its node in the pool, where the network chooses nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// When it was ordered.
    pub placed_at: Timestamp,
    /// When it began to run, by the centre's clock; `null` before.
    pub started_at: Option<Timestamp>,
    /// When it ended, by the centre's clock; `null` before.
    pub ended_at: Option<Timestamp>,
    /// Processor time used, in milliseconds.
    pub cpu_ms: u64,
    /// Time since its start, in milliseconds.
    pub wall_ms: u64,
    /// The most memory seen, in bytes.
    pub memory_peak_bytes: u64,
    /// Data moved for it; absent where nothing is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataView>,
    /// Work in the unit of `class`.
    pub gflop: u64,
    /// The class of its pool.
    pub class: String,
    /// The rating version that `gflop` is counted with.
    pub rating_version: u32,
    /// Money held while it is not ended.
    pub hold: Amount,
    /// Money posted at its end.
    pub cost: Amount,
    /// Energy and CO2 of what was metered of it so far: while it runs, its full hours.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// Why it went there, the largest term first.
    pub score: Vec<ScoreView>,
    /// Where its work comes from, as the rating that it is counted with: `measured`, `modelled` or `declared`.
    pub mark: String,
}

/// Data moved for an attempt, as its centre's agent counted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataView {
    /// `in` while it is brought, `out` while it is taken; absent before, between and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
    /// How much of that is done, in percent; absent while the whole size is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Brought to it, in bytes; what had to be repeated counts again.
    pub bytes_in: u64,
    /// Taken from it, in bytes; what had to be repeated counts again.
    pub bytes_out: u64,
    /// Where the figures come from: `measured`.
    pub mark: String,
}

/// One term of a placement's score; larger is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreView {
    /// What it stands for.
    pub term: String,
    /// Its part of the score.
    pub value: i64,
}

/// Why a job waits, with numbers and names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// The stable code, as in metrics and docs.
    pub code: String,
    /// Since when this is the reason.
    pub since: Timestamp,
    /// One English sentence with the numbers.
    pub message: String,
    /// The numbers and names by themselves; units are in the field names.
    #[schema(value_type = Object)]
    pub details: Value,
}

impl fmt::Display for ReasonView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// The answer to "why is it waiting?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// The job's number.
    pub job_id: u64,
    /// Where it stands.
    pub state: String,
    /// The dominant reason; `null` when nothing of it waits.
    pub reason: Option<ReasonView>,
    /// What every centre that does not take it says, in the order of their names.
    pub rejected: Vec<Rejection>,
    /// What would help, computed by the scheduler; empty where nothing was computed.
    pub helps: Vec<Help>,
}

/// Why one centre does not take a job now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// The centre.
    pub centre: String,
    /// The stable code.
    pub code: String,
    /// One English sentence with the numbers.
    pub message: String,
    /// The numbers and names by themselves.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// A change that would let a job start earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Help {
    /// What to change.
    pub change: String,
    /// What would come of it.
    pub effect: String,
}

/// The answer to a cancellation: it is on disk; running tasks end soon after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelled {
    /// The job's number.
    pub job_id: u64,
    /// Where it stands now; `running` until its last task has ended.
    pub state: String,
    /// True unless the job had ended before.
    pub cancel_requested: bool,
}
