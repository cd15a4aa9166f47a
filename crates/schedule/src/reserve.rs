//! What is kept of a pool for jobs that found no room: its room over time, and what later jobs may take without
//! delaying them (backfilling; Lifka, JSSPP 1995, for one reservation; any number here).

use huisuan_model::{DurationMs, JobId, TimeMs};

use crate::{
    fit::Demand,
    queue::{Amount, Profile},
    snapshot::{Amounts, PoolView, Window},
};

impl Amount for Amounts {
    fn fits(self, room: Self) -> bool {
        self.cores <= room.cores && self.memory <= room.memory && self.devices <= room.devices
    }

    fn plus(self, other: Self) -> Self {
        Amounts::plus(self, other, 1)
    }

    fn minus(self, other: Self) -> Self {
        Amounts::minus(self, other)
    }
}

/// The promises of one pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agenda {
    pub(crate) held: Vec<Held>,
    /// What was placed in this cycle, with the latest end. Put into the profile when there is one.
    placed: Vec<(TimeMs, Amounts)>,
    /// Made with the first promise.
    profile: Option<Profile<Amounts>>,
}

/// Capacity kept for a job from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) job: JobId,
    pub(crate) start_at: TimeMs,
    /// What is free at that moment beside it. Between two promises room only grows, so this is all that a job that
    /// starts now and outlasts the moment has to leave.
    pub(crate) extra: Amounts,
}

/// What a pool is made of, for its room over time.
pub(crate) struct Base<'a> {
    pub(crate) pool: &'a PoolView,
    pub(crate) closed: Vec<&'a Window>,
    pub(crate) now: TimeMs,
}

impl Agenda {
    /// How many tasks that start now and end at `end` delay no promise.
    pub(crate) fn room(&self, demand: &Demand, end: TimeMs) -> u64 {
        let met = self.held.iter().filter(|held| held.start_at < end);
        met.map(|held| times(demand, &held.extra)).min().unwrap_or(u64::MAX)
    }

    /// The first promise that such tasks would delay.
    pub(crate) fn delayed(&self, demand: &Demand, end: TimeMs, tasks: u64) -> Option<&Held> {
        self.held.iter().find(|held| held.start_at < end && times(demand, &held.extra) < tasks)
    }

    /// What `need` until `end` lacks at every promise but those to `job`, with the moments of the promises.
    pub(crate) fn lacking(&self, job: JobId, need: Amounts, end: TimeMs) -> impl Iterator<Item = (TimeMs, Amounts)> {
        let met = self.held.iter().filter(move |held| held.start_at < end && held.job != job);
        met.map(move |held| (held.start_at, need.less(held.extra)))
    }

    /// Counts in what starts now and ends at `end`; it delays no promise.
    pub(crate) fn place(&mut self, amounts: Amounts, now: TimeMs, end: TimeMs) {
        if let Some(profile) = &mut self.profile {
            profile.take(amounts, now, end);
            self.settle();
        } else if let Some(last) = self.placed.last_mut().filter(|last| last.0 == end) {
            last.1 = last.1.plus(amounts, 1);
        } else {
            self.placed.push((end, amounts));
        }
    }

    /// The earliest start of `need` for `span`; `None` when there is none for all that is known. `base` is asked for
    /// once, when the pool has no profile yet.
    pub(crate) fn earliest<'a>(
        &mut self,
        need: Amounts,
        span: DurationMs,
        base: impl FnOnce() -> Base<'a>,
    ) -> Option<TimeMs> {
        let profile = self.profile.get_or_insert_with(|| over_time(&base(), &self.placed));
        let (now, _) = profile.steps().next()?;
        let mut start_at = profile.earliest(need, span, now);
        if start_at == Some(now) {
            // There is enough in sum, but on no node: it is expected when something ends.
            let (next, _) = profile.steps().nth(1)?;
            start_at = profile.earliest(need, span, next);
        }
        // What never comes free does so at the end of time.
        start_at.filter(|&at| at < TimeMs(i64::MAX))
    }

    /// Keeps `need` for a job from a moment that [`earliest`](Self::earliest) gave.
    pub(crate) fn hold(&mut self, job: JobId, need: Amounts, start_at: TimeMs, span: DurationMs) {
        if let Some(profile) = &mut self.profile {
            profile.take(need, start_at, start_at.after(span));
        }
        self.held.push(Held { job, start_at, extra: Amounts::default() });
        self.settle();
    }

    /// Takes the promise to a job back, `need` having been kept for it for `span`.
    pub(crate) fn drop(&mut self, job: JobId, need: Amounts, span: DurationMs) {
        if let Some(at) = self.held.iter().position(|held| held.job == job) {
            let start_at = self.held.remove(at).start_at;
            self.release(need, start_at, start_at.after(span));
        }
    }

    /// Gives back what was used from one moment to another.
    pub(crate) fn release(&mut self, amounts: Amounts, from: TimeMs, to: TimeMs) {
        if let Some(profile) = &mut self.profile {
            profile.release(amounts, from, to);
        }
        self.settle();
    }

    fn settle(&mut self) {
        if let Some(profile) = &self.profile {
            self.held.iter_mut().for_each(|held| held.extra = profile.free(held.start_at));
        }
    }
}

/// How many tasks fit into a room.
fn times(demand: &Demand, room: &Amounts) -> u64 {
    let fits = |room: u64, need: u64| room.checked_div(need).unwrap_or(u64::MAX);
    let cores = fits(room.cores.0, demand.cores.0);
    cores.min(fits(room.memory.0, demand.memory.0)).min(fits(room.devices.0, demand.devices.0))
}

/// The room of a pool from now on: what it has without what is used, which comes free by and by, and nothing while
/// it is closed. What should have ended is taken to end in a moment.
fn over_time(base: &Base<'_>, placed: &[(TimeMs, Amounts)]) -> Profile<Amounts> {
    let Base { pool, closed, now } = base;
    let has = Amounts { cores: pool.pool.cores, memory: pool.pool.memory, devices: pool.pool.devices };
    let soon = TimeMs(now.0.saturating_add(1));
    let known = pool.holdings.ends().chain(placed.iter().copied());
    let mut ends: Vec<(TimeMs, Amounts)> = known.map(|(end, amounts)| (end.max(soon), amounts)).collect();
    // All but what was placed in this cycle is in order already.
    ends.sort_by_key(|end| end.0);
    let mut used = placed.iter().fold(pool.used, |used, &(_, amounts)| used.plus(amounts, 1));
    let shut = |at: TimeMs| closed.iter().any(|window| window.from <= at && at < window.until);
    let mut moments: Vec<TimeMs> = ends.iter().map(|end| end.0).collect();
    moments.extend(closed.iter().flat_map(|window| [window.from, window.until]).filter(|at| at > now));
    moments.push(TimeMs(i64::MAX));
    moments.sort();
    moments.dedup();
    let (mut from, mut ended) = (*now, 0);
    let steps = moments.into_iter().filter(|&to| to > *now).map(|to| {
        let step = (from, if shut(from) { Amounts::default() } else { has.less(used) });
        while let Some(&(_, amounts)) = ends.get(ended).filter(|end| end.0 <= to) {
            used = used.less(amounts);
            ended += 1;
        }
        from = to;
        step
    });
    let mut steps: Vec<(TimeMs, Amounts)> = steps.collect();
    // At the end of time all of it is free: what is found nowhere else is found there.
    steps.push((TimeMs(i64::MAX), has));
    Profile::of(steps)
}
