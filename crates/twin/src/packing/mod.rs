//! The published packing protocol (Weng et al., ATC 2023): tasks arrive and never leave, each is placed at
//! once or is lost, and allocation is read off against the demand that has arrived.
//!
//! - `arrivals`: who arrives in which order; `run`: the run and its curve;
//! - `bound`: what no policy can pass, and what hindsight reaches.

mod arrivals;
mod bound;
mod run;

pub use arrivals::{Arrivals, demand_thousandths};
pub use bound::{hindsight_thousandths, upper_bound_thousandths};
pub use run::{Curve, Outcome, Placer, run};
