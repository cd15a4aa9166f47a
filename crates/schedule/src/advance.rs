//! What is kept of a pool by reservations in advance, and what it leaves for others.

use huisuan_model::{ReservationId, Shape, TenantId, TimeMs};

use crate::{
    fit::Demand,
    snapshot::{Amounts, PoolView},
};

/// A part of a pool that is kept for jobs that name it. What they hold of it is used of the pool, too, and is expected
/// to come free at its end: until then others get none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Its number.
    pub id: ReservationId,
    /// Whose jobs may name it.
    pub tenant: TenantId,
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// What is kept.
    pub amounts: Amounts,
    /// What its jobs hold of that.
    pub used: Amounts,
}

impl Reserved {
    /// What it keeps beside what its jobs hold.
    pub fn left(&self) -> Amounts {
        self.amounts.less(self.used)
    }

    /// Whether it keeps something at a moment.
    pub(crate) fn at(&self, moment: TimeMs) -> bool {
        self.from <= moment && moment < self.until
    }

    /// Whether a task that starts at `now` and ends at `end` stays within it.
    pub(crate) fn holds(&self, now: TimeMs, end: TimeMs) -> bool {
        self.from <= now && end <= self.until
    }
}

impl PoolView {
    /// The reservation that a shape names, where this pool has it.
    pub(crate) fn reserved_for(&self, shape: &Shape) -> Option<&Reserved> {
        let id = shape.reservation?;
        self.reserved.iter().find(|reserved| reserved.id == id)
    }

    /// What reservations keep at a moment, beside what their jobs hold.
    pub(crate) fn kept(&self, at: TimeMs) -> Amounts {
        let there = self.reserved.iter().filter(|reserved| reserved.at(at));
        there.fold(Amounts::default(), |kept, reserved| kept.plus(reserved.left(), 1))
    }

    /// What nobody holds or keeps at `at`, seen from `now`: what runs is taken to end as late as it may, what should
    /// have ended in a moment.
    pub fn free_at(&self, now: TimeMs, at: TimeMs) -> Amounts {
        let soon = TimeMs(now.0.saturating_add(1));
        let ended = self.holdings.ends().filter(|(end, _)| (*end).max(soon) <= at);
        let used = ended.fold(self.used, |used, (_, amounts)| used.less(amounts));
        let has = Amounts { cores: self.pool.cores, memory: self.pool.memory, devices: self.pool.devices };
        has.less(used).less(self.kept(at))
    }

    /// The least of each resource that nobody holds or keeps at any moment from `from` to before `until`. Between two
    /// beginnings room only grows, so those are all that count.
    pub fn free_between(&self, now: TimeMs, from: TimeMs, until: TimeMs) -> Amounts {
        let begins = self.reserved.iter().map(|reserved| reserved.from).filter(|&at| from < at && at < until);
        begins.fold(self.free_at(now, from), |least, at| least.least(self.free_at(now, at)))
    }

    /// How many tasks that start now and end at `end` leave what is kept alone; any number where nothing is.
    pub fn room_beside_reserved(&self, demand: &Demand, now: TimeMs, end: TimeMs) -> u64 {
        match self.reserved.iter().any(|reserved| reserved.from.max(now) < reserved.until.min(end)) {
            true => demand.times_in(&self.free_between(now, now, end)),
            false => u64::MAX,
        }
    }
}
