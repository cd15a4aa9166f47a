//! The network in simulated time: the live `control` and `schedule` driven by virtual centres.
//!
//! This crate must never read a clock, do I/O or draw unseeded randomness: the same scenario and seed
//! give the same events on every machine.
//!
//! - [`kernel`]: what happens next; [`random`]: named streams of numbers;
//! - [`bench`]: a made-up network to measure a cycle with;
//! - [`machine`]: a log of jobs on one machine of equal processors, behind one queue;
//! - [`packing`]: tasks that arrive at nodes with devices.

pub mod bench;
mod fixed;
pub mod kernel;
pub mod machine;
pub mod packing;
pub mod random;
