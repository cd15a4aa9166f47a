//! An attempt that has not ended, and how its job is to go.

use std::{sync::Arc, time::Instant};

use huisuan_model::{StartOrder, TimeMs};

use super::{job::SlurmJob, record::Used};

/// Where an attempt's job stands between here and Slurm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits here.
    Waiting,
    /// `sbatch` runs.
    Submitting,
    /// `sbatch` ended in a way that says nothing: a queue that was asked for after this question tells.
    Doubtful(u64),
    /// Slurm has it, held.
    Held,
    /// It was told to run.
    Released,
}

/// How a job is to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doom {
    /// The name that it must have: its number alone may have gone to another job.
    pub(super) name: String,
    /// It may go only as long as it waits: once it runs, it may be the one that has the claim.
    pub(super) while_it_waits: bool,
    /// Its wrapper is asked, and gives the task its time to save its state; Slurm would not wait for that.
    pub(super) gently: bool,
}

/// An attempt that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) order: Arc<StartOrder>,
    pub(super) phase: Phase,
    pub(super) job: Option<SlurmJob>,
    pub(super) cancelled: bool,
    /// Since when its wrapper is asked to end it.
    pub(super) asked_since: Option<Instant>,
    pub(super) started_at: Option<TimeMs>,
    pub(super) used: Used,
    /// Its done record was seen and does not say why it ended.
    pub(super) exit_seen: bool,
    pub(super) beats: u64,
    /// Since when it should have been heard of and was not.
    pub(super) quiet_since: Option<Instant>,
    /// How often Slurm ended its job before it began.
    pub(super) launches_failed: u32,
    /// Since which look at the queue it runs there, and has not begun.
    pub(super) unbegun_since: Option<Instant>,
    /// It did not begin, and its job was cancelled for it.
    pub(super) given_up: bool,
    /// How often Slurm refused it for a reason that is not known to last.
    pub(super) refusals: u32,
}

impl Open {
    pub(super) fn new(order: Arc<StartOrder>) -> Self {
        Open {
            order,
            phase: Phase::Waiting,
            job: None,
            cancelled: false,
            asked_since: None,
            started_at: None,
            used: Used::default(),
            exit_seen: false,
            beats: 0,
            quiet_since: None,
            launches_failed: 0,
            unbegun_since: None,
            given_up: false,
            refusals: 0,
        }
    }

    /// Whole accelerators that were ordered for its job: by all of its gang, where that is one.
    pub(super) fn devices_of_job(&self) -> u64 {
        let tasks = if matches!(self.job, Some(SlurmJob::Gang { .. })) { self.order.spec.tasks.len() } else { 1 };
        self.order.devices.0.div_ceil(1_000).saturating_mul(tasks)
    }
}
