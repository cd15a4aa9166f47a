//! Pure planning: from a snapshot of centres, waiting jobs and balances to placements and reasons.
//!
//! This crate must never read a clock, do I/O, draw random numbers or use floats: the same input gives
//! the same plan, byte for byte, on every machine and in the twin. A plan is a proposal; `control`
//! re-checks every part of it.
//! Start reading at [`cycle`], then [`Snapshot`] (what it knows) and [`room`] (what fits).
//!
//! - `snapshot`, `policy`: the input; `translate`: the same with numbered pools;
//! - `fit`: which pools can run a shape, and what a task of it takes there;
//! - `load`: how many tasks fit now, with the look-ahead for short ones;
//! - `order`: whose turn it is;
//! - `quota`: how much more a tenant may hold;
//! - `score`: which place is best;
//! - `cycle`: the loop over all of these;
//! - `explain`: why the rest waits; `door`: what can never run;
//! - `check`: an independent judge of plans, which shares no code with the rest.

mod check;
mod cycle;
mod door;
mod explain;
mod fit;
mod load;
mod order;
mod policy;
mod quota;
mod score;
mod snapshot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod translate;
mod violation;

pub use check::check;
pub use cycle::cycle;
pub use door::{NeverFits, never_fits};
pub use fit::{Demand, demand, hold_each};
pub use load::room;
pub use policy::{Budget, Policy, Seed, Weights};
pub use snapshot::{
    Amounts, CentreView, JobView, PoolView, ProjectView, Quota, ShapeView, Snapshot, TenantView, Window,
};
pub use violation::Violation;
