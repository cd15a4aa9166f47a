//! Files in, twin run, report out: trace readers, scenario files, tables, plots.
//!
//! This crate must never decide anything itself: it reads, calls the twin and the scheduler, and writes.
//! Start reading at [`run`], then [`scenario`] (what goes in) and [`report`] (what comes out).
//!
//! - [`read`]: trace readers; [`scenario`]: scenario files; [`statistics`]: quantiles and comparisons;
//! - [`swf`]: logs of parallel machines under the policies of one queue;
//! - `openb_study`: task lists of GPU clusters under the packing policies;
//! - [`bench_cycle`]: one cycle of a large made-up network;
//! - [`report`]: figures and time series of a run; [`plot`]: charts of it; [`diff`]: two ways compared;
//! - [`replay`]: the plans of a journal made again; [`lapse`]: a scenario as a live load in fast motion;
//! - [`policies`]: all policies by name; [`one_queue`]: a network of one pool under those of a queue;
//! - [`import`]: a site's past as a workload and a network, run again and compared.

pub mod bench_cycle;
pub mod diff;
pub mod import;
pub mod indicator;
pub mod lapse;
pub mod one_queue;
mod openb_study;
pub mod plot;
pub mod policies;
pub mod read;
pub mod replay;
pub mod report;
mod run;
pub mod scenario;
pub mod statistics;
pub mod swf;

pub use huisuan_schedule::pack as packing;
pub use huisuan_twin::packing::BoundBy;
pub use openb_study::{OpenbStudy, Search};
pub use run::run;
