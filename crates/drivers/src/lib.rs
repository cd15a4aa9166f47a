//! Runs work with the engine that a centre already has. One trait, [`Engine`], and four implementations:
//! [`LocalEngine`], processes of this machine, kept by a supervisor process that outlives the agent; [`SlurmEngine`], a
//! Slurm cluster; [`KubernetesEngine`], pods of a cluster; and [`SimulatedEngine`], a virtual centre that runs nothing.
//!
//! What this crate must never do: start an attempt twice, report an end that is not yet on disk, forget
//! an order that it accepted, let a shell read anything that a user wrote, or decide what runs where.
//!
//! Start reading at `engine.rs` (what any engine promises), then `local/mod.rs` (how processes keep it),
//! `slurm/mod.rs` (how a cluster does) and `kubernetes/mod.rs` (how pods do); `simulated/mod.rs` is the short one.

mod clock;
mod container;
mod engine;
pub mod failpoint;
mod folder;
mod kubernetes;
mod local;
mod simulated;
mod slurm;
pub mod staging;
mod viewers;

pub use container::{ContainerRules, Containers};
pub use engine::{Alarm, Closed, Engine, EngineError, Held, LogChunk, SubmitResult};
pub use kubernetes::{KubernetesConfig, KubernetesEngine, PlacedBy, PoolRule, SharedVolume, Toleration};
pub use local::{LocalConfig, LocalEngine, LocalLimits, supervise};
pub use simulated::{Fate, Oracle, SimulatedConfig, SimulatedEngine};
pub use slurm::{DeviceType, LocalUser, SlurmConfig, SlurmEngine, Whose};
