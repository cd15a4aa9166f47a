//! The event stream on the wire.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::wire::Timestamp;

/// The data of one Server-Sent Event. Its `event:` is `kind`; its `id:` is `seq`, and for all but
/// the last event of an entry `seq.number`, so that a break between two events of an entry loses none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// The journal entry; events of one entry share it.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The event's word, such as `job-submitted`.
    pub kind: String,
    /// The job, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<u64>,
    /// The centre, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<String>,
    /// The event's own fields.
    #[schema(value_type = Object)]
    pub data: Value,
}
