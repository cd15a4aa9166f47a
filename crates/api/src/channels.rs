//! Channels into sessions on the wire. What goes through them are [`huisuan_model::channel::Frame`]s.

use huisuan_model::ChannelTarget;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::Timestamp;

/// The most bytes that are brought to a channel at once.
pub const CHANNEL_BYTES_MAX: usize = 64 * 1024;

/// Asks for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRequest {
    /// The TCP port of the session that it leads to, 1 to 65535; the session's terminal when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// The answer: whoever shows the secret and the token of the same tenant may use the channel, once in each direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelOpened {
    /// Its number in this run of the server.
    pub channel: u64,
    /// To be sent as `X-Channel-Secret`.
    pub secret: String,
    /// Where the session runs.
    pub centre: String,
}

/// The answer to bytes that were brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelTaken {
    /// How many bytes of this direction have been taken in all: fewer than were sent while the other side reads none.
    pub taken: u64,
}

/// A channel that is open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// What it leads to: `terminal` or `port 8888`.
    pub target: String,
    /// Who opened it.
    pub actor: String,
    /// When.
    pub opened_at: Timestamp,
}

/// Asks an agent to open its end of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelOrder {
    /// The channel's number in this run of the server.
    pub channel: u64,
    /// To be sent as `X-Channel-Secret`; another one than the user's.
    pub secret: String,
    /// The attempt that runs the session.
    #[schema(value_type = String)]
    pub attempt: huisuan_model::AttemptId,
    /// What it leads to.
    #[schema(value_type = Object)]
    pub target: ChannelTarget,
}

impl ChannelRequest {
    /// What is asked for; `None` for a port that is none.
    pub fn target(self) -> Option<ChannelTarget> {
        match self.port {
            None => Some(ChannelTarget::Terminal),
            Some(0) => None,
            Some(port) => Some(ChannelTarget::Port(port)),
        }
    }
}
