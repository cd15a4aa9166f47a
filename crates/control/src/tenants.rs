//! Tenants: what an operator may set, and whether a placement keeps to a quota.

use huisuan_model::{
    Event, MilliDevices, Millicores, Placement, ProjectId, Tenant, TenantId,
    tenant::{
        TenantChange, TokenHash,
        limits::{JOBS_MAX, PROJECTS_MAX, WEIGHT_MAX},
    },
};

use crate::{Refusal, State};

/// The project of work that names none; every tenant has it.
pub const DEFAULT_PROJECT: &str = "default";
/// The most jobs of a new tenant that have not ended, unless its operator says otherwise.
const JOBS_MAX_DEFAULT: u64 = 10_000;

pub(crate) fn add(state: &State, id: &TenantId, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    if state.tenants.contains_key(id) {
        return Err(Refusal::TenantExists(id.clone()));
    }
    changed(Tenant::new(id.clone(), JOBS_MAX_DEFAULT), change)
}

pub(crate) fn change(state: &State, id: &TenantId, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    let known = state.tenants.get(id).ok_or_else(|| Refusal::NoTenant(id.clone()))?;
    changed(known.clone(), change)
}

pub(crate) fn set_token(state: &State, id: &TenantId, token: TokenHash) -> Result<Vec<Event>, Refusal> {
    let known = state.tenants.get(id).ok_or_else(|| Refusal::NoTenant(id.clone()))?;
    Ok(vec![Event::TenantSet(Tenant { token: Some(token), ..known.clone() })])
}

fn changed(before: Tenant, change: &TenantChange) -> Result<Vec<Event>, Refusal> {
    let mut tenant = before;
    tenant.weight = change.weight.unwrap_or(tenant.weight);
    tenant.jobs_max = change.jobs_max.unwrap_or(tenant.jobs_max);
    if let Some(limit) = change.quota_cores {
        tenant.quota_cores = limit.amount().map(Millicores);
    }
    if let Some(limit) = change.quota_devices {
        tenant.quota_devices = limit.amount().map(MilliDevices);
    }
    tenant.projects.extend(change.projects.iter().map(|(project, weight)| (project.clone(), *weight)));
    let weight_wrong = |weight: &u32| !(1..=WEIGHT_MAX).contains(weight);
    let wrong = if weight_wrong(&tenant.weight) || tenant.projects.values().any(weight_wrong) {
        Some(format!("a weight is a whole number from 1 to {WEIGHT_MAX}"))
    } else if tenant.jobs_max > JOBS_MAX {
        Some(format!("it may have at most {JOBS_MAX} jobs that have not ended"))
    } else if tenant.projects.len() > PROJECTS_MAX {
        Some(format!("it may have at most {PROJECTS_MAX} projects"))
    } else {
        None
    };
    match wrong {
        Some(why) => Err(Refusal::Tenant { tenant: tenant.id, why }),
        None => Ok(vec![Event::TenantSet(tenant)]),
    }
}

/// The most jobs that a tenant may have, where it is known and has this project.
pub(crate) fn jobs_max(state: &State, tenant: &TenantId, project: &ProjectId) -> Result<u64, Refusal> {
    let known = state.tenants.get(tenant).ok_or_else(|| Refusal::NoTenant(tenant.clone()))?;
    if project.as_str() != DEFAULT_PROJECT && !known.projects.contains_key(project) {
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
