//! Contracts between tenants and centres: what may be agreed on, and what the scheduler counts with under one.

use huisuan_ledger::tariff::{ContractError, Scope};
use huisuan_model::{Centre, Contract, Event, Money, Pool, Shape, TimeMs};
use huisuan_schedule::Agreed;

use crate::{Refusal, State, snapshot::tariff_view, tariffs::LATE_MS, tenants};

pub(crate) fn make(state: &State, contract: &Contract, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let centre = state.centres.get(&contract.centre).ok_or_else(|| Refusal::NoCentre(contract.centre.clone()))?;
    if let Some(pool) = contract.pool.as_ref().filter(|pool| !centre.pools.contains_key(pool)) {
        return Err(Refusal::NoPool { centre: centre.id.clone(), pool: pool.clone() });
    }
    let tenant = state.tenants.get(&contract.tenant).ok_or_else(|| Refusal::NoTenant(contract.tenant.clone()))?;
    tenants::open(tenant)?;
    if contract.currency != centre.tariff.currency {
        let why = format!("is `{}`, its centre asks `{}`", contract.currency, centre.tariff.currency);
        return Err(ContractError::Field { centre: centre.id.clone(), field: "currency", why }.into());
    }
    let book = &state.tariffs.contracts;
    let contract = Contract { id: book.next_id(), ..contract.clone() };
    book.check(&contract, state.calendar.zone(&contract.centre), now)?;
    Ok(vec![Event::ContractMade(contract)])
}

pub(crate) fn end(state: &State, id: u32, until: TimeMs, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let contract = state.tariffs.contracts.get(id).ok_or(ContractError::Unknown(id))?;
    let over = contract.until.is_some_and(|end| end <= now);
    let why = match () {
        () if over => "is past: the contract has ended",
        () if until < now => "is past: end it at a full hour to come",
        () if until <= contract.from => "is no full hour after the contract's first",
        () if !state.calendar.zone(&contract.centre).full_hour(until) => "is not a full hour of the centre's zone",
        () if contract.until.is_some_and(|end| end < until) => "is later than was agreed on",
        () => return Ok(vec![Event::ContractEnded { contract: id, until }]),
    };
    Err(ContractError::Field { centre: contract.centre.clone(), field: "until", why: why.to_owned() }.into())
}

/// Where a shape's tasks are under contract for as long as they may run if they start now, and for how much: in the
/// order of centres and pools. The discount is taken off the dearest price to come, as everything else is counted.
pub(crate) fn agreed(state: &State, shape: &Shape) -> Vec<Agreed> {
    let own = |centre: &&Centre| state.tariffs.contracts.any(&shape.tenant, &centre.id);
    let price = |centre: &Centre, pool: &Pool| {
        let ceiling = tariff_view(state, centre).price_per_p_h;
        price(state, shape, (centre, pool), ceiling)
    };
    let of_centre = |centre: &Centre| {
        let priced = centre.pools.values().filter_map(|pool| Some((pool.id.clone(), price(centre, pool)?)));
        priced.map(|(pool, price)| Agreed { centre: centre.id.clone(), pool, price_per_p_h: price }).collect::<Vec<_>>()
    };
    state.centres.values().filter(own).flat_map(of_centre).collect()
}

fn price(state: &State, shape: &Shape, (centre, pool): (&Centre, &Pool), ceiling: Money) -> Option<Money> {
    let scope =
        Scope { tenant: &shape.tenant, centre: &centre.id, pool: &pool.id, class: pool.class, priority: i32::MAX };
    let until = state.seen_at.after(shape.walltime).after(huisuan_model::DurationMs(LATE_MS));
    state.tariffs.contracts.highest(&scope, ceiling, state.seen_at, until)
}
