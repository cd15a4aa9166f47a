//! Contracts between tenants and centres: what may be agreed on, and what the scheduler counts with under one.

use huisuan_ledger::tariff::{ContractError, Scope};
use huisuan_model::{Centre, Contract, Event, Money, Pool, Shape, TenantId, TimeMs};
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
    let over = contract.withdrawn() || contract.until.is_some_and(|end| end <= now);
    let why = match () {
        () if over => "is past: the contract has ended",
        () if until < now => "is past: end it at a full hour to come",
        // Before it begins it can be taken back, and never holds then.
        () if until <= contract.from && now < contract.from => {
            return Ok(vec![Event::ContractEnded { contract: id, until: contract.from }]);
        }
        () if until <= contract.from => "is no full hour after the contract's first",
        () if !state.calendar.zone(&contract.centre).full_hour(until) => "is not a full hour of the centre's zone",
        () if contract.until.is_some_and(|end| end < until) => "is later than was agreed on",
        () => return Ok(vec![Event::ContractEnded { contract: id, until }]),
    };
    Err(ContractError::Field { centre: contract.centre.clone(), field: "until", why: why.to_owned() }.into())
}

/// Where a shape's tasks are under contract for as long as they may run if they start now (`at`), and for how much: in
/// the order of centres and pools. The discount is taken off the dearest price to come, as everything else is counted.
pub(crate) fn agreed(state: &State, shape: &Shape, at: TimeMs) -> Vec<Agreed> {
    // Asked for every shape of every snapshot.
    if state.tariffs.contracts.is_empty() {
        return Vec::new();
    }
    let own = |centre: &&Centre| state.tariffs.contracts.any(&shape.tenant, &centre.id);
    let until = at.after(shape.walltime).after(huisuan_model::DurationMs(LATE_MS));
    let of_centre = |centre: &Centre| {
        let price = |pool: &Pool| under_contract(state, &shape.tenant, (centre, pool), (at, until));
        let priced = centre.pools.values().filter_map(|pool| Some((pool.id.clone(), price(pool)?)));
        priced.map(|(pool, price)| Agreed { centre: centre.id.clone(), pool, price_per_p_h: price }).collect::<Vec<_>>()
    };
    state.centres.values().filter(own).flat_map(of_centre).collect()
}

/// The price that a tenant is to count with on a pool between two moments: the agreed one where it holds all the time,
/// otherwise the dearest that the centre asks.
pub(crate) fn price(state: &State, tenant: &TenantId, of: (&Centre, &Pool), between: (TimeMs, TimeMs)) -> Money {
    under_contract(state, tenant, of, between).unwrap_or_else(|| tariff_view(state, of.0).price_per_p_h)
}

fn under_contract(
    state: &State,
    tenant: &TenantId,
    (centre, pool): (&Centre, &Pool),
    (from, until): (TimeMs, TimeMs),
) -> Option<Money> {
    // No contract asks for a priority.
    let scope = Scope { tenant, centre: &centre.id, pool: &pool.id, class: pool.class, priority: 0 };
    state.tariffs.contracts.highest(&scope, tariff_view(state, centre).price_per_p_h, from, until)
}
