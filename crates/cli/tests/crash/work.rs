//! The jobs that users submit while processes die, and what was acknowledged of them.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use huisuan_api::{Client, ClientError, jobs::JobRequest};
use huisuan_model::{
    Bytes, JobSpec, Millicores,
    spec::{Need, Work},
};

use crate::{
    random::Random,
    support::running::{Home, PATIENCE, pause, wait_until},
};

/// Users who submit at the same time.
const USERS: u64 = 4;
/// The longest pause between two submissions of a user, in milliseconds, where nobody asks for another.
pub(crate) const PAUSE_MS: u64 = 600;
/// The longest run of a task, in milliseconds.
const RUN_MS: u64 = 300;
/// The exit code of a task that fails so that it is tried again.
pub(crate) const AGAIN: i32 = 7;
/// The exit code of a task that is meant to fail.
pub(crate) const FAILS: i32 = 5;

/// What is sent under one key.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) spec: JobSpec,
    /// How long each of its tasks runs at least.
    pub(crate) run: Duration,
    /// Every task fails in its first attempts and ends well in this one; `None` when none ends well.
    pub(crate) succeeds_at: Option<u32>,
}

/// What was acknowledged: job by key.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    pub(crate) jobs: BTreeMap<String, (u64, Sent)>,
    /// Requests whose answer did not arrive.
    pub(crate) resent: u64,
}

impl Acknowledged {
    pub(crate) fn add(&mut self, more: Acknowledged) {
        self.jobs.extend(more.jobs);
        self.resent += more.resent;
    }
}

/// How the server is reached at present.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<(Mutex<Option<Client>>, Condvar)>);

impl Door {
    pub(crate) fn set(&self, client: Option<Client>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = client;
        self.0.1.notify_all();
    }

    /// Waits for a server.
    fn client(&self) -> Client {
        let client = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(client, PATIENCE, |client| client.is_none());
        let (client, _) = waited.unwrap_or_else(PoisonError::into_inner);
        client.clone().expect("a server comes back")
    }
}

/// A job whose one task runs until it is told to end.
pub(crate) struct Held {
    job: u64,
    /// The folder of the task's process in `/proc`.
    process: String,
    go: String,
}

impl Held {
    /// How it ends.
    pub(crate) const EXIT_CODE: i32 = 9;

    /// Submits it and waits until the server knows that it runs.
    pub(crate) fn start(home: &Home, client: &Client) -> Held {
        let (pid, go) = (home.path("pid"), home.path("go"));
        let code = Held::EXIT_CODE;
        let text =
            format!("echo $$ > {pid}.new; mv {pid}.new {pid}; until [ -e {go} ]; do sleep 0.02; done; exit {code}");
        let job = client.submit(&JobRequest(script("held", &text)), None).expect("acknowledged").job_id;
        let runs = || {
            let view = client.job(job).expect("it is known");
            view.attempts.iter().any(|attempt| attempt.state == "running").then_some(())
        };
        wait_until(Instant::now() + PATIENCE, runs).expect("it runs");
        let pid = wait_until(Instant::now() + PATIENCE, || fs::read_to_string(&pid).ok()).expect("it said who it is");
        Held { job, process: format!("/proc/{}", pid.trim()), go }
    }

    /// Tells it to end and waits until its process is gone.
    pub(crate) fn end(&self) {
        fs::write(&self.go, "").expect("a file");
        let gone = || (!fs::exists(&self.process).expect("readable")).then_some(());
        wait_until(Instant::now() + PATIENCE, gone).expect("it ended");
    }

    /// Waits until the server knows of its end, and compares that with what it should be.
    pub(crate) fn check_end(&self, client: &Client, cause: &str, code: Option<i32>) {
        let ended = || Some(client.job(self.job).expect("it is known")).filter(|job| job.summary.ended_at.is_some());
        let view = wait_until(Instant::now() + PATIENCE, ended).expect("its end is reported");
        let [attempt] = view.attempts.as_slice() else { panic!("one attempt: {view:?}") };
        let end = (&*view.summary.state, attempt.cause.as_deref(), attempt.exit_code);
        assert_eq!(end, ("failed", Some(cause), code), "{view:?}");
    }
}

pub(crate) fn script(name: &str, text: &str) -> JobSpec {
    let mut spec = JobSpec::command(name, &["true"]);
    spec.work = Work::Script { text: format!("#!/bin/sh\n{text}\n"), arguments: Vec::new() };
    spec.need = Need::Hardware { cores: Millicores(500), devices: None };
    spec.memory = Bytes(16 << 20);
    spec
}

/// The job of a key: mostly plain ones, some arrays, gangs and jobs that fail.
fn job(key: &str, trace: &str, random: &mut Random) -> Sent {
    let run_ms = random.below(RUN_MS);
    let run = format!("echo \"$HUISUAN_ATTEMPT\" >> {trace}; sleep 0.{run_ms:03}");
    let name = format!("crash-{key}");
    let mut sent = Sent { spec: script(&name, &run), run: Duration::from_millis(run_ms), succeeds_at: Some(1) };
    let spec = &mut sent.spec;
    match random.below(10) {
        0 | 1 => spec.tasks = "1-4".parse().expect("tasks"),
        2 => {
            spec.tasks = "0-2".parse().expect("tasks");
            spec.gang = true;
        }
        3 => {
            let text = format!("{run}; case $HUISUAN_ATTEMPT in *.3) exit 0;; esac; exit {AGAIN}");
            *spec = script(&name, &text);
            spec.retries = 2;
            sent.succeeds_at = Some(3);
        }
        4 => {
            *spec = script(&name, &format!("{run}; exit {FAILS}"));
            spec.retries = u32::try_from(random.below(2)).expect("0 or 1");
            sent.succeeds_at = None;
        }
        _ => {}
    }
    sent
}

/// How users submit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// So many jobs, without pauses.
    Jobs(u64),
    /// Until they are told to stop, with pauses of at most so many milliseconds.
    Pauses(u64),
}

/// Users who submit until they are told to stop, each job until it is acknowledged.
pub(crate) struct Submitters {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Acknowledged>>,
}

impl Submitters {
    pub(crate) fn start(door: &Door, trace: &str, random: &mut Random, pace: Pace) -> Submitters {
        let stop = Arc::new(AtomicBool::new(false));
        let user = |number: u64| {
            let prefix = format!("{}-{number}", random.below(1_000_000));
            let (stop, door, trace) = (Arc::clone(&stop), door.clone(), trace.to_owned());
            let random = Random::new(random.next());
            std::thread::spawn(move || User { prefix, door, trace, random, pace }.submit(&stop))
        };
        let users = (0..USERS).map(user).collect();
        Submitters { stop, users }
    }

    /// Waits until everything that was sent is acknowledged.
    pub(crate) fn finish(self) -> Acknowledged {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Acknowledged::default();
        for user in self.users {
            all.add(user.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    }
}

struct User {
    prefix: String,
    door: Door,
    trace: String,
    random: Random,
    pace: Pace,
}

impl User {
    fn submit(mut self, stop: &AtomicBool) -> Acknowledged {
        let mut all = Acknowledged::default();
        for count in 0.. {
            let over = match self.pace {
                Pace::Jobs(limit) => count >= limit,
                Pace::Pauses(_) => stop.load(Ordering::SeqCst),
            };
            if over {
                break;
            }
            let key = format!("{}-{count}", self.prefix);
            let sent = job(&key, &self.trace, &mut self.random);
            let id = self.until_acknowledged(&key, &sent, &mut all.resent);
            if self.random.below(10) == 0 {
                // A user who does not trust the answer.
                let again = self.until_acknowledged(&key, &sent, &mut all.resent);
                assert_eq!(again, id, "one key led to two jobs");
            }
            all.jobs.insert(key, (id, sent));
            if let Pace::Pauses(longest_ms) = self.pace {
                pause(Duration::from_millis(self.random.below(longest_ms)));
            }
        }
        all
    }

    fn until_acknowledged(&self, key: &str, sent: &Sent, resent: &mut u64) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.door.client().submit(&JobRequest(sent.spec.clone()), Some(key)) {
                Ok(created) => return created.job_id,
                // What a server that dies in the middle of an answer leaves may be no answer at all.
                Err(ClientError::Problem(problem)) if !problem.code.retryable() => {
                    panic!("job {key} is refused: {problem:?}")
                }
                Err(error) => assert!(Instant::now() < deadline, "job {key} is not taken: {error}"),
            }
            *resent += 1;
            pause(Duration::from_millis(5));
        }
    }
}
