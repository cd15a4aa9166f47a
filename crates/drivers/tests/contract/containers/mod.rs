//! The contract on engines in containers, by a real podman, and what only containers promise: at a local centre and on
//! real Slurm clusters.
//!
//! The image is made by the tests (`lab/image.rs`); no registry is asked.

mod local;
mod slurm;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use huisuan_drivers::{Alarm, ContainerRules, Containers, Engine, EngineError, Held, LogChunk, SubmitResult};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, DurationMs, EndCause, EngineKind, JobSpec, Pool, PoolId, StartOrder, Stream,
    spec::{Checkpoint, Work},
};

use crate::{
    bench::{Bench, PATIENCE, ProcessHandle, expect_cause, id, order, script},
    lab::image::image,
};

/// The contract in containers as tests, each on an engine of its own that the expression makes. The others of the contract
/// look at files of this machine or at signals to a first process.
macro_rules! container_contract {
    ($bench:expr) => {
        $crate::suite::contract! {
            $bench,
            runs_and_reports,
            exit_codes,
            arrays_know_who_they_are,
            environment,
            output_of_any_kind,
            usage_is_measured,
        }
        $crate::containers::contract! {
            $bench,
            a_task_sees_nothing_but_its_own,
            what_cannot_start_says_why,
            walltime_and_cancellation_end_the_container,
            state_is_saved_where_the_next_attempt_finds_it,
            a_burst_beyond_the_limit_ends,
        }
        #[test]
        fn data_is_where_the_variable_says() {
            $crate::staging::data_is_where_the_variable_says(&mut $bench);
        }
    };
}

/// Those named of it that are of this module.
macro_rules! contract {
    ($bench:expr, $($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            $crate::containers::$name(&mut $bench);
        }
    )*};
}

pub(crate) use {container_contract, contract};

/// Podman as it works here.
fn containers(dir: &Path) -> Containers {
    fs::create_dir_all(dir).expect("a folder");
    ContainerRules::default().find(dir).expect("podman works here")
}

/// An engine whose orders all get the image.
struct Imaged<E>(E);

impl<E: Engine> Engine for Imaged<E> {
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
    fn knows(&self, attempt: AttemptId) -> Result<bool, EngineError> {
        self.0.knows(attempt)
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

/// The first process of an attempt's container, which may still be made.
fn first_process(bench: &Bench, attempt: AttemptId) -> ProcessHandle {
    let file = own(bench, attempt, "../container.pid");
    let until = Instant::now() + PATIENCE;
    let pid = loop {
        match fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
            Some(pid) => break pid,
            None => assert!(Instant::now() < until, "it does not run"),
        }
        thread::park_timeout(Duration::from_millis(20));
    };
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    ProcessHandle(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it runs"))
}

pub(crate) fn a_task_sees_nothing_but_its_own(bench: &mut Bench) {
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
    assert!(own(bench, id(1, 0), "mine").exists());
    assert_eq!(left(bench), 0);
}

pub(crate) fn what_cannot_start_says_why(bench: &mut Bench) {
    let mut check = |job, spec, hint| bench.fails_to_start(job, spec, hint);
    check(1, JobSpec::command("x", &["/no/such/program"]), "/no/such/program");
    check(2, JobSpec::command("x", &["no-such-program"]), "no-such-program");
    let mut spec = script("true");
    spec.directory = Some("/no/such/folder".into());
    check(3, spec, "/no/such/folder");
    let mut spec = script("");
    spec.work = Work::Script { text: "#!/no/such/interpreter\n".into(), arguments: vec![] };
    check(4, spec, "/no/such/interpreter");
    assert_eq!(left(bench), 0);
}

pub(crate) fn walltime_and_cancellation_end_the_container(bench: &mut Bench) {
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
    let first = first_process(bench, id(3, 0));
    bench.engine.cancel(&[id(3, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(3, 0)), EndCause::Cancelled);
    first.wait_gone();
    // One that is cancelled while podman makes it leaves nothing either.
    bench.submit(&[order(4, script("sleep 1000"))]);
    bench.engine.cancel(&[id(4, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(4, 0)), EndCause::Cancelled);
    assert_eq!(left(bench), 0);
}

pub(crate) fn state_is_saved_where_the_next_attempt_finds_it(bench: &mut Bench) {
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

pub(crate) fn a_burst_beyond_the_limit_ends(bench: &mut Bench) {
    let mut spec = script("x=$(head -c 900000000 /dev/zero | tr '\\0' x); echo ${#x}");
    spec.memory = Bytes(16 << 20);
    let end = bench.run(order(1, spec));
    // By who looks every 100 ms, or by the kernel before that.
    let by_kernel = (end.outcome.cause, end.outcome.signal) == (EndCause::Exited, Some(9));
    assert!(by_kernel || end.outcome.cause == EndCause::Memory, "{end:?}");
    assert!(end.usage.memory_peak < Bytes(200 << 20), "{end:?}");
    assert_eq!(left(bench), 0);
}
