//! Readers of public trace formats. Every one stops at the first thing it does not understand and says
//! where it is and what it expected; nothing is guessed and nothing skipped without being counted.

mod error;
mod openb;
mod swf;
mod text;

pub mod azure;
pub mod energy;
pub mod gaia;
pub mod gavel;
pub mod philly;
pub mod sacct;
pub mod sinfo;
pub mod slurm;
pub mod table;
pub mod time;

#[cfg(test)]
mod tests;

pub use error::ReadError;
pub use openb::{OpenbNodes, read_openb_nodes, read_openb_tasks};
pub use swf::{SwfJob, SwfLog, read_swf};
pub use text::{Text, read_text};
