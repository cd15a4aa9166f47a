//! Tenants: what an operator may set, and whether a placement keeps to a quota.

use huisuan_ledger::{Account, Asset};
use huisuan_model::{
    Event, MilliDevices, Millicores, Money, Placement, ProjectId, Tenant, TenantId,
    tenant::{
        Limit, TenantChange, TokenHash,
        limits::{INDUSTRY_LENGTH_MAX, JOBS_MAX, MONEY_MAX, PROJECTS_MAX, WEIGHT_MAX},
    },
};

use crate::{Refusal, State, books, reservations};

/// The project of work that names none; every tenant has it.
pub const DEFAULT_PROJECT: &str = "default";
/// The most jobs of a new tenant that have not ended, unless its operator says otherwise.
const JOBS_MAX_DEFAULT: u64 = 10_000;

pub(crate) fn add(state: &State, id: &TenantId, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    if state.tenants.contains_key(id) {
        return Err(Refusal::TenantExists(id.clone()));
    }
    changed(state, Tenant::new(id.clone(), JOBS_MAX_DEFAULT), change)
}

pub(crate) fn change(state: &State, id: &TenantId, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    let known = state.tenants.get(id).ok_or_else(|| Refusal::NoTenant(id.clone()))?;
    open(known)?;
    changed(state, known.clone(), change)
}

/// Closes an account: what its tenant may still spend goes back to where it came from, its credit with it.
pub(crate) fn close(state: &State, id: &TenantId) -> Result<Vec<Event>, Refusal> {
    let known = state.tenants.get(id).ok_or_else(|| Refusal::NoTenant(id.clone()))?;
    let (jobs, available) = (state.jobs_of(id), state.ledger.available(id, books::home_currency()));
    let reserved = reservations::open_of(state, id);
    let owed = known.budget.credit.0.saturating_sub(available.0);
    let why = match () {
        () if jobs > 0 => format!("it has {jobs} jobs that have not ended"),
        () if reserved > 0 => format!("it has {reserved} reservations that have not ended"),
        () if owed > 0 => format!("it owes {} millionths of what it was lent", owed),
        () => {
            let mut tenant = Tenant { closed: true, ..known.clone() };
            tenant.budget.credit = Money::ZERO;
            let rest = Event::CreditChanged { tenant: id.clone(), by: Money(-available.0) };
            let rest = (!available.is_zero()).then_some(rest);
            return Ok([Event::TenantSet(tenant)].into_iter().chain(rest).collect());
        }
    };
    Err(Refusal::Tenant { tenant: id.clone(), why })
}

/// Refuses what a closed tenant asks for.
pub(crate) fn open(tenant: &Tenant) -> Result<(), Refusal> {
    let closed = || Refusal::Tenant { tenant: tenant.id.clone(), why: "its account is closed".to_owned() };
    if tenant.closed { Err(closed()) } else { Ok(()) }
}

pub(crate) fn set_token(state: &State, id: &TenantId, token: TokenHash) -> Result<Vec<Event>, Refusal> {
    let known = state.tenants.get(id).ok_or_else(|| Refusal::NoTenant(id.clone()))?;
    Ok(vec![Event::TenantSet(Tenant { token: Some(token), ..known.clone() })])
}

fn changed(state: &State, before: Tenant, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    let credit = change.credit.unwrap_or(before.budget.credit);
    let by = Money(credit.0.saturating_sub(before.budget.credit.0));
    let mut tenant = before;
    tenant.weight = change.weight.unwrap_or(tenant.weight);
    tenant.jobs_max = change.jobs_max.unwrap_or(tenant.jobs_max);
    if let Some(limit) = change.quota_cores {
        tenant.quota_cores = limit.amount().map(Millicores);
    }
    if let Some(limit) = change.quota_devices {
        tenant.quota_devices = limit.amount().map(MilliDevices);
    }
    tenant.may_reserve = change.may_reserve.unwrap_or(tenant.may_reserve);
    change_budget(&mut tenant, change);
    tenant.projects.extend(change.projects.iter().map(|(project, weight)| (project.clone(), *weight)));
    let weight_wrong = |weight: &u32| !(1..=WEIGHT_MAX).contains(weight);
    let wrong = if weight_wrong(&tenant.weight) || tenant.projects.values().any(weight_wrong) {
        Some(format!("a weight is a whole number from 1 to {WEIGHT_MAX}"))
    } else if tenant.jobs_max > JOBS_MAX {
        Some(format!("it may have at most {JOBS_MAX} jobs that have not ended"))
    } else if tenant.projects.len() > PROJECTS_MAX {
        Some(format!("it may have at most {PROJECTS_MAX} projects"))
    } else {
        wrong_budget(state, &tenant, by)
    };
    let credit = (!by.is_zero()).then(|| Event::CreditChanged { tenant: tenant.id.clone(), by });
    match wrong {
        Some(why) => Err(Refusal::Tenant { tenant: tenant.id, why }),
        None => Ok([Event::TenantSet(tenant)].into_iter().chain(credit).collect()),
    }
}

fn change_budget(tenant: &mut Tenant, change: &TenantChange) {
    if let Some(industry) = &change.industry {
        tenant.industry = Some(industry.clone()).filter(|name| !name.is_empty());
    }
    let money = |limit: Limit| limit.amount().map(|amount| Money(i64::try_from(amount).unwrap_or(i64::MAX)));
    let budget = &mut tenant.budget;
    budget.month = change.budget_month.map_or(budget.month, money);
    budget.hour = change.budget_hour.map_or(budget.hour, money);
    budget.credit = change.credit.unwrap_or(budget.credit);
    for (project, limit) in &change.budget_projects {
        match money(*limit) {
            Some(limit) => drop(budget.projects.insert(project.clone(), limit)),
            None => drop(budget.projects.remove(project)),
        }
    }
}

/// What is wrong with a tenant's budget, whose credit changes by so much.
fn wrong_budget(state: &State, tenant: &Tenant, by: Money) -> Option<String> {
    let budget = &tenant.budget;
    let mut amounts = budget.month.iter().chain(&budget.hour).chain(budget.projects.values()).chain([&budget.credit]);
    let unknown = budget.projects.keys().find(|&project| !has_project(tenant, project));
    let free = state.ledger.available(&tenant.id, books::home_currency());
    let sound = |name: &String| name.chars().count() <= INDUSTRY_LENGTH_MAX && !name.contains(char::is_control);
    if let Some(amount) = amounts.find(|amount| !(0..=MONEY_MAX).contains(&amount.0)) {
        Some(format!("a budget or a credit is from 0 to 10^12 of the currency, not {amount}"))
    } else if let Some(project) = unknown {
        Some(format!("it has no project `{project}` to limit"))
    } else if by.0 < 0 && i128::from(free.0) + i128::from(by.0) < 0 {
        Some(format!("{free} are free, so its credit cannot be less by {} before it has paid", by.0.unsigned_abs()))
    } else if let Some(why) = no_room(state, by) {
        Some(why)
    } else if !tenant.industry.as_ref().is_none_or(sound) {
        Some(format!("an industry is one line of at most {INDUSTRY_LENGTH_MAX} characters"))
    } else {
        None
    }
}

/// Why so much money cannot come into the network: all of it is counted in 64 bits.
pub(crate) fn no_room(state: &State, more: Money) -> Option<String> {
    let all = state.ledger.balance(&Account::Funding, Asset::Currency(books::home_currency()));
    let left = i128::from(i64::MAX) + all;
    (i128::from(more.0) > left).then(|| format!("{more} do not fit: the books of this network can take {left} more"))
}

fn has_project(tenant: &Tenant, project: &ProjectId) -> bool {
    project.as_str() == DEFAULT_PROJECT || tenant.projects.contains_key(project)
}

/// The most jobs that a tenant may have, where it is known and has this project.
pub(crate) fn jobs_max(state: &State, tenant: &TenantId, project: &ProjectId) -> Result<u64, Refusal> {
    let known = state.tenants.get(tenant).ok_or_else(|| Refusal::NoTenant(tenant.clone()))?;
    open(known)?;
    if !has_project(known, project) {
        return Err(Refusal::NoProject { tenant: tenant.clone(), project: project.clone() });
    }
    Ok(known.jobs_max)
}

/// Whether the tenant may hold what a placement takes on top of what it holds already.
pub(crate) fn within_quota(state: &State, tenant: &TenantId, placement: &Placement) -> bool {
    let Some(known) = state.tenants.get(tenant) else { return false };
    let (held, tasks) = (state.held(tenant), u128::from(placement.tasks.len()));
    let within = |held: u64, each: u64, most: Option<u64>| {
        most.is_none_or(|most| u128::from(held) + u128::from(each) * tasks <= u128::from(most) || each == 0)
    };
    within(held.cores.0, placement.cores.0, known.quota_cores.map(|most| most.0))
        && within(held.devices.0, placement.devices.0, known.quota_devices.map(|most| most.0))
}
