//! Files in, twin run, report out: trace readers, scenario files, tables, plots.
//!
//! This crate must never decide anything itself: it reads, calls the twin and the scheduler, and writes.
//! Start reading at [`read`]; `swf` replays logs of parallel machines.

pub mod bench_cycle;
pub mod read;
pub mod statistics;
mod openb_study;
pub mod swf;

pub use openb_study::{OpenbStudy, Search};
//! Start reading at [`run`], then [`scenario`] (what goes in) and [`report`] (what comes out).
//!
//! - [`read`]: trace readers; [`scenario`]: scenario files; [`statistics`]: quantiles and comparisons;
//! - [`report`]: figures and time series of a run;
//! - [`import`]: a site's past as a workload and a network, run again and compared.

pub mod import;
pub mod read;
pub mod report;
mod run;
pub mod scenario;
pub mod statistics;

pub use run::run;
