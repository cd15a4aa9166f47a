//! A log of jobs replayed on one machine of equal processors, behind one queue. Start reading at [`replay`].

mod outcome;
mod replay;
#[cfg(test)]
mod tests;

pub use outcome::{Figures, Outcome};
pub use replay::{LogJob, ReplayError, replay};
