//! Rules of tariffs: what may be set, what is held by them, and what was used priced anew on order.

use std::collections::BTreeMap;

use huisuan_ledger::{
    meter::exact,
    tariff::{Priced, Scope, TariffError},
};
use huisuan_model::{
    AttemptId, Centre, Event, Job, MeterRecord, Metering, Money, PoolId, Reading, TariffRule, TenantId, Terms, TimeMs,
    quantity::GFLOP_PER_P_H,
};

use crate::{Refusal, State, apply::booked, books};

/// A task may begin at its centre so much later than it was placed, and still find its price covered.
pub(crate) const LATE_MS: u64 = 3_600_000;

/// What is held for one task: the price of its whole walltime at the highest price that an hour of it can have.
pub(crate) fn hold_each(state: &State, job: &Job, pool: &PoolId, terms: &Terms, now: TimeMs, centre: &Centre) -> Money {
    let walltime = job.spec.walltime;
    let (tenant, class, priority) = (&job.tenant, terms.share.class, job.spec.priority);
    let scope = Scope { tenant, centre: &centre.id, pool, class, priority };
    let until = now.after(walltime).after(huisuan_model::DurationMs(LATE_MS));
    let base = terms.tariff.price_per_p_h;
    let highest = state.tariffs.highest(&scope, base, now, until, state.calendar.zone(&centre.id));
    Terms { tariff: huisuan_model::Tariff { price_per_p_h: highest, ..terms.tariff.clone() }, ..terms.clone() }
        .hold(walltime.0)
}

pub(crate) fn set(state: &State, rule: &TariffRule, rerate: bool, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let centre = state.centres.get(&rule.centre).ok_or_else(|| Refusal::NoCentre(rule.centre.clone()))?;
    if let Some(pool) = rule.pool.as_ref().filter(|pool| !centre.pools.contains_key(pool)) {
        return Err(Refusal::NoPool { centre: centre.id.clone(), pool: pool.clone() });
    }
    if let Some(tenant) = rule.tenant.as_ref().filter(|tenant| !state.tenants.contains_key(tenant)) {
        return Err(Refusal::NoTenant(tenant.clone()));
    }
    if rule.currency != centre.tariff.currency {
        let why = format!("is `{}`, its centre asks `{}`", rule.currency, centre.tariff.currency);
        return Err(TariffError::Field { centre: centre.id.clone(), field: "currency", why }.into());
    }
    let rule = TariffRule { id: state.tariffs.next_id(), ..rule.clone() };
    state.tariffs.check(&rule, rerate, state.calendar.zone(&rule.centre), now)?;
    Ok(vec![Event::TariffRuleSet(rule)])
}

pub(crate) fn end(state: &State, id: u32, until: TimeMs, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let rule = state.tariffs.rule(id).ok_or(TariffError::Unknown(id))?;
    let centre = || rule.centre.clone();
    if until < now {
        return Err(TariffError::Retroactive { centre: centre(), from: until }.into());
    }
    let zone = state.calendar.zone(&rule.centre);
    let over = rule.until.is_some_and(|end| end <= now);
    if over || until <= rule.from || !zone.full_hour(until) {
        let why = if over { "is past: the rule has ended" } else { "is no full hour after the rule's first" };
        return Err(TariffError::Field { centre: centre(), field: "until", why: why.to_owned() }.into());
    }
    Ok(vec![Event::TariffRuleEnded { rule: id, until }])
}

/// Corrections of what a rule concerns. A reading that the rule does not hold for, or that has its price, is left.
pub(crate) fn rerate(state: &State, id: u32, readings: &[Metering], now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let rule = state.tariffs.rule(id).ok_or(TariffError::Unknown(id))?;
    let wrong = |why: String| Err(Refusal::Rerate { rule: id, why });
    let mut corrections: Vec<MeterRecord> = Vec::new();
    let (mut extra, mut numbers) = (BTreeMap::<&TenantId, i128>::new(), BTreeMap::<AttemptId, u32>::new());
    for metering in readings {
        let (of, old) = (&metering.of, &metering.of.reading);
        if of.centre != rule.centre || !old.timed() {
            return wrong(format!(
                "reading {}/{} is not of its centre, or a correction of a price",
                of.attempt, old.number
            ));
        }
        let live = state.attempts.get(&of.attempt);
        if live.is_some() != metering.running {
            // It ended, or began, after the readings were read: what was read is not all of it.
            continue;
        }
        let last = live.and_then(|attempt| attempt.metered).map_or(0, |meter| meter.number);
        let next = if metering.running { last + 1 } else { metering.next };
        let (class, priority) = (of.share.class, metering.priority);
        let scope = Scope { tenant: &of.tenant, centre: &of.centre, pool: &of.pool, class, priority };
        let zone = state.calendar.zone(&of.centre);
        let Priced { rule: holds, contract, price } = state.tariffs.price(&scope, rule.price_per_p_h, old.from, zone);
        if holds != id || old.price == price {
            continue;
        }
        // Each correction is rounded by itself: the line that it corrects was rounded when it was posted.
        let due = exact(old.work, price) / i128::from(GFLOP_PER_P_H) - i128::from(old.cost.0);
        let Ok(cost) = i64::try_from(due) else {
            return wrong(format!("reading {}/{} would cost more than fits", of.attempt, old.number));
        };
        // What others get back does not pay for it: each is booked by itself.
        let number = numbers.entry(of.attempt).and_modify(|number| *number += 1).or_insert(next);
        *extra.entry(&of.tenant).or_default() += due.max(0);
        let reading = Reading {
            number: *number,
            adjusts: Some(old.number),
            at: now,
            work: 0,
            cpu: huisuan_model::DurationMs(0),
            rule: id,
            contract,
            price,
            cost: Money(cost),
            energy: None,
            from: old.from,
            until: old.until,
        };
        corrections.push(MeterRecord { reading, ..of.clone() });
    }
    for (tenant, due) in extra {
        let available = state.ledger.available(tenant, books::home_currency());
        if due > i128::from(available.0) {
            return wrong(format!("tenant `{tenant}` would have to pay {due} millionths and has {available}"));
        }
    }
    Ok(if corrections.is_empty() { Vec::new() } else { vec![Event::Rerated { rule: id, corrections }] })
}

/// Books corrections: what is due is paid, what was too much is given back.
pub(crate) fn correct(state: &mut State, corrections: &[MeterRecord]) {
    for correction in corrections {
        let (reading, tenant) = (&correction.reading, &correction.tenant);
        let currency = books::home_currency();
        let transfers = state.ledger.correct(correction.attempt, tenant, &correction.centre, currency, reading.cost);
        booked(state, transfers.expect("a decided correction is covered"));
        if let Some(attempt) = state.attempts.get_mut(&correction.attempt) {
            // What it reads next gets the number after this one.
            if let Some(meter) = &mut attempt.metered {
                meter.number = reading.number;
            }
            state.touched.note(|rows| rows.attempts.insert(correction.attempt));
        }
        let tally = state.tallies.entry(tenant.clone()).or_default();
        tally.spend(state.calendar.month(reading.at), &correction.project, reading.cost);
        state.touched.note(|rows| rows.tallies.insert(tenant.clone()));
        state.touched.note(|rows| rows.meters.push(correction.clone()));
    }
}

/// Money comes with a higher credit and goes with a lower one.
pub(crate) fn change_credit(state: &mut State, tenant: &TenantId, by: Money) {
    let currency = books::home_currency();
    let transfers = if by.0 > 0 {
        state.ledger.fund(tenant, currency, by)
    } else {
        state.ledger.withdraw(tenant, currency, Money(-by.0))
    };
    booked(state, transfers.expect("a decided change of credit is covered"));
}
