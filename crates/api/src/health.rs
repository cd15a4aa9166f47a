//! What a server says of itself, to anybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::Timestamp;

/// The answer of `/healthz` and `/readyz`; needs no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// True when commands are accepted. `/readyz` answers with a problem instead of `false`.
    pub ready: bool,
    /// The server's version.
    pub version: String,
    /// The agent protocol that it speaks.
    pub protocol: u32,
    /// The server's clock.
    pub now: Timestamp,
    /// When it started.
    pub started_at: Timestamp,
    /// Free space where its data is, in bytes; absent when it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_free_bytes: Option<u64>,
}
