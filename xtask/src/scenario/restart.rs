//! A server that is killed with a million waiting jobs: how long until it answers again, until it places
//! the first of them, and how much memory that takes.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::network::{Scratch, Server, binary};
use crate::repository::Repository;

const JOBS: &str = "1000000";
const PLACED_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let binary = binary(repository)?;
    let scratch = Scratch::new(repository, "restart")?;
    let server = Server::start(&binary, &scratch.0)?;
    let agent = server.agent()?;
    server.client(&["centre", "pause", "bench", "-o", "json"])?;
    drop(agent);
    let submitted = server.client(&["bench", "submit", "--clients", "64", "--jobs", JOBS, "-o", "json"])?;
    let pending_mb = server.resident_mb()?;
    server.process.kill()?;
    let began = Instant::now();
    let server = Server::start(&binary, &scratch.0)?;
    let ready_s = began.elapsed().as_secs_f64();
    server.client(&["centre", "resume", "bench", "-o", "json"])?;
    let placed_s = first_placement(&server, &binary, began)?;
    Ok(json!({
        "jobs": submitted["submitted"], "submit_per_s": submitted["per_s"], "submit_p99_ms": submitted["p99_ms"],
        "ready_s": ready_s, "first_dispatch_s": placed_s, "pending_mb": pending_mb, "restarted_mb": server.resident_mb()?,
    }))
}

fn first_placement(server: &Server, binary: &std::path::Path, began: Instant) -> Result<f64> {
    while began.elapsed() < PLACED_WITHIN {
        let output = Command::new(binary).args(["api", "GET", "/metrics", "--server", &server.url]).output();
        let text = String::from_utf8(output.context("start a client")?.stdout)?;
        if text.lines().any(|line| line.strip_prefix("huisuan_tasks_placed_total ").is_some_and(|count| count != "0")) {
            return Ok(began.elapsed().as_secs_f64());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    bail!("nothing was placed within {} s", PLACED_WITHIN.as_secs())
}
