//! Virtual centres: an engine that keeps every promise of [`crate::Engine`] and runs nothing.
//!
//! - `timeline`: what is accepted, waits, runs and ended, as a fold over entries; pure, the time comes in;
//! - `journal`: the entries on disk, so that a restart goes on where the virtual tasks are by now;
//! - `engine`: the trait, with the clock.

mod engine;
mod journal;
mod task;
#[cfg(test)]
mod tests;
mod timeline;

pub use engine::{SimulatedConfig, SimulatedEngine};
pub use task::{Fate, Oracle};
