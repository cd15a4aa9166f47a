//! Submits the jobs of a scenario through the API when they come, as many clients would.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use huisuan_api::{Client, ClientError, jobs::JobRequest};
use huisuan_model::JobSpec;
use huisuan_study::{lapse::Lapse, scenario::Scenario};

use crate::failure::Failure;

/// Clients that submit side by side: the server commits what they bring together.
const CLIENTS: usize = 8;
/// Jobs that may wait for a client.
const WAITING_MAX: usize = 64;
/// How often progress is noted between two jobs that are far apart.
const NOTE_EVERY: Duration = Duration::from_millis(100);
/// How long a client waits after the server was too busy.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How often it tries again: for five seconds.
const RETRIES_MAX: u32 = 25;

/// The jobs of a scenario on their way into the network.
pub(super) struct Load {
    began: Instant,
    shared: Arc<Shared>,
    /// Dropped to stop.
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// How far the load has come, in real milliseconds; behind the clock when the server cannot keep up.
    reached_ms: AtomicU64,
    refused: AtomicU64,
}

impl Load {
    /// Submits from now on, all that comes before `until`.
    pub(super) fn start(
        client: &Client,
        scenario: &Scenario,
        speed: u64,
        until: Option<Duration>,
    ) -> Result<Load, Failure> {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = channel();
        let (send, receive) = sync_channel(WAITING_MAX);
        let receive = Arc::new(Mutex::new(receive));
        let mut threads = Vec::new();
        for _ in 0..CLIENTS {
            let (client, receive, shared) = (client.clone(), Arc::clone(&receive), Arc::clone(&shared));
            threads.push(spawn("client", move || submit_all(&client, &receive, &shared))?);
        }
        let (began, lapse, noted) = (Instant::now(), Lapse::new(scenario, speed), Arc::clone(&shared));
        let bringer = Bringer { began, stopped, shared: noted };
        threads.push(spawn("load", move || bringer.bring(lapse, until, &send))?);
        Ok(Load { began, shared, stop: Some(stop), threads })
    }

    /// Since the first job.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How far the load has come.
    pub(super) fn reached(&self) -> Duration {
        Duration::from_millis(self.shared.reached_ms.load(Ordering::Relaxed))
    }

    /// Jobs that the network's door refused.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Submits no more, and returns when what was under way is submitted.
    pub(super) fn stop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(work)?)
}

/// Hands out every job when its time has come.
struct Bringer {
    began: Instant,
    /// Breaks when nothing more is wanted.
    stopped: Receiver<()>,
    shared: Arc<Shared>,
}

impl Bringer {
    fn bring(&self, lapse: Lapse, until: Option<Duration>, send: &SyncSender<JobSpec>) {
        for coming in lapse {
            let due = Duration::from_millis(coming.after_ms);
            if until.is_some_and(|until| due >= until) {
                break;
            }
            if !self.wait(due) || send.send(coming.spec).is_err() {
                return;
            }
        }
        self.wait(until.unwrap_or_default());
    }

    /// Waits until it is `due` after the beginning, and notes how far it is; false when nothing more is wanted.
    fn wait(&self, due: Duration) -> bool {
        loop {
            let left = due.saturating_sub(self.began.elapsed());
            if self.stopped.recv_timeout(left.min(NOTE_EVERY)) == Err(RecvTimeoutError::Disconnected) {
                return false;
            }
            let reached = u64::try_from(due.min(self.began.elapsed()).as_millis()).unwrap_or(u64::MAX);
            self.shared.reached_ms.fetch_max(reached, Ordering::Relaxed);
            if left.is_zero() {
                return true;
            }
        }
    }
}

/// Submits what it is handed until nobody hands out any more.
fn submit_all(client: &Client, receive: &Mutex<Receiver<JobSpec>>, shared: &Shared) {
    loop {
        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(spec) = next else { return };
        if let Err(error) = submit(client, &JobRequest(spec)) {
            tracing::warn!(%error, "job is refused");
            shared.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Submits one job, again while the server is too busy.
#[expect(clippy::disallowed_methods, reason = "a pause between retries; nothing tells when the server has room again")]
fn submit(client: &Client, job: &JobRequest) -> Result<(), ClientError> {
    for _ in 0..RETRIES_MAX {
        match client.submit(job, None) {
            Err(error) if error.retryable() => {
                tracing::info!(%error, "job is not taken yet");
                std::thread::sleep(RETRY_AFTER);
            }
            other => return other.map(drop),
        }
    }
    client.submit(job, None).map(drop)
}
