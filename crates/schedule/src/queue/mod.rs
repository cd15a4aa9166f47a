//! The queue of one pool of interchangeable processors: who starts now, and what is kept for whom.
//!
//! Start reading at [`Queue`], what every policy does; then [`QueuePolicy`], which names them.
//!
//! - `job`: what a queue is told of a job;
//! - `fifo`, `easy`, `easy_sjbf`, `conservative`, `saf_guard`: one policy each;
//! - `backfill`: the pass that the three EASY policies share, each with an order of its own;
//! - `running`: what runs, when it should end, and when there will be room;
//! - `profile`: the room over time, for reservations of every kind;
//! - `predict`: how long a job will run, from what its owner ran before.

mod backfill;
mod conservative;
mod easy;
mod easy_sjbf;
mod fifo;
mod job;
mod policy;
mod predict;
mod profile;
mod running;
mod saf_guard;
#[cfg(test)]
mod tests;

pub use job::QueueJob;
pub use policy::{Queue, QueuePolicy, UnknownPolicy};
pub use predict::History;
pub use profile::{Amount, Profile};
pub use saf_guard::GUARD;
