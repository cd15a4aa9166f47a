//! The simulated network: jobs come, the real control decides, virtual centres perform what it orders.
//!
//! - `run`: the world and its loop, the only place that calls `control` and `schedule`;
//! - `site`: a virtual centre, which does what an agent and its engine do;
//! - `moving`: what goes over the lines between centres;
//! - `origins`: who gives commands;
//! - `faults`: what goes wrong; `trial`: what is refused before anything runs;
//! - `observer`: who watches.

mod faults;
mod happening;
mod moving;
mod observer;
mod origins;
mod run;
mod site;
mod trial;

pub use observer::{Observer, Transfer};
pub use run::{Counts, World};
