//! The index: a placement rates a few dozen nodes whatever the size of the fleet.
//!
//! - `ranking`: the best nodes for an ask that comes often, kept and corrected by `changes`; `rankings`: all of them;
//! - `kind`: for all others, nodes of one make in cells by whole devices, largest free fraction and free cores;
//! - `cell`: the nodes of one cell; `walk`: which of them are candidates for an ask;
//! - `dead`: what found no room since the last release; `packer`: all of it together.

mod cell;
mod changes;
mod dead;
mod kind;
mod packer;
mod ranking;
mod rankings;
#[cfg(test)]
mod tests;
mod walk;

pub use packer::Packer;
