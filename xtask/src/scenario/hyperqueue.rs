//! The rival for tasks: HyperQueue from PyPI, server and worker in one process, in a virtual environment.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repository::Repository;

const VERSION: &str = "hyperqueue==0.27.0";

/// Submits `/bin/true` as many times and waits for the end; output files are left out, which we write.
const PROGRAM: &str = r#"
import json, os, sys, time
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
tasks = int(sys.argv[1])
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=os.cpu_count()))
    client, job = cluster.client(), Job()
    for _ in range(tasks):
        job.program(["/bin/true"], stdout=None, stderr=None)
    began = time.time()
    submitted = client.submit(job)
    client.wait_for_jobs([submitted])
    elapsed = time.time() - began
print(json.dumps({"per_s": tasks / elapsed}))
"#;

pub(super) fn tasks_per_s(repository: &Repository, tasks: u32) -> Result<f64> {
    let folder = repository.root().join(".tools/hyperqueue");
    let python = folder.join("bin/python");
    if !python.exists() {
        eprintln!("installing {VERSION} into {}", folder.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", VERSION]))?;
    }
    let output = Command::new(&python).args(["-c", PROGRAM, &tasks.to_string()]).output().context("start python")?;
    if !output.status.success() {
        bail!("HyperQueue failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().context("HyperQueue printed nothing")?;
    serde_json::from_str::<Value>(last)?["per_s"].as_f64().context("a rate")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    Ok(())
}
