//! The replay of a log of 30,000 jobs by `huisuan twin swf`, under every policy. The log is made up, because public
//! logs are no part of the repository; it is as busy as those are.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::network::{Scratch, binary};
use crate::repository::Repository;

const JOBS: u64 = 30_000;

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let binary = binary(repository)?;
    let scratch = Scratch::new(repository, "queue")?;
    let log = scratch.0.join("made-up.swf");
    fs::write(&log, made_up()).with_context(|| format!("write {}", log.display()))?;
    let replay = || -> Result<Value> {
        let output = Command::new(&binary).args(["twin", "swf", "-o", "json"]).arg(&log).output()?;
        ensure!(output.status.success(), "twin swf failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("read the answer of twin swf")
    };
    let (first, second) = (replay()?, replay()?);
    let mut result = json!({});
    for (one, again) in policies(&first)?.iter().zip(policies(&second)?) {
        ensure!(one["decision_hash"] == again["decision_hash"], "two replays differ: {one} {again}");
        let policy = one["policy"].as_str().context("a policy's name")?;
        result[policy] = json!({
            "jobs_per_cpu_s": one["jobs_per_cpu_s"].as_u64().max(again["jobs_per_cpu_s"].as_u64()),
            "mean_bounded_slowdown": one["mean_bounded_slowdown"],
        });
    }
    Ok(result)
}

fn policies(answer: &Value) -> Result<&Vec<Value>> {
    answer["policies"].as_array().context("a list of policies")
}

/// Jobs on 128 processors in SWF, from a linear congruence (Knuth, MMIX): widths are powers of two, run times lie
/// between 2 s and some hours with as many short ones as long ones, and requests are up to eight times as long.
pub(super) fn made_up() -> String {
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut text, mut at_s) = ("; MaxProcs: 128\n".to_owned(), 0);
    for job in 1..=JOBS {
        at_s += draw(620);
        let (width, scale, user) = (1 << draw(7), 1 << draw(14), draw(60));
        let run_s = 2 + scale + draw(scale);
        let request_s = run_s * (1 + draw(8));
        let line = format!("{job} {at_s} -1 {run_s} {width} -1 -1 {width} {request_s} -1 1 {user} -1 -1 -1 -1 -1 -1");
        writeln!(text, "{line}").expect("memory");
    }
    text
}
