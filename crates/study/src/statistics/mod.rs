//! Numbers about numbers, for reports and comparisons; the one home of quantiles.
//!
//! Everything here is deterministic: the same values in the same order give the same bits. Floats appear only in
//! what a report shows, never in a decision.

mod paired;
mod summary;

pub use paired::{Difference, UnpairedError, paired_difference};
pub use summary::{BOUND_MS, Summary, bounded_slowdown, mean, mean_bounded_slowdown, quantile};
