//! The agent protocol: what a centre's agent and the server say to each other.
//!
//! The agent calls. `hello` opens a run and says from which sequences to go on; `orders` waits for
//! work; `reports` and `ratings` bring news; log requests come with orders and are answered by raw
//! bytes to [`crate::routes::AGENT_LOGS`].

use huisuan_model::{
    AttemptId, AttemptReport, EngineKind, JobId, Order, Pool, PoolId, RangeSet, Rating, SiteBook, Stream, TimeMs,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::channels::ChannelOrder;

/// The protocol version of this build. A server speaks this one and the one before.
pub const PROTOCOL: u32 = 1;

/// What an agent says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The protocol version that it speaks.
    pub protocol: u32,
    /// What it found, without ratings.
    #[schema(value_type = Vec<Object>)]
    pub pools: Vec<Pool>,
    /// What it runs work with.
    #[schema(value_type = String)]
    pub engine: EngineKind,
    /// How memory limits are kept, in the engine's words.
    pub memory_mode: String,
    /// Its folder is new: it knows nothing of what it may have run before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// What the server says to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Welcome {
    /// The protocol version that both will speak.
    pub protocol: u32,
    /// Names this run of the server; goes with every report.
    pub epoch: u64,
    /// The highest report sequence that the server has; the next is one more.
    pub reported_seq: u64,
    /// The pools that have no rating in force: new ones, those whose hardware changed or whose rating is too old.
    #[schema(value_type = Vec<String>)]
    pub unrated: Vec<PoolId>,
}

/// What a centre's engine holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The run of the server that it is for.
    pub epoch: u64,
    /// The attempts, tasks of one job together.
    pub attempts: Vec<HeldTasks>,
    /// What has ended there and is not known to be on the server's disk: its end is on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<HeldTasks>,
    /// When the site's own rules or its own scheduler keep it closed: the scheduler plans around it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedSpan>,
    /// What the engine says that a person should look at, all of it each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<EngineAlarm>,
    /// What the site's own scheduler keeps to, for people, all of it each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub book: Option<SiteBook>,
}

/// Something at a centre that its engine alarms people of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineAlarm {
    /// What it is about, such as `node n17`: it names the alarm. One line of at most 200 bytes.
    pub subject: String,
    /// What is wrong, for people.
    pub what: String,
}

/// A span in which a site runs nothing, or nothing of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedSpan {
    /// Its first moment, in milliseconds UTC.
    #[schema(value_type = i64)]
    pub from: TimeMs,
    /// The first moment after it.
    #[schema(value_type = i64)]
    pub until: TimeMs,
    /// The pool; all of the centre when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pool: Option<PoolId>,
    /// Why its own scheduler closes it, such as `maintenance m1`, in at most 100 bytes; nothing for the site's own
    /// rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Attempts of one job with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldTasks {
    /// The job.
    #[schema(value_type = u64)]
    pub job: JobId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The tasks, such as `0-99,105`.
    #[schema(value_type = String)]
    pub tasks: RangeSet,
}

/// Where the books differ from that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HeldAnswer {
    /// Said to run there: the agent looks for them, in claim and done records first.
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<AttemptId>,
    /// Ended in the books, or given up: the agent ends them.
    #[schema(value_type = Vec<String>)]
    pub end: Vec<AttemptId>,
    /// Something was seen for the first time: the same question again in a moment tells whether it stays.
    pub again: bool,
}

/// What a centre is to do now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Orders {
    /// Names this run of the server.
    pub epoch: u64,
    /// Orders after the asked sequence, in rising order; several may share one sequence.
    pub orders: Vec<SequencedOrder>,
    /// Output that somebody wants to read.
    pub log_requests: Vec<LogRequest>,
    /// Pools to be measured now: nothing runs there, and their ratings are old or somebody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub measure: Vec<PoolId>,
    /// Channels into sessions that somebody opened: the agent opens its end of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelOrder>,
}

/// An order and its place in the centre's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SequencedOrder {
    /// Its number in the stream: one run of the server counts up for each centre.
    pub seq: u64,
    /// What to do.
    #[schema(value_type = Object)]
    pub order: Order,
}

/// Asks an agent for a piece of an attempt's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogRequest {
    /// Names the request; the answer goes to it.
    pub id: u64,
    /// Whose output.
    #[schema(value_type = String)]
    pub attempt: AttemptId,
    /// Which output.
    #[schema(value_type = String, pattern = "^(stdout|stderr)$")]
    pub stream: Stream,
    /// The first byte wanted, from 0.
    pub offset: u64,
    /// The most bytes wanted.
    pub limit: u64,
}

/// The query of a log answer; its body is the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogAnswer {
    /// Where the body begins in the output.
    pub offset: u64,
    /// True when the attempt has ended and these are its last bytes.
    pub end: bool,
    /// Why there are no bytes to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// News of a centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The run of the server that they are for.
    pub epoch: u64,
    /// Counts up by one for every batch; a lower or equal one was seen before.
    pub seq: u64,
    /// In the order in which it happened.
    #[schema(value_type = Vec<Object>)]
    pub reports: Vec<AttemptReport>,
}

/// The server has them on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taken {
    /// The highest report sequence that the server has.
    pub seq: u64,
}

/// New ratings of a centre's pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ratings {
    /// One for each pool.
    pub ratings: Vec<PoolRating>,
}

/// The rating of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolRating {
    /// Which.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// How fast; the server sets its version.
    #[schema(value_type = Object)]
    pub rating: Rating,
}
