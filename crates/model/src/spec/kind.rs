//! What kind of work a job is, and what may be done with it when nobody knows what became of it.

use serde::{Deserialize, Serialize};

use super::{JobSpec, SpecError, check};

/// What is done when a centre is silent for hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rerun {
    /// Its attempts there stay unknown until the centre is back.
    #[default]
    Never,
    /// They are given up and run elsewhere: what they do, they may do twice.
    Allowed,
}

/// The kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Runs to its end.
    #[default]
    Batch,
    /// An endpoint with replicas, kept up.
    Service,
    /// Interactive: a terminal or a notebook.
    Session,
}

/// A session is one process at a terminal: what makes several of it, starts it again or sends its output elsewhere
/// makes no sense.
pub(super) fn validate(spec: &JobSpec) -> Result<(), SpecError> {
    if spec.kind != JobKind::Session {
        return Ok(());
    }
    let tasks = spec.tasks.len();
    check(tasks == 1 && !spec.gang, "tasks", tasks, "one task: a session is no array and no gang")?;
    check(spec.retries == 0, "retries", spec.retries, "0: a session that ended is not started again")?;
    check(spec.rerun == Rerun::Never, "rerun", "allowed", "never: a session is not started again")?;
    check(spec.checkpoint.is_none(), "checkpoint", "set", "absent: a session is told by its terminal that it ends")?;
    let file = spec.output.as_ref().or(spec.error.as_ref());
    check(file.is_none(), "output", file.map_or("", String::as_str), "absent: `huisuan logs` has a session's output")
}
