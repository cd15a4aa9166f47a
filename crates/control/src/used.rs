//! What attempts take of each pool, kept as they come and go.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{
    Attempt, AttemptState, CentreId, Job, PoolId, RangeSet, ReservationId, TenantId, TimeMs, spec::Reading,
};
use huisuan_schedule::{Amounts, Holdings, Policy, Preemptible, RunningView, reach::Traffic};

use crate::nodes::NodesTaken;

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

/// What attempts take of one pool, and who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    pub(crate) sums: PoolUse,
    /// Shared with snapshots: a change while one is looked at copies it once.
    pub(crate) holdings: Arc<Holdings>,
    /// What they hold of its nodes, where these are chosen for them.
    pub(crate) nodes: NodesTaken,
}

/// All pools with attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// In two levels, so that names are looked for without being copied.
    pools: BTreeMap<CentreId, BTreeMap<PoolId, Taken>>,
    /// How many attempts of each opaque centre did not start yet.
    in_flight: BTreeMap<CentreId, u64>,
    /// Data that goes to attempts which did not start yet. Shared with snapshots, as holdings are.
    traffic: Arc<Traffic>,
    /// What each tenant's attempts hold, and how many they are.
    tenants: BTreeMap<TenantId, (Amounts, u64)>,
    /// Until when each reservation in advance keeps something, and what attempts of its jobs hold of it.
    reserved: BTreeMap<ReservationId, (TimeMs, Amounts)>,
}

/// Latest ends are rounded up to so many milliseconds: a pool has an end for each minute, not one for each attempt.
const END_STEP_MS: i64 = 60_000;

fn step_up(TimeMs(end): TimeMs) -> TimeMs {
    TimeMs(end.saturating_add(END_STEP_MS - 1).div_euclid(END_STEP_MS).saturating_mul(END_STEP_MS))
}

/// Whether the job's tasks are known to end within the look-ahead.
pub(crate) fn short(job: &Job, policy: &Policy) -> bool {
    policy.ahead_factor(job.mean_run_ms(), job.spec.gang) > 0
}

/// An attempt as the scheduler sees it now, outside of reservations.
fn group(attempt: &Attempt, job: &Job) -> RunningView {
    let begin = attempt.started_at.unwrap_or(attempt.placed_at);
    let stopping = attempt.stop_seq.is_some();
    let end = step_up(begin.after(job.spec.walltime));
    let preemptible = Some(Preemptible {
        job: job.id,
        tasks: RangeSet::from_range(attempt.id.task, attempt.id.task),
        // It began within a step; rounded as its end is.
        started_at: TimeMs(end.0.saturating_sub_unsigned(job.spec.walltime.0)),
        priority: job.spec.priority,
        // A gang cannot be preemptible: all of it would be lost with one task.
        gang: false,
    });
    RunningView {
        tenant: job.tenant.clone(),
        project: job.project.clone(),
        each: amounts(attempt, job),
        count: 1,
        // What was told to end should have ended: its room is expected in a moment.
        ends_at: if stopping { TimeMs(0) } else { end },
        preemptible: preemptible.filter(|_| job.spec.preemptible && !stopping),
        stopping,
    }
}

fn amounts(attempt: &Attempt, job: &Job) -> Amounts {
    Amounts { cores: attempt.cores, memory: job.spec.memory, devices: attempt.devices }
}

/// Whether an attempt waits in the queue of an opaque centre.
fn in_flight(attempt: &Attempt) -> bool {
    attempt.band.is_some() && attempt.state == AttemptState::Placed
}

/// What is brought to an attempt that did not start yet, from other centres. What waits in a queue of its centre,
/// perhaps for hours, has nothing under way for most of that time.
fn brought(attempt: &Attempt, job: &Job) -> Vec<Reading> {
    let none = job.spec.reads.is_empty() && job.spec.inputs.is_empty();
    if none || attempt.state != AttemptState::Placed || in_flight(attempt) {
        return Vec::new();
    }
    let mut readings = job.spec.readings();
    readings.retain(|reading| reading.at != attempt.centre);
    readings
}

impl Used {
    pub(crate) fn of(&self, centre: &CentreId, pool: &PoolId) -> PoolUse {
        self.taken(centre, pool).map_or_else(PoolUse::default, |taken| taken.sums)
    }

    pub(crate) fn taken(&self, centre: &CentreId, pool: &PoolId) -> Option<&Taken> {
        self.pools.get(centre)?.get(pool)
    }

    /// How many attempts were handed over to an opaque centre and did not start yet.
    pub(crate) fn in_flight(&self, centre: &CentreId) -> u64 {
        self.in_flight.get(centre).copied().unwrap_or(0)
    }

    /// Data that goes to attempts which did not start yet.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> Amounts {
        self.tenants.get(tenant).map_or_else(Amounts::default, |(held, _)| *held)
    }

    /// What attempts hold of a reservation in advance.
    pub(crate) fn reserved(&self, id: ReservationId) -> Amounts {
        self.reserved.get(&id).map_or_else(Amounts::default, |(_, held)| *held)
    }

    /// From now on attempts of jobs that name this reservation are counted as its own.
    pub(crate) fn reserve(&mut self, id: ReservationId, until: TimeMs) {
        self.reserved.insert(id, (until, Amounts::default()));
    }

    /// They no longer are: `attempts` are all that there are of it.
    pub(crate) fn release<'a>(&mut self, id: ReservationId, attempts: impl Iterator<Item = (&'a Attempt, &'a Job)>) {
        let before: Vec<_> = attempts.map(|(attempt, job)| (attempt, job, self.group(attempt, job))).collect();
        self.reserved.remove(&id);
        for (attempt, job, before) in before {
            self.see(attempt, &before, job);
        }
    }

    /// An attempt as the scheduler sees it now. What it holds of a reservation comes free for others at its end, and
    /// is not taken for them.
    pub(crate) fn group(&self, attempt: &Attempt, job: &Job) -> RunningView {
        let group = group(attempt, job);
        match job.spec.reservation.and_then(|id| self.reserved.get(&id)) {
            Some(&(ends_at, _)) => RunningView { ends_at, preemptible: None, stopping: false, ..group },
            None => group,
        }
    }

    /// Counts an attempt in; `short` as of its job now.
    pub(crate) fn add(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let (amounts, group) = (amounts(attempt, job), self.group(attempt, job));
        let pools = self.pools.entry(attempt.centre.clone()).or_default();
        let taken = pools.entry(attempt.pool.clone()).or_default();
        taken.sums.attempts += 1;
        taken.sums.all = taken.sums.all.plus(amounts, 1);
        if !short {
            taken.sums.long = taken.sums.long.plus(amounts, 1);
        }
        Arc::make_mut(&mut taken.holdings).add(&group);
        taken.nodes.add(attempt, job);
        if let Some((_, held)) = job.spec.reservation.and_then(|id| self.reserved.get_mut(&id)) {
            *held = held.plus(amounts, 1);
        }
        if in_flight(attempt) {
            *self.in_flight.entry(attempt.centre.clone()).or_default() += 1;
        }
        for reading in brought(attempt, job) {
            Arc::make_mut(&mut self.traffic).add(&reading.at, &attempt.centre, reading.bytes);
        }
        let (held, attempts) = self.tenants.entry(job.tenant.clone()).or_default();
        *held = held.plus(amounts, 1);
        *attempts += 1;
    }

    /// Counts an attempt out; `short` as it was counted in.
    pub(crate) fn remove(&mut self, attempt: &Attempt, job: &Job, short: bool) {
        let (amounts, group) = (amounts(attempt, job), self.group(attempt, job));
        let pools = self.pools.get_mut(&attempt.centre).expect("a live attempt takes of its centre");
        let taken = pools.get_mut(&attempt.pool).expect("a live attempt takes of its pool");
        taken.sums.attempts -= 1;
        taken.sums.all = taken.sums.all.minus(amounts);
        if !short {
            taken.sums.long = taken.sums.long.minus(amounts);
        }
        Arc::make_mut(&mut taken.holdings).remove(&group);
        taken.nodes.remove(attempt, job);
        if let Some((_, held)) = job.spec.reservation.and_then(|id| self.reserved.get_mut(&id)) {
            *held = held.minus(amounts);
        }
        if taken.sums.attempts == 0 {
            pools.remove(&attempt.pool);
            if pools.is_empty() {
                self.pools.remove(&attempt.centre);
            }
        }
        self.leave_queue(attempt, job);
        let (held, attempts) = self.tenants.get_mut(&job.tenant).expect("a live attempt is held by its tenant");
        *held = held.minus(amounts);
        *attempts -= 1;
        if *attempts == 0 {
            self.tenants.remove(&job.tenant);
        }
    }

    /// Counts an attempt out of the queue of an opaque centre, if it waits there, and its data off the ways.
    pub(crate) fn leave_queue(&mut self, attempt: &Attempt, job: &Job) {
        for reading in brought(attempt, job) {
            Arc::make_mut(&mut self.traffic).remove(&reading.at, &attempt.centre, reading.bytes);
        }
        if in_flight(attempt) {
            let count = self.in_flight.get_mut(&attempt.centre).expect("what is in flight was counted in");
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&attempt.centre);
            }
        }
    }

    /// Counts an attempt anew that was seen as `before`; what it takes is the same.
    pub(crate) fn see(&mut self, attempt: &Attempt, before: &RunningView, job: &Job) {
        let after = self.group(attempt, job);
        let pools = self.pools.get_mut(&attempt.centre);
        let taken = pools.and_then(|pools| pools.get_mut(&attempt.pool)).expect("a live attempt takes of its pool");
        if *before != after {
            let holdings = Arc::make_mut(&mut taken.holdings);
            holdings.remove(before);
            holdings.add(&after);
        }
    }

    #[cfg(test)]
    pub(crate) fn from_attempts<'a>(
        attempts: impl Iterator<Item = (&'a Attempt, &'a Job)>,
        reservations: Vec<(ReservationId, TimeMs)>,
        policy: &Policy,
    ) -> Self {
        let mut used = Used::default();
        reservations.into_iter().for_each(|(id, until)| used.reserve(id, until));
        attempts.for_each(|(attempt, job)| used.add(attempt, job, short(job, policy)));
        used
    }
}
