//! What `apply` touched: the rows that a commit has to write, each once however often it changed.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_ledger::Transfer;
use huisuan_model::{Attempt, AttemptId, CentreId, Job, JobId, MeterRecord, Oddity, TenantId, TimeMs};

use crate::keys::KeyRecord;

/// Names of live rows that changed, and whole rows that left the live state.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    /// Live jobs that changed.
    pub jobs: BTreeSet<JobId>,
    /// Jobs that ended.
    pub jobs_ended: BTreeMap<JobId, Job>,
    /// Live attempts that changed.
    pub attempts: BTreeSet<AttemptId>,
    /// Attempts that ended.
    pub attempts_ended: BTreeMap<AttemptId, Attempt>,
    /// Centres that changed.
    pub centres: BTreeSet<CentreId>,
    /// Tenants that changed.
    pub tenants: BTreeSet<TenantId>,
    /// Transfers of the ledger, in order, each with the number of the entry that made it.
    pub transfers: Vec<(u64, Transfer)>,
    /// Rows of the meter, in order.
    pub meters: Vec<MeterRecord>,
    /// Tenants whose tally changed.
    pub tallies: BTreeSet<TenantId>,
    /// Rules of tariffs that are new or changed.
    pub rules: BTreeSet<u32>,
    /// Contracts that are new or changed.
    pub contracts: BTreeSet<u32>,
    /// What was found odd, in order.
    pub oddities: Vec<(CentreId, Oddity)>,
    /// Idempotency keys given.
    pub keys: Vec<KeyRecord>,
    /// Keys given before this moment are gone.
    pub keys_forgotten_before: Option<TimeMs>,
    /// Nobody stores rows, so that none are noted.
    pub(crate) unwanted: bool,
}

impl Touched {
    /// Notes something, if anybody wants it.
    pub(crate) fn note<R>(&mut self, note: impl FnOnce(&mut Self) -> R) {
        if !self.unwanted {
            note(self);
        }
    }
}
