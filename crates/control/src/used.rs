//! What attempts take of each pool, kept as they come and go.

use std::collections::BTreeMap;

use huisuan_model::{Attempt, CentreId, Job, PoolId, TenantId};
use huisuan_schedule::{Amounts, Policy};

/// What placed and running attempts take of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolUse {
    /// Of all attempts.
    pub all: Amounts,
    /// Of those whose job's tasks are not known to be short: nothing is placed ahead behind them.
    pub long: Amounts,
    /// How many attempts.
    pub attempts: u64,
}

/// All pools and tenants with attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pools: BTreeMap<(CentreId, PoolId), PoolUse>,
    /// What each tenant's attempts hold, and how many they are.
    tenants: BTreeMap<TenantId, (Amounts, u64)>,
}

/// Whether the job's tasks are known to end within the look-ahead.
pub(crate) fn short(job: &Job, policy: &Policy) -> bool {
    policy.ahead_factor(job.mean_run_ms(), job.spec.gang) > 0
}

fn amounts(attempt: &Attempt, job: &Job) -> Amounts {
    Amounts { cores: attempt.cores, memory: job.spec.memory, devices: attempt.devices }
}

impl Used {
    pub(crate) fn of(&self, centre: &CentreId, pool: &PoolId) -> PoolUse {
        self.pools.get(&(centre.clone(), pool.clone())).copied().unwrap_or_default()
    }

    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> Amounts {
        self.tenants.get(tenant).map_or_else(Amounts::default, |(held, _)| *held)
    }

    /// Counts an attempt in; `short` as of its job now.
    pub(crate) fn add(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let used = self.pools.entry((attempt.centre.clone(), attempt.pool.clone())).or_default();
        let taken = amounts(attempt, job);
        used.attempts += 1;
        used.all = used.all.plus(taken, 1);
        if !short {
            used.long = used.long.plus(taken, 1);
        }
        let (held, attempts) = self.tenants.entry(job.tenant.clone()).or_default();
        *held = held.plus(taken, 1);
        *attempts += 1;
    }

    /// Counts an attempt out; `short` as it was counted in.
    pub(crate) fn remove(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let key = (attempt.centre.clone(), attempt.pool.clone());
        let used = self.pools.get_mut(&key).expect("a live attempt takes of its pool");
        let taken = amounts(attempt, job);
        used.attempts -= 1;
        used.all = used.all.minus(taken);
        if !short {
            used.long = used.long.minus(taken);
        }
        if used.attempts == 0 {
            self.pools.remove(&key);
        }
        let (held, attempts) = self.tenants.get_mut(&job.tenant).expect("a live attempt is held by its tenant");
        *held = held.minus(taken);
        *attempts -= 1;
        if *attempts == 0 {
            self.tenants.remove(&job.tenant);
        }
    }

    #[cfg(test)]
    pub(crate) fn from_attempts<'a>(attempts: impl Iterator<Item = (&'a Attempt, &'a Job)>, policy: &Policy) -> Self {
        let mut used = Used::default();
        attempts.for_each(|(attempt, job)| used.add(attempt, job, short(job, policy)));
        used
    }
}
