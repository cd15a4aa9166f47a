//! Readers: what users write becomes a [`huisuan_model::JobSpec`], through whichever door.
//!
//! Every error names the field, its value and what would be accepted; unknown fields are refused with
//! the nearest known one. The same job has the same spec hash through every door.

mod distinct;
mod fields;
pub mod job_file;
mod problem;
pub mod quantity;
mod reader;
pub mod sbatch;
mod similar;
#[cfg(test)]
mod tests;
mod topology;

pub use job_file::read_job_file;
pub use problem::SpecProblem;
pub use similar::nearest;
