//! The doors over HTTP as strangers meet them: a real server, and clients that send what they like.
//!
//! - `plain.rs`: a client of a few lines that sends any bytes and reads the answer.
//! - `network.rs`: a server on a scratch folder, and an agent that only pretends.
//! - `document.rs`: every answer against the OpenAPI document.
//! - `text.rs`: a checker of OpenMetrics text.
//! - The other files are the tests.

mod access;
mod agents;
mod amounts;
mod bills;
mod budget;
mod channels;
mod dependencies;
mod document;
mod events;
mod facts;
mod held;
mod join;
mod late;
mod limits;
mod network;
mod pages;
mod plain;
mod plan;
mod refusals;
mod reservations;
mod status;
mod submit;
mod tenants;
mod text;
mod windows;
