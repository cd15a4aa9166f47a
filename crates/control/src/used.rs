//! What attempts take of each pool, kept as they come and go.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{
    Attempt, AttemptState, CentreId, DurationMs, Job, JobId, PoolId, ProjectId, RangeSet, TenantId, TimeMs,
};
use huisuan_schedule::{Amounts, Policy, Preemptible, RunningView};

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

/// All pools with attempts, and the same by who holds it and when it comes free at the latest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pools: BTreeMap<(CentreId, PoolId), PoolUse>,
    /// As the scheduler sees them, and shared with it: a cycle looks at thousands. In two levels, so that names are
    /// compared once for all groups of an owner, which share them.
    owners: BTreeMap<Owner, BTreeMap<Group, Arc<RunningView>>>,
    /// How many attempts of each opaque centre did not start yet.
    in_flight: BTreeMap<CentreId, u64>,
    /// What each tenant's attempts hold, and how many they are.
    tenants: BTreeMap<TenantId, (Amounts, u64)>,
}

/// Who holds something where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    centre: CentreId,
    pool: PoolId,
    tenant: TenantId,
    project: ProjectId,
}

/// Attempts of one owner that the scheduler need not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    each: Amounts,
    ends_at: TimeMs,
    stopping: bool,
    victim: Option<Victim>,
}

/// The job of attempts that may be preempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Victim {
    job: JobId,
    priority: i32,
    walltime: DurationMs,
}

/// Latest ends are rounded up to so many milliseconds: a snapshot has a few groups for each minute, not one for each
/// attempt.
const END_STEP_MS: i64 = 60_000;

impl Owner {
    fn of(attempt: &Attempt, job: &Job) -> Self {
        Owner {
            centre: attempt.centre.clone(),
            pool: attempt.pool.clone(),
            tenant: job.tenant.clone(),
            project: job.project.clone(),
        }
    }
}

impl Group {
    fn of(attempt: &Attempt, job: &Job) -> Self {
        let begin = attempt.started_at.unwrap_or(attempt.placed_at);
        let stopping = attempt.stop_seq.is_some();
        let victim = Victim { job: job.id, priority: job.spec.priority, walltime: job.spec.walltime };
        let end = begin.after(job.spec.walltime);
        Group {
            each: amounts(attempt, job),
            // What was told to end should have ended: its room is expected in a moment.
            ends_at: if stopping { TimeMs(0) } else { step_up(end) },
            stopping,
            victim: Some(victim).filter(|_| job.spec.preemptible && !stopping),
        }
    }
}

fn step_up(TimeMs(end): TimeMs) -> TimeMs {
    TimeMs(end.saturating_add(END_STEP_MS - 1).div_euclid(END_STEP_MS).saturating_mul(END_STEP_MS))
}

/// Whether the job's tasks are known to end within the look-ahead.
pub(crate) fn short(job: &Job, policy: &Policy) -> bool {
    policy.ahead_factor(job.mean_run_ms(), job.spec.gang) > 0
}

/// A group without attempts as the scheduler sees it.
fn view(owner: Owner, group: &Group) -> RunningView {
    RunningView {
        tenant: owner.tenant,
        project: owner.project,
        centre: owner.centre,
        pool: owner.pool,
        each: group.each,
        count: 0,
        ends_at: group.ends_at,
        preemptible: group.victim.map(|victim| Preemptible {
            job: victim.job,
            tasks: RangeSet::new(),
            // The group began within a step; rounded as its end is.
            started_at: TimeMs(group.ends_at.0.saturating_sub_unsigned(victim.walltime.0)),
            priority: victim.priority,
            // A gang cannot be preemptible: all of it would be lost with one task.
            gang: false,
        }),
        stopping: group.stopping,
    }
}

fn amounts(attempt: &Attempt, job: &Job) -> Amounts {
    Amounts { cores: attempt.cores, memory: job.spec.memory, devices: attempt.devices }
}

/// Whether an attempt waits in the queue of an opaque centre.
fn in_flight(attempt: &Attempt) -> bool {
    attempt.band.is_some() && attempt.state == AttemptState::Placed
}

impl Used {
    pub(crate) fn of(&self, centre: &CentreId, pool: &PoolId) -> PoolUse {
        self.pools.get(&(centre.clone(), pool.clone())).copied().unwrap_or_default()
    }

    /// What runs, in groups.
    pub(crate) fn running(&self) -> Vec<Arc<RunningView>> {
        let mut running = Vec::with_capacity(self.owners.values().map(BTreeMap::len).sum());
        self.owners.values().for_each(|groups| running.extend(groups.values().cloned()));
        running
    }

    /// How many attempts were handed over to an opaque centre and did not start yet.
    pub(crate) fn in_flight(&self, centre: &CentreId) -> u64 {
        self.in_flight.get(centre).copied().unwrap_or(0)
    }

    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> Amounts {
        self.tenants.get(tenant).map_or_else(Amounts::default, |(held, _)| *held)
    }

    /// Counts an attempt in; `short` as of its job now.
    pub(crate) fn add(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let group = Group::of(attempt, job);
        let entry = self.owners.entry(Owner::of(attempt, job));
        let owner = entry.key().clone();
        let view = entry.or_default().entry(group).or_insert_with(|| Arc::new(view(owner, &group)));
        let view = Arc::make_mut(view);
        view.count += 1;
        if let Some(preemptible) = &mut view.preemptible {
            preemptible.tasks.insert(attempt.id.task);
        }
        let used = self.pools.entry((attempt.centre.clone(), attempt.pool.clone())).or_default();
        let taken = amounts(attempt, job);
        used.attempts += 1;
        used.all = used.all.plus(taken, 1);
        if !short {
            used.long = used.long.plus(taken, 1);
        }
        if in_flight(attempt) {
            *self.in_flight.entry(attempt.centre.clone()).or_default() += 1;
        }
        let (held, attempts) = self.tenants.entry(job.tenant.clone()).or_default();
        *held = held.plus(taken, 1);
        *attempts += 1;
    }

    /// Counts an attempt out; `short` as it was counted in.
    pub(crate) fn remove(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let key = (attempt.centre.clone(), attempt.pool.clone());
        let (owner, group) = (Owner::of(attempt, job), Group::of(attempt, job));
        let groups = self.owners.get_mut(&owner).expect("a live attempt has an owner");
        let view = Arc::make_mut(groups.get_mut(&group).expect("a live attempt is in its group"));
        view.count -= 1;
        if let Some(preemptible) = &mut view.preemptible {
            preemptible.tasks.remove(attempt.id.task);
        }
        if view.count == 0 {
            groups.remove(&group);
            if groups.is_empty() {
                self.owners.remove(&owner);
            }
        }
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
        if in_flight(attempt) {
            let count = self.in_flight.get_mut(&attempt.centre).expect("what is in flight was counted in");
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&attempt.centre);
            }
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
