//! The Slurm engine against bare `sbatch` on the same cluster in the same run, alternating:
//! `cargo run --release -p huisuan-drivers --example slurm_ratio -- [JOBS] [ROUNDS]`.
//!
//! It starts a cluster of its own (two nodes, accounting) and prints a line of JSON. Latency runs from the submission to
//! the first line of the script, one job at a time on an idle cluster. Throughput runs from the first submission to the
//! last end of all jobs. Queries are counted by `sdiag`, in the throughput runs.

#[path = "../tests/lab/mod.rs"]
mod lab;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use huisuan_drivers::{Engine as _, SlurmConfig, SlurmEngine};
use huisuan_model::{
    AttemptId, Bytes, CentreId, DurationMs, JobId, JobSpec, MilliDevices, Millicores, ProjectId, ReportKind,
    StartOrder, TenantId, spec::Work,
};

use crate::lab::{Lab, Size};

type Answer<T> = Result<T, Box<dyn Error>>;

/// Jobs of the latency measurement, of each kind and round.
const SINGLE: u64 = 15;

fn main() -> Answer<()> {
    let mut arguments = std::env::args().skip(1);
    let jobs: u64 = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let rounds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let cache = std::env::temp_dir().join("huisuan-lab-cache");
    let lab = Lab::start("gamma", Size { nodes: 2, cpus: 64, gpus: 4 }, &cache);
    let scratch = lab.dir.join("ratio");
    fs::create_dir(&scratch)?;
    let mut engine = Run::open(&lab, &scratch)?;
    let (mut bare_rate, mut engine_rate, mut bare_latency, mut engine_latency) = (vec![], vec![], vec![], vec![]);
    let mut queries = Vec::new();
    for _ in 0..rounds {
        for _ in 0..SINGLE {
            bare_latency.push(bare_single(&lab, &scratch)?);
            engine_latency.push(engine.single(&scratch)?);
        }
        bare_rate.push(bare_many(&lab, &scratch, jobs)?);
        let before = bulk_queries(&lab);
        let (rate, seconds) = engine.many(jobs)?;
        engine_rate.push(rate);
        queries.push((bulk_queries(&lab) - before) / (seconds / 60.0));
        eprintln!("bare {:?}/s, engine {engine_rate:?}/s", bare_rate);
    }
    let (bare, own) = (median(&mut bare_rate), median(&mut engine_rate));
    let (bare_ms, own_ms) = (median(&mut bare_latency), median(&mut engine_latency));
    println!(
        "{{\"jobs\":{jobs},\"rounds\":{rounds},\"bare_per_s\":{bare:.1},\"engine_per_s\":{own:.1},\
         \"throughput_share\":{:.3},\"bare_start_p50_ms\":{bare_ms:.0},\"engine_start_p50_ms\":{own_ms:.0},\
         \"added_p50_ms\":{:.0},\"queries_per_min\":{:.1}}}",
        own / bare,
        own_ms - bare_ms,
        median(&mut queries)
    );
    Ok(())
}

/// An engine with what it was given so far.
struct Run {
    engine: SlurmEngine,
    job: u64,
}

impl Run {
    fn open(lab: &Lab, scratch: &Path) -> Answer<Run> {
        let text = format!(
            "folder = \"{}\"\npartitions = [\"batch\"]\nslurm_conf = \"{}\"\npoll_interval_ms = 5000\n\
             look_interval_ms = 100\nsubmit_per_s = 1000\nsubmit_burst = 1000\nopen_max = 20000\n",
            scratch.join("centre").display(),
            lab.conf().display()
        );
        let path = scratch.join("slurm.toml");
        fs::write(&path, text)?;
        let engine = SlurmEngine::open(SlurmConfig::read(&path)?)?;
        engine.inventory()?;
        Ok(Run { engine, job: 0 })
    }

    /// Milliseconds from the order to the first line of its script.
    fn single(&mut self, scratch: &Path) -> Answer<f64> {
        let file = scratch.join("began");
        let text = format!("#!/bin/sh\ndate +%s%3N > {}\n", file.display());
        let from = now_ms();
        self.run(&text, 1)?;
        Ok(fs::read_to_string(file)?.trim().parse::<f64>()? - from)
    }

    /// Jobs in a second, and the seconds.
    fn many(&mut self, jobs: u64) -> Answer<(f64, f64)> {
        let from = Instant::now();
        self.run("#!/bin/sh\nexit 0\n", jobs)?;
        let seconds = from.elapsed().as_secs_f64();
        Ok((to_f64(jobs) / seconds, seconds))
    }

    fn run(&mut self, text: &str, jobs: u64) -> Answer<()> {
        let mut spec = JobSpec::command("ratio", &["unused"]);
        spec.work = Work::Script { text: text.to_owned(), arguments: vec![] };
        (spec.memory, spec.walltime) = (Bytes(64 << 20), DurationMs(60_000));
        let spec = Arc::new(spec);
        let orders: Vec<StartOrder> = (1..=jobs).map(|n| order(self.job + n, &spec)).collect();
        self.job += jobs;
        self.engine.submit(&orders)?;
        let mut ended = 0;
        while ended < jobs {
            let reports = self.engine.observe(Duration::from_secs(5))?;
            let ends = reports.iter().filter_map(|report| match &report.what {
                ReportKind::Ended { outcome, .. } => Some((report.attempt, outcome.success())),
                _ => None,
            });
            let (ids, good): (Vec<AttemptId>, Vec<bool>) = ends.unzip();
            assert!(good.iter().all(|&good| good), "{reports:?}");
            self.engine.acknowledge(&ids)?;
            ended += ids.len() as u64;
        }
        Ok(())
    }
}

fn order(job: u64, spec: &Arc<JobSpec>) -> StartOrder {
    StartOrder {
        attempt: AttemptId { job: JobId(job), task: 0, attempt: 1 },
        centre: CentreId::new("ratio").expect("a name"),
        tenant: TenantId::new("ratio").expect("a name"),
        project: ProjectId::new("ratio").expect("a name"),
        spec: Arc::clone(spec),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    }
}

/// Submits a script as people do: one `sbatch` after the other, output beside it.
fn sbatch(lab: &Lab, script: &Path) -> Answer<()> {
    let mut command = Command::new("sbatch");
    command.args(["--parsable", "--ntasks=1", "--cpus-per-task=1", "--mem=64M", "--time=2", "--output=/dev/null"]);
    let status = command.arg(script).env("SLURM_CONF", lab.conf()).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("sbatch failed".into()) }
}

fn script(scratch: &Path, text: &str) -> Answer<PathBuf> {
    let path = scratch.join("script.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
    Ok(path)
}

fn bare_single(lab: &Lab, scratch: &Path) -> Answer<f64> {
    let file = scratch.join("bare");
    let _ = fs::remove_file(&file);
    let script = script(scratch, &format!("date +%s%3N > {}", file.display()))?;
    let from = now_ms();
    sbatch(lab, &script)?;
    let text = wait_for(|| fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
    let began = text.trim().parse::<f64>()?;
    wait_for(|| lab.call("squeue", &["--noheader"]).is_empty().then_some(()));
    Ok(began - from)
}

/// A line in a file for each end: asking Slurm whether all are done would slow it down.
fn bare_many(lab: &Lab, scratch: &Path, jobs: u64) -> Answer<f64> {
    let file = scratch.join("ends");
    fs::write(&file, "")?;
    let script = script(scratch, &format!("echo >> {}", file.display()))?;
    let from = Instant::now();
    for _ in 0..jobs {
        sbatch(lab, &script)?;
    }
    wait_for(|| fs::metadata(&file).is_ok_and(|metadata| metadata.len() >= jobs).then_some(()));
    let seconds = from.elapsed().as_secs_f64();
    wait_for(|| lab.call("squeue", &["--noheader"]).is_empty().then_some(()));
    Ok(to_f64(jobs) / seconds)
}

/// How often `squeue`, `sinfo` and others asked the controller in bulk.
fn bulk_queries(lab: &Lab) -> f64 {
    let text = lab.call("sdiag", &[]);
    let count = |line: &str| -> f64 {
        let bulk = ["REQUEST_JOB_INFO ", "REQUEST_NODE_INFO ", "REQUEST_PARTITION_INFO ", "REQUEST_JOB_USER_INFO "];
        let line = line.trim();
        if !bulk.iter().any(|name| line.starts_with(name)) {
            return 0.0;
        }
        line.split("count:").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    };
    text.lines().map(count).sum()
}

fn wait_for<T>(mut done: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = done() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 and numbers of jobs are far below 2^52")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    to_f64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
