//! Pure planning: from a snapshot of centres, waiting jobs and balances to placements and reasons.
//!
//! This crate must never read a clock, do I/O, draw random numbers or use floats: the same input gives
//! the same plan, byte for byte, on every machine and in the twin. A plan is a proposal; `control`
//! re-checks every part of it.
//! Start reading at [`cycle`], then [`Snapshot`] (what it knows) and [`room`] (what fits).
//!
//! - `snapshot`, `policy`: the input; `translate`: the same with numbered pools;
//! - `fit`: which pools can run a shape, and what a task of it takes there; `domain`: what fits on their nodes, racks
//!   and pods when they are empty;
//! - `holdings`: what attempts hold of a pool; `share`: what a share is; `holders`: who holds how much of the network;
//!   `order`: whose turn it is, found through a `tournament`;
//! - `load`: how many tasks fit now, with the look-ahead for short ones; `allowance`: how many may be placed at all;
//! - `opaque`: centres that hide their queue;
//! - `advance`: what reservations in advance keep of a pool;
//! - `reserve`, `promise`: what is kept for jobs that found no room; `improve`: what the cycle itself has placed moves to
//!   make room for them; `preempt`: what ends for that;
//! - `score`: which place is best; [`Memory`]: what a planner need not find again in every cycle;
//! - `cycle`: the loop over all of these; `state` and `progress`: what changes in it; `write`: what was placed;
//! - `explain`: why the rest waits; [`helps`]: what would help; `door`: what can never run;
//! - `queue`: the queue of one pool, its policies, and the room over time;
//! - [`pack`]: nodes and devices, where a centre shows them; `nodes`: those of the cycle's pools, and gangs in racks;
//! - [`reach`]: what lies between centres: latency bounds, data to be moved, power;
//! - `check`: an independent judge of plans, which shares no code with the rest;
//! - [`network`]: the level above: which centre and pool for each class of work.

mod advance;
mod allowance;
mod check;
mod cycle;
mod domain;
mod door;
mod explain;
mod fit;
mod helps;
mod holders;
mod holdings;
mod improve;
mod load;
mod memory;
pub mod network;
mod nodes;
mod opaque;
mod order;
pub mod pack;
mod policy;
mod preempt;
mod progress;
mod promise;
pub mod queue;
pub mod reach;
mod reserve;
mod score;
mod share;
mod snapshot;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tournament;
mod translate;
mod violation;
mod write;

pub use advance::Reserved;
pub use check::check;
pub use cycle::{cycle, cycle_with};
pub use door::{NeverFits, never_fits};
pub use fit::{Demand, demand, hold_each};
pub use helps::{Change, Help, helps, helps_of};
pub use holdings::{Holding, Holdings, Preemptible, RunningView};
pub use load::room;
pub use memory::Memory;
pub use opaque::{OpaqueView, band, hand_over};
pub use policy::{Budget, Order, Policy, Seed, Weights};
pub use snapshot::{
    Agreed, Amounts, CentreView, JobView, PoolView, ProjectView, Quota, ShapeView, Snapshot, TenantView, Window,
};
pub use violation::Violation;
