//! What the agent's side is given, and what of it the supervisor reads.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use huisuan_model::{Bytes, Class, PoolId};
use serde::{Deserialize, Serialize};

use crate::container::Containers;

/// What a local centre is made of.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The centre's folder; made with rights for its owner only when it is not there.
    pub dir: PathBuf,
    /// Logical CPUs of the centre's share, as the kernel numbers them.
    pub cores: Vec<usize>,
    /// Memory of the centre's share.
    pub memory: Bytes,
    /// The program and its arguments that call [`crate::supervise`]; `--dir DIR` is appended.
    pub supervisor: Vec<OsString>,
    /// The one pool that the centre offers.
    pub pool: PoolId,
    /// The class it is rated in.
    pub class: Class,
    /// How it runs container images, or why it runs none, for people.
    pub containers: Result<Containers, String>,
}

/// Times that rarely need another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalLimits {
    /// How long an attempt that was asked to end has before it is killed.
    pub grace: Duration,
    /// How long a supervisor without agent and without work stays.
    pub linger: Duration,
}

impl Default for LocalLimits {
    fn default() -> Self {
        LocalLimits { grace: Duration::from_secs(2), linger: Duration::from_secs(10) }
    }
}

/// The version of `supervisor.json`, of the stored records and of the socket's language.
pub(crate) const VERSION: u32 = 1;

/// What the supervisor may use; the content of `supervisor.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupervisorConfig {
    /// [`VERSION`] of the writer.
    pub(crate) version: u32,
    /// Logical CPUs.
    pub(crate) cores: Vec<usize>,
    /// Memory for all attempts together.
    pub(crate) memory: Bytes,
    /// Milliseconds from SIGTERM to SIGKILL.
    pub(crate) grace_ms: u64,
    /// Milliseconds that an idle supervisor stays.
    pub(crate) linger_ms: u64,
    /// How it runs container images; it runs none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) containers: Option<Containers>,
}

impl SupervisorConfig {
    pub(crate) fn of(config: &LocalConfig, limits: &LocalLimits) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut cores = config.cores.clone();
        cores.sort_unstable();
        cores.dedup();
        SupervisorConfig {
            version: VERSION,
            cores,
            memory: config.memory,
            grace_ms: millis(limits.grace),
            linger_ms: millis(limits.linger),
            containers: config.containers.clone().ok(),
        }
    }
}
