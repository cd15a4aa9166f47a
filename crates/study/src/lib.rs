//! Files in, twin run, report out: trace readers, scenario files, tables, plots.
//!
//! This crate must never decide anything itself: it reads, calls the twin and the scheduler, and writes.
//! Start reading at [`read`]; `swf` replays logs of parallel machines.

pub mod bench_cycle;
mod openb_study;
pub mod read;
pub mod statistics;
pub mod swf;

pub use openb_study::{OpenbStudy, Search};
