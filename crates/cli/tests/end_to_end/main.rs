//! The real binary from end to end: servers, agents and tasks that run, each test in a home of its own.
//!
//! - `site.rs`: a server and the agent of one centre.
//! - `../support/disk.rs`: small file systems of its own, for a full and a read-only disk.
//! - The other files are the tests.

mod bills;
mod clusters;
mod containers;
mod demo;
#[path = "../support/disk.rs"]
mod disk;
mod ends;
mod energy;
#[path = "../support/engines.rs"]
mod engines;
mod import;
mod join;
#[path = "../../../drivers/tests/lab/mod.rs"]
mod lab;
mod lists;
mod output;
mod policies;
mod reservations;
mod sessions;
mod site;
mod staging;
mod submit;
#[path = "../support/mod.rs"]
mod support;
mod tenants;
mod tools;
mod trouble;
mod twin;
