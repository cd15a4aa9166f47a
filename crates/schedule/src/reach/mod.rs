//! How far centres are from each other, and what that means to a shape: its latency bound, the data that it reads, and
//! the power of where it runs. Nothing here depends on what is in use: it is computed once for a shape and a cycle,
//! and not at all for shapes that mind nothing.
//!
//! - `ways`: the best way between two centres, over declared links or along the ground;
//! - `near`: whether a centre is within a latency bound;
//! - `worth`: the terms of a score that follow from data, power and the network's plan.

mod near;
mod ways;
mod worth;

pub use near::{Near, near};
pub use ways::{Way, Ways};
pub(crate) use worth::{Fixed, Site, fixed};
