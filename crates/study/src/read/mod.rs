//! Readers of public trace formats. Every one stops at the first thing it does not understand and says
//! where it is and what it expected; nothing is guessed and nothing skipped without being counted.

mod error;
mod swf;
mod text;

pub use error::ReadError;
pub use swf::{SwfJob, SwfLog, read_swf};
pub use text::{Text, read_text};
