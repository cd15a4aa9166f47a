//! How long what runs and waits ahead of a job takes.
//!
//! A start is estimated as the first moment at which what runs has left enough room, and the time that the pool needs
//! for its part of what waits ahead. A task takes the mean of its job's ended tasks, or half its walltime while none
//! has ended, for the median; its whole walltime for the high estimate. Work that waits is shared out over the pools
//! that could take it by their size.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_model::{CentreId, PoolId, Shape, TimeMs, quantity::DurationMs};
use huisuan_schedule::{Amounts, CentreView, Demand, JobView, PoolView, Reserved, Snapshot, demand};

use crate::State;

/// Which estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantile {
    Median,
    High,
}

/// Attempts of one job on one pool that began together.
#[derive(Debug, Clone)]
pub(super) struct Running {
    centre: CentreId,
    pool: PoolId,
    /// What all of them take.
    takes: Amounts,
    /// How long they still run: median and high.
    left_ms: [u64; 2],
}

/// How long a task takes: median and high.
fn length_ms(mean_ms: Option<u64>, walltime: DurationMs) -> [u64; 2] {
    [mean_ms.unwrap_or(walltime.0 / 2).min(walltime.0), walltime.0]
}

/// What runs now. Attempts of a job that began in the same second are taken together.
pub(super) fn running(state: &State, now: TimeMs) -> Vec<Running> {
    let mut groups: BTreeMap<_, (Amounts, [u64; 2])> = BTreeMap::new();
    for attempt in state.attempts() {
        let Some(job) = state.job(attempt.id.job) else { continue };
        let ran_ms = attempt.started_at.map_or(0, |at| now.since(at).0);
        let left_ms = length_ms(job.mean_run_ms(), job.spec.walltime).map(|length| length.saturating_sub(ran_ms));
        let key = (attempt.centre.clone(), attempt.pool.clone(), job.id, ran_ms / 1000);
        let group = groups.entry(key).or_insert((Amounts::default(), left_ms));
        let takes = Amounts { cores: attempt.cores, memory: job.spec.memory, devices: attempt.devices };
        group.0 = group.0.plus(takes, 1);
    }
    groups.into_iter().map(|((centre, pool, ..), (takes, left_ms))| Running { centre, pool, takes, left_ms }).collect()
}

/// Whether a waiting job has its turn before another.
pub(super) fn goes_before(job: &JobView, other: &JobView) -> bool {
    let rank =
        |job: &JobView| (Reverse(job.priority), job.deadline_at.unwrap_or(TimeMs(i64::MAX)), job.submitted_at, job.id);
    rank(job) < rank(other)
}

/// What is ahead of one job.
pub(super) struct Ahead<'a> {
    running: &'a [Running],
    /// For each pool the time that its part of what waits ahead takes: median and high, in milliseconds.
    queued_ms: BTreeMap<(&'a CentreId, &'a PoolId), [u128; 2]>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, running: &'a [Running], job: &JobView) -> Self {
        let mut queued_ms: BTreeMap<_, [u128; 2]> = BTreeMap::new();
        for view in &snapshot.shapes {
            let pools = takers(snapshot, &view.shape);
            let size: u128 = pools.iter().map(|(.., need, has)| u128::from(has / (*need).max(1))).sum();
            if size == 0 {
                continue;
            }
            // Tasks times length; the queue takes as long as all pools together need for it.
            let mut work = [0_u128; 2];
            for other in view.jobs.iter().filter(|other| goes_before(other, job)) {
                let tasks = u128::from(other.waiting.len());
                for (sum, length) in work.iter_mut().zip(length_ms(other.mean_run_ms, view.shape.walltime)) {
                    *sum += tasks * u128::from(length);
                }
            }
            if view.jobs.last().is_some_and(|last| goes_before(last, job)) {
                // Those that the snapshot leaves out are taken to have one task each.
                for (sum, length) in work.iter_mut().zip(length_ms(None, view.shape.walltime)) {
                    *sum += u128::from(view.more) * u128::from(length);
                }
            }
            for (centre, pool, ..) in pools {
                let queued = queued_ms.entry((centre, pool)).or_default();
                for (sum, work) in queued.iter_mut().zip(work) {
                    *sum += work / size;
                }
            }
        }
        Ahead { running, queued_ms }
    }

    /// How long until a task, or the whole gang, starts on a pool; `None` where nobody can tell.
    pub(super) fn start(
        &self,
        centre: &CentreView,
        pool: &PoolView,
        need: &Demand,
        shape: &Shape,
        quantile: Quantile,
        now: TimeMs,
    ) -> Option<DurationMs> {
        if !centre.active || centre.absent {
            return None;
        }
        let which = match quantile {
            Quantile::Median => 0,
            Quantile::High => 1,
        };
        let room_ms = self.room_in_ms(centre, pool, need, shape, which)?;
        let queued = self.queued_ms.get(&(&centre.id, &pool.pool.id)).map_or(0, |queued| queued[which]);
        let mut start = DurationMs(u64::try_from(u128::from(room_ms) + queued).unwrap_or(u64::MAX));
        // Windows by their beginnings: each may push the start behind its end, and so into the next.
        let mut closed: Vec<_> = centre.closed.iter().collect();
        closed.sort_by_key(|window| window.from);
        for window in closed {
            let begins = now.after(start);
            if window.meets(&pool.pool.id, begins, begins.after(shape.walltime)) {
                start = window.until.since(now);
            }
        }
        let coming = |kept: &&Reserved| kept.until > now;
        let mut reserved: Vec<_> = pool.reserved.iter().filter(coming).collect();
        reserved.sort_by_key(|kept| kept.from);
        for kept in reserved {
            let begins = now.after(start);
            let own = shape.reservation == Some(kept.id);
            let meets = kept.from < begins.after(shape.walltime) && begins < kept.until;
            let room = || need.times_in(&pool.free_at(now, kept.from.max(begins)));
            if own {
                start = start.max(kept.from.since(now));
            } else if shape.reservation.is_none() && meets && room() < u64::from(shape.gang.unwrap_or(1)) {
                start = kept.until.since(now);
            }
        }
        Some(start)
    }

    /// How long until what runs has left enough room.
    fn room_in_ms(
        &self,
        centre: &CentreView,
        pool: &PoolView,
        need: &Demand,
        shape: &Shape,
        which: usize,
    ) -> Option<u64> {
        let unit = u64::from(shape.gang.unwrap_or(1));
        let fits = |used: &Amounts| {
            let within =
                |used: u64, need: u64, has: u64| need == 0 || used.saturating_add(need.saturating_mul(unit)) <= has;
            within(used.cores.0, need.cores.0, pool.pool.cores.0)
                && within(used.memory.0, need.memory.0, pool.pool.memory.0)
                && within(used.devices.0, need.devices.0, pool.pool.devices.0)
        };
        let mut used = pool.used;
        if fits(&used) {
            return Some(0);
        }
        let here = |running: &&Running| running.centre == centre.id && running.pool == pool.pool.id;
        let mut ends: Vec<&Running> = self.running.iter().filter(here).collect();
        ends.sort_by_key(|running| running.left_ms[which]);
        for running in ends {
            used = used.minus(running.takes);
            if fits(&used) {
                return Some(running.left_ms[which]);
            }
        }
        None
    }
}

/// The pools that could take a shape's tasks: what one needs and the pool has, of what the pool is scarce in.
fn takers<'a>(snapshot: &'a Snapshot, shape: &Shape) -> Vec<(&'a CentreId, &'a PoolId, u64, u64)> {
    let mut found = Vec::new();
    for centre in snapshot.centres.iter().filter(|centre| centre.active && !centre.absent) {
        let allowed = shape.class.is_none_or(|class| class == centre.class)
            && (shape.centres.is_empty() || shape.centres.contains(&centre.id));
        if !allowed {
            continue;
        }
        for pool in &centre.pools {
            let Some(need) = demand(&pool.pool, shape) else { continue };
            let (need, has) = match need.devices.0 {
                0 => (need.cores.0, pool.pool.cores.0),
                devices => (devices, pool.pool.devices.0),
            };
            found.push((&centre.id, &pool.pool.id, need, has));
        }
    }
    found
}
