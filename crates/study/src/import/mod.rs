//! From what really happened at a site to a workload and a network that the twin can run.
//!
//! [`Workload`] is the common form of all traces and has a file format of its own; [`Network`] is what they ran on.

mod network;
mod peak;
mod workload;

pub use network::{CPU, GPU, ImportedCentre, ImportedPool, Network, SizedBy};
pub use workload::{COLUMNS, Job, Workload};
