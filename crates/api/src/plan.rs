//! The answer to "where, when and for how much?", asked before a job is submitted.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::wire::Amount;

/// What would become of a job, were it submitted now. Nothing of it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Every pool of the network: those that it can run on by their start, the others after them.
    pub candidates: Vec<CandidateView>,
    /// How many of its tasks would start now.
    pub tasks_now: u64,
    /// How many tasks it has.
    pub tasks: u64,
    /// How starts were estimated, and what of the figures is not known.
    pub notes: Vec<String>,
}

/// One pool that a job might go to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandidateView {
    /// The centre.
    pub centre: String,
    /// The pool.
    pub pool: String,
    /// Whether it could ever run there.
    pub feasible: bool,
    /// How many of its tasks the scheduler would place there now.
    pub tasks_now: u64,
    /// How long until its first task starts, as likely sooner as later; `null` where nobody can tell.
    pub start_p50_ms: Option<u64>,
    /// The same, if everything ahead takes its whole walltime.
    pub start_p90_ms: Option<u64>,
    /// What is held for all of its tasks there: the most that it can cost.
    pub cost: Option<Amount>,
    /// Energy of its tasks; `null` while no power is declared for the pool.
    pub energy_kwh: Option<f64>,
    /// What its work takes there, where the factor of its application is declared or learnt and the job demands units
    /// instead of hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<ExpectedView>,
    /// Why it does not start there now; `null` when it does.
    pub reason: Option<CandidateReason>,
    /// Where its figures come from: `modelled`.
    pub mark: String,
}

/// What the work of a job takes on a pool, when it takes the job's walltime at the rate that the pool's rating says. A
/// quote: what is held and paid is counted with the rating.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExpectedView {
    /// What its kind of work reaches of the rating.
    pub factor: f64,
    /// How long one task takes; beyond its walltime it is ended.
    pub run_ms: u64,
    /// What all of its tasks cost in that time.
    pub cost: Amount,
    /// Energy of all of its tasks in that time; `null` while no power is declared for the pool.
    pub energy_kwh: Option<f64>,
    /// Where the factor comes from: `declared`, or `measured` by finished runs.
    pub mark: String,
    /// From so many finished runs there; absent where it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
}

/// Why a job does not start at a pool now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandidateReason {
    /// The stable code of a waiting reason, or `never-fits`.
    pub code: String,
    /// One English sentence with the numbers.
    pub message: String,
    /// The numbers and names by themselves.
    #[schema(value_type = Object)]
    pub details: Value,
}
