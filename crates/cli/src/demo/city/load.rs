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

use huisuan_api::{Client, jobs::JobRequest};
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
    /// Submits from now on.
    pub(super) fn start(client: &Client, scenario: &Scenario, speed: u64) -> Result<Load, Failure> {
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
        threads.push(spawn("load", move || bring(lapse, began, &send, &stopped, &noted))?);
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

/// Hands out every job when its time has come, until it is stopped.
fn bring(lapse: Lapse, began: Instant, send: &SyncSender<JobSpec>, stopped: &Receiver<()>, shared: &Shared) {
    for coming in lapse {
        let due = Duration::from_millis(coming.after_ms);
        loop {
            let left = due.saturating_sub(began.elapsed());
            let reached = due.min(began.elapsed()).as_millis();
            shared.reached_ms.store(u64::try_from(reached).unwrap_or(u64::MAX), Ordering::Relaxed);
            if stopped.recv_timeout(left.min(NOTE_EVERY)) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            if left.is_zero() {
                break;
            }
        }
        if send.send(coming.spec).is_err() {
            return;
        }
    }
}

/// Submits what it is handed until nobody hands out any more.
fn submit_all(client: &Client, receive: &Mutex<Receiver<JobSpec>>, shared: &Shared) {
    loop {
        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(spec) = next else { return };
        let request = JobRequest(spec);
        match client.submit(&request, None) {
            Ok(_) => {}
            Err(error) if error.retryable() => {
                tracing::info!(%error, "job is not taken, once more");
                std::thread::sleep(RETRY_AFTER);
                if client.submit(&request, None).is_err() {
                    shared.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) => {
                tracing::warn!(%error, name = request.0.name, "job is refused");
                shared.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
