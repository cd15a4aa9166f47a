//! [`LocalEngine`]: the agent's side of a local centre.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Child,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use huisuan_model::{
    AttemptId, AttemptReport, ChannelTarget, EngineKind, MilliDevices, Millicores, Pool, PoolId, StartOrder, Stream,
    Topology, quantity::Bytes,
};

use super::{
    config::{LocalConfig, LocalLimits, SupervisorConfig},
    connection::{Connection, lock_start, start_supervisor},
    records::read_claim,
    supervisor::session,
    wire::{Reply, Request},
};
use crate::{
    engine::{Engine, EngineError, Held, LogChunk, SubmitResult},
    folder::{batch::Batch, output::read_part, paths::Paths},
};

/// Processes of this machine, kept by a supervisor that outlives this value and its process.
#[derive(Debug)]
pub struct LocalEngine {
    config: LocalConfig,
    supervisor_config: SupervisorConfig,
    paths: Paths,
    memory_mode: String,
    /// For requests that are answered at once.
    control: Mutex<Option<Connection>>,
    /// For [`Engine::observe`], which waits.
    observer: Mutex<Option<Connection>>,
    /// The supervisor that this value started, kept only to be reaped.
    child: Mutex<Option<Child>>,
}

impl LocalEngine {
    /// Opens the centre in `config.dir`: makes the folder, connects to its supervisor, starts one when
    /// there is none.
    ///
    /// # Errors
    /// When the folder cannot be used, a CPU is not this process's to use, the supervisor cannot be
    /// started, or a supervisor with other cores or memory has work.
    pub fn open(config: LocalConfig) -> Result<Self, EngineError> {
        Self::open_with(config, LocalLimits::default())
    }

    /// [`LocalEngine::open`] with other times.
    ///
    /// # Errors
    /// As [`LocalEngine::open`].
    pub fn open_with(config: LocalConfig, limits: LocalLimits) -> Result<Self, EngineError> {
        check_cores(&config.cores)?;
        let paths = Paths::make(&config.dir).map_err(EngineError::file("folder", &config.dir))?;
        let supervisor_config = SupervisorConfig::of(&config, &limits);
        let mut engine = LocalEngine {
            config,
            supervisor_config,
            paths,
            memory_mode: String::new(),
            control: Mutex::new(None),
            observer: Mutex::new(None),
            child: Mutex::new(None),
        };
        let connection = engine.connect(false)?;
        engine.memory_mode.clone_from(&connection.memory_mode);
        engine.control = Mutex::new(Some(connection));
        Ok(engine)
    }

    fn connect(&self, observer: bool) -> Result<Connection, EngineError> {
        if let Ok(connection) = Connection::open(&self.paths, &self.supervisor_config, observer)? {
            return Ok(connection);
        }
        let _lock = lock_start(&self.paths)?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        // Twice, because an idle supervisor may be leaving at this very moment.
        for _ in 0..2 {
            match Connection::open(&self.paths, &self.supervisor_config, observer)? {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
            let started = start_supervisor(&self.paths, &self.supervisor_config, &self.config.supervisor)?;
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(mut former) = child.replace(started) {
                let _ = former.try_wait();
            }
        }
        match Connection::open(&self.paths, &self.supervisor_config, observer)? {
            Ok(connection) => Ok(connection),
            Err(_) => Err(EngineError::Connection { doing: "looking for the supervisor", source: last }),
        }
    }

    fn call(&self, doing: &'static str, request: &Request, wait: Duration) -> Result<Reply, EngineError> {
        let observer = matches!(request, Request::Observe { .. });
        let slot = if observer { &self.observer } else { &self.control };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let mut repeated = false;
        loop {
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => self.connect(observer)?,
            };
            match connection.call(request, wait) {
                Ok(Reply::Refused(why)) => {
                    *slot = Some(connection);
                    return Err(EngineError::Refused(why));
                }
                Ok(reply) => {
                    *slot = Some(connection);
                    return Ok(reply);
                }
                // Every request may be repeated; once is enough to outlive a supervisor that was replaced.
                Err(source) if repeated => return Err(EngineError::Connection { doing, source }),
                Err(_) => repeated = true,
            }
        }
    }

    fn done(&self, doing: &'static str, request: &Request) -> Result<(), EngineError> {
        match self.call(doing, request, Duration::ZERO)? {
            Reply::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    fn unexpected(&self, reply: &Reply) -> EngineError {
        EngineError::Supervisor {
            dir: self.paths.dir.clone(),
            what: format!("gave an answer to another question: {reply:?}"),
        }
    }
}

impl Engine for LocalEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Local
    }

    fn memory_mode(&self) -> String {
        self.memory_mode.clone()
    }

    fn images(&self) -> Result<String, String> {
        let containers = self.config.containers.as_ref().map_err(Clone::clone)?;
        Ok(containers.told("this machine"))
    }

    fn sessions(&self) -> Result<(), String> {
        session::setsid().map(drop)
    }

    fn attach(&self, attempt: AttemptId, target: ChannelTarget) -> Result<UnixStream, EngineError> {
        // A connection of its own, for it is one end of the channel from here on.
        let connection = self.connect(false)?;
        let attached = connection.into_channel(attempt, target);
        match attached.map_err(|source| EngineError::Connection { doing: "attaching", source })? {
            Ok(stream) => Ok(stream),
            Err(Reply::Refused(why)) => Err(EngineError::Refused(why)),
            Err(other) => Err(self.unexpected(&other)),
        }
    }

    fn blank(&self) -> bool {
        // Folders of attempts are never removed, so none is there only before the first.
        fs::read_dir(self.paths.attempts()).is_ok_and(|mut attempts| attempts.next().is_none())
    }

    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        Ok(vec![Pool {
            id: self.config.pool.clone(),
            class: self.config.class,
            cores: Millicores(self.supervisor_config.cores.len() as u64 * 1000),
            memory: self.config.memory,
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: None,
            images: self.config.containers.is_ok(),
            topology: Some(Topology::ONE_NODE),
        }])
    }

    fn staging_folder(&self) -> Option<PathBuf> {
        Some(self.paths.staging())
    }

    fn measurable_cpus(&self, pool: &PoolId) -> Vec<usize> {
        if *pool == self.config.pool { self.supervisor_config.cores.clone() } else { Vec::new() }
    }

    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        match self.call("submitting", &Request::Submit(Batch::new(starts)), Duration::ZERO)? {
            Reply::Submitted(results) if results.len() == starts.len() => Ok(results),
            other => Err(self.unexpected(&other)),
        }
    }

    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match self.call("observing", &Request::Observe { wait_ms }, wait)? {
            Reply::Reports(reports) => Ok(reports),
            other => Err(self.unexpected(&other)),
        }
    }

    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        if ended.is_empty() {
            return Ok(());
        }
        self.done("acknowledging", &Request::Acknowledge(ended.to_vec()))
    }

    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        if attempts.is_empty() {
            return Ok(());
        }
        self.done("cancelling", &Request::Cancel(attempts.to_vec()))
    }

    fn held(&self) -> Result<Option<Held>, EngineError> {
        match self.call("asking what it holds", &Request::Held, Duration::ZERO)? {
            Reply::Held(held) => Ok(Some(held)),
            other => Err(self.unexpected(&other)),
        }
    }

    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        self.done("looking for attempts", &Request::Find(attempts.to_vec()))
    }

    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        let files = self.paths.attempt(attempt);
        // Looked up before the output is read: what was written until then is all there is.
        let ended = files.done().exists();
        let claim = read_claim(&files).map_err(EngineError::file("claim", &files.claim()))?;
        let Some((claim, _)) = claim else {
            // It waits in the queue, was cancelled there, or was never heard of.
            return match self.call("asking for an attempt", &Request::Known(attempt), Duration::ZERO)? {
                Reply::Known(true) => Ok(LogChunk { data: Vec::new(), offset, end: ended }),
                Reply::Known(false) => Err(EngineError::UnknownAttempt(attempt)),
                other => Err(self.unexpected(&other)),
            };
        };
        let elsewhere = claim.and_then(|claim| match stream {
            Stream::Stdout => claim.stdout,
            Stream::Stderr => claim.stderr,
        });
        let path = match (elsewhere, stream) {
            (Some(path), _) => PathBuf::from(path),
            (None, Stream::Stdout) => files.stdout(),
            (None, Stream::Stderr) => files.stderr(),
        };
        let (data, all) = read_part(&path, offset, limit).map_err(EngineError::file("output", &path))?;
        Ok(LogChunk { data, offset, end: ended && all })
    }
}

fn check_cores(cores: &[usize]) -> Result<(), EngineError> {
    if cores.is_empty() {
        return Err(EngineError::Refused("a local centre needs at least one core; hint: name CPUs such as 0-3".into()));
    }
    let allowed = rustix::thread::sched_getaffinity(None)
        .map_err(|error| EngineError::Refused(format!("the CPUs of this process cannot be read: {error}")))?;
    match cores.iter().find(|&&core| core >= rustix::thread::CpuSet::MAX_CPU || !allowed.is_set(core)) {
        None => Ok(()),
        Some(core) => Err(EngineError::Refused(format!(
            "CPU {core} is not one that this process may use; hint: `taskset -p $$` shows which are"
        ))),
    }
}
