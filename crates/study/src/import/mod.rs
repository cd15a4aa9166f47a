//! From what really happened at a site to a workload and a network that the twin can run.
//!
//! [`Workload`] is the common form of all traces and has a file format of its own; [`Network`] is what they ran on;
//! [`simulate`] runs the one on the other under a policy of ours and [`compare`] puts the waits side by side.
//! [`Format`] is the table of what can be imported. [`NetworkFile`] is a network that somebody wrote: a workload is put
//! beside it instead of the assumed one, and series of prices and carbon become the hours of one of its centres.

mod asked;
mod compare;
mod formats;
mod hours;
mod network;
mod network_file;
mod peak;
mod scenario;
mod simulate;
mod site;
mod sized;
mod workload;

#[cfg(test)]
pub(crate) use formats::jobs as jobs_of;

#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;

pub use compare::{Comparison, Group, Waits, compare};
pub use formats::{Assumptions, Format, Gives, LeftOut};
pub use hours::{HoursOfDay, import_hours};
pub use network::{CPU, GPU, ImportedCentre, ImportedPool, Network, SizedBy};
pub use network_file::{Made, NetworkFile};
pub use scenario::{JOBS_FILE, SEED, jobs_csv, scenario_toml};
pub use simulate::{Fate, Options, Simulation, simulate, simulate_made, simulate_queue};
pub use site::{ImportError, Imported, import_jobs, import_sacct};
pub use workload::{COLUMNS, Job, TokenRates, Workload};
