//! The index: cells of nodes that are nearly alike, so that a placement looks at a few dozen nodes whatever
//! the size of the fleet.
//!
//! - `kind`: nodes of one make, in cells by whole devices, largest free fraction and free cores;
//! - `cell`: the nodes of one cell; `walk`: which of them are candidates for an ask;
//! - `dead`: what found no room since the last release; `packer`: all of it together.

mod cell;
mod dead;
mod kind;
mod packer;
#[cfg(test)]
mod tests;
mod walk;

pub use packer::Packer;
