//! The live state: everything that is not terminal, with the indexes that decisions need.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_ledger::{Ledger, tariff::TariffBook};
use huisuan_model::{
    Attempt, AttemptId, Centre, CentreId, Job, JobId, PoolId, ReservationId, Shape, Tally, Tenant, TenantId, TimeMs,
};
use huisuan_schedule::{Amounts, Policy, network::Lengths, reach::Ways};

use crate::{
    budget::Committed,
    calendar::Calendar,
    dependencies::Dependents,
    keys::Keys,
    queue::Queues,
    specs::Specs,
    touched::Touched,
    used::{PoolUse, Used},
};

/// All that decisions are made from. Jobs and attempts leave it when they end; their rows stay in the store.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The sequence of the last journal entry applied.
    pub(crate) version: u64,
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    pub(crate) centres: BTreeMap<CentreId, Centre>,
    // Boxed: inline, a node of the tree would be several KB, and every insertion would move half of it.
    pub(crate) jobs: BTreeMap<JobId, Box<Job>>,
    pub(crate) attempts: BTreeMap<AttemptId, Box<Attempt>>,
    pub(crate) keys: Keys,
    pub(crate) ledger: Ledger,
    pub(crate) tariffs: TariffBook,
    pub(crate) tallies: BTreeMap<TenantId, Tally>,
    /// The number of the last job acknowledged; 0 before the first.
    pub(crate) job_last: u64,
    pub(crate) policy: Policy,
    // Derived from the above; rebuilt, never stored.
    pub(crate) queues: Queues,
    pub(crate) specs: Specs,
    /// Learnt while this process runs, for the network level alone: no plan of a cycle depends on it.
    pub(crate) lengths: Arc<Lengths>,
    pub(crate) used: Used,
    pub(crate) committed: Committed,
    pub(crate) calendar: Calendar,
    /// When the last command came: what a snapshot counts months by.
    pub(crate) seen_at: TimeMs,
    pub(crate) dependents: Dependents,
    pub(crate) ways: Arc<Ways>,
    pub(crate) jobs_of_tenant: BTreeMap<TenantId, u64>,
    pub(crate) touched: Touched,
}

impl State {
    /// A network with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network with nothing in it, planned by another policy than the default.
    pub fn with_policy(policy: Policy) -> Self {
        State { policy, ..Self::default() }
    }

    /// The sequence of the last journal entry applied.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The job that an idempotency key of a tenant led to.
    pub fn job_of_key(&self, tenant: &TenantId, key: &Arc<str>) -> Option<JobId> {
        self.keys.get(tenant, key).map(|(job, _)| job)
    }

    /// A job that has not ended.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id).map(Box::as_ref)
    }

    /// Jobs that have not ended, by number.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().map(Box::as_ref)
    }

    /// How many jobs were ever acknowledged.
    pub fn jobs_total(&self) -> u64 {
        self.job_last
    }

    /// How many jobs have not ended.
    pub fn jobs_live(&self) -> u64 {
        self.jobs.len() as u64
    }

    /// How many attempts have not ended.
    pub fn attempts_live(&self) -> u64 {
        self.attempts.len() as u64
    }

    /// An attempt that has not ended.
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.get(&id).map(Box::as_ref)
    }

    /// Attempts that have not ended, by id.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values().map(Box::as_ref)
    }

    /// The centres by name.
    pub fn centres(&self) -> &BTreeMap<CentreId, Centre> {
        &self.centres
    }

    /// The tenants by name.
    pub fn tenants(&self) -> &BTreeMap<TenantId, Tenant> {
        &self.tenants
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The rules of all tariffs.
    pub fn tariffs(&self) -> &TariffBook {
        &self.tariffs
    }

    /// What is counted of a tenant's spending.
    pub fn tally(&self, tenant: &TenantId) -> Option<&Tally> {
        self.tallies.get(tenant)
    }

    /// The scheduling policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What attempts take of a pool now.
    pub fn used(&self, centre: &CentreId, pool: &PoolId) -> PoolUse {
        self.used.of(centre, pool)
    }

    /// What a tenant's attempts hold now, over all centres.
    pub fn held(&self, tenant: &TenantId) -> Amounts {
        self.used.of_tenant(tenant)
    }

    /// What attempts hold of a reservation in advance.
    pub fn held_of_reservation(&self, id: ReservationId) -> Amounts {
        self.used.reserved(id)
    }

    /// How many jobs of a tenant have not ended.
    pub fn jobs_of(&self, tenant: &TenantId) -> u64 {
        self.jobs_of_tenant.get(tenant).copied().unwrap_or(0)
    }

    /// How many jobs wait in each shape's queue, by shape.
    pub fn waiting_by_shape(&self) -> impl Iterator<Item = (&Arc<Shape>, usize)> {
        self.queues.iter().map(|(shape, queue)| (shape, queue.len()))
    }

    /// The same state for one that stores no rows, such as a twin: what changes is not noted. Decisions, events and
    /// books are the same.
    #[must_use]
    pub fn without_rows(mut self) -> Self {
        self.touched = Touched { unwanted: true, ..Touched::default() };
        self
    }

    /// What changed since this was last called, for the store to write.
    pub fn take_touched(&mut self) -> Touched {
        let unwanted = self.touched.unwanted;
        std::mem::replace(&mut self.touched, Touched { unwanted, ..Touched::default() })
    }

    /// Finds the ways between centres again, after what is declared of them changed.
    pub(crate) fn find_ways(&mut self) {
        let sites = self.centres.values().map(|centre| (&centre.id, centre.place, centre.facts.as_deref()));
        self.ways = Arc::new(Ways::new(&sites.collect::<Vec<_>>()));
    }

    /// The attempts of a job that have not ended.
    pub(crate) fn attempts_of(&self, job: JobId) -> impl Iterator<Item = &Attempt> {
        let first = AttemptId { job, task: 0, attempt: 0 };
        let last = AttemptId { job, task: u32::MAX, attempt: u32::MAX };
        self.attempts.range(first..=last).map(|(_, attempt)| &**attempt)
    }
}

/// States are equal when everything stored is: derived indexes follow, and what was touched is no state.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.tenants == other.tenants
            && self.centres == other.centres
            && self.jobs == other.jobs
            && self.attempts == other.attempts
            && self.keys == other.keys
            && self.ledger == other.ledger
            && self.tariffs == other.tariffs
            && self.tallies == other.tallies
            && self.job_last == other.job_last
            && self.queues == other.queues
            && self.used == other.used
            && self.committed == other.committed
            && self.dependents == other.dependents
            && self.ways == other.ways
            && self.jobs_of_tenant == other.jobs_of_tenant
    }
}
