//! The published packing protocol (Weng et al., ATC 2023): tasks arrive and never leave, each is placed at
//! once or is lost, and allocation is read off against the demand that has arrived.
//!
//! - `arrivals`: who arrives in which order; `run`: the run and its curve;
//! - `bound`: what no policy can pass, and `patterns`: how it sees fractions; `hindsight`: what one reaches that knows
//!   everything beforehand. Perfect lies between the two.

mod arrivals;
mod bound;
mod hindsight;
mod patterns;
mod run;

pub use arrivals::{Arrivals, demand_thousandths};
pub use bound::{Bound, BoundBy, upper_bound};
pub use hindsight::hindsight_thousandths;
pub use run::{Curve, Outcome, Placer, run};
