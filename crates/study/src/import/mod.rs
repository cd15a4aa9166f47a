//! From what really happened at a site to a workload and a network that the twin can run.
//!
//! [`Workload`] is the common form of all traces and has a file format of its own; [`Network`] is what they ran on;
//! [`simulate`] runs the one on the other under a policy of ours and [`compare`] puts the waits side by side.

mod asked;
mod compare;
mod network;
mod peak;
mod scenario;
mod simulate;
mod site;
mod workload;

#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;

pub use compare::{Comparison, Group, Waits, compare};
pub use network::{CPU, GPU, ImportedCentre, ImportedPool, Network, SizedBy};
pub use scenario::{JOBS_FILE, jobs_csv, scenario_toml};
pub use simulate::{Fate, Options, Simulation, simulate};
pub use site::{ImportError, SiteImport, import_sacct};
pub use workload::{COLUMNS, Job, Workload};
