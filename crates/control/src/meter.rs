//! Reading the meters of attempts and posting what they say: every full hour while an attempt runs, the rest at its
//! end. What a reading costs is decided once and written in its event; folding it again prices nothing anew.

use std::collections::BTreeMap;

use huisuan_ledger::{
    Account, Asset, Transfer,
    meter::{Draw, charge, cut, energy, exact},
    tariff::{Priced, Scope},
};
use huisuan_model::{
    Attempt, AttemptId, Bytes, DurationMs, EnergySum, Gflop, LineKey, MeterRecord, Metered, Money, ProjectId, Reading,
    Staged, TenantId, TimeMs, Usage, quantity::GFLOP_PER_P_H,
};

use crate::{State, apply::booked, books};

/// What an attempt's meter gives beyond what was read before, up to `usage`, of which so many milliseconds count; the
/// last hour too when it is `closed`. With it, the joules that were measured up to the end of the last of them.
pub(crate) fn read(
    state: &State,
    attempt: &Attempt,
    started_at: Option<TimeMs>,
    (usage, billed): (Usage, DurationMs),
    closed: bool,
    now: TimeMs,
) -> (Vec<Reading>, u64) {
    let Some(job) = state.job(attempt.id.job) else { return (Vec::new(), 0) };
    let begin = started_at.unwrap_or(attempt.placed_at);
    let mut meter = attempt.metered.unwrap_or(Metered { until: begin, ..Metered::default() });
    let scope = Scope {
        tenant: &job.tenant,
        centre: &attempt.centre,
        pool: &attempt.pool,
        class: attempt.terms.share.class,
        priority: job.spec.priority,
    };
    let of = Of { attempt, project: &job.project, scope, left: attempt.hold.saturating_sub(attempt.cost) };
    let readings = readings(state, &of, &mut meter, (usage, billed), closed, now);
    let joules = if readings.is_empty() { 0 } else { meter.joules };
    (readings, joules)
}

/// How much work of an attempt the accounts of its tenant and its centre have room for: they count in 63 bits.
pub(crate) fn room(state: &State, tenant: &TenantId, attempt: &Attempt) -> u64 {
    let work = Asset::Work(attempt.terms.share.class);
    let of = |account: Account| state.ledger.balance(&account, work).unsigned_abs();
    let most = of(Account::Used(tenant.clone())).max(of(Account::Delivered(attempt.centre.clone())));
    i64::MAX.unsigned_abs().saturating_sub(u64::try_from(most).unwrap_or(u64::MAX))
}

/// Whose meter is read, and who pays.
pub(crate) struct Of<'a> {
    pub(crate) attempt: &'a Attempt,
    pub(crate) project: &'a ProjectId,
    /// What its price hangs on.
    pub(crate) scope: Scope<'a>,
    /// What may be charged for it at most.
    pub(crate) left: Money,
}

/// What a meter gives beyond where it was read before; it moves along.
pub(crate) fn readings(
    state: &State,
    of: &Of<'_>,
    meter: &mut Metered,
    (usage, billed): (Usage, DurationMs),
    closed: bool,
    now: TimeMs,
) -> Vec<Reading> {
    let (attempt, mut left) = (of.attempt, of.left);
    let first = meter.number;
    let zone = state.calendar.zone(&attempt.centre);
    let spans = cut(meter, (billed, usage), &attempt.terms.share, zone, closed);
    let tally = state.tallies.get(of.scope.tenant);
    let mut owed: BTreeMap<LineKey, u64> = BTreeMap::new();
    let draw = draw(state, attempt);
    let mut room = if spans.is_empty() { 0 } else { room(state, of.scope.tenant, attempt) };
    let mut readings = Vec::with_capacity(spans.len());
    for (number, span) in (first + 1..).zip(spans) {
        let priced = state.tariffs.price(&of.scope, attempt.terms.tariff.price_per_p_h, span.from, zone);
        let Priced { rule, contract, price } = priced;
        let key = line(attempt, of.project, priced);
        let remainder = owed.get(&key).copied().unwrap_or_else(|| tally.map_or(0, |tally| tally.remainder(&key)));
        let work = span.work.min(room);
        room -= work;
        let charged = charge(work, price, remainder, left);
        left = left.saturating_sub(charged.cost);
        owed.insert(key, charged.remainder);
        readings.push(Reading {
            number,
            adjusts: None,
            from: span.from,
            until: span.until,
            at: now,
            work: i64::try_from(work).expect("what the books have room for fits"),
            cpu: span.cpu,
            rule,
            contract,
            price,
            cost: charged.cost,
            energy: draw.as_ref().and_then(|draw| energy(draw, &attempt.terms.share, &span)),
        });
    }
    readings
}

/// What is known by now of the power of what an attempt was given.
pub(crate) fn draw<'a>(state: &'a State, attempt: &'a Attempt) -> Option<Draw<'a>> {
    let centre = state.centres.get(&attempt.centre)?;
    let pool = centre.pools.get(&attempt.pool);
    let rating = pool.and_then(|pool| pool.rating.as_ref());
    Some(Draw {
        power: centre.facts.as_ref().and_then(|facts| facts.power.as_deref()),
        pool: &attempt.pool,
        devices: !pool.map_or(attempt.devices, |pool| pool.devices).is_zero(),
        cap_watts: rating.and_then(|rating| rating.certificate.as_ref()?.watts),
    })
}

fn line(attempt: &Attempt, project: &ProjectId, Priced { rule, contract, price }: Priced) -> LineKey {
    let (centre, pool) = (attempt.centre.clone(), attempt.pool.clone());
    LineKey { centre, pool, project: project.clone(), rule, contract, price }
}

/// Counts the data that was moved for an attempt that ended. It has no price.
pub(crate) fn moved(state: &mut State, attempt: &Attempt, staged: Staged) {
    if staged.is_none() {
        return;
    }
    let tenant = state.jobs[&attempt.id.job].tenant.clone();
    let tally = state.tallies.entry(tenant.clone()).or_default();
    tally.bytes_in = Bytes(tally.bytes_in.0.saturating_add(staged.brought.0));
    tally.bytes_out = Bytes(tally.bytes_out.0.saturating_add(staged.taken.0));
    state.touched.note(|rows| rows.tallies.insert(tenant));
}

/// Panics when readings do not follow what was read of their attempt before: each has the next number and an interval
/// of its own within an hour, and together they cost what is posted for them. The process must not go on, as it would
/// store the damage.
fn assert_follow(attempt: &Attempt, readings: &[Reading], posted: Money) {
    let before = attempt.metered;
    let (mut number, mut end) = before.map_or((0, None), |meter| (meter.number, Some(meter.until)));
    for reading in readings {
        let id = attempt.id;
        assert_eq!(reading.number, number + 1, "the readings of attempt {id} are numbered without gaps");
        assert!(end.is_none_or(|end| end <= reading.from), "time of attempt {id} is metered once");
        assert!(reading.from < reading.until, "an interval of attempt {id} goes forward");
        assert!(reading.until.since(reading.from) <= HOUR, "an interval of attempt {id} is within an hour");
        (number, end) = (reading.number, Some(reading.until));
    }
    let cost = readings.iter().map(|reading| i128::from(reading.cost.0)).sum::<i128>();
    // Ends of the first journals have a cost and no readings.
    assert!(readings.is_empty() || cost == i128::from(posted.0), "what is posted for {} is metered", attempt.id);
}

/// An hour is 3,600,000 ms.
const HOUR: DurationMs = DurationMs(3_600_000);

/// Takes the readings of an attempt, for which so much is posted, into rows, budgets and what lines owe; the ledger is
/// the caller's.
pub(crate) fn take(state: &mut State, attempt: &Attempt, readings: &[Reading], posted: Money) {
    assert_follow(attempt, readings, posted);
    for reading in readings {
        let job = &state.jobs[&attempt.id.job];
        let record = MeterRecord {
            attempt: attempt.id,
            tenant: job.tenant.clone(),
            project: job.project.clone(),
            centre: attempt.centre.clone(),
            pool: attempt.pool.clone(),
            share: attempt.terms.share,
            reading: reading.clone(),
        };
        count(state, record);
    }
}

/// Takes one row of the meter into what its line owes and its tenant has spent.
pub(crate) fn count(state: &mut State, record: MeterRecord) {
    let (reading, key) = (&record.reading, record.line());
    let tally = state.tallies.entry(record.tenant.clone()).or_default();
    let parts = exact(reading.work, reading.price) + i128::from(tally.remainder(&key));
    let rest = parts - exact(reading.cost.0, Money(GFLOP_PER_P_H as i64));
    // What a hold did not cover is not owed, but for less than a millionth.
    let rest = rest.clamp(0, i128::from(GFLOP_PER_P_H) - 1);
    tally.set_remainder(key, u64::try_from(rest).expect("it is within a millionth"));
    EnergySum::add(&mut tally.energy, reading.energy);
    tally.spend(state.calendar.month(reading.at), &record.project, reading.cost);
    state.touched.note(|rows| {
        rows.tallies.insert(record.tenant.clone());
        rows.meters.push(record);
    });
}

/// Posts the hours that were read while an attempt runs: their cost leaves its hold, the rest stays held.
pub(crate) fn post_hours(state: &mut State, id: AttemptId, readings: &[Reading], joules: u64) {
    let Some(last) = readings.last() else { return };
    let attempt = (*state.attempts[&id]).clone();
    let cost: Money = readings.iter().fold(Money::ZERO, |sum, reading| sum.saturating_add(reading.cost));
    take(state, &attempt, readings, cost);
    let work: i64 = readings.iter().fold(0, |sum, reading| sum.saturating_add(reading.work));
    let wall = readings.iter().map(|reading| reading.until.since(reading.from).0).sum::<u64>();
    let cpu = readings.iter().map(|reading| reading.cpu.0).sum::<u64>();
    let tenant = state.jobs[&id.job].tenant.clone();
    let class = attempt.terms.share.class;
    let mut transfers: Vec<Transfer> = state
        .ledger
        .settle(id, &attempt.centre, cost, class, Gflop(work.unsigned_abs()))
        .expect("a live attempt has a hold that covers its hours");
    let row = state.attempts.get_mut(&id).expect("an event names a live attempt");
    row.cost = row.cost.saturating_add(cost);
    let before = row.metered.unwrap_or_default();
    row.metered = Some(Metered {
        number: last.number,
        until: last.until,
        wall: DurationMs(before.wall.0.saturating_add(wall)),
        cpu: DurationMs(before.cpu.0.saturating_add(cpu)),
        work: before.work.saturating_add(work.unsigned_abs()),
        joules,
    });
    let rest = row.hold.saturating_sub(row.cost);
    let held = state.ledger.hold(&tenant, books::currency(&attempt.terms.tariff), [id], rest);
    transfers.extend(held.expect("what was just given back can be held again"));
    booked(state, transfers);
    state.committed.change(&tenant, &state.jobs[&id.job].project, -i128::from(cost.0), 0);
}
