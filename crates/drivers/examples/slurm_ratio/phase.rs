//! One phase: real clusters, and jobs through them in one way.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use huisuan_drivers::{Engine as _, SlurmConfig, SlurmEngine};
use huisuan_model::{
    AttemptId, Bytes, CentreId, DurationMs, JobId, JobSpec, MilliDevices, Millicores, ProjectId, ReportKind,
    StartOrder, TenantId, spec::Work,
};
use serde::{Deserialize, Serialize};

use crate::lab::{Lab, Size};

pub(crate) type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Clusters that jobs go through at the same time.
const CLUSTERS: [&str; 2] = ["gamma", "delta"];

/// Jobs of the latency measurement, of each kind.
const SINGLE: u64 = 15;

/// What a phase found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) per_s: f64,
    /// Questions in bulk that a cluster was asked, in a minute.
    pub(crate) queries_per_min: f64,
    /// Milliseconds from the submission to the first line of the script: bare, and through the engine.
    pub(crate) start_ms: [f64; 2],
}

/// One job at a time on an idle cluster, bare and through the engine in turn.
pub(crate) fn latency() -> Answer<Found> {
    let cluster = Cluster::start(CLUSTERS[0]);
    let mut run = Run::open(&cluster)?;
    let (mut bare, mut own) = (Vec::new(), Vec::new());
    for _ in 0..SINGLE {
        bare.push(bare_single(&cluster)?);
        own.push(run.single(&cluster.scratch)?);
    }
    Ok(Found { start_ms: [median(&mut bare), median(&mut own)], ..Found::default() })
}

/// All jobs by `sbatch`, on both clusters at once.
pub(crate) fn bare(jobs: u64) -> Answer<Found> {
    everywhere(jobs, |cluster, jobs| bare_many(cluster, jobs).map(|()| 0.0))
}

/// All jobs through one engine for each cluster, at once.
pub(crate) fn engine(jobs: u64) -> Answer<Found> {
    everywhere(jobs, |cluster, jobs| {
        let mut run = Run::open(cluster)?;
        let (before, from) = (bulk_queries(&cluster.lab), Instant::now());
        run.run("#!/bin/sh\nexit 0\n", jobs)?;
        Ok((bulk_queries(&cluster.lab) - before) / (from.elapsed().as_secs_f64() / 60.0))
    })
}

/// Shares jobs out among the clusters. Their start does not count.
fn everywhere(jobs: u64, work: impl Fn(&Cluster, u64) -> Answer<f64> + Sync) -> Answer<Found> {
    let clusters = CLUSTERS.map(|name| thread::spawn(move || Cluster::start(name)));
    let clusters = clusters.map(|cluster| cluster.join().expect("a cluster"));
    let share = jobs / clusters.len() as u64;
    let from = Instant::now();
    let queries: Vec<Answer<f64>> = thread::scope(|scope| {
        let works: Vec<_> = clusters.iter().map(|cluster| scope.spawn(|| work(cluster, share))).collect();
        works.into_iter().map(|work| work.join().expect("no panic")).collect()
    });
    let seconds = from.elapsed().as_secs_f64();
    let queries = queries.into_iter().collect::<Answer<Vec<f64>>>()?;
    let per_s = to_f64(share * clusters.len() as u64) / seconds;
    Ok(Found { per_s, queries_per_min: queries.into_iter().fold(0.0, f64::max), ..Found::default() })
}

/// A cluster with a folder for this program's files.
struct Cluster {
    lab: Lab,
    scratch: PathBuf,
}

impl Cluster {
    fn start(name: &str) -> Cluster {
        let lab = Lab::start(
            name,
            Size { nodes: 2, cpus: 8, gpus: 4, kind: "gpu:h100" },
            &std::env::temp_dir().join("huisuan-lab-cache"),
        );
        let scratch = lab.dir.join("ratio");
        fs::create_dir(&scratch).expect("a folder");
        Cluster { lab, scratch }
    }
}

/// An engine with what it was given so far.
struct Run {
    engine: SlurmEngine,
    job: u64,
}

impl Run {
    fn open(Cluster { lab, scratch }: &Cluster) -> Answer<Run> {
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

fn bare_single(Cluster { lab, scratch }: &Cluster) -> Answer<f64> {
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

/// A byte in a file for each end: asking Slurm whether all are done would slow it down.
fn bare_many(Cluster { lab, scratch }: &Cluster, jobs: u64) -> Answer<()> {
    let file = scratch.join("ends");
    fs::write(&file, "")?;
    let script = script(scratch, &format!("echo >> {}", file.display()))?;
    for _ in 0..jobs {
        sbatch(lab, &script)?;
    }
    wait_for(|| fs::metadata(&file).is_ok_and(|metadata| metadata.len() >= jobs).then_some(()));
    Ok(())
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
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    to_f64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
