//! How much more a tenant may hold, over all pools.

use huisuan_model::{QuotaResource, Reason};

use crate::{
    fit::Demand,
    snapshot::{Amounts, Quota},
};

/// How many more tasks a tenant may have that holds so much.
pub(crate) fn room(quota: &Quota, held: &Amounts, demand: &Demand) -> u64 {
    let rest = limits(quota, held, demand).into_iter().flatten();
    rest.map(|(_, needed, held, limit)| limit.saturating_sub(held) / needed).min().unwrap_or(u64::MAX)
}

/// The first limit that keeps `unit` more tasks out, as a reason; `None` when there is none.
pub(crate) fn reason(quota: &Quota, held: &Amounts, demand: &Demand, unit: u64) -> Option<Reason> {
    let mut limits = limits(quota, held, demand).into_iter().flatten();
    let met = limits.find(|(_, needed, held, limit)| limit.saturating_sub(*held) / needed < unit);
    met.map(|(resource, needed, held, limit)| Reason::Quota {
        resource,
        needed: needed.saturating_mul(unit),
        held,
        limit,
    })
}

/// What is limited and needed: the resource, the need of one task, what is held, the limit.
fn limits(quota: &Quota, held: &Amounts, demand: &Demand) -> [Option<(QuotaResource, u64, u64, u64)>; 2] {
    let cores = quota.cores.map(|most| (QuotaResource::Cores, demand.cores.0, held.cores.0, most.0));
    let devices = quota.devices.map(|most| (QuotaResource::Devices, demand.devices.0, held.devices.0, most.0));
    [cores, devices].map(|limit| limit.filter(|(_, needed, ..)| *needed > 0))
}
