//! What is kept of a pool for jobs that found no room: its room over time, and what later jobs may take without
//! delaying them (backfilling; Lifka, JSSPP 1995, for one reservation; any number here).

use huisuan_model::{DurationMs, JobId, ReservationId, TimeMs};

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
    /// Made for a second promise, and where windows close the pool: before that room only grows with time, and the
    /// first moment with enough of it is found without one.
    profile: Option<Profile<Amounts>>,
}

/// For whom capacity is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// A job that found no room.
    Job(JobId),
    /// The jobs that name a reservation in advance.
    Reservation(ReservationId),
}

/// Capacity kept from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) whose: For,
    pub(crate) start_at: TimeMs,
    /// What is free at that moment beside it. Between two promises room only grows, so this is all that a job that
    /// starts now and outlasts the moment has to leave.
    pub(crate) extra: Amounts,
    /// What is kept, and until when.
    need: Amounts,
    ends_at: TimeMs,
}

/// A moment at which something could start, and what is free then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) at: TimeMs,
    free: Amounts,
}

/// What a pool is made of, for its room over time.
pub(crate) struct Base<'a> {
    pub(crate) pool: &'a PoolView,
    pub(crate) closed: Vec<&'a Window>,
    pub(crate) now: TimeMs,
}

impl Agenda {
    /// With what is reserved in advance. Its own jobs take of that, and change nothing for others.
    pub(crate) fn of(pool: &PoolView, now: TimeMs) -> Self {
        let coming = pool.reserved.iter().filter(|reserved| reserved.until > now);
        let held = coming.map(|reserved| {
            let start_at = reserved.from.max(now);
            let (whose, extra) = (For::Reservation(reserved.id), pool.free_at(now, start_at));
            Held { whose, start_at, extra, need: reserved.left(), ends_at: reserved.until }
        });
        Agenda { held: held.collect(), ..Agenda::default() }
    }

    /// How many promises there are to jobs.
    pub(crate) fn promised(&self) -> u64 {
        self.held.iter().filter(|held| matches!(held.whose, For::Job(_))).count() as u64
    }

    /// How many layers ahead tasks may fill that take so long each: one behind the other they end before anything that
    /// is reserved in advance begins.
    pub(crate) fn layers(&self, now: TimeMs, span: DurationMs) -> u64 {
        let begins = self.held.iter().filter(|held| matches!(held.whose, For::Reservation(_)));
        let layers = begins.map(|held| (held.start_at.since(now).0 / span.0.max(1)).saturating_sub(1));
        layers.min().unwrap_or(u64::MAX)
    }

    /// How many tasks that start now and end at `end` delay no promise.
    pub(crate) fn room(&self, demand: &Demand, end: TimeMs) -> u64 {
        let met = self.held.iter().filter(|held| held.start_at < end);
        met.map(|held| demand.times_in(&held.extra)).min().unwrap_or(u64::MAX)
    }

    /// The first promise that such tasks would delay.
    pub(crate) fn delayed(&self, demand: &Demand, end: TimeMs, tasks: u64) -> Option<&Held> {
        self.held.iter().find(|held| held.start_at < end && demand.times_in(&held.extra) < tasks)
    }

    /// What `need` until `end` lacks at every promise but those to `job`, with the moments of the promises.
    pub(crate) fn lacking(&self, job: JobId, need: Amounts, end: TimeMs) -> impl Iterator<Item = (TimeMs, Amounts)> {
        let met = self.held.iter().filter(move |held| held.start_at < end && held.whose != For::Job(job));
        met.map(move |held| (held.start_at, need.less(held.extra)))
    }

    /// Counts in what starts now and ends at `end`; it delays no promise.
    pub(crate) fn place(&mut self, amounts: Amounts, now: TimeMs, end: TimeMs) {
        self.held.iter_mut().filter(|held| now <= held.start_at && held.start_at < end).for_each(|held| {
            held.extra = held.extra.less(amounts);
        });
        if let Some(profile) = &mut self.profile {
            profile.take(amounts, now, end);
        } else if let Some(last) = self.placed.last_mut().filter(|last| last.0 == end) {
            last.1 = last.1.plus(amounts, 1);
        } else {
            self.placed.push((end, amounts));
        }
    }

    /// The earliest start of `need` for `span`; `None` when there is none for all that is known.
    pub(crate) fn earliest(&mut self, need: Amounts, span: DurationMs, base: &Base<'_>) -> Option<Opening> {
        if self.profile.is_none() && self.held.is_empty() && base.closed.is_empty() {
            return first_opening(need, base, &self.placed);
        }
        opening(self.profile(base), need, span)
    }

    /// The same, not before a moment later than now.
    pub(crate) fn earliest_from(
        &mut self,
        need: Amounts,
        span: DurationMs,
        base: &Base<'_>,
        from: TimeMs,
    ) -> Option<Opening> {
        let profile = self.profile(base);
        let at = profile.earliest(need, span, from).filter(|&at| at < TimeMs(i64::MAX))?;
        Some(Opening { at, free: profile.free(at) })
    }

    fn profile(&mut self, base: &Base<'_>) -> &mut Profile<Amounts> {
        let (held, placed) = (&self.held, &self.placed);
        self.profile.get_or_insert_with(|| {
            let mut profile = over_time(base, placed);
            // What is reserved in advance is no room from the beginning.
            let promised = held.iter().filter(|held| matches!(held.whose, For::Job(_)));
            promised.for_each(|held| profile.take(held.need, held.start_at, held.ends_at));
            profile
        })
    }

    /// Keeps `need` for a job from an opening on that [`earliest`](Self::earliest) gave.
    pub(crate) fn hold(&mut self, job: JobId, need: Amounts, opening: Opening, span: DurationMs) {
        let (start_at, ends_at) = (opening.at, opening.at.after(span));
        if let Some(profile) = &mut self.profile {
            profile.take(need, start_at, ends_at);
        }
        for held in self.held.iter_mut().filter(|held| start_at <= held.start_at && held.start_at < ends_at) {
            held.extra = held.extra.less(need);
        }
        self.held.push(Held { whose: For::Job(job), start_at, extra: opening.free.less(need), need, ends_at });
    }

    /// Takes the promise to a job back; false where there is none.
    pub(crate) fn drop(&mut self, job: JobId) -> bool {
        let Some(at) = self.held.iter().position(|held| held.whose == For::Job(job)) else { return false };
        let Held { need, start_at, ends_at, .. } = self.held.remove(at);
        self.release(need, start_at, ends_at);
        true
    }

    /// Takes back what was [placed](Self::place) until `end`: all is as if it had not been.
    pub(crate) fn unplace(&mut self, amounts: Amounts, now: TimeMs, end: TimeMs) {
        self.release(amounts, now, end);
        if self.profile.is_none() {
            let mut left = amounts;
            for placed in self.placed.iter_mut().rev().filter(|placed| placed.0 == end) {
                let part = left.least(placed.1);
                (left, placed.1) = (left.minus(part), placed.1.minus(part));
            }
            self.placed.retain(|placed| placed.1 != Amounts::default());
        }
    }

    /// Gives back what was used from one moment to another. Nothing is kept for anybody after this.
    pub(crate) fn release(&mut self, amounts: Amounts, from: TimeMs, to: TimeMs) {
        if let Some(profile) = &mut self.profile {
            profile.release(amounts, from, to);
        }
        for held in self.held.iter_mut().filter(|held| from <= held.start_at && held.start_at < to) {
            held.extra = held.extra.plus(amounts, 1);
        }
    }
}

/// The first moment from which `need` is free for `span`.
fn opening(profile: &mut Profile<Amounts>, need: Amounts, span: DurationMs) -> Option<Opening> {
    let (now, _) = profile.steps().next()?;
    let mut start_at = profile.earliest(need, span, now);
    if start_at == Some(now) {
        // There is enough in sum, but on no node: it is expected when something ends.
        let (next, _) = profile.steps().nth(1)?;
        start_at = profile.earliest(need, span, next);
    }
    // What never comes free does so at the end of time.
    let at = start_at.filter(|&at| at < TimeMs(i64::MAX))?;
    Some(Opening { at, free: profile.free(at) })
}

/// The first moment at which `need` is free in a pool where nothing is promised and no window closes: room only grows.
fn first_opening(need: Amounts, base: &Base<'_>, placed: &[(TimeMs, Amounts)]) -> Option<Opening> {
    let Base { pool, now, .. } = base;
    let has = Amounts { cores: pool.pool.cores, memory: pool.pool.memory, devices: pool.pool.devices };
    let mut used = placed.iter().fold(pool.used, |used, &(_, amounts)| used.plus(amounts, 1));
    let at_first = has.less(used);
    let soon = TimeMs(now.0.saturating_add(1));
    let mut placed: Vec<(TimeMs, Amounts)> = placed.to_vec();
    placed.sort_by_key(|end| end.0);
    let (mut known, mut placed) = (pool.holdings.ends().peekable(), placed.into_iter().peekable());
    loop {
        let next = known.peek().map(|end| end.0).into_iter().chain(placed.peek().map(|end| end.0)).min()?;
        let at = next.max(soon);
        while let Some((_, amounts)) = known.next_if(|end| end.0 <= at) {
            used = used.less(amounts);
        }
        while let Some((_, amounts)) = placed.next_if(|end| end.0 <= at) {
            used = used.less(amounts);
        }
        let free = has.less(used);
        // What fits now and was not placed found no node: it is expected when something ends.
        if need.fits(free) && free != at_first {
            return Some(Opening { at, free }).filter(|opening| opening.at < TimeMs(i64::MAX));
        }
    }
}

/// The room of a pool from now on: what it has without what is used, which comes free by and by, and nothing while
/// it is closed; what is reserved in advance is no room. What should have ended is taken to end in a moment.
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
    let reserved = pool.reserved.iter().flat_map(|reserved| [reserved.from, reserved.until]);
    moments.extend(reserved.filter(|at| at > now));
    moments.push(TimeMs(i64::MAX));
    moments.sort();
    moments.dedup();
    let (mut from, mut ended) = (*now, 0);
    let steps = moments.into_iter().filter(|&to| to > *now).map(|to| {
        let step = (from, if shut(from) { Amounts::default() } else { has.less(used).less(pool.kept(from)) });
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

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, Class, Millicores, ProjectId, TenantId};
    use proptest::prelude::*;

    use super::*;
    use crate::{RunningView, testing::pool};

    const NOW: TimeMs = TimeMs(100);

    fn cores(count: u64) -> Amounts {
        Amounts { cores: Millicores(count * 1_000), memory: Bytes(0), ..Amounts::default() }
    }

    /// A pool of 12 cores where so many come free at these moments, and so many more never.
    fn view(ends: &[(u64, i64)], ever: u64) -> PoolView {
        let groups = ends.iter().map(|&(count, end)| RunningView {
            tenant: TenantId::new("lab").expect("a valid name"),
            project: ProjectId::new("p").expect("a valid name"),
            each: cores(1),
            count,
            ends_at: TimeMs(end),
            preemptible: None,
            stopping: false,
        });
        let used = cores(ever + ends.iter().map(|(count, _)| count).sum::<u64>());
        let holdings = std::sync::Arc::new(groups.collect());
        PoolView { used, long: used, holdings, ..pool("cpu:x", Class::Hpc, 12, 0) }
    }

    proptest! {
        /// Room over time is that of counting, and the first opening is found without it as with it.
        #[test]
        fn openings_are_those_of_the_room_over_time(
            ends in prop::collection::vec((1u64..4, 90i64..120), 0..8),
            placed in prop::collection::vec((1u64..4, 101i64..120), 0..4),
            (ever, wanted, span) in (0u64..3, 1u64..14, 1u64..40),
        ) {
            let pool = view(&ends, ever);
            let base = Base { pool: &pool, closed: Vec::new(), now: NOW };
            let placed: Vec<_> = placed.into_iter().map(|(count, end)| (TimeMs(end), cores(count))).collect();
            let mut profile = over_time(&base, &placed);
            for at in 100i64..125 {
                let running = ends.iter().filter(|(_, end)| (*end).max(101) > at).map(|(count, _)| count * 1_000);
                let more = placed.iter().filter(|(end, _)| end.0 > at).map(|(_, amounts)| amounts.cores.0);
                let used = ever * 1_000 + running.chain(more).sum::<u64>();
                prop_assert_eq!(profile.free(TimeMs(at)).cores.0, 12_000u64.saturating_sub(used));
            }
            let (need, span) = (cores(wanted), DurationMs(span));
            let found = first_opening(need, &base, &placed);
            prop_assert_eq!(found, opening(&mut profile, need, span));
            // With a promise, the profile is made with it.
            if let Some(found) = found {
                let mut agenda = Agenda::default();
                placed.iter().for_each(|&(end, amounts)| agenda.place(amounts, NOW, end));
                prop_assert_eq!(agenda.earliest(need, span, &base), Some(found));
                agenda.hold(JobId(1), need, found, span);
                prop_assert_eq!(agenda.held[0].extra, found.free.less(need));
                let second = agenda.earliest(cores(1), DurationMs(1), &base);
                profile.take(need, found.at, found.at.after(span));
                prop_assert_eq!(second, opening(&mut profile, cores(1), DurationMs(1)));
            }
        }
    }
}
