//! A way into a running session: what it leads to, and the frames that its two ends speak.
//!
//! The ends are whoever attached and the engine that keeps the session; whatever lies between passes bytes on.
//! A frame is one byte that says what it is, the length of the rest in four bytes (the highest first), and the rest.

mod frames;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use frames::{Frame, FrameError, Frames, PAYLOAD_BYTES_MAX, whole};

/// What a channel leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelTarget {
    /// The session's terminal. There is one at a time: who comes later takes it over.
    Terminal,
    /// A TCP port that a process of the session listens on, at the machine's loopback address.
    Port(u16),
}

impl fmt::Display for ChannelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelTarget::Terminal => f.write_str("terminal"),
            ChannelTarget::Port(port) => write!(f, "port {port}"),
        }
    }
}
