//! The Slurm engine against bare `sbatch` on real clusters of this machine:
//! `cargo run --release -p huisuan-drivers --example slurm_ratio -- [JOBS] [ROUNDS]`.
//!
//! Half of the jobs go through each of two clusters (two nodes, accounting) at the same time, bare and through the
//! engine in turn, `ROUNDS` times; then single jobs on an idle cluster. It prints a line of JSON.
//!
//! Each phase is a process of its own, below which the kernel lets nothing get lost: all that a phase used, Slurm's
//! daemons and the processes of jobs included, is what this process is told when it has reaped everything. On a machine
//! that others use too the processor time of a job says more than how many there were in a second.

#[path = "../../tests/lab/mod.rs"]
mod lab;
mod phase;

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    thread,
};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, wait};

use crate::phase::{Answer, Found, bare, engine, latency, median};

/// The kernel tells processor time in hundredths of a second.
const TICK_MS: f64 = 10.0;

fn main() -> Answer<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, none: u64| words.get(at).map_or(Ok(none), |text| text.parse::<u64>());
    if words.first().is_some_and(|word| word == "phase") {
        let jobs = number(2, 0)?;
        let found = match words.get(1).map(String::as_str) {
            Some("bare") => bare(jobs),
            Some("engine") => engine(jobs),
            Some("latency") => latency(),
            _ => Err("no such phase".into()),
        };
        println!("{}", serde_json::to_string(&found?)?);
        return Ok(());
    }
    set_child_subreaper(Some(getpid()))?;
    let (jobs, rounds) = (number(0, 300)?, number(1, 3)?);
    let mut rates: [Vec<f64>; 2] = [vec![], vec![]];
    let mut costs: [Vec<f64>; 2] = [vec![], vec![]];
    let mut queries: f64 = 0.0;
    for round in 1..=rounds {
        for (at, name) in ["bare", "engine"].into_iter().enumerate() {
            let (found, cpu_ms) = run(name, jobs)?;
            rates[at].push(found.per_s);
            costs[at].push(cpu_ms / phase::to_f64(jobs));
            queries = queries.max(found.queries_per_min);
            eprintln!(
                "round {round}, {name}: {:.1} jobs/s, {:.1} ms of processor time a job",
                found.per_s,
                costs[at][costs[at].len() - 1]
            );
        }
    }
    let (single, _) = run("latency", 0)?;
    let [bare_per_s, engine_per_s] = rates.map(|mut rates| median(&mut rates));
    let [bare_cpu, engine_cpu] = costs.map(|mut costs| median(&mut costs));
    let [bare_ms, engine_ms] = single.start_ms;
    println!(
        "{{\"jobs\":{jobs},\"rounds\":{rounds},\"clusters\":2,\"bare_per_s\":{bare_per_s:.1},\"engine_per_s\":{engine_per_s:.1},\
         \"throughput_share\":{:.3},\"bare_cpu_ms\":{bare_cpu:.1},\"engine_cpu_ms\":{engine_cpu:.1},\"cpu_share\":{:.3},\
         \"bare_start_p50_ms\":{bare_ms:.0},\"engine_start_p50_ms\":{engine_ms:.0},\"added_p50_ms\":{:.0},\
         \"queries_per_min\":{queries:.1}}}",
        engine_per_s / bare_per_s,
        bare_cpu / engine_cpu,
        engine_ms - bare_ms,
    );
    Ok(())
}

/// Runs a phase to the end of everything that it started, and gives back the milliseconds of processor time that it
/// took.
fn run(name: &str, jobs: u64) -> Answer<(Found, f64)> {
    let before = reaped_ms()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["phase", name, &jobs.to_string()]).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipe = child.stdout.take().ok_or("a pipe was asked for")?;
    // Read beside the loop below: a line is less than a pipe holds, but nobody may wait for the other.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let pid = Pid::from_child(&child);
    let mut good = false;
    // Orphans come here too, and at once: `slurmstepd` looks at every process of the machine several times for a job,
    // and a dead one that nobody has reaped costs it as much as a living one. It is over when nobody is left.
    while let Ok(ended) = wait(WaitOptions::empty()) {
        good |= ended.is_some_and(|(who, status)| who == pid && status.exit_status() == Some(0));
    }
    if !good {
        return Err(format!("phase {name} failed").into());
    }
    let text = reader.join().map_err(|_| "the reader panicked")??;
    Ok((serde_json::from_str(&text)?, reaped_ms()? - before))
}

/// Processor time of all reaped descendants: fields 16 and 17 of `/proc/self/stat`.
fn reaped_ms() -> Answer<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [13, 14].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
    Ok(phase::to_f64(ticks) * TICK_MS)
}
