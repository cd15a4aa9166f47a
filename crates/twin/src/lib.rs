//! The network in simulated time: the live `control` and `schedule` driven by virtual centres.
//!
//! This crate must never read a clock, do I/O or draw unseeded randomness: the same scenario and seed
//! give the same events on every machine.
//! Start reading at [`World`], then [`setup`] (what a network is made of) and [`workload`] (what comes).
//!
//! - [`kernel`]: what happens next; [`random`]: named streams of numbers;
//! - [`links`]: transfers that share the lines between centres;
//! - [`machine`]: a log of jobs on one machine of equal processors, behind one queue;
//! - [`packing`]: tasks that arrive at nodes with devices;
//! - [`bench`]: a made-up network to measure a cycle with.
//! - `world`: the loop and the virtual centres;
//! - [`decision`]: one figure for all decisions of a run; [`replay`]: the plans of a journal made again.

pub mod bench;
pub mod decision;
mod fixed;
pub mod kernel;
pub mod links;
pub mod machine;
pub mod packing;
pub mod random;
pub mod replay;
pub mod setup;
pub mod workload;
mod world;

pub use world::{Counts, Observer, Transfer, World};

pub use huisuan_control as control;
pub use huisuan_schedule as schedule;
