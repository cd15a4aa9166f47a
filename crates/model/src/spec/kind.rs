//! What kind of work a job is, and what may be done with it when nobody knows what became of it.

use serde::{Deserialize, Serialize};

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
