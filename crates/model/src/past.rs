//! What the rows know of an attempt that is not live: it goes with a late report of it, because the live state has
//! forgotten it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AttemptId, ProjectId, TenantId},
    job::Attempt,
    meter::{MeterRecord, Metered},
    quantity::{DurationMs, Money},
};

/// An attempt that somebody looked for among the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Which.
    pub id: AttemptId,
    /// What there is of it; `None` where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Box<PastRow>>,
}

/// An attempt that has ended, with what its bill hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRow {
    /// As it ended.
    pub attempt: Attempt,
    /// Who paid.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// The priority of its job.
    pub priority: i32,
    /// The walltime of its job: more is never billed.
    pub walltime: DurationMs,
    /// Whether its job has a budget of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub budgeted: bool,
    /// How far its meter was read, with what came late before; its energy is not followed.
    pub metered: Metered,
    /// All that was posted for it, corrections too.
    pub paid: Money,
}

impl PastRow {
    /// Counts a row of its meter, one after another.
    pub fn count(&mut self, record: &MeterRecord) {
        let reading = &record.reading;
        self.metered.number = self.metered.number.max(reading.number);
        self.paid = self.paid.saturating_add(reading.cost);
        if !reading.timed() {
            return;
        }
        self.metered.until = reading.until;
        self.metered.wall.0 = self.metered.wall.0.saturating_add(reading.until.since(reading.from).0);
        self.metered.cpu.0 = self.metered.cpu.0.saturating_add(reading.cpu.0);
        self.metered.work = self.metered.work.saturating_add(reading.work.unsigned_abs());
    }
}
