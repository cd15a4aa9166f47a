//! Slurm and the agent are killed, stopped and made to lie. Every start leaves a line in a file outside of all of them,
//! so what ran twice or not at all is seen there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use huisuan_drivers::{Engine as _, SlurmConfig, SlurmEngine, SubmitResult};
use huisuan_model::{DurationMs, EndCause, JobSpec, ReportKind, StartOrder};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{
    bench::{Bench, PATIENCE, ProcessHandle, end_of, expect_cause, id, order, script, task},
    lab::Lab,
    place::{Cluster, Place},
    slurm::{bench_at, config, job_name},
};

/// Tells this test program that it is to be an agent: the folder of its engine.
pub(crate) const AGENT_VARIABLE: &str = "HUISUAN_TEST_SLURM_AGENT";

/// Tells it how large its arrays may be.
const ARRAY_VARIABLE: &str = "HUISUAN_TEST_SLURM_ARRAY";

/// The cluster that is ill-treated; by one test at a time.
pub(crate) static SUFFERING: Cluster = Cluster::new("beta", 2);

/// The cluster whose controller is killed: its nodes may be drained at any moment afterwards, too late for its own
/// test.
pub(crate) static DYING: Cluster = Cluster::new("gamma", 2);

/// Attempts that are told to Slurm in the same words are one array, or each a job of its own.
const ARRAYS: [usize; 2] = [1, 500];

/// Or they are the tasks of a gang.
const GANG: usize = 0;

/// A job that says in the trace that it ran.
fn traced(bench: &Bench, job: u64, then: &str) -> StartOrder {
    order(job, script(&format!("echo {job} >> {}; {then}", bench.file("trace"))))
}

/// How often each job began: in the order of their numbers.
fn starts(bench: &Bench) -> Vec<u64> {
    let text = fs::read_to_string(bench.file("trace")).unwrap_or_default();
    let mut starts: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    starts.sort_unstable();
    starts
}

/// A folder with programs of Slurm, one of them replaced by a script; `REAL` in it is the real one.
pub(crate) fn programs(bench: &Path, program: &str, text: &str) -> PathBuf {
    let folder = bench.join("programs");
    fs::create_dir_all(&folder).expect("a folder");
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().expect("a shell");
    let real = String::from_utf8(found.stdout).expect("a path");
    let path = folder.join(program);
    let once = folder.join("once");
    let text = text.replace("REAL", real.trim()).replace("ONCE", &once.display().to_string());
    fs::write(&path, format!("#!/bin/bash\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made a program");
    folder
}

/// A daemon that is stopped, until this is dropped.
pub(crate) struct Stopped(Pid);

impl Stopped {
    pub(crate) fn stop(lab: &Lab, process: &str) -> Self {
        let pid = Pid::from_raw(lab.pid(process)).expect("a process");
        kill_process(pid, Signal::STOP).expect("it runs");
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// Kills a daemon without notice.
pub(crate) fn kill(lab: &Lab, process: &str) {
    let daemon = Pid::from_raw(lab.pid(process)).expect("a process");
    let daemon = ProcessHandle(pidfd_open(daemon, PidfdFlags::empty()).expect("it runs"));
    daemon.kill();
}

/// Kills a daemon without notice and starts it again.
pub(crate) fn replace(lab: &mut MutexGuard<'_, Lab>, process: &str) {
    kill(lab, process);
    lab.restart(process);
}

/// A restarted controller may start a job twice, which drains the node: seen in 22.05.
pub(crate) fn resume_nodes(lab: &Lab) {
    for node in ["nodename=gamma1", "nodename=gamma2"] {
        let _ = Command::new("scontrol")
            .args(["update", node, "state=resume"])
            .env("SLURM_CONF", lab.conf())
            .stderr(Stdio::null())
            .status();
    }
}

/// The time-out that is none: the job exists. It is found by its name and runs once.
#[test]
fn a_submission_that_worked_and_said_it_did_not() {
    let lab = SUFFERING.take();
    let text = "REAL \"$@\" >/dev/null; [ -e ONCE ] && exit 1; touch ONCE; \
                echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
    for array_max in ARRAYS {
        let mut bench = bench_at(Place::of(&lab, "one"), |config| {
            config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", text));
            config.array_max = array_max;
        });
        bench.submit(&[traced(&bench, 1, "exit 3"), traced(&bench, 2, "exit 4")]);
        for (job, code) in [(1, 3), (2, 4)] {
            assert_eq!(bench.end(id(job, 0)).outcome.exit_code, Some(code));
        }
        assert_eq!(starts(&bench), [1, 2]);
    }
}

/// Two jobs or arrays for the same attempts, none of them held: the claim lets one through.
#[test]
fn a_submission_that_happened_twice() {
    let lab = SUFFERING.take();
    let text = "arguments=(); for a in \"$@\"; do [ \"$a\" = --hold ] || arguments+=(\"$a\"); done; \
                REAL \"${arguments[@]}\" >/dev/null; REAL \"${arguments[@]}\"";
    for array_max in ARRAYS {
        let mut bench = bench_at(Place::of(&lab, "one"), |config| {
            config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", text));
            config.array_max = array_max;
        });
        bench.submit(&[traced(&bench, 1, "sleep 0.5; exit 3"), traced(&bench, 2, "exit 4")]);
        for (job, code) in [(1, 3), (2, 4)] {
            assert_eq!(bench.end(id(job, 0)).outcome.exit_code, Some(code));
        }
        assert_eq!(starts(&bench), [1, 2]);
    }
}

/// A site whose arrays are small: nothing is lost, and what was learnt counts.
#[test]
fn an_array_that_is_too_large_for_slurm() {
    let lab = SUFFERING.take();
    let text = "case \"$*\" in *--array=0-[3-9]*) touch ONCE; \
                echo 'sbatch: error: Batch job submission failed: Invalid job array specification' >&2; exit 1;; esac; \
                exec REAL \"$@\"";
    let mut bench = bench_at(Place::of(&lab, "one"), |config| {
        config.programs = Some(programs(config.folder.parent().expect("a folder"), "sbatch", text));
    });
    bench.engine.inventory().expect("an inventory");
    let orders: Vec<StartOrder> = (1..=7).map(|job| traced(&bench, job, &format!("exit {job}"))).collect();
    bench.submit(&orders);
    for job in 1..=7 {
        assert_eq!(bench.end(id(job, 0)).outcome.exit_code, i32::try_from(job).ok());
    }
    assert_eq!(starts(&bench), (1..=7).collect::<Vec<_>>());
    assert!(fs::exists(bench.file("programs/once")).expect("readable"), "it was tried");
}

/// Attempts that end with 1 to 4 and say so in the trace: of jobs of their own, or of one gang.
fn four(array_max: usize, trace: &str) -> Vec<StartOrder> {
    let text = |number: &str| format!("echo {number} >> {trace}; exit {number}");
    if array_max == GANG {
        let tasks = "1-4".parse().expect("ranges");
        let spec = Arc::new(JobSpec { gang: true, tasks, ..script(&text("$HUISUAN_TASK")) });
        return (1..=4).map(|index| task(1, index, &spec)).collect();
    }
    (1..=4).map(|job| order(job, script(&text(&job.to_string())))).collect()
}

/// What an agent of these tests does: it takes four orders and waits for its end.
pub(crate) fn agent() {
    #[cfg(feature = "failpoints")]
    let _armed = fail::FailScenario::setup();
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("set by the test"));
    let folder = variable(AGENT_VARIABLE);
    let mut config = config(&folder.join("centre"), &variable("SLURM_CONF"), "one");
    config.programs = Some(folder.join("programs"));
    let array_max: usize = variable(ARRAY_VARIABLE).to_str().and_then(|text| text.parse().ok()).expect("a number");
    config.array_max = array_max.max(1);
    let engine = SlurmEngine::open(config).expect("an engine");
    let orders = four(array_max, &folder.join("trace").display().to_string());
    engine.submit(&orders).expect("submitted");
    let mut ends = 0;
    while ends < orders.len() {
        let new = engine.observe(Duration::from_secs(1)).expect("observed");
        ends += new.iter().filter(|report| matches!(report.what, ReportKind::Ended { .. })).count();
    }
}

/// Runs an agent that ends before its time, then another engine in its folder, and looks at the trace.
fn killed_agent(lab: &Lab, text: &str, failpoints: &str, array_max: usize) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let programs = programs(folder.path(), "sbatch", text);
    let mut agent = Command::new(std::env::current_exe().expect("the path of this test program"))
        .args(["slurm_agent_entry", "--exact", "--nocapture"])
        .env(AGENT_VARIABLE, folder.path())
        .env("SLURM_CONF", lab.conf())
        .env("FAILPOINTS", failpoints)
        .env(ARRAY_VARIABLE, array_max.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("an agent");
    let until = Instant::now() + 2 * PATIENCE;
    let ended = loop {
        match agent.try_wait().expect("a child") {
            Some(status) => break status,
            None if Instant::now() < until => thread::park_timeout(Duration::from_millis(20)),
            None => {
                agent.kill().expect("a child");
                panic!("it lives on: `{text}` {failpoints}");
            }
        }
    };
    assert!(!ended.success(), "it was to be killed: `{text}` {failpoints}");
    let mut config = config(&folder.path().join("centre"), &lab.conf(), "one");
    if !text.contains("kill") {
        config.programs = Some(programs);
    }
    let engine = SlurmEngine::open(config).expect("an engine");
    let mut bench = Bench::new(engine, folder).at(Place::of(lab, "one"));
    let orders = four(array_max, &bench.file("trace"));
    for again in &orders {
        // The network repeats orders whose answer it did not hear.
        let result = bench.engine.submit(std::slice::from_ref(again)).expect("submitted");
        assert!(matches!(result[..], [SubmitResult::Accepted | SubmitResult::Duplicate]), "{result:?}");
    }
    for (code, order) in (1..).zip(&orders) {
        assert_eq!(bench.end(order.attempt).outcome.exit_code, Some(code), "{failpoints}");
    }
    assert_eq!(starts(&bench), [1, 2, 3, 4], "`{text}` {failpoints}");
}

/// Slurm has the job, and nobody wrote its number down.
#[test]
fn an_agent_killed_by_its_submission() {
    let lab = SUFFERING.take();
    for array_max in [GANG, ARRAYS[0], ARRAYS[1]] {
        killed_agent(&lab, "REAL \"$@\"; kill -9 $PPID", "", array_max);
        killed_agent(&lab, "(sleep 1; REAL \"$@\") >/dev/null 2>&1 & kill -9 $PPID", "", array_max);
        killed_agent(&lab, "kill -9 $PPID", "", array_max);
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn an_agent_killed_at_every_step() {
    let lab = SUFFERING.take();
    for point in [
        "slurm-after-accepted",
        "slurm-after-list",
        "slurm-before-sbatch",
        "slurm-after-sbatch",
        "slurm-after-record",
        "slurm-before-release",
        "slurm-after-release",
        "slurm-before-end",
        "slurm-after-end",
    ] {
        for array_max in [GANG, ARRAYS[0], ARRAYS[1]] {
            // A job of its own has no list.
            if array_max != 1 || point != "slurm-after-list" {
                killed_agent(&lab, "exec REAL \"$@\"", &format!("{point}=return"), array_max);
            }
        }
    }
}

#[test]
fn an_agent_restart_changes_nothing() {
    let lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "one"), |_| {});
    let dir = bench.folder.path().join("centre");
    let go = bench.file("go");
    let runs = traced(&bench, 2, &format!("until [ -e {go} ]; do sleep 0.01; done; exit 5"));
    bench.submit(&[traced(&bench, 1, "exit 4"), runs]);
    bench.end(id(1, 0));
    let started_at = bench.started(id(2, 0));
    let reopen = |bench: &mut Bench| {
        // A folder has one engine: the former ends first.
        bench.engine = Box::new(crate::bench::open_local(&bench.folder.path().join("elsewhere"), ""));
        bench.engine = Box::new(SlurmEngine::open(config(&dir, &lab.conf(), "one")).expect("an engine"));
        bench.reports.clear();
    };
    reopen(&mut bench);
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(4), "told again, for it was not acknowledged");
    assert_eq!(bench.started(id(2, 0)), started_at, "it is the same one");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    let elsewhere = crate::bench::open_local(&bench.folder.path().join("elsewhere"), "");
    bench.engine = Box::new(elsewhere);
    // It ends while nobody looks.
    fs::write(&go, "").expect("a file");
    let exit = dir.join("attempts/2/0.1/exit");
    while !fs::read_to_string(&exit).is_ok_and(|text| text.ends_with("complete\n")) {
        bench.engine.observe(Duration::from_millis(20)).expect("observed");
    }
    reopen(&mut bench);
    assert_eq!(bench.end(id(2, 0)).outcome.exit_code, Some(5));
    assert!(bench.reports.iter().all(|report| report.attempt != id(1, 0)), "acknowledged and told again");
    assert_eq!(starts(&bench), [1, 2]);
}

/// `sbatch` waits for an answer until it gives up, and the job may be there later.
#[test]
fn a_controller_that_is_stopped_while_jobs_are_submitted() {
    let lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "one"), |config| config.command_timeout_ms = 1_500);
    assert!(bench.run(traced(&bench, 1, "true")).outcome.success());
    let stopped = Stopped::stop(&lab, "slurmctld");
    bench.submit(&[traced(&bench, 2, "exit 2"), traced(&bench, 3, "exit 3")]);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let new = bench.engine.observe(Duration::from_millis(500)).expect("observed");
        assert!(new.is_empty(), "something is told while nothing can be known: {new:?}");
    }
    assert!(bench.engine.alarms().iter().any(|alarm| alarm.subject == "slurm"), "{:?}", bench.engine.alarms());
    drop(stopped);
    for job in [2, 3] {
        assert_eq!(bench.end(id(job, 0)).outcome.exit_code, i32::try_from(job).ok());
    }
    assert_eq!(starts(&bench), [1, 2, 3]);
    assert!(!bench.engine.alarms().iter().any(|alarm| alarm.subject == "slurm"));
}

/// A controller that is killed forgets what it acknowledged last, gives numbers again and calls what runs cancelled.
#[test]
fn a_controller_that_is_killed_again_and_again() {
    let mut lab = DYING.take();
    let mut bench = bench_at(Place::of(&lab, "batch"), |_| {});
    let mut job = 0;
    for round in 0..5 {
        let mut orders: Vec<StartOrder> = (1..=4).map(|n| traced(&bench, job + n, "sleep 0.3; exit 7")).collect();
        if round % 2 == 1 {
            // No two are told to Slurm in the same words: each is a job of its own.
            for (more, order) in (1..).zip(&mut orders) {
                order.spec = Arc::new(JobSpec { walltime: DurationMs(100_000 + more), ..(*order.spec).clone() });
            }
        }
        job += 4;
        bench.submit(&orders);
        // As soon as one of them began, others are at every step before it.
        while !orders.iter().any(|order| bench.reports.iter().any(|report| report.attempt == order.attempt)) {
            resume_nodes(&lab);
            let new = bench.engine.observe(Duration::from_millis(500)).expect("observed");
            bench.reports.extend(new);
        }
        replace(&mut lab, "slurmctld");
        resume_nodes(&lab);
    }
    let until = Instant::now() + 2 * PATIENCE;
    let mut forgotten = Vec::new();
    for job in 1..=job {
        while !bench.reports.iter().any(|report| end_of(report, id(job, 0)).is_some()) {
            assert!(Instant::now() < until, "no end of {job}: {:?}", bench.engine.alarms());
            resume_nodes(&lab);
            let new = bench.engine.observe(Duration::from_millis(500)).expect("observed");
            bench.reports.extend(new);
        }
        let end = bench.end(id(job, 0));
        match end.outcome.cause {
            // What Slurm ended because it forgot it: nobody cancelled it, and whether it came to its first line is
            // open.
            EndCause::Lost => forgotten.push(job),
            cause => assert_eq!((cause, end.outcome.exit_code), (EndCause::Exited, Some(7)), "{job}: {end:?}"),
        }
    }
    println!("forgotten by the controller and ended: {forgotten:?}");
    let mut expected: Vec<u64> = (1..=job).collect();
    let starts = starts(&bench);
    expected.retain(|job| !forgotten.contains(job) || starts.contains(job));
    assert_eq!(starts, expected);
}

/// The done record alone tells the end.
#[test]
fn accounting_that_is_away_keeps_nobody_waiting() {
    let mut lab = SUFFERING.take();
    let mut bench = bench_at(Place::of(&lab, "one"), |_| {});
    let stopped = Stopped::stop(&lab, "slurmdbd");
    let end = bench.run(traced(&bench, 1, "exit 9"));
    assert_eq!(end.outcome.exit_code, Some(9));
    drop(stopped);
    replace(&mut lab, "slurmdbd");
    assert!(bench.run(traced(&bench, 2, "true")).outcome.success());
    assert_eq!(starts(&bench), [1, 2]);
}

/// Output that is not understood decides nothing, and what it hides is found when it is over.
#[test]
fn a_queue_that_says_nonsense() {
    let lab = SUFFERING.take();
    let text = "if [ -e ONCE ]; then exec REAL \"$@\"; fi; echo '17|TELEPORTED|None|x'";
    let mut bench = bench_at(Place::of(&lab, "one"), |config: &mut SlurmConfig| {
        config.programs = Some(programs(config.folder.parent().expect("a folder"), "squeue", text));
    });
    let name = job_name(&bench, "1.0.1");
    bench.submit(&[traced(&bench, 1, "sleep 1000")]);
    bench.started(id(1, 0));
    while !bench.engine.alarms().iter().any(|alarm| alarm.what.contains("TELEPORTED")) {
        bench.engine.observe(Duration::from_millis(50)).expect("observed");
    }
    lab.call("scancel", &["--jobname", &name]);
    // Slurm ended it, and only Slurm could say why.
    fs::write(bench.file("programs/once"), "").expect("a file");
    expect_cause(&bench.end(id(1, 0)), EndCause::Cancelled);
    assert_eq!(starts(&bench), [1]);
}
