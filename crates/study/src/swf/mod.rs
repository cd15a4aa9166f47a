//! Logs of parallel machines under the policies of one queue. Start reading at [`replay`].

mod filter;
mod report;
#[cfg(test)]
mod tests;

pub use huisuan_schedule::queue::QueuePolicy;

pub use filter::{Dropped, Filter, Requests, Workload};
pub use report::{Report, SwfError, processors, replay};
