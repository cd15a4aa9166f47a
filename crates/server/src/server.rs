//! A running server: its parts, started in order and stopped in reverse.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use huisuan_api::discovery::{Folder, Running};
use huisuan_control::{ledger::Account, schedule::Policy};
use huisuan_model::{Centre, CentreId, Command, Money, Tenant, TimeMs};
use huisuan_store::{DataDirectory, Reader, Store};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
};

use crate::{
    answers, books,
    centre_tokens::CentreTokens,
    channels::Channels,
    clock::Clock,
    committer::Listeners,
    connections::{self, HEAD_WITHIN},
    disk::Disk,
    feed::Feed,
    http::{self, JobFiles},
    hub::Hub,
    identity, liveness,
    metrics::Metrics,
    planner::{Planner, SharedReasons},
    ratings::PartCeiling,
    readers::Readers,
    reasons::Reasons,
    restore::restore,
    secrets::Secret,
    seen::Seen,
    simulation::Simulation,
    tenant_tokens::TenantTokens,
    turns::Turns,
    wake::Wake,
    writer::Writer,
};

/// What the local tenant gets to spend when a data directory is first used: one million yuan.
pub const LOCAL_FUNDS: Money = Money(1_000_000_000_000);

/// How to run a server.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The data directory; made where it is missing.
    pub data: PathBuf,
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Seed of the scheduler's choices.
    pub seed: u64,
    /// What the local tenant is given when it is first opened; an operator of one machine pays himself.
    pub funds: Money,
    /// Where clients of this user find the server; `None` leaves no trace there.
    pub discovery: Option<Folder>,
}

/// What every handler sees.
pub(crate) struct Shared {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) job_files: JobFiles,
    pub(crate) hub: Arc<Hub>,
    pub(crate) channels: Channels,
    pub(crate) feed: Feed,
    pub(crate) clock: Arc<Clock>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) reasons: SharedReasons,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) secret: Secret,
    pub(crate) user_token: String,
    pub(crate) tokens: TenantTokens,
    pub(crate) centre_tokens: CentreTokens,
    pub(crate) epoch: u64,
    pub(crate) loopback: bool,
    pub(crate) started_at: TimeMs,
    /// When the run before this one recorded something last.
    pub(crate) recorded_at: TimeMs,
    /// Where it is noted that the server is there.
    pub(crate) seen: Seen,
    /// Whose turn it is to have helps computed.
    pub(crate) helps: Semaphore,
    /// Whose turn it is to correct readings of a centre.
    pub(crate) correcting: Turns,
    pub(crate) played: OnceLock<Arc<Simulation>>,
    /// What no rating of a part may pass.
    pub(crate) ceilings: OnceLock<Vec<PartCeiling>>,
    request_last: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn next_request_id(&self) -> String {
        format!("{}-{}", self.epoch, self.request_last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// What the last scheduling cycle said.
    pub(crate) fn last_reasons(&self) -> Arc<Reasons> {
        self.reasons.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when the server stops: long waits end then.
    pub(crate) async fn stopping(&self) {
        let mut stop = self.stop.clone();
        // An error means that the server is gone, which is stopping too.
        _ = stop.wait_for(|&stopping| stopping).await;
    }
}

/// A server that runs on threads of its own until it is stopped or dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    planner: Arc<Wake>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    discovery: Option<Folder>,
}

impl Server {
    /// Opens the data directory, loads the state and listens. On return the address accepts requests.
    pub fn start(config: ServeConfig) -> anyhow::Result<Server> {
        Server::start_under(Policy::default(), config)
    }

    /// The same under another policy than the default. Plans say its name; the state does not keep it, so that every
    /// start says it again.
    pub fn start_under(policy: Policy, config: ServeConfig) -> anyhow::Result<Server> {
        let directory = DataDirectory::open(&config.data)?;
        let secret = Secret::of(&config.data).context("the secret of the data directory cannot be read")?;
        let mut store = Store::open(directory)?;
        let (epoch, rows) = (store.next_epoch()?, store.load()?);
        let recorded_at = rows.at;
        let clock = Arc::new(Clock::starting_at(recorded_at));
        let state = restore(policy, rows)?;
        let (tokens, centre_tokens) = (TenantTokens::of(&state), CentreTokens::of(&state));
        let chain = books::resume(&Reader::open(&store.database())?).context("the stored books were altered")?;
        let readers = Readers::new(store.database());
        let (hub, feed, metrics) = (Arc::new(Hub::default()), Feed::new(), Arc::new(Metrics::new(&state)));
        let disk = Arc::new(Disk::new(config.data.clone(), clock.clone()));
        let planner_wake = Arc::new(Wake::default());
        let runtime = runtime()?;
        let listeners = Listeners {
            hub: hub.clone(),
            feed: feed.clone(),
            planner: planner_wake.clone(),
            metrics: metrics.clone(),
            answers: answers::start(runtime.handle()),
        };
        let (writer, writer_thread) = Writer::start(state, chain, store, clock.clone(), disk.clone(), listeners)?;
        let seen = resume(&writer, &clock, &config.data, recorded_at)?;
        open_tenant(&writer, config.funds)?;
        let reasons = SharedReasons::default();
        let planner = Planner {
            writer: writer.clone(),
            wake: planner_wake.clone(),
            clock: clock.clone(),
            reasons: reasons.clone(),
            metrics: metrics.clone(),
            seed: config.seed,
        };
        let planner_thread = planner.start()?;
        planner_wake.wake();
        let (stop, stopped) = watch::channel(false);
        let started_at = clock.now();
        let user_token = secret.user_token();
        let shared = Arc::new(Shared {
            writer,
            readers,
            job_files: JobFiles::default(),
            hub,
            channels: Channels::default(),
            feed,
            clock,
            disk,
            reasons,
            metrics,
            secret,
            user_token,
            tokens,
            centre_tokens,
            epoch,
            loopback: config.listen.ip().is_loopback(),
            started_at,
            recorded_at,
            seen,
            helps: Semaphore::new(1),
            correcting: Turns::default(),
            played: OnceLock::new(),
            ceilings: OnceLock::new(),
            request_last: AtomicU64::new(0),
            stop: stopped.clone(),
        });
        let (address, http_thread) = listen(runtime, config.listen, shared.clone(), stopped, planner_wake.clone())?;
        let threads = vec![http_thread, planner_thread, writer_thread];
        let server = Server { address, shared, planner: planner_wake, stop, threads, discovery: config.discovery };
        server.announce(&config.data)?;
        Ok(server)
    }

    /// Where it listens, as clients on this machine write it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token of people.
    pub fn token(&self) -> &str {
        &self.shared.user_token
    }

    /// Whether an operator gave the centre's agent a token of its own: then the derived one is void.
    pub fn has_own_token(&self, centre: &CentreId) -> bool {
        self.shared.centre_tokens.has(centre)
    }

    /// The derived token of a centre's agent, good until an operator gives it one of its own.
    pub fn agent_token(&self, centre: &CentreId) -> String {
        self.shared.secret.agent_token(centre)
    }

    /// Makes a centre known, or changes what its operator declares of it.
    pub fn set_centre(&self, centre: Centre) -> anyhow::Result<()> {
        let command = Command::SetCentre(Box::new(centre));
        self.shared.writer.execute_blocking(identity::server(), command)?;
        Ok(())
    }

    /// Tells what is simulated here, for the pages. The first call counts.
    pub fn set_simulation(&self, simulation: Simulation) {
        self.shared.played.get_or_init(|| Arc::new(simulation));
    }

    /// Tells what makers declare of parts: ratings above it are kept apart. The first call counts; without one, ratings
    /// are held only against their own nameplate and their peers.
    pub fn set_ceilings(&self, ceilings: Vec<PartCeiling>) {
        self.shared.ceilings.get_or_init(|| ceilings);
    }

    /// Waits for the signal by which a service is told to end: SIGTERM or SIGINT.
    pub fn wait_for_signal(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            Ok(())
        })
    }

    /// Lets what is under way finish, then ends every thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn announce(&self, data: &Path) -> anyhow::Result<()> {
        let Some(folder) = &self.discovery else { return Ok(()) };
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        let running = Running { url: self.url(), token: self.token().to_owned(), pid: std::process::id(), data };
        folder.write(&running).context("the server cannot be announced to clients of this user")
    }

    fn end(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        if let Some(folder) = &self.discovery
            && let Err(error) = folder.remove(std::process::id())
        {
            tracing::warn!(%error, "announcement not removed");
        }
        // Receivers may be gone: the threads that hold them have ended then.
        _ = self.stop.send(true);
        self.planner.stop();
        self.shared.writer.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            _ = thread.join();
        }
        self.shared.seen.note(self.shared.clock.now());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The most jobs of the local tenant that have not ended: the network's memory is sized for a million.
const LOCAL_JOBS_MAX: u64 = 1_100_000;

/// Tells the state what time it is, and for how long nobody looked.
fn resume(writer: &Writer, clock: &Clock, data: &Path, recorded_at: TimeMs) -> anyhow::Result<Seen> {
    let seen = Seen::of(data);
    // What was recorded after the last note was seen, too. Without a note nobody knows, and nothing is said.
    let seen_until = seen.last().map_or_else(|| clock.now(), |last| last.max(recorded_at));
    writer.execute_blocking(identity::server(), Command::Resume { seen_until })?;
    seen.note(clock.now());
    Ok(seen)
}

/// Opens the local tenant and gives it its money. Either may be done already, because a server may have ended
/// between the two.
fn open_tenant(writer: &Writer, funds: Money) -> anyhow::Result<()> {
    let tenant = identity::tenant();
    let name = tenant.clone();
    let (known, funded) = writer.look_blocking(move |state| {
        let funded = state.ledger().balances().any(|(account, ..)| *account == Account::Funding);
        (state.tenants().contains_key(&name), funded)
    })?;
    if !known {
        let open = Command::SetTenant(Tenant::new(tenant, LOCAL_JOBS_MAX));
        writer.execute_blocking(identity::server(), open)?;
    }
    if !funded {
        writer.execute_blocking(identity::server(), Command::Fund { amount: funds })?;
    }
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(http_threads()).thread_name("http").enable_all().build()
}

/// Threads that serve requests: one on two cores, where writer and committer want the other, two on more. Work is
/// short there, and two threads on two cores wake each other for nothing (measured: 42 against 38 us a submission).
fn http_threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    (cores / 2).clamp(1, 2)
}

fn listen(
    runtime: Runtime,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
    planner: Arc<Wake>,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .with_context(|| format!("address {address} cannot be listened on"))?;
    let bound = listener.local_addr()?;
    let thread = thread::Builder::new().name("http-main".into()).spawn(move || {
        let watched = shared.clone();
        let door = http::Door::new(shared);
        runtime.spawn(liveness::watch(watched, planner));
        let stop = async move { _ = stopped.wait_for(|&stopping| stopping).await };
        let answer = move |request| door.clone().answer(request);
        runtime.block_on(connections::serve(listener, answer, HEAD_WITHIN, stop));
        runtime.shutdown_background();
    })?;
    Ok((bound, thread))
}
