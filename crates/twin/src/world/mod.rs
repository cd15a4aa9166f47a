//! The simulated network: jobs come, the real control decides, virtual centres perform what it orders.
//!
//! - `run`: the world and its loop, the only place that calls `control` and `schedule`;
//! - `site`: a virtual centre, which does what an agent and its engine do;
//! - `origins`: who gives commands;
//! - `faults`: what goes wrong;
//! - `observer`: who watches.

mod faults;
mod happening;
mod observer;
mod origins;
mod run;
mod site;

pub use observer::Observer;
pub use run::{Counts, World};
