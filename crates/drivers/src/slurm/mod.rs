//! The `slurm` engine: a Slurm cluster, driven by its own programs as an ordinary user at a login node.
//!
//! Read `files.rs` for what is shared with compute nodes and `wrapper.sh` for what runs there; then follow an order:
//!
//! | step | where |
//! |---|---|
//! | accepted: on disk, then answered | `engine.rs`, `journal.rs` |
//! | which local user runs it, what that user shares with the agent | `users.rs`, `share.rs` |
//! | submitted, held, under the attempt's name; its number written down; released | `submit.rs`, `release.rs` |
//! | those of which Slurm is told the same together, as one array with a list of attempts | `request.rs`, `lists.rs` |
//! | tasks of a gang, as one job once all of them are there | `gang.rs`, `gang.sh` |
//! | what it runs written down, as a process or a container | `start.rs` |
//! | claimed and run by the wrapper, which records the end | `wrapper.sh` |
//! | its news seen in the shared folder, without asking Slurm | `look.rs` |
//! | what is doubtful asked for in bulk: queue, then accounting | `poll.rs`, `ask.rs`, `ours.rs`, `answers.rs` |
//! | cancelled, after a look at the queue | `cancel.rs` |
//! | what the cluster has, and what the site takes of it or announces | `nodes.rs`, `inventory.rs`, `site.rs`, `limits.rs` |
//! | what holds room in Slurm and will never use it, ended | `leftovers.rs` |
//! | judged | `verdict.rs` |
//! | a terminal given to whoever attaches to a session, by a step of its job; so a connection to a port | `session.rs`, `port.rs` |
//! | its end on disk, then told until it is acknowledged | `state.rs` |
//!
//! An attempt starts at most once, because whoever creates its claim file may start it, and nobody else ever. It is
//! never submitted while its job may exist in a state other than held. Nothing that Slurm says ends an attempt which
//! still gives signs of life.

mod answers;
mod ask;
mod bucket;
mod cancel;
mod client;
mod config;
mod engine;
mod files;
mod gang;
mod inventory;
mod job;
mod journal;
mod leftovers;
mod limits;
mod lists;
mod look;
mod nodes;
mod open;
mod ours;
mod output;
mod poll;
mod port;
mod record;
mod release;
mod request;
mod session;
mod share;
mod shared;
mod site;
mod start;
mod state;
mod submit;
mod trial;
mod users;
mod verdict;

pub use config::{DeviceType, SlurmConfig};
pub use engine::SlurmEngine;
pub use users::{LocalUser, Whose};
