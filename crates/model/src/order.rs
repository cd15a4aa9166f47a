//! What goes between the network and a centre: orders one way, reports the other.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AttemptId, CentreId, PoolId, ProjectId, TenantId},
    quantity::{Bytes, DurationMs, MilliDevices, Millicores, TimeMs},
    ranges::RangeSet,
    spec::JobSpec,
};

/// One of the two outputs of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that a centre is to do. Orders are safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Start this attempt, once.
    Start(Box<StartOrder>),
    /// End this attempt, whether it runs or is still queued at the centre.
    Stop(AttemptId),
}

/// All that a centre needs to run one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOrder {
    /// Which.
    pub attempt: AttemptId,
    /// Where; a centre refuses orders that are not its own.
    pub centre: CentreId,
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// What to run.
    pub spec: Arc<JobSpec>,
    /// Cores given; with a hardware-neutral need these come from the pool's rating.
    pub cores: Millicores,
    /// Devices given.
    pub devices: MilliDevices,
    /// The pool that it was placed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolId>,
    /// The account of the engine that it runs under. The centre's own agent sets it, by its site's rules; what a server
    /// says here counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl StartOrder {
    /// Memory given.
    pub fn memory(&self) -> Bytes {
        self.spec.memory
    }

    /// After this long it is ended.
    pub fn walltime(&self) -> DurationMs {
        self.spec.walltime
    }

    /// All tasks of the job, for array variables of the environment.
    pub fn tasks(&self) -> &RangeSet {
        &self.spec.tasks
    }
}

/// Something that happened to an attempt at its centre. Reports are safe to repeat and to reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// Which.
    pub attempt: AttemptId,
    /// When, by the centre's clock.
    pub at: TimeMs,
    /// What.
    pub what: ReportKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// It runs.
    Started,
    /// What it used so far, cumulative.
    Used(Usage),
    /// It ended. Carries its start too, so that a lost `Started` does no harm.
    Ended {
        /// When it began; `None` when it never did.
        started_at: Option<TimeMs>,
        /// How.
        outcome: Outcome,
        /// What it used in all.
        usage: Usage,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it ended.
    pub cause: EndCause,
    /// The exit code, when the process exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What an engine said, for people; at most a few hundred characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Outcome {
    /// True when it exited by itself with code 0.
    pub fn success(&self) -> bool {
        self.cause == EndCause::Exited && self.exit_code == Some(0)
    }
}

/// Why an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// By itself, well or badly, or by a signal that was not ours.
    Exited,
    /// Its walltime was over.
    Walltime,
    /// It used more memory than it asked for.
    Memory,
    /// Somebody asked for it.
    Cancelled,
    /// Its room was given to a tenant that held less than it is due; its task waits for another attempt.
    Preempted,
    /// The rules of its site do not let it run there; its task waits for another centre.
    Refused,
    /// It could not be started: no such program, no permission.
    StartFailed,
    /// Data could not be brought to it, or not be taken from it.
    Staging,
    /// The centre lost sight of it and cannot know how it ended.
    Lost,
}

impl EndCause {
    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            EndCause::Exited => "exited",
            EndCause::Walltime => "walltime",
            EndCause::Memory => "memory",
            EndCause::Cancelled => "cancelled",
            EndCause::Preempted => "preempted",
            EndCause::Refused => "refused",
            EndCause::StartFailed => "start-failed",
            EndCause::Staging => "staging",
            EndCause::Lost => "lost",
        }
    }
}

/// What an attempt used; every figure is cumulative and never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Time from start to now or to the end.
    pub wall: DurationMs,
    /// Processor time of all its processes.
    pub cpu: DurationMs,
    /// The most memory seen.
    pub memory_peak: Bytes,
    /// Data moved for it.
    #[serde(default, skip_serializing_if = "Staged::is_none")]
    pub staged: Staged,
    /// Energy in joules that meters of the machine counted for it, without what its site takes beyond; 0 where nothing
    /// measures it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub joules: u64,
}

/// Data moved for an attempt, counted where it went through; every figure is cumulative and never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Staged {
    /// Brought to it.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub brought: Bytes,
    /// The size of all that is to be brought, as far as it is known.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub to_bring: Bytes,
    /// Taken from it.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub taken: Bytes,
    /// The size of all that is to be taken.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub to_take: Bytes,
}

impl Staged {
    /// Whether nothing was moved or is to be.
    pub fn is_none(&self) -> bool {
        *self == Staged::default()
    }

    /// How much of what is to be moved was moved, in percent: of what is taken once anything is, before that of what is
    /// brought. `None` where nothing is to be moved, or how much is not known.
    pub fn percent(&self) -> Option<u8> {
        let (done, all) = match self.to_take.is_zero() {
            true => (self.brought, self.to_bring),
            false => (self.taken, self.to_take),
        };
        let part = u128::from(done.0.min(all.0)) * 100 / u128::from(all.0).max(1);
        (!all.is_zero()).then(|| u8::try_from(part).expect("a part of a hundred"))
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Usage {
    /// The larger of each figure: reports may come late or twice.
    pub fn merge(self, other: Usage) -> Usage {
        Usage {
            wall: self.wall.max(other.wall),
            cpu: self.cpu.max(other.cpu),
            memory_peak: self.memory_peak.max(other.memory_peak),
            staged: Staged {
                brought: self.staged.brought.max(other.staged.brought),
                to_bring: self.staged.to_bring.max(other.staged.to_bring),
                taken: self.staged.taken.max(other.staged.taken),
                to_take: self.staged.to_take.max(other.staged.to_take),
            },
            joules: self.joules.max(other.joules),
        }
    }
}
