//! Sessions: an attempt whose process has a terminal, and the channels that lead into it.
//!
//! - `start.rs`: the pseudo terminal, and the process that it controls.
//! - `terminal.rs`: what is written to the terminal goes into the attempt's output, and to who is attached.
//! - `attach.rs`: one channel: a connection that speaks frames, to the terminal or to a port.
//! - `port.rs`: which process listens on a port.
//!
//! The terminal is this process's: it outlives every agent and every channel, and ends with the supervisor.

mod attach;
mod port;
mod start;
mod terminal;

pub(crate) use attach::attach;
pub(crate) use start::{setsid, start};
pub(crate) use terminal::Terminal;
