//! What every engine promises to the agent that drives it.

use std::{io, os::unix::net::UnixStream, path::PathBuf, time::Duration};

use huisuan_model::{
    AttemptId, AttemptReport, ChannelTarget, EngineKind, GflopPerS, Pool, PoolId, SiteBook, StartOrder, Stream, TimeMs,
};
use serde::{Deserialize, Serialize};

/// Runs attempts on what a centre has. All methods may be called from several threads at once: one
/// thread waits in [`Engine::observe`] while another submits.
///
/// Every call is safe to repeat. An error means that the outcome is unknown: repeat the call.
pub trait Engine: Send + Sync {
    /// What kind of engine it is.
    fn kind(&self) -> EngineKind;

    /// How a memory limit is kept: `watched` (sampled, ended when over) or `cgroup` (kept by the kernel).
    fn memory_mode(&self) -> String;

    /// The pools of the centre, without ratings.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn inventory(&self) -> Result<Vec<Pool>, EngineError>;

    /// The same as they were when the engine last looked, for an agent that looks whether they are others by now: it
    /// asks often, so an engine that has to ask somebody else remembers them.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn pools(&self) -> Result<Vec<Pool>, EngineError> {
        self.inventory()
    }

    /// How it runs container images, for people; an error says why it runs none. Its pools say the same to the network.
    ///
    /// # Errors
    /// When it runs processes only.
    fn images(&self) -> Result<String, String> {
        Err("this engine runs processes only".to_owned())
    }

    /// The folder below which a task finds what is brought to it, see [`crate::staging`]; `None` where tasks see no
    /// file of the agent's machine, so that nothing can be brought.
    fn staging_folder(&self) -> Option<PathBuf> {
        None
    }

    /// Whether it runs sessions; an error says why not, for people.
    ///
    /// # Errors
    /// When it has no terminals.
    fn sessions(&self) -> Result<(), String> {
        Err("this engine runs no sessions".to_owned())
    }

    /// Whose jobs run as which local user of the site, for people, each tried: an error says why it would fail. Empty
    /// where all run as the agent's own user.
    fn local_users(&self) -> Vec<(String, Result<(), String>)> {
        Vec::new()
    }

    /// A way into a session that runs here: the stream speaks [`huisuan_model::channel::Frame`]s in both directions.
    /// Dropping it leaves the session as it is.
    ///
    /// # Errors
    /// When the session is not there, or what is asked for is not.
    fn attach(&self, attempt: AttemptId, target: ChannelTarget) -> Result<UnixStream, EngineError> {
        let _ = target;
        Err(EngineError::UnknownAttempt(attempt))
    }

    /// True when it knows of no attempt, ended ones included: its folder is new, or was lost. An engine that cannot
    /// tell says false.
    fn blank(&self) -> bool {
        false
    }

    /// The logical CPUs of this machine that make up a pool, so that it can be measured from here; empty
    /// when the pool is elsewhere.
    fn measurable_cpus(&self, pool: &PoolId) -> Vec<usize>;

    /// The sustained rate of a whole pool as its site declares it, in the precision of the pool's class; for pools that
    /// cannot be measured from here.
    fn declared_rate(&self, pool: &PoolId) -> Option<GflopPerS> {
        let _ = pool;
        None
    }

    /// Takes orders, one answer for each in the same order. Once an answer says [`SubmitResult::Accepted`],
    /// the order survives a kill of the agent and of the engine's own processes.
    ///
    /// # Errors
    /// When the answer did not arrive: some of the orders may have been accepted.
    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError>;

    /// What happened and was not yet given to this engine value, in order, waiting up to `wait` for the
    /// first. Usage samples are given at the engine's own pace. After a restart of the agent or of the engine,
    /// everything that was not acknowledged is given again.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError>;

    /// Tells that the ends of these attempts are committed elsewhere: they need not be given again.
    ///
    /// # Errors
    /// When the engine cannot be told; their ends may then be given again.
    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError>;

    /// Ends attempts, queued or running. One that has already ended is left as it is; one that is not known
    /// is reported as cancelled, and a start order that comes for it later does nothing.
    ///
    /// # Errors
    /// When the engine cannot be told.
    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError>;

    /// The attempts that it has; `None` when it cannot tell.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn held(&self) -> Result<Option<Held>, EngineError> {
        Ok(None)
    }

    /// Whether it ever took this attempt, ended ones included: then its word counts, whatever the site's rules are now.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn knows(&self, attempt: AttemptId) -> Result<bool, EngineError> {
        match self.logs(attempt, Stream::Stdout, 0, 1) {
            Ok(_) => Ok(true),
            Err(EngineError::UnknownAttempt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks for attempts that the network believes to run here and that [`Engine::held`] does not name: in claim and
    /// done records first, then in what the engine itself remembers. What is found to have ended is given by
    /// [`Engine::observe`] again. Only what nothing at all is known of is given as lost; while something that might
    /// know cannot be asked, nothing is given.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        let _ = attempts;
        Ok(())
    }

    /// What somebody should look at, as of now: it may be over at the next call. Ordered by subject.
    fn alarms(&self) -> Vec<Alarm> {
        Vec::new()
    }

    /// When its own scheduler keeps a pool, or all of the centre, from running anything of ours, now and ahead.
    fn closed(&self) -> Vec<Closed> {
        Vec::new()
    }

    /// What its own scheduler keeps to, for people.
    fn book(&self) -> SiteBook {
        SiteBook::default()
    }

    /// At most `limit` bytes of an attempt's output, from byte `offset` on. Never waits for more.
    ///
    /// # Errors
    /// When the attempt is not known here or its output cannot be read.
    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError>;
}

/// The attempts of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Those that have not ended, waiting ones included.
    pub live: Vec<AttemptId>,
    /// Those that have ended and whose end is given until it is acknowledged.
    pub ended: Vec<AttemptId>,
}

/// What an engine answers to one start order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubmitResult {
    /// It will run, unless it is cancelled.
    Accepted,
    /// This attempt is known already. Harmless: it does not run twice.
    Duplicate,
    /// It will never run here.
    Refused {
        /// Why, for people.
        why: String,
    },
}

/// Something at a centre that a person should look at; nothing is lost by it yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// What it is about: `node NAME`, `attempt ID`, `job NUMBER`, `squeue`.
    pub subject: String,
    /// What is wrong, for people.
    pub what: String,
}

/// A span in which a centre, or a pool of it, runs nothing of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// The pool; all of the centre when absent.
    pub pool: Option<PoolId>,
    /// Why, for people: one short line.
    pub why: String,
}

/// A piece of an attempt's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The bytes, as they were written; not necessarily text.
    pub data: Vec<u8>,
    /// The place of the first byte in the stream.
    pub offset: u64,
    /// True when the attempt has ended and this is the last of it.
    pub end: bool,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file or folder of the engine cannot be used.
    #[error("{what} `{path}` cannot be used: {source}; hint: check owner, rights and free space of the folder")]
    File {
        /// What it is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A stored file does not hold what it should.
    #[error(
        "{path} is damaged in line {line}: {detail}; hint: keep a copy of the folder and report it, nothing was changed"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// The supervisor process cannot be started or does not answer.
    #[error("supervisor of `{dir}` {what}; hint: see supervisor.log in that folder")]
    Supervisor {
        /// Its folder.
        dir: PathBuf,
        /// What happened.
        what: String,
    },
    /// The connection to the engine broke.
    #[error("connection to the engine broke while {doing}: {source}; hint: the call may be repeated")]
    Connection {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration of an engine cannot be used.
    #[error("engine configuration `{path}`: {detail}; hint: see the page on this engine in the documentation")]
    Config {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A program of the engine failed, or said what cannot be understood.
    #[error("`{program}` {what}; hint: run it by hand as the user of this agent")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it did.
        what: String,
    },
    /// The engine refuses this request as a whole.
    #[error("engine refused: {0}")]
    Refused(String),
    /// No such attempt was ever ordered here.
    #[error("attempt {0} is not known to this engine; hint: it may have run at another centre")]
    UnknownAttempt(AttemptId),
}

impl EngineError {
    /// An error about a file, for `map_err`.
    pub(crate) fn file(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> EngineError + use<> {
        let path = path.to_owned();
        move |source| EngineError::File { what, path, source }
    }
}
