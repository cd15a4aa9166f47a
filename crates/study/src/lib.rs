//! Files in, twin run, report out: trace readers, scenario files, tables, plots.
//!
//! This crate must never decide anything itself: it reads, calls the twin and the scheduler, and writes.
//! Start reading at [`run`], then [`scenario`] (what goes in) and [`report`] (what comes out).
//!
//! - [`read`]: trace readers; [`scenario`]: scenario files; [`statistics`]: quantiles and comparisons;
//! - [`report`]: figures and time series of a run; [`plot`]: charts of it; [`diff`]: two ways compared;
//! - [`replay`]: the plans of a journal made again.

pub mod diff;
pub mod plot;
pub mod read;
pub mod replay;
pub mod report;
mod run;
pub mod scenario;
pub mod statistics;

pub use run::run;
