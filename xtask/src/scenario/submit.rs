//! Durable submissions through the API by 64 clients, of one spec and of as many as there are jobs, and what one
//! process reaches that inserts the same rows in batches of 100 with no server around it. Cycles run beside: the jobs
//! wait for want of a centre.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::network::{Scratch, Server, binary, build};
use crate::repository::Repository;

const JOBS: &str = "100000";

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let binary = binary(repository)?;
    build(repository, &["--package", "huisuan-store", "--example", "insert_rate"])?;
    let scratch = Scratch::new(repository, "submit")?;
    let before = insert_rate(repository, &scratch)?;
    let server = Server::start(&binary, &scratch.0)?;
    let submit = ["bench", "submit", "--clients", "64", "--jobs", JOBS, "-o", "json"];
    let report = server.client(&submit)?;
    let distinct = server.client(&[&submit[..], &["--distinct"]].concat())?;
    drop(server);
    // Twice, around the other, because machines drift.
    let insert_per_s = f64::midpoint(before, insert_rate(repository, &scratch)?);
    let per_s = report["per_s"].as_f64().context("a rate")?;
    Ok(json!({
        "per_s": per_s, "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"],
        "distinct_per_s": distinct["per_s"],
        "insert_per_s": insert_per_s, "share_of_insert": per_s / insert_per_s,
    }))
}

fn insert_rate(repository: &Repository, scratch: &Scratch) -> Result<f64> {
    let program = repository.target().join("release/examples/insert_rate");
    let output = Command::new(&program).args([JOBS, "100"]).current_dir(&scratch.0).output();
    let output = output.with_context(|| format!("start {}", program.display()))?;
    let result: Value = serde_json::from_slice(&output.stdout).context("read the result of insert_rate")?;
    result["per_s"].as_f64().context("a rate")
}
