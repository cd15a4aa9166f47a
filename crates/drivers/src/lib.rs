//! Runs work with the engine that a centre already has. One trait, [`Engine`]; one implementation so
//! far, [`LocalEngine`]: processes of this machine, kept by a supervisor process that outlives the agent.
//!
//! What this crate must never do: start an attempt twice, report an end that is not yet on disk, forget
//! an order that it accepted, let a shell read anything that a user wrote, or decide what runs where.
//!
//! Start reading at `engine.rs` (what any engine promises), then `local/mod.rs` (how processes keep it).

mod engine;
pub mod failpoint;
mod local;

pub use engine::{Engine, EngineError, LogChunk, SubmitResult};
pub use local::{LocalConfig, LocalEngine, LocalLimits, supervise};
