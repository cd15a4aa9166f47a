//! The scheduler decides alike in a debug and in a release build: the same scenarios and cycles under both.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::network::binary;
use crate::repository::Repository;

/// What both builds decide. Small enough for a debug build.
const QUESTIONS: [&[&str]; 4] = [
    &["twin", "run", "scenarios/small.toml"],
    &["twin", "run", "scenarios/trace.toml"],
    &["twin", "run", "scenarios/zheng-qing-ha.toml"],
    &["twin", "bench-cycle", "--nodes", "2000", "--pending", "20000", "--seed", "1"],
];

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let release = binary(repository)?;
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "huisuan-cli", "--bin", "huisuan"])
        .current_dir(repository.root())
        .status();
    ensure!(built.context("start cargo")?.success(), "cargo build of the debug binary failed");
    let debug = repository.target().join("debug/huisuan");
    let mut hashes = Vec::new();
    for question in QUESTIONS {
        let (quick, slow) = (hash(repository, &release, question)?, hash(repository, &debug, question)?);
        if quick != slow {
            bail!("`huisuan {}` decides {quick} in a release build and {slow} in a debug build", question.join(" "));
        }
        hashes.push(json!({"question": question.join(" "), "decision_hash": quick}));
    }
    Ok(json!({"equal": hashes.len(), "decisions": hashes}))
}

fn hash(repository: &Repository, binary: &Path, question: &[&str]) -> Result<String> {
    let output = Command::new(binary).args(question).args(["-o", "json"]).current_dir(repository.root()).output()?;
    ensure!(output.status.success(), "{}: {}", question.join(" "), String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).context("read the answer of the twin")?;
    answer["decision_hash"].as_str().map(str::to_owned).context("the answer has no decision_hash")
}
