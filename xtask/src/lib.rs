//! Everything a developer or the continuous integration runs, as one program: `cargo xtask --help`.
//!
//! - `setup.rs`: the system packages and tools that are needed, as data.
//! - `python.rs`: environments for tests that compare with other people's programs; `focus.rs`: one of them.
//! - `test.rs`, `check.rs`: the steps of `cargo xtask test` and `cargo xtask check`, run by `step.rs` and ended by
//!   `limit.rs` when they hang.
//! - `faults.rs`: rounds of faults against real processes.
//! - `walls.rs`: who may use whom, compared with the committed lists in `xtask/walls`.
//! - `tidy/`: the house rules that a machine can check, one function per rule.
//! - `kubernetes.rs`: a real control plane for the contract of the Kubernetes engine.
//! - `bench.rs`: benchmarks with a range of allowed results, one file each in `xtask/ranges`.
//!
//! What this crate must never do: be needed by the shipped binary, or pass silently over a check that
//! could not run.
//!
//! The rules run as ordinary tests (`xtask/tests`), so that `cargo test` is enough to know.

pub mod bench;
pub mod check;
pub mod faults;
pub mod focus;
pub mod kubernetes;
pub mod lab;
pub mod limit;
pub mod python;
pub mod repository;
pub mod scenario;
pub mod setup;
pub mod step;
pub mod test;
pub mod tidy;
pub mod walls;
