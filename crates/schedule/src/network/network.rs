//! The model, checked and indexed: what planners work on.

use huisuan_model::{CentreId, Class, PoolId, TenantId};

use crate::network::{
    model::{Hardware, NetworkModel, WorkClass, WorkClassId},
    route::{Route, routes},
};

/// Largest value of any amount of time, in milliseconds: a hundred years. It keeps products inside 128 bits.
pub(super) const TIME_MAX_MS: u64 = 100 * 366 * 86_400_000;
/// Largest amount of money for one task, in millionths: 10^9 currency units.
const MONEY_MAX: i64 = 1_000_000_000_000_000;
/// Largest count of anything else.
const COUNT_MAX: u64 = 1 << 50;
/// Most tasks of one class: worth, tasks and fraction bits of prices stay inside 127 bits together.
const TASKS_MAX: u64 = 1 << 32;
/// Most devices at once, in thousandths.
const WIDTH_MAX: u64 = 1 << 40;
/// Most power of one device, in milliwatts.
const POWER_MAX_MW: u64 = 1 << 32;
const SLOTS_MAX: u32 = 168;

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A list is not in order, or has one of its ids twice.
    #[error("{list}: `{id}` stands at the wrong place or twice; hint: sort the list by id and drop doubles")]
    Order {
        /// Which list.
        list: &'static str,
        /// The first id that is not above the one before it.
        id: String,
    },
    /// A name that the model does not have.
    #[error("{object}: {kind} `{name}` is not in the model; hint: add it, or correct the name")]
    Unknown {
        /// What names it.
        object: String,
        /// What it should be.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A value outside its range.
    #[error("{object}: {field} is {value}, allowed is {least} to {most}; hint: check its unit")]
    Range {
        /// What has it.
        object: String,
        /// Which field.
        field: &'static str,
        /// The value.
        value: i128,
        /// The least allowed.
        least: i128,
        /// The most allowed.
        most: i128,
    },
}

/// A pool with its place in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PoolAt {
    pub(super) centre: usize,
    /// Within its centre.
    pub(super) pool: usize,
}

/// What of a class the lists do not say directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClassAt {
    pub(super) tenant: usize,
    pub(super) home: Option<usize>,
    pub(super) users: Option<usize>,
}

/// A checked model with numbered centres, pools and links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub(super) model: NetworkModel,
    pub(super) pools: Vec<PoolAt>,
    pub(super) classes: Vec<ClassAt>,
    /// `routes[from][to]`.
    pub(super) routes: Vec<Vec<Option<Route>>>,
}

impl Network {
    /// Checks the model.
    ///
    /// # Errors
    ///
    /// When a list is out of order, a name is unknown, or a value outside its range: the first fault found.
    pub fn new(model: NetworkModel) -> Result<Self, ModelError> {
        ranges("model", &[("slot_ms", model.slot_ms.into(), 1, TIME_MAX_MS.into())])?;
        ranges("model", &[("slots", model.slots.into(), 1, SLOTS_MAX.into())])?;
        sorted("centres", model.centres.iter().map(|centre| centre.id.clone()))?;
        sorted("links", model.links.iter().map(|link| format!("{} {}", link.from, link.to)))?;
        sorted("tenants", model.tenants.iter().map(|tenant| tenant.id.clone()))?;
        sorted("classes", model.classes.iter().map(|class| format!("{:020}", class.id.0)))?;
        check_centres(&model)?;
        let ends = check_links(&model)?;
        check_tenants(&model)?;
        let classes = model.classes.iter().map(|class| check_class(&model, class)).collect::<Result<_, _>>()?;
        let pools_of = |(centre, supply): (usize, &super::model::CentreSupply)| {
            (0..supply.pools.len()).map(move |pool| PoolAt { centre, pool }).collect::<Vec<_>>()
        };
        let pools = model.centres.iter().enumerate().flat_map(pools_of).collect();
        let routes = routes(model.centres.len(), &model.links, &ends);
        Ok(Network { model, pools, classes, routes })
    }

    /// The model that it was made from.
    pub fn model(&self) -> &NetworkModel {
        &self.model
    }

    /// The place of a class in the list.
    pub(super) fn class_index(&self, id: WorkClassId) -> Option<usize> {
        self.model.classes.binary_search_by_key(&id, |class| class.id).ok()
    }

    pub(super) fn centre_index(&self, id: &CentreId) -> Option<usize> {
        centre_index(&self.model, id)
    }

    pub(super) fn tenant_index(&self, id: &TenantId) -> Option<usize> {
        self.model.tenants.binary_search_by(|tenant| tenant.id.cmp(id)).ok()
    }

    /// The number of a pool.
    pub(super) fn pool_index(&self, centre: &CentreId, pool: &PoolId) -> Option<usize> {
        let at = self.centre_index(centre)?;
        let within = self.model.centres[at].pools.binary_search_by(|supply| supply.id.cmp(pool)).ok()?;
        let before: usize = self.model.centres[..at].iter().map(|supply| supply.pools.len()).sum();
        Some(before + within)
    }
}

fn centre_index(model: &NetworkModel, id: &CentreId) -> Option<usize> {
    model.centres.binary_search_by(|centre| centre.id.cmp(id)).ok()
}

fn sorted<T: PartialOrd + ToString>(list: &'static str, ids: impl Iterator<Item = T>) -> Result<(), ModelError> {
    let mut last: Option<T> = None;
    for id in ids {
        if last.as_ref().is_some_and(|last| *last >= id) {
            return Err(ModelError::Order { list, id: id.to_string() });
        }
        last = Some(id);
    }
    Ok(())
}

fn ranges(object: &str, fields: &[(&'static str, i128, i128, i128)]) -> Result<(), ModelError> {
    match fields.iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
        None => Ok(()),
        Some(&(field, value, least, most)) => {
            Err(ModelError::Range { object: object.to_owned(), field, value, least, most })
        }
    }
}

fn check_centres(model: &NetworkModel) -> Result<(), ModelError> {
    let (money, count) = (i128::from(MONEY_MAX), i128::from(COUNT_MAX));
    for centre in &model.centres {
        let object = format!("centre `{}`", centre.id);
        ranges(&object, &[("hour", centre.hour.into(), 0, 23)])?;
        ranges(&object, &[("pue_permille", centre.pue_permille.into(), 1_000, 100_000)])?;
        for hour in 0..24 {
            let price = centre.power_price_per_kwh[hour].0.into();
            ranges(&object, &[("power_price_per_kwh", price, -money, money)])?;
            ranges(&object, &[("usable_permille", centre.usable_permille[hour].into(), 0, 1_000)])?;
            let power = centre.power_max_w.map_or(0, |curve| curve[hour]);
            ranges(&object, &[("power_max_w", power.into(), 0, count)])?;
        }
        sorted("pools", centre.pools.iter().map(|pool| pool.id.clone()))?;
        for pool in &centre.pools {
            let object = format!("pool `{}` of centre `{}`", pool.id, centre.id);
            let slots = i128::from(model.slots);
            ranges(&object, &[("number of free slots", pool.free.len() as i128, slots, slots)])?;
            for &free in &pool.free {
                ranges(&object, &[("free", free.into(), 0, count)])?;
            }
            ranges(
                &object,
                &[
                    ("rate", pool.rate.0.into(), 0, count),
                    ("power_mw", pool.power_mw.into(), 0, POWER_MAX_MW.into()),
                    ("price_per_h", pool.price_per_h.0.into(), 0, money),
                    ("start.p50_ms", pool.start.p50_ms.into(), 0, TIME_MAX_MS.into()),
                    ("start.p90_ms", pool.start.p90_ms.into(), pool.start.p50_ms.into(), TIME_MAX_MS.into()),
                ],
            )?;
        }
    }
    Ok(())
}

fn check_links(model: &NetworkModel) -> Result<Vec<(usize, usize)>, ModelError> {
    let mut ends = Vec::with_capacity(model.links.len());
    for link in &model.links {
        let object = format!("link from `{}` to `{}`", link.from, link.to);
        let end = |name: &CentreId| {
            let name_text = name.to_string();
            let unknown = ModelError::Unknown { object: object.clone(), kind: "centre", name: name_text };
            centre_index(model, name).ok_or(unknown)
        };
        ends.push((end(&link.from)?, end(&link.to)?));
        ranges(
            &object,
            &[
                ("bytes_per_s", link.bytes_per_s.into(), 0, COUNT_MAX.into()),
                ("latency_us", link.latency_us.into(), 0, COUNT_MAX.into()),
                ("price_per_gb", link.price_per_gb.0.into(), 0, COUNT_MAX.into()),
            ],
        )?;
    }
    Ok(ends)
}

fn check_tenants(model: &NetworkModel) -> Result<(), ModelError> {
    for tenant in &model.tenants {
        let object = format!("tenant `{}`", tenant.id);
        ranges(&object, &[("lift_permille", tenant.lift_permille.into(), -1_000, 10_000)])?;
        for class in Class::ALL {
            let quotas = tenant.quotas.iter().filter(|quota| quota.class == class).count();
            ranges(&object, &[("number of quotas of a class", quotas as i128, 0, 1)])?;
        }
    }
    Ok(())
}

fn check_class(model: &NetworkModel, class: &WorkClass) -> Result<ClassAt, ModelError> {
    let object = format!("class of work {}", class.id.0);
    let unknown = |kind, name: String| ModelError::Unknown { object: object.clone(), kind, name };
    let centre = |id: &CentreId| centre_index(model, id).ok_or_else(|| unknown("centre", id.to_string()));
    let tenant = model.tenants.binary_search_by(|tenant| tenant.id.cmp(&class.tenant)).ok();
    let tenant = tenant.ok_or_else(|| unknown("tenant", class.tenant.to_string()))?;
    let money = i128::from(MONEY_MAX);
    ranges(
        &object,
        &[
            ("tasks", class.tasks.into(), 0, TASKS_MAX.into()),
            ("worth", class.worth.0.into(), 0, money),
            ("time_per_h", class.wishes.time_per_h.0.into(), 0, money),
            ("energy_per_kwh", class.wishes.energy_per_kwh.0.into(), 0, money),
            ("carbon_per_kg", class.wishes.carbon_per_kg.0.into(), 0, money),
            ("data bytes", class.data.as_ref().map_or(0, |data| data.bytes.0).into(), 0, COUNT_MAX.into()),
        ],
    )?;
    sorted("centres of a class", class.centres.iter().cloned())?;
    class.centres.iter().try_for_each(|id| centre(id).map(|_| ()))?;
    let agreed = class.agreed.iter().map(|price| format!("{} {}", price.centre, price.pool));
    sorted("agreed prices of a class", agreed)?;
    for price in &class.agreed {
        let pools = &model.centres[centre(&price.centre)?].pools;
        pools.binary_search_by(|pool| pool.id.cmp(&price.pool)).map_err(|_| unknown("pool", price.pool.to_string()))?;
        ranges(&object, &[("agreed price_per_h", price.price_per_h.0.into(), 0, money)])?;
    }
    match &class.hardware {
        Hardware::Neutral { width, work, .. } => {
            ranges(&object, &[("width", (*width).into(), 1, WIDTH_MAX.into())])?;
            ranges(&object, &[("work", work.0.into(), 1, 1 << 62)])?;
        }
        Hardware::Parts(parts) => {
            sorted("parts of a class", parts.iter().map(|part| part.id.clone()))?;
            for part in parts {
                ranges(&object, &[("width", part.width.into(), 1, WIDTH_MAX.into())])?;
                ranges(&object, &[("run_ms", part.run_ms.into(), 1, TIME_MAX_MS.into())])?;
            }
        }
    }
    let home = class.data.as_ref().map(|data| centre(&data.home)).transpose()?;
    let users = class.users.as_ref().map(|users| centre(&users.at)).transpose()?;
    Ok(ClassAt { tenant, home, users })
}
