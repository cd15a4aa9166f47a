//! The `local` engine: processes of this machine, kept by one supervisor process per centre.
//!
//! [`LocalEngine`] is the agent's side: it speaks over a Unix socket with the supervisor and starts one when
//! there is none. [`supervise`] is the supervisor's main function. Both share one folder:
//!
//! | path | what |
//! |---|---|
//! | `supervisor.json` | what the supervisor may use; written by the agent |
//! | `supervisor.sock`, `supervisor.lock`, `start.lock` | where it listens; there is one; one starts it |
//! | `supervisor.log` | what it says |
//! | `accepted.log` | start orders, on disk before they are answered |
//! | `done.log` | ends, on disk before they are reported; and what was acknowledged |
//! | `attempts/JOB/TASK.ATTEMPT/` | `claim`, `stdout`, `stderr`, `script`, `done.json` of one attempt; `work` and `container.pid` of one in a container |
//!
//! The attempt's folder is never removed: it is the proof that the attempt was started once.

mod config;
mod connection;
mod engine;
mod paths;
mod records;
mod supervisor;
mod wire;

pub use config::{LocalConfig, LocalLimits};
pub use engine::LocalEngine;
pub use supervisor::supervise;
