//! Joining the network, and the loop that pulls orders.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use huisuan_api::{
    AgentClient, ClientError, ErrorCode,
    agent::{Hello, LogAnswer, LogRequest, Orders, PROTOCOL, PoolRating, Ratings, SequencedOrder, Welcome},
};
use huisuan_drivers::{Engine, EngineError};
use huisuan_measure::MeasureError;
use huisuan_model::{
    AttemptId, AttemptReport, CentreId, EndCause, Order, Outcome, Pool, PoolId, ReportKind, StartOrder, TimeMs, Usage,
    spec::JobKind,
};

use crate::{
    channel::Channels,
    contact::Contact,
    desk::Desk,
    gate::Gate,
    held::Compared,
    key::Key,
    memory::{Memory, MemoryError},
    offer::{Offer, changed, offered},
    pause::{Backoff, StopFlag},
    policy::SitePolicy,
    rate::{Depth, PoolRecord, rate_pools},
    report::Reporter,
    staging::Stager,
};

/// The largest piece of output given in one answer, in bytes.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// What an agent is told.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Base URL of the server, `http://HOST:PORT`.
    pub server: String,
    /// The centre's token.
    pub token: String,
    /// The centre that it speaks for.
    pub centre: CentreId,
    /// A folder of this agent alone; `agent.json` is kept there. May be the engine's folder.
    pub dir: PathBuf,
    /// What the site's operator allows; kept here, whatever a server orders.
    pub policy: SitePolicy,
    /// How long the server may hold a question for orders. Also the longest time for which a server that
    /// was restarted between two questions goes unnoticed: 5 s is a good value, 30 s the most.
    pub poll_wait: Duration,
}

/// Why an agent does not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Another agent of this folder runs.
    #[error("another agent runs for folder `{}`; hint: stop it first, or give this one its own folder", .0.display())]
    Taken(PathBuf),
    /// What the agent must remember cannot be read or written.
    #[error("agent memory `{}` cannot be used: {source}; hint: check owner, rights and free space", path.display())]
    Memory {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server does not welcome it.
    #[error("server does not welcome this agent: {source}; hint: {}", source.hint())]
    Server {
        /// What came back.
        #[from]
        source: ClientError,
    },
    /// The server is an earlier run than one that gave orders before.
    #[error(
        "server run {epoch} is older than run {epoch_max}, which gave orders before; hint: two servers may be \
         running, or a backup was restored: in that case remove `agent.json` of this centre"
    )]
    OldServer {
        /// The run that answered.
        epoch: u64,
        /// The highest run seen.
        epoch_max: u64,
    },
    /// The engine cannot be asked.
    #[error("engine: {0}")]
    Engine(#[from] EngineError),
    /// A pool cannot be rated.
    #[error("rating: {0}")]
    Rating(#[from] MeasureError),
    /// A thread cannot be made.
    #[error("agent thread cannot be started: {0}; hint: check the limit of processes (`ulimit -u`)")]
    Thread(io::Error),
}

/// An agent that the server has welcomed.
pub struct Agent {
    config: AgentConfig,
    client: AgentClient,
    engine: Arc<dyn Engine>,
    memory: Memory,
    key: Key,
    contact: Arc<Contact>,
    gate: Arc<Gate>,
    stager: Arc<Stager>,
    channels: Channels,
    /// Whether pools are measured when they join.
    rates: bool,
    /// What the server was told to be here.
    told: Vec<Pool>,
}

impl Agent {
    /// Says hello to the server with what the engine has; with `rate`, measures every pool in this
    /// machine that has no rating in force and reports the ratings, half a second for each.
    ///
    /// # Errors
    /// When the server or the engine cannot be reached, the server refuses, or another agent runs here.
    /// Nothing was started then.
    pub fn join(config: AgentConfig, engine: Box<dyn Engine>, rate: bool) -> Result<Self, AgentError> {
        let memory = Memory::open(&config.dir).map_err(|error| memory_error(error, &config))?;
        let client = AgentClient::new(&config.server, Some(&config.token), config.centre.clone())?;
        let held = engine.held()?.unwrap_or_default().live;
        let gate = Arc::new(Gate::new(config.policy.clone(), held));
        let key = Key::open(&config.dir).map_err(|error| memory_error(error, &config))?;
        let stager = Arc::new(Stager::new(engine.staging_folder(), config.policy.data.clone()));
        let (contact, channels) = (Arc::default(), Channels::default());
        let (engine, told) = (engine.into(), Vec::new());
        let mut agent =
            Agent { config, client, engine, memory, key, contact, gate, stager, channels, rates: rate, told };
        let unrated = agent.hello()?.unrated;
        agent.rate_new(&unrated)?;
        Ok(agent)
    }

    /// Measures pools that the server has no rating of, where this agent measures at all.
    fn rate_new(&self, unrated: &[PoolId]) -> Result<(), AgentError> {
        if !self.rates || unrated.is_empty() {
            return Ok(());
        }
        let mut pools = self.told.clone();
        pools.retain(|pool| unrated.contains(&pool.id));
        self.rate(&pools, Depth::Class)
    }

    /// Measures pools and reports their ratings, signed; what is not in this machine is left out.
    fn rate(&self, pools: &[Pool], depth: Depth) -> Result<(), AgentError> {
        let ratings = rate_pools(self.engine.as_ref(), pools, depth, now())?;
        let mut signed = Vec::with_capacity(ratings.len());
        for PoolRecord { pool, mut rating, record } in ratings {
            self.key.keep(&record).map_err(|error| memory_error(error, &self.config))?;
            self.key.sign(&self.config.centre, &pool, &mut rating);
            signed.push(PoolRating { pool, rating });
        }
        if !signed.is_empty() {
            self.client.ratings(&Ratings { ratings: signed })?;
        }
        Ok(())
    }

    /// Measures what the server wants measured: nothing runs there. What fails is asked for again.
    fn measure(&self, wanted: &[PoolId]) {
        if wanted.is_empty() {
            return;
        }
        let measured = self.engine.inventory().map_err(AgentError::from).and_then(|mut pools| {
            pools.retain(|pool| wanted.contains(&pool.id));
            self.rate(&pools, Depth::All)
        });
        match measured {
            Ok(()) => tracing::info!(pools = wanted.len(), "pools were measured again"),
            Err(error) => tracing::warn!(%error, "pools were not measured again"),
        }
    }

    /// Pulls orders and reports until `stop` is set. A server or an engine that is away is tried again
    /// for ever. A poll under way may delay the return by [`AgentConfig::poll_wait`].
    ///
    /// # Errors
    /// When the reporting thread cannot be started.
    pub fn run(mut self, stop: &StopFlag) -> Result<(), AgentError> {
        let (client, engine, run) = (self.client.clone(), Arc::clone(&self.engine), self.memory.run());
        let (contact, gate, stager) = (Arc::clone(&self.contact), Arc::clone(&self.gate), Arc::clone(&self.stager));
        let flag = stop.clone();
        let report = move || {
            let _ended = StopWhenDropped(&flag);
            let desk = Desk { engine: engine.as_ref(), stager: &stager, gate: &gate, contact: &contact };
            Reporter { client: &client, desk, run }.work(&flag);
        };
        let reporter = thread::Builder::new().name("report".into()).spawn(report).map_err(AgentError::Thread)?;
        self.pull(stop);
        if let Err(panic) = reporter.join() {
            std::panic::resume_unwind(panic);
        }
        Ok(())
    }

    /// Says hello and notes the run of the server, on disk before anything is done for it.
    fn hello(&mut self) -> Result<Welcome, AgentError> {
        let pools = match self.engine.inventory() {
            Ok(pools) => pools,
            // Who joined before has ends to tell, which need no engine; what is here now follows when it answers.
            Err(error) if self.memory.epoch_max() > 0 => {
                tracing::warn!(%error, "the engine does not say what it has, saying what is known of it");
                self.engine.pools()?
            }
            Err(error) => return Err(error.into()),
        };
        let pools = offered(pools, &self.gate);
        let hello = Hello {
            protocol: PROTOCOL,
            pools: pools.clone(),
            engine: self.engine.kind(),
            memory_mode: self.engine.memory_mode(),
            // A server's run is noted before anything is done for it, so that this is said once. Both must be new:
            // after a restored backup an operator takes the note alone away, and what runs goes on.
            fresh: self.memory.epoch_max() == 0 && self.engine.blank(),
        };
        let welcome = self.client.hello(&hello)?;
        self.note_epoch(welcome.epoch)?;
        self.told = pools;
        self.contact.open(welcome.clone());
        Ok(welcome)
    }

    /// A hello of an agent that has joined: what is new or larger at the centre since is measured.
    fn hello_again(&mut self) -> Result<u64, AgentError> {
        let before = self.told.clone();
        let Welcome { epoch, unrated, .. } = self.hello()?;
        let new = changed(&before, &self.told, unrated);
        if let Err(error) = self.rate_new(&new) {
            tracing::warn!(%error, "new pools were not measured, trying again");
            // As if they were not told of: the next look at the centre finds them new, and says hello again.
            self.told.retain(|pool| !new.contains(&pool.id));
        }
        Ok(epoch)
    }

    fn note_epoch(&mut self, epoch: u64) -> Result<(), AgentError> {
        let epoch_max = self.memory.epoch_max();
        if epoch < epoch_max {
            return Err(AgentError::OldServer { epoch, epoch_max });
        }
        self.memory.raise_epoch(epoch).map_err(|error| memory_error(error, &self.config))
    }

    fn pull(&mut self, stop: &StopFlag) {
        let mut backoff = Backoff::new();
        while !stop.stopped() {
            let epoch = match self.contact.epoch() {
                Some(epoch) => Ok(epoch),
                None => self.hello_again(),
            };
            let broken = match epoch {
                Ok(epoch) => self.pull_run(epoch, &mut backoff, stop).err().map(AgentError::from),
                Err(error) => Some(error),
            };
            if let Some(error) = broken {
                tracing::warn!(%error, "no orders from the server, trying again");
                backoff.wait(stop);
            }
        }
    }

    /// Pulls orders of one run of the server, until it is another one's turn or something breaks.
    fn pull_run(&self, epoch: u64, backoff: &mut Backoff, stop: &StopFlag) -> Result<(), ClientError> {
        let (mut after, mut compared, mut offer) = (0, Compared::default(), Offer::of(&self.told));
        while !stop.stopped() && self.contact.epoch() == Some(epoch) {
            compared.when_due(self.desk(), &self.client, epoch);
            if offer.changed(self.engine.as_ref(), &self.gate) {
                tracing::info!("the centre has other pools than before, saying so");
                self.contact.close(epoch);
                return Ok(());
            }
            let wait = self.config.poll_wait.min(compared.rest()).min(offer.rest());
            let pulled = self.client.orders(epoch, after, wait);
            if !pulled.as_ref().is_ok_and(|orders| orders.epoch == epoch) {
                // Another run of the server, or none: nothing of it is done before the next hello.
                self.contact.close(epoch);
            }
            let orders = match pulled {
                Err(error) if error.problem().is_some_and(|problem| problem.code == ErrorCode::StaleEpoch) => {
                    return Ok(());
                }
                pulled => pulled?,
            };
            if orders.epoch != epoch {
                return Ok(());
            }
            let Orders { orders, log_requests, measure, channels, .. } = orders;
            let allowed = self.gate.policy().sessions();
            channels.into_iter().for_each(|order| self.channels.open(&self.client, &self.engine, order, allowed));
            self.measure(&measure);
            let last = orders.iter().map(|order| order.seq).max().unwrap_or(after);
            let carried_out = self.carry_out(orders);
            // After the orders: who follows a task from its placement on asks for the output of what is ordered here.
            log_requests.iter().for_each(|request| self.answer(request));
            match carried_out {
                Ok(()) => {
                    after = last;
                    backoff.reset();
                }
                Err(error) => {
                    // The server gives the same orders again, because `after` stays.
                    tracing::warn!(%error, "engine does not take orders, trying again");
                    backoff.wait(stop);
                }
            }
        }
        Ok(())
    }

    /// Hands orders to the engine: all starts, then all stops. A stop never comes before its start, and one of what began
    /// earlier does not wait for an engine that takes no starts, as one whose disk is full.
    fn carry_out(&self, orders: Vec<SequencedOrder>) -> Result<(), EngineError> {
        let (mut starts, mut stops): (Vec<StartOrder>, Vec<AttemptId>) = (Vec::new(), Vec::new());
        for SequencedOrder { order, .. } in orders {
            match order {
                Order::Start(start) if start.centre == self.config.centre => starts.extend(self.let_in(*start)?),
                Order::Start(start) => {
                    tracing::error!(attempt = %start.attempt, centre = %start.centre, "order for another centre is ignored");
                }
                Order::Stop(attempt) => stops.push(attempt),
            }
        }
        let new: BTreeSet<AttemptId> = starts.iter().map(|start| start.attempt).collect();
        let taken = self.desk().take(starts);
        if taken.is_err() {
            stops.retain(|attempt| !new.contains(attempt));
        }
        let stopped = self.desk().stop(&stops);
        taken.and(stopped)
    }

    fn desk(&self) -> Desk<'_> {
        Desk { engine: self.engine.as_ref(), stager: &self.stager, gate: &self.gate, contact: &self.contact }
    }

    /// An order that the site's rules let through now, under the account that they name. What they refuse is reported;
    /// what has to wait waits.
    fn let_in(&self, order: StartOrder) -> Result<Option<StartOrder>, EngineError> {
        let account = self.gate.policy().account(order.tenant.as_str()).map(str::to_owned);
        let order = StartOrder { account, ..order };
        if let Some(why) = self.refusal(&order) {
            // What the engine has taken before the rules changed is no longer theirs to refuse.
            if !self.engine.knows(order.attempt)? {
                tracing::warn!(attempt = %order.attempt, tenant = %order.tenant, why, "order refused by the site");
                self.contact.add_own(vec![not_started(order.attempt, EndCause::Refused, why)]);
                return Ok(None);
            }
        }
        Ok(self.gate.admit(&order, now()).then_some(order))
    }

    /// Why an order never runs here: a rule of the site, or what its engine lacks.
    fn refusal(&self, order: &StartOrder) -> Option<String> {
        let broken = self.gate.policy().judge(order, &self.config.centre).err();
        let no_sessions = || (order.spec.kind == JobKind::Session).then(|| self.engine.sessions().err()).flatten();
        broken.map(|broken| broken.to_string()).or_else(no_sessions)
    }

    /// Answers a question about output. Whoever asked asks again if the answer does not arrive.
    fn answer(&self, request: &LogRequest) {
        let limit = usize::try_from(request.limit.min(LOG_BYTES_MAX)).unwrap_or(usize::MAX);
        let (answer, data) = match self.engine.logs(request.attempt, request.stream, request.offset, limit) {
            Ok(chunk) => (LogAnswer { offset: chunk.offset, end: chunk.end, error: None }, chunk.data),
            Err(error) => (LogAnswer { offset: request.offset, end: true, error: Some(error.to_string()) }, Vec::new()),
        };
        if let Err(error) = self.client.answer_logs(request.id, &answer, &data) {
            tracing::info!(%error, "output is not taken by the server");
        }
    }
}

/// Ends the pulling thread when the reporting thread ends, by a panic too: an agent that does not report
/// must not take orders.
struct StopWhenDropped<'a>(&'a StopFlag);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The end of an attempt that never began.
pub(crate) fn not_started(attempt: AttemptId, cause: EndCause, why: String) -> AttemptReport {
    let outcome = Outcome { cause, exit_code: None, signal: None, detail: why };
    let what = ReportKind::Ended { started_at: None, outcome, usage: Usage::default() };
    AttemptReport { attempt, at: now(), what }
}

fn memory_error(error: MemoryError, config: &AgentConfig) -> AgentError {
    match error {
        MemoryError::Taken => AgentError::Taken(config.dir.clone()),
        MemoryError::File(path, source) => AgentError::Memory { path, source },
    }
}

pub(crate) fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
