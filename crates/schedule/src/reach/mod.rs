//! How far centres are from each other, and what that means to a shape: its latency bound, the data that it reads, and
//! the power of where it runs. It is computed once for a shape and a cycle, and not at all for shapes that mind nothing.
//!
//! - `ways`: the best way between two centres, over declared links or along the ground;
//! - `traffic`: what is under way on these ways;
//! - `near`: whether a centre is within a latency bound;
//! - `worth`: the terms of a score that follow from data, power and the network's plan.

mod near;
mod traffic;
mod ways;
mod worth;

pub use near::{Near, near};
pub use traffic::{Loads, Traffic};
pub use ways::{Declared, Way, Ways};
pub(crate) use worth::{Fixed, Site, fixed};
