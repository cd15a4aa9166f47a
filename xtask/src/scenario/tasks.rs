//! Tasks a second: an array of 10,000 `/bin/true` from submission to its end, with everything durable;
//! HyperQueue with as many; and how fast this machine makes processes at all.

use std::{
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    hyperqueue,
    network::{Scratch, Server, binary},
};
use crate::repository::Repository;

const TASKS: u32 = 10_000;

pub(super) fn run(repository: &Repository) -> Result<Value> {
    let binary = binary(repository)?;
    let scratch = Scratch::new(repository, "tasks")?;
    let server = Server::start(&binary, &scratch.0)?;
    let _agent = server.agent()?;
    let tasks = TASKS.to_string();
    let began = Instant::now();
    let array = ["run", "--tasks", &tasks, "--memory", "16MiB", "--wait", "-o", "json", "--", "/bin/true"];
    server.client(&array)?;
    let per_s = f64::from(TASKS) / began.elapsed().as_secs_f64();
    let job = server.client(&["show", "last", "-o", "json"])?;
    ensure!(job["tasks"]["succeeded"] == TASKS, "not every task succeeded: {}", job["tasks"]);
    drop(server);
    let hyperqueue_per_s = hyperqueue::tasks_per_s(repository, TASKS)?;
    let spawn_per_s = spawn_rate()?;
    Ok(json!({
        "per_s": per_s, "hyperqueue_per_s": hyperqueue_per_s, "ratio": per_s / hyperqueue_per_s,
        "spawn_per_s": spawn_per_s, "share_of_spawn": per_s / spawn_per_s,
    }))
}

/// Processes a second made and waited for by as many threads as there are cores.
fn spawn_rate() -> Result<f64> {
    const EACH: u32 = 2_000;
    let threads = u32::try_from(thread::available_parallelism()?.get())?;
    let began = Instant::now();
    let workers = (0..threads).map(|_| {
        thread::spawn(|| (0..EACH).try_for_each(|_| Command::new("/bin/true").stdin(Stdio::null()).status().map(drop)))
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.join().ok().context("a spawning thread panicked")?.context("start /bin/true")?;
    }
    Ok(f64::from(EACH * threads) / began.elapsed().as_secs_f64())
}
