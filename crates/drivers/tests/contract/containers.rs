//! The contract on the local engine in containers, by a real podman, and what only containers promise.
//!
//! The image is made by the tests (`lab/image.rs`); no registry is asked.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use huisuan_drivers::{
    Alarm, ContainerRules, Containers, Engine, EngineError, Held, LocalEngine, LogChunk, SubmitResult,
};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, DurationMs, EndCause, EngineKind, JobSpec, Pool, PoolId, StartOrder, Stream,
    spec::{Checkpoint, Work},
};

use crate::{
    bench::{Bench, ProcessHandle, expect_cause, id, open_with, order, script},
    lab::image::image,
    staging, suite,
};

fn containers(dir: &std::path::Path) -> Containers {
    fs::create_dir_all(dir).expect("a folder");
    ContainerRules::default().find(dir).expect("podman works here")
}

/// A local centre whose orders all get the image.
struct Imaged(LocalEngine);

impl Imaged {
    fn open(dir: &std::path::Path) -> Imaged {
        Imaged(open_with(dir, "", 1 << 30, Ok(containers(dir))).expect("a local centre"))
    }
}

impl Engine for Imaged {
    fn kind(&self) -> EngineKind {
        self.0.kind()
    }
    fn memory_mode(&self) -> String {
        self.0.memory_mode()
    }
    fn images(&self) -> Result<String, String> {
        self.0.images()
    }
    fn staging_folder(&self) -> Option<PathBuf> {
        self.0.staging_folder()
    }
    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        self.0.inventory()
    }
    fn measurable_cpus(&self, pool: &PoolId) -> Vec<usize> {
        self.0.measurable_cpus(pool)
    }
    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        let mut starts = starts.to_vec();
        for start in &mut starts {
            std::sync::Arc::make_mut(&mut start.spec).image.get_or_insert_with(|| image().to_owned());
        }
        self.0.submit(&starts)
    }
    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        self.0.observe(wait)
    }
    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        self.0.acknowledge(ended)
    }
    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        self.0.cancel(attempts)
    }
    fn held(&self) -> Result<Option<Held>, EngineError> {
        self.0.held()
    }
    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        self.0.look_for(attempts)
    }
    fn alarms(&self) -> Vec<Alarm> {
        self.0.alarms()
    }
    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        self.0.logs(attempt, stream, offset, limit)
    }
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let engine = Imaged::open(&folder.path().join("centre"));
    Bench::new(engine, folder)
}

// The others of the contract look at files of this machine or at signals to a first process, see below.
suite::contract! {
    bench(),
    runs_and_reports,
    exit_codes,
    refusals,
    arrays_know_who_they_are,
    environment,
    output_of_any_kind,
    a_queued_attempt_is_cancelled,
    an_unknown_attempt_is_cancelled_for_ever,
    memory_is_limited,
    usage_is_measured,
    a_report_comes_until_it_is_acknowledged,
}

/// A file in what an attempt sees as its own folder.
fn own(bench: &Bench, attempt: AttemptId, name: &str) -> PathBuf {
    let folder = format!("centre/attempts/{}/{}.{}/work", attempt.job, attempt.task, attempt.attempt);
    bench.folder.path().join(folder).join(name)
}

/// How many containers there are for attempts of this bench, running or not.
fn left(bench: &Bench) -> usize {
    let list = || Command::new("podman").args(["ps", "--all", "--format={{.Labels}}"]).output().expect("podman");
    // It fails when a container of another test goes while it lists.
    let all = (0..100).map(|_| list()).find(|all| all.status.success()).expect("a list");
    let folder = bench.folder.path().to_string_lossy().into_owned();
    String::from_utf8_lossy(&all.stdout).lines().filter(|labels| labels.contains(&folder)).count()
}

/// The first process of an attempt's container.
fn first_process(bench: &Bench, attempt: AttemptId) -> ProcessHandle {
    let file = own(bench, attempt, "../container.pid");
    let pid = fs::read_to_string(file).expect("it runs").trim().parse().expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    ProcessHandle(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it runs"))
}

#[test]
fn a_task_sees_nothing_but_its_own() {
    let mut bench = bench();
    let mut spec = script(
        "id -u; ls /huisuan; pwd; touch mine && echo touched; grep Cap /proc/self/status | tr -d '\\t'; \
         grep -c : /proc/net/dev; touch /huisuan/script/script || echo closed; ls /proc | grep -c '^[0-9]'; \
         grep NoNewPrivs /proc/self/status; echo again >> /dev/stdout; exit 4",
    );
    spec.output = Some("ignored.txt".into());
    let end = bench.run(order(1, spec));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(4)), "{end:?}");
    let text = bench.stdout(id(1, 0));
    let zero = "0".repeat(16);
    for line in ["65534", "attempt", "script", "/huisuan/attempt", "touched", "closed", "again", "NoNewPrivs:\t1"] {
        assert!(text.lines().any(|one| one == line), "no `{line}` in {text}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(text.contains(&format!("{set}:{zero}")), "{text}");
    }
    // Its own loopback is the only network, and few processes are to be seen.
    assert!(text.lines().any(|line| line == "1"), "{text}");
    assert!(own(&bench, id(1, 0), "mine").exists());
    assert_eq!(left(&bench), 0);
}

#[test]
fn what_cannot_start_says_why() {
    let mut bench = bench();
    let mut check = |job, spec, hint| bench.fails_to_start(job, spec, hint);
    check(1, JobSpec::command("x", &["/no/such/program"]), "/no/such/program");
    check(2, JobSpec::command("x", &["no-such-program"]), "no-such-program");
    let mut spec = script("true");
    spec.directory = Some("/no/such/folder".into());
    check(3, spec, "/no/such/folder");
    let mut spec = script("");
    spec.work = Work::Script { text: "#!/no/such/interpreter\n".into(), arguments: vec![] };
    check(4, spec, "/no/such/interpreter");
    assert_eq!(left(&bench), 0);
}

#[test]
fn an_image_that_is_not_here_is_refused_and_goes_elsewhere() {
    let bench = bench();
    let other = format!("localhost/huisuan-test@sha256:{}", "0a".repeat(32));
    let mut orders = vec![order(1, script("true")), order(2, script("true")), order(3, script("true"))];
    for order in &mut orders[..2] {
        std::sync::Arc::make_mut(&mut order.spec).image = Some(other.clone());
    }
    std::sync::Arc::make_mut(&mut orders[2].spec).output = Some("/tmp/x".into());
    let results = bench.engine.submit(&orders).expect("submitted");
    for (result, hint) in results.iter().zip(["not on this machine", "not on this machine", "file of the node"]) {
        assert!(matches!(result, SubmitResult::Refused { why } if why.contains(hint)), "{result:?}");
    }
    assert!(bench.engine.inventory().expect("an inventory").iter().all(|pool| pool.images));
    assert!(bench.engine.images().is_ok_and(|how| how.contains("images of this machine only")));
}

#[test]
fn walltime_and_cancellation_end_the_container() {
    let mut bench = bench();
    let mut spec = script("sleep 1000");
    spec.walltime = DurationMs(1500);
    let end = bench.run(order(1, spec));
    // A first process without a handler does not see SIGTERM: it is killed when its grace is over.
    assert_eq!((end.outcome.cause, end.outcome.signal), (EndCause::Walltime, Some(9)), "{end:?}");
    let mut spec = script("trap 'echo saved; exit 4' TERM; while :; do sleep 0.01; done");
    spec.walltime = DurationMs(1500);
    let end = bench.run(order(2, spec));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Walltime, Some(4)), "{end:?}");
    assert_eq!(bench.stdout(id(2, 0)), "saved\n");
    bench.submit(&[order(3, script("trap '' TERM; while :; do sleep 0.05; done"))]);
    bench.started(id(3, 0));
    let first = first_process(&bench, id(3, 0));
    bench.engine.cancel(&[id(3, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(3, 0)), EndCause::Cancelled);
    first.wait_gone();
    // One that is cancelled while podman makes it leaves nothing either.
    bench.submit(&[order(4, script("sleep 1000"))]);
    bench.engine.cancel(&[id(4, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(4, 0)), EndCause::Cancelled);
    assert_eq!(left(&bench), 0);
}

#[test]
fn data_is_where_the_variable_says() {
    staging::data_is_where_the_variable_says(&mut bench());
}

#[test]
fn state_is_saved_where_the_next_attempt_finds_it() {
    let mut bench = bench();
    let save = "trap 'echo saved > $HUISUAN_CHECKPOINT_DIR/state; exit 0' USR1; while :; do sleep 0.01; done";
    let mut spec = script(save);
    spec.walltime = DurationMs(4000);
    spec.checkpoint = Some(Checkpoint { signal: "USR1".into(), grace: DurationMs(2000) });
    let end = bench.run(order(1, spec.clone()));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Walltime, Some(0)), "{end:?}");
    spec.work = Work::Script { text: "#!/bin/sh\ncat $HUISUAN_CHECKPOINT_DIR/state\n".into(), arguments: vec![] };
    let mut next = order(1, spec);
    next.attempt.attempt = 2;
    let attempt = next.attempt;
    assert!(bench.run(next).outcome.success());
    assert_eq!(bench.stdout(attempt), "saved\n");
}

#[test]
fn a_killed_supervisor_loses_no_container_and_no_exit_code() {
    let mut bench = bench();
    let dir = bench.folder.path().join("centre");
    let text = |code: u32| format!("until [ -e go ]; do sleep 0.02; done; echo done; exit {code}");
    let mut orders = vec![order(1, script(&text(5))), order(2, script(&text(6)))];
    orders.iter_mut().for_each(|order| order.cores = huisuan_model::Millicores(500));
    bench.submit(&orders);
    bench.started(id(1, 0));
    bench.started(id(2, 0));
    crate::crash::supervisor(&dir).kill();
    // The second ends while nobody watches.
    let second = first_process(&bench, id(2, 0));
    fs::write(own(&bench, id(2, 0), "go"), "").expect("a file");
    second.wait_gone();
    bench.engine = Box::new(Imaged::open(&dir));
    bench.reports.clear();
    fs::write(own(&bench, id(1, 0), "go"), "").expect("a file");
    for (job, code) in [(1, 5), (2, 6)] {
        let end = bench.end(id(job, 0));
        assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(code)), "{end:?}");
        assert_eq!(bench.stdout(id(job, 0)), "done\n");
    }
    assert_eq!(left(&bench), 0);
}

#[test]
fn a_killed_client_takes_its_container_along() {
    let mut bench = bench();
    bench.submit(&[order(1, script("sleep 1000"))]);
    bench.started(id(1, 0));
    assert_eq!(left(&bench), 1, "as the other tests count");
    let first = first_process(&bench, id(1, 0));
    let claim = fs::read_to_string(own(&bench, id(1, 0), "../claim")).expect("a claim");
    let pid = claim.split("\"pid\":").nth(1).and_then(|rest| rest.split(',').next()).expect("it runs");
    let pid = rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("a process id");
    ProcessHandle(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it runs")).kill();
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Lost);
    assert!(end.outcome.detail.contains("client was killed"), "{end:?}");
    first.wait_gone();
    assert_eq!(left(&bench), 0);
}

#[test]
fn a_burst_beyond_the_limit_ends() {
    let mut bench = bench();
    let mut spec = script("x=$(head -c 900000000 /dev/zero | tr '\\0' x); echo ${#x}");
    spec.memory = Bytes(16 << 20);
    let end = bench.run(order(1, spec));
    // By who looks every 100 ms, or by the kernel before that.
    let by_kernel = (end.outcome.cause, end.outcome.signal) == (EndCause::Exited, Some(9));
    assert!(by_kernel || end.outcome.cause == EndCause::Memory, "{end:?}");
    assert!(end.usage.memory_peak < Bytes(200 << 20), "{end:?}");
    assert_eq!(left(&bench), 0);
}
