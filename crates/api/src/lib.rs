//! What crosses the border of a Huisuan server: wire types, error codes, the OpenAPI document, a
//! typed blocking client, and the readers of job files and Slurm scripts ([`spec`]).
//!
//! This crate must never decide anything about jobs or centres, and its wire types never lose a field
//! or change a meaning within `/v1`. Requests refuse unknown fields, answers may gain some.
//! Start reading at [`jobs`] (what a user sees), then [`routes`], then [`spec::job_file`].

pub mod agent;
pub mod alive;
pub mod bills;
pub mod books;
pub mod centres;
pub mod channels;
pub mod client;
pub mod contracts;
pub mod discovery;
pub mod events;
pub mod facts;
pub mod health;
pub mod jobs;
pub mod join;
pub mod openapi;
pub mod plan;
pub mod problem;
pub mod reasons;
pub mod reports;
pub mod reservations;
pub mod routes;
pub mod signature;
pub mod site;
pub mod spec;
mod sse;
pub mod tenants;
pub mod views;
pub mod wire;

pub use client::{AgentClient, Channel, Client, ClientError};
pub use problem::{ErrorCode, Problem};
pub use wire::{Amount, ClassUsage, Timestamp, Usage};
