//! The server: doors over HTTP, the one writer, the planner beside it, metrics and pages.
//!
//! It is the only place where clock, network, database and core meet. It must never decide about jobs,
//! places or money by itself: commands go to `control` through the writer, and every answer that says
//! "accepted" comes after the commit. Start reading at [`Server`], then `writer.rs`, then `http`.

mod answers;
mod books;
mod centre_tokens;
mod channels;
mod clock;
mod commit;
mod committer;
mod connections;
mod disk;
mod failpoint;
mod feed;
mod http;
mod hub;
mod identity;
mod journal;
mod judge;
mod liveness;
mod metrics;
mod pages;
mod peer;
mod planner;
mod ratings;
mod readers;
mod reasons;
mod restore;
mod secrets;
mod seen;
mod server;
mod simulation;
mod start_error;
mod tenant_tokens;
mod turns;
mod unknown;
mod verify;
mod views;
mod wake;
mod writer;

pub use books::{Audit, Checked, Export, Format, LedgerRate, Span, audit_data, export, export_data, ledger_rate};
pub use journal::read_journal;
pub use ratings::PartCeiling;
pub use server::{LOCAL_FUNDS, ServeConfig, Server};
pub use simulation::{Simulation, Title};
pub use start_error::hint_of;
pub use verify::{Verified, verify};
