//! Channels into sessions: two bounded ways between whoever attached and the agent of the session's centre.
//!
//! - `pipe.rs`: one direction: bytes that are brought by posts and streamed to the other end.
//! - `channels.rs`: all channels that are open, their secrets, their limits.
//!
//! Bytes pass through and are not looked at. Nothing here is stored: who opened a channel, and when it ended, is in the
//! journal; a server that ends has closed all of them.

#[expect(clippy::module_inception, reason = "the register of channels is what this folder is named after")]
mod channels;
mod pipe;

pub(crate) use channels::{Channel, Channels, Side, Wanted};
pub(crate) use pipe::Brought;
