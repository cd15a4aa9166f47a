//! The process at a centre: pulls orders from the server, drives the centre's engine, reports what happens.
//!
//! What this crate must never do: hand an order of an earlier server run or of another centre to the
//! engine, acknowledge an end to the engine that the server has not on disk, or give up while it may run.
//! It keeps no work of its own: whatever it forgets when it is killed, the server orders and the engine
//! reports again.
//!
//! Start reading at [`Agent::join`] and [`Agent::run`] in `agent.rs`; `report.rs` is the other direction, `policy.rs`
//! what the site itself allows, `desk.rs` how orders reach the engine, `staging` how data reaches tasks, `channel` how
//! people reach sessions, `held.rs` how the engine's word is compared with the server's.

mod agent;
mod channel;
mod contact;
mod desk;
mod devices;
mod gate;
mod held;
mod hours;
mod key;
mod memory;
mod offer;
mod pause;
mod policy;
mod rate;
mod report;
mod staging;

pub use agent::{Agent, AgentConfig, AgentError};
pub use pause::StopFlag;
pub use policy::{Broken, PolicyError, SitePolicy};
