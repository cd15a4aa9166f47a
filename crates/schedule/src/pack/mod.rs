//! Nodes and devices: which node, and which of its devices, a task gets.
//!
//! - `ask`: what a task takes; `room`: what one node has; `fleet`: all nodes;
//! - `mix`: the work that the fleet is used for, and how much of a room it cannot use; `weighed`: one pass over a room;
//! - `policy`: how good a room is for an ask, one small file each;
//! - `scan`: the best of all nodes, looked at one by one;
//! - `index`: the best of all nodes, or of a few dozen candidates for rare work, whatever the size of the fleet.

mod ask;
mod fleet;
mod index;
mod mix;
pub mod policy;
mod room;
mod scan;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod weighed;

pub use ask::{Ask, DEVICES_MAX, Devices, Parts, WHOLE};
pub use fleet::{Fleet, Slot};
pub use index::Packer;
pub use mix::Mix;
pub use policy::{Packing, Rate, Rule};
pub use room::Room;
pub use scan::Scan;
