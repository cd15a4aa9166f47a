//! The network in simulated time: the live `control` and `schedule` driven by virtual centres.
//!
//! This crate must never read a clock, do I/O or draw unseeded randomness: the same scenario and seed
//! give the same events on every machine.
//!
//! - `machine`: a log of jobs on one machine of equal processors, behind one queue.

pub mod machine;

pub mod packing;
