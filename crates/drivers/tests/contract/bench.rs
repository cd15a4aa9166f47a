//! An engine with a scratch folder, and what tests do with it again and again.

use std::{
    ffi::OsString,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::{Containers, Engine, LocalConfig, LocalEngine, LocalLimits, SubmitResult};
use huisuan_model::{
    AttemptId, AttemptReport, Bytes, CentreId, Class, DurationMs, EndCause, JobId, JobSpec, MilliDevices, Millicores,
    Outcome, PoolId, ProjectId, ReportKind, StartOrder, Stream, TenantId, TimeMs, Usage, spec::Work,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tempfile::TempDir;

use crate::place::Place;

/// Tells this test program that it is to be a supervisor.
pub(crate) const SUPERVISOR_VARIABLE: &str = "HUISUAN_TEST_SUPERVISOR";

/// No test waits longer for one thing; reached only when something is broken, or fifty others want the same two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) at: TimeMs,
    pub(crate) started_at: Option<TimeMs>,
    pub(crate) outcome: Outcome,
    pub(crate) usage: Usage,
}

/// An engine under test.
pub(crate) struct Bench {
    pub(crate) engine: Box<dyn Engine>,
    /// Where it runs, on a real cluster: emptied before the folder of what runs there goes.
    pub(crate) place: Option<Place>,
    pub(crate) folder: TempDir,
    /// All reports given so far.
    pub(crate) reports: Vec<AttemptReport>,
}

impl Bench {
    pub(crate) fn new(engine: impl Engine + 'static, folder: TempDir) -> Bench {
        Bench { engine: Box::new(engine), place: None, folder, reports: Vec::new() }
    }

    /// The same on a part of a real cluster.
    pub(crate) fn at(mut self, place: Place) -> Bench {
        self.place = Some(place);
        self
    }

    /// A fresh local centre of two CPUs (one where there is only one) and 1 GiB.
    pub(crate) fn local() -> Bench {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let engine = open_local(&folder.path().join("centre"), "");
        Bench::new(engine, folder)
    }

    /// Files of the tests themselves.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("scratch paths are UTF-8").to_owned()
    }

    /// Cores of the whole centre.
    pub(crate) fn cores(&self) -> u64 {
        let pools = self.engine.inventory().expect("an inventory");
        pools.iter().map(|pool| pool.cores.0 / 1000).sum()
    }

    pub(crate) fn submit(&self, orders: &[StartOrder]) {
        let results = self.engine.submit(orders).expect("submitted");
        assert!(results.iter().all(|result| *result == SubmitResult::Accepted), "{results:?}");
    }

    /// Submits one and waits for its end.
    pub(crate) fn run(&mut self, order: StartOrder) -> End {
        let id = order.attempt;
        self.submit(&[order]);
        self.end(id)
    }

    /// Submits what cannot start, and sees that its end says why.
    pub(crate) fn fails_to_start(&mut self, job: u64, spec: JobSpec, hint: &str) {
        let end = self.run(order(job, spec));
        expect_cause(&end, EndCause::StartFailed);
        assert_eq!((end.started_at, end.outcome.exit_code), (None, None));
        assert!(end.outcome.detail.contains(hint), "`{}` does not say `{hint}`", end.outcome.detail);
    }

    /// Collects reports until `done` says so.
    pub(crate) fn observe_until<T>(&mut self, what: &str, done: impl Fn(&[AttemptReport]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = done(&self.reports) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} in {PATIENCE:?}; reports: {:#?}", self.reports);
            let new = self.engine.observe(Duration::from_secs(1)).expect("observed");
            self.reports.extend(new);
        }
    }

    /// Waits for the end of an attempt.
    pub(crate) fn end(&mut self, id: AttemptId) -> End {
        self.observe_until("end", |reports| reports.iter().find_map(|report| end_of(report, id)))
    }

    /// Waits until an attempt runs, and gives back when it began.
    pub(crate) fn started(&mut self, id: AttemptId) -> TimeMs {
        let begun =
            |report: &AttemptReport| (report.attempt == id && report.what == ReportKind::Started).then_some(report.at);
        self.observe_until("start", |reports| reports.iter().find_map(begun))
    }

    /// Waits until a task has written the id of a process into a file (whole, by a rename), and opens it.
    pub(crate) fn process_in(&self, file: &str) -> ProcessHandle {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = std::fs::read_to_string(file) {
                let pid = Pid::from_raw(text.trim().parse().expect("a process id")).expect("a process id");
                return ProcessHandle(pidfd_open(pid, PidfdFlags::empty()).expect("the process runs"));
            }
            assert!(Instant::now() < deadline, "no process id in `{file}`");
            self.engine.observe(Duration::from_millis(20)).expect("observed");
        }
    }

    /// All of one output.
    pub(crate) fn output(&self, id: AttemptId, stream: Stream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let chunk = self.engine.logs(id, stream, all.len() as u64, 1 << 20).expect("logs");
            assert_eq!(chunk.offset, all.len() as u64);
            let nothing = chunk.data.is_empty();
            all.extend(chunk.data);
            if chunk.end {
                return all;
            }
            assert!(!nothing, "an ended attempt's output stops before its end");
        }
    }

    pub(crate) fn stdout(&self, id: AttemptId) -> String {
        String::from_utf8(self.output(id, Stream::Stdout)).expect("UTF-8 output")
    }
}

impl Drop for Bench {
    /// Leaves nothing behind that runs, whatever the test did.
    fn drop(&mut self) {
        if let Some(place) = self.place.as_ref().filter(|_| std::thread::panicking()) {
            place.tell();
        }
        let mut running: Vec<AttemptId> = self.reports.iter().map(|report| report.attempt).collect();
        running.sort_unstable();
        running.dedup();
        let _ = self.engine.cancel(&running);
    }
}

/// A process, whatever becomes of its id.
pub(crate) struct ProcessHandle(pub(crate) OwnedFd);

impl ProcessHandle {
    pub(crate) fn wait_gone(&self) {
        let timeout = Timespec::try_from(PATIENCE).expect("a time");
        let gone = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).expect("polled");
        assert_eq!(gone, 1, "the process is still there");
    }

    pub(crate) fn kill(&self) {
        pidfd_send_signal(&self.0, Signal::KILL).expect("killed");
        self.wait_gone();
    }
}

/// The end in a report, if it is one of this attempt.
pub(crate) fn end_of(report: &AttemptReport, id: AttemptId) -> Option<End> {
    match &report.what {
        ReportKind::Ended { started_at, outcome, usage } if report.attempt == id => {
            Some(End { at: report.at, started_at: *started_at, outcome: outcome.clone(), usage: *usage })
        }
        _ => None,
    }
}

/// Opens a local centre whose supervisors run with these failpoints.
pub(crate) fn open_local(dir: &Path, failpoints: &str) -> LocalEngine {
    try_open_local(dir, failpoints, 1 << 30).expect("a local centre")
}

pub(crate) fn try_open_local(
    dir: &Path,
    failpoints: &str,
    memory: u64,
) -> Result<LocalEngine, huisuan_drivers::EngineError> {
    open_with(dir, failpoints, memory, Err("none in this test".to_owned()))
}

/// The same for one that may run containers.
pub(crate) fn open_with(
    dir: &Path,
    failpoints: &str,
    memory: u64,
    containers: Result<Containers, String>,
) -> Result<LocalEngine, huisuan_drivers::EngineError> {
    let allowed = rustix::thread::sched_getaffinity(None).expect("the CPUs of this process");
    let cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).take(2).collect();
    let limits = LocalLimits { grace: Duration::from_millis(300), linger: Duration::from_millis(500) };
    let program = std::env::current_exe().expect("the path of this test program");
    let mut supervisor: Vec<OsString> = vec!["/usr/bin/env".into(), format!("{SUPERVISOR_VARIABLE}=1").into()];
    supervisor.push(format!("FAILPOINTS={failpoints}").into());
    supervisor.push(program.into());
    supervisor.extend(["supervisor_entry", "--exact", "--nocapture", "--"].map(OsString::from));
    let config = LocalConfig {
        dir: dir.to_owned(),
        cores,
        memory: Bytes(memory),
        supervisor,
        pool: PoolId::new("cpu:test").expect("a name"),
        class: Class::General,
        containers,
    };
    LocalEngine::open_with(config, limits)
}

/// `job.task.1`
pub(crate) fn id(job: u64, task: u32) -> AttemptId {
    AttemptId { job: JobId(job), task, attempt: 1 }
}

/// A start order for task 0 of a job.
pub(crate) fn order(job: u64, spec: JobSpec) -> StartOrder {
    task(job, 0, &Arc::new(spec))
}

/// A start order for one task of a job.
pub(crate) fn task(job: u64, task: u32, spec: &Arc<JobSpec>) -> StartOrder {
    StartOrder {
        attempt: id(job, task),
        centre: CentreId::new("here").expect("a name"),
        tenant: TenantId::new("tenant").expect("a name"),
        project: ProjectId::new("project").expect("a name"),
        spec: Arc::clone(spec),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    }
}

/// A job of one shell script.
pub(crate) fn script(text: &str) -> JobSpec {
    let mut spec = JobSpec::command("script", &["unused"]);
    spec.work = Work::Script { text: format!("#!/bin/sh\n{text}\n"), arguments: vec![] };
    spec.memory = Bytes(64 << 20);
    spec.walltime = DurationMs(120_000);
    spec
}

/// Asserts a cause, with all there is to know when it is another.
pub(crate) fn expect_cause(end: &End, cause: EndCause) {
    assert_eq!(end.outcome.cause, cause, "{end:?}");
}
