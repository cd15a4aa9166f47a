//! The live state from stored rows: the database is the snapshot.

use huisuan_ledger::{Hold, Ledger, Rows};
use huisuan_model::{Attempt, Centre, Contract, Job, Tally, TariffRule, Tenant, TenantId};
use huisuan_schedule::Policy;

use crate::{State, books, keys::KeyRecord, reservations, used};

/// All rows that make the live state.
#[derive(Debug, Default)]
pub struct Stored {
    /// The sequence of the last journal entry.
    pub version: u64,
    /// The number of the last job; 0 before the first.
    pub job_last: u64,
    /// All tenants.
    pub tenants: Vec<Tenant>,
    /// All centres.
    pub centres: Vec<Centre>,
    /// Jobs that have not ended, by number, in pieces of any size.
    pub jobs: Vec<Vec<Job>>,
    /// Attempts that have not ended.
    pub attempts: Vec<Attempt>,
    /// Keys that are remembered.
    pub keys: Vec<KeyRecord>,
    /// What is counted of tenants' spending.
    pub tallies: Vec<(TenantId, Tally)>,
    /// The rules of tariffs, by number.
    pub rules: Vec<TariffRule>,
    /// Contracts, by number.
    pub contracts: Vec<Contract>,
    /// Balances of the ledger by account and asset.
    pub balances: Vec<((huisuan_ledger::Account, huisuan_ledger::Asset), i128)>,
}

impl State {
    /// The state that these rows are of. Fails when the books do not balance.
    pub fn restore(stored: Stored) -> Result<Self, huisuan_ledger::AuditError> {
        State::restore_under(Policy::default(), stored)
    }

    /// The same, planned by another policy than the default from here on.
    ///
    /// # Errors
    /// Those of [`State::restore`].
    pub fn restore_under(policy: Policy, stored: Stored) -> Result<Self, huisuan_ledger::AuditError> {
        let mut state = State { version: stored.version, job_last: stored.job_last, ..State::with_policy(policy) };
        state.tenants = stored.tenants.into_iter().map(|tenant| (tenant.id.clone(), tenant)).collect();
        state.centres = stored.centres.into_iter().map(|centre| (centre.id.clone(), centre)).collect();
        state.centres.values().for_each(|centre| state.calendar.set(centre));
        state.tallies = stored.tallies.into_iter().collect();
        stored.rules.into_iter().for_each(|rule| state.tariffs.insert(rule));
        stored.contracts.into_iter().for_each(|contract| state.tariffs.contracts.insert(contract));
        state.find_ways();
        stored.keys.iter().for_each(|record| state.keys.insert(record));
        for job in stored.jobs.into_iter().flatten() {
            state.queues.update(&job, state.specs.shape(&job));
            state.dependents.add(&job);
            *state.jobs_of_tenant.entry(job.tenant.clone()).or_default() += 1;
            state.jobs.insert(job.id, Box::new(job));
        }
        reservations::of_centres(&state).into_iter().for_each(|(id, until)| state.used.reserve(id, until));
        let mut holds = Vec::new();
        for attempt in stored.attempts {
            let job = &state.jobs[&attempt.id.job];
            state.used.add(&attempt, job, used::short(job, &state.policy));
            let (tenant, currency) = (job.tenant.clone(), books::currency(&attempt.terms.tariff));
            state.committed.add(&attempt, job);
            // Full hours of a long attempt are posted already.
            let amount = attempt.hold.saturating_sub(attempt.cost);
            holds.push((attempt.id, Hold { tenant, currency, amount }));
            state.attempts.insert(attempt.id, Box::new(attempt));
        }
        state.ledger = Ledger::restore(Rows { balances: stored.balances, holds, ..Rows::default() })?;
        Ok(state)
    }

    /// Sets the sequence after events were folded without `execute`.
    pub fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// When the last command came: what a snapshot counts months, tariffs and contracts by.
    pub fn seen_at(&self) -> huisuan_model::TimeMs {
        self.seen_at
    }

    /// Sets that moment after events were folded without `execute`.
    pub fn set_seen_at(&mut self, at: huisuan_model::TimeMs) {
        self.seen_at = at;
    }
}
