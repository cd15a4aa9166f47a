//! Tasks per second through the local engine, files and disk syncs included, against a bare loop of
//! spawn and wait: `cargo run --release -p huisuan-drivers --example throughput -- [TASKS] [DIR]`.
//!
//! The program starts itself again as the supervisor.

use std::{
    error::Error,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::{Engine as _, LocalConfig, LocalEngine};
use huisuan_model::{
    AttemptId, Bytes, CentreId, Class, JobId, JobSpec, MilliDevices, Millicores, PoolId, ProjectId, RangeSet,
    ReportKind, StartOrder, TenantId,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, flag, dir] = arguments.as_slice()
        && (word.as_str(), flag.as_str()) == ("supervise", "--dir")
    {
        return Ok(huisuan_drivers::supervise(Path::new(dir))?);
    }
    let tasks: u32 = arguments.first().map_or(Ok(10_000), |text| text.parse())?;
    let dir = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("huisuan-throughput-{}", std::process::id()));
    let cpus = std::thread::available_parallelism()?.get().min(2);
    for threads in 1..=cpus {
        println!("spawn and wait, {threads} threads: {:.0}/s", bare(tasks, u32::try_from(threads)?)?);
    }
    let rate = engine(tasks, &dir, cpus);
    std::fs::remove_dir_all(&dir)?;
    println!("local engine, {cpus} cores: {:.0}/s", rate?);
    Ok(())
}

fn bare(tasks: u32, threads: u32) -> Result<f64, Box<dyn Error>> {
    let from = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..tasks / threads {
                    let mut command = Command::new("/bin/true");
                    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command.status().expect("/bin/true can be run");
                }
            });
        }
    });
    Ok(f64::from(tasks) / from.elapsed().as_secs_f64())
}

fn engine(tasks: u32, dir: &Path, cpus: usize) -> Result<f64, Box<dyn Error>> {
    let engine = LocalEngine::open(LocalConfig {
        dir: dir.to_owned(),
        cores: (0..cpus).collect(),
        memory: Bytes(1 << 30),
        supervisor: vec![std::env::current_exe()?.into(), "supervise".into()],
        pool: PoolId::new("cpu:bench")?,
        containers: Err("not measured".to_owned()),
        class: Class::General,
    })?;
    let mut spec = JobSpec::command("true", &["/bin/true"]);
    spec.tasks = RangeSet::from_range(0, tasks - 1);
    spec.memory = Bytes(1 << 20);
    let spec = Arc::new(spec);
    let order = |task: u32| StartOrder {
        attempt: AttemptId { job: JobId(1), task, attempt: 1 },
        centre: CentreId::new("bench").expect("a name"),
        tenant: TenantId::new("bench").expect("a name"),
        project: ProjectId::new("bench").expect("a name"),
        spec: Arc::clone(&spec),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    };
    let orders: Vec<StartOrder> = (0..tasks).map(order).collect();
    let from = Instant::now();
    engine.submit(&orders)?;
    println!("accepted after {:?}", from.elapsed());
    let mut ended = 0;
    while ended < tasks {
        let reports = engine.observe(Duration::from_secs(10))?;
        let ends: Vec<AttemptId> = reports
            .iter()
            .filter(|report| matches!(&report.what, ReportKind::Ended { outcome, .. } if outcome.success()))
            .map(|report| report.attempt)
            .collect();
        engine.acknowledge(&ends)?;
        ended += u32::try_from(ends.len())?;
    }
    Ok(f64::from(tasks) / from.elapsed().as_secs_f64())
}
