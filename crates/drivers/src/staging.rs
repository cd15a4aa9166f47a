//! Where the data of attempts lies that is brought to them and taken from them: what agent and engine agree on.
//!
//! `JOB/TASK.ATTEMPT/` below [`crate::Engine::staging_folder`] is the agent's; `data` in it is what the task sees.

use std::path::{Path, PathBuf};

use huisuan_model::AttemptId;

/// The variable that names a task's data folder.
pub const DATA_VARIABLE: &str = "HUISUAN_DATA_DIR";

/// The agent's folder for one attempt, below an engine's staging folder.
pub fn attempt_folder(staging: &Path, attempt: AttemptId) -> PathBuf {
    staging.join(attempt.job.to_string()).join(format!("{}.{}", attempt.task, attempt.attempt))
}

/// What the task sees of it.
pub fn data_folder(staging: &Path, attempt: AttemptId) -> PathBuf {
    attempt_folder(staging, attempt).join("data")
}
