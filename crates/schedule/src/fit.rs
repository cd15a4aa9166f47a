//! Which pools can run tasks of a shape, and what one task takes there. Nothing here depends on what is
//! in use: it is computed once for a shape and a cycle.

use huisuan_model::{
    Bytes, CentreId, MilliDevices, Millicores, Money, Pool, Rating, Shape,
    spec::{DeviceNeed, Need},
};

use crate::{
    domain,
    snapshot::{Amounts, CentreView},
};

/// What one task takes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Cores.
    pub cores: Millicores,
    /// Devices.
    pub devices: MilliDevices,
    /// Memory.
    pub memory: Bytes,
}

impl Demand {
    /// How many tasks fit into a room.
    pub fn times_in(&self, room: &Amounts) -> u64 {
        let fits = |room: u64, need: u64| room.checked_div(need).unwrap_or(u64::MAX);
        let cores = fits(room.cores.0, self.cores.0);
        cores.min(fits(room.memory.0, self.memory.0)).min(fits(room.devices.0, self.devices.0))
    }
}

/// How a pool answers to a shape when it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its engine runs no container images, and the task is one.
    NoImages,
    /// It is hardware of another kind: other devices, too little memory on a device, other class of rate.
    OtherKind,
    /// It has no rating that counts: none at all, one that is doubted, or, for a demand in units, one that is only
    /// declared. Time or an operator may change that.
    Unrated,
    /// It is of the right kind, but the task or the whole gang is larger than all of it.
    TooSmall(Demand),
    /// It has enough in sum, but a task is larger than a node, or the gang than the domain that it must lie in.
    TooNarrow(Demand),
    /// The gang must lie within a rack or a pod, and the pool tells of none.
    Unconnected,
    /// It can run it.
    Fits(Demand),
}

/// What one task of `shape` takes of `pool`, or `None` where the pool is of another kind, has no rating or is
/// too small as a whole. Class and list of centres are not looked at: they are the centre's matter.
pub fn demand(pool: &Pool, shape: &Shape) -> Option<Demand> {
    match answer(pool, shape) {
        Answer::Fits(demand) => Some(demand),
        Answer::NoImages | Answer::OtherKind | Answer::Unrated | Answer::Unconnected => None,
        Answer::TooSmall(_) | Answer::TooNarrow(_) => None,
    }
}

/// The money held for one task of `shape`: the price of what it takes for its whole walltime, at so many millionths for
/// one P·h.
pub fn hold_each(pool: &Pool, price_per_p_h: Money, demand: &Demand, shape: &Shape) -> Money {
    price_per_p_h.price_up(pool.work(demand.cores, demand.devices, shape.walltime.0))
}

/// Whether the shape's class and list of centres let it go to this centre.
pub(crate) fn allowed(centre: &CentreView, shape: &Shape) -> bool {
    shape.class.is_none_or(|class| class == centre.class) && named(&centre.id, shape)
}

/// Whether the shape's list of centres has this one, or is empty, and the centre's own rules did not refuse it.
pub(crate) fn named(centre: &CentreId, shape: &Shape) -> bool {
    (shape.centres.is_empty() || shape.centres.contains(centre)) && !shape.refused_by.contains(centre)
}

pub(crate) fn answer(pool: &Pool, shape: &Shape) -> Answer {
    let sustained = pool.rating.as_ref().filter(|rating| rating.trusted()).map_or(0, |rating| rating.sustained.0);
    let (cores, devices) = match &shape.need {
        _ if shape.image && !pool.images => return Answer::NoImages,
        Need::Hardware { devices: Some(need), .. } if !devices_match(pool, need) => return Answer::OtherKind,
        // The work of a pool with devices is counted by devices: a task without any would run there for nothing.
        Need::Hardware { devices: None, .. } if !pool.devices.is_zero() => {
            return Answer::OtherKind;
        }
        Need::Rate { class, device_memory_min, .. }
            if *class != pool.class || (!pool.devices.is_zero() && pool.device_memory < *device_memory_min) =>
        {
            return Answer::OtherKind;
        }
        _ if sustained == 0 => return Answer::Unrated,
        Need::Rate { .. } if !pool.rating.as_ref().is_some_and(Rating::certified) => return Answer::Unrated,
        Need::Hardware { cores, devices } => (*cores, devices.as_ref().map_or(MilliDevices::ZERO, |need| need.count)),
        Need::Rate { rate, .. } => (
            pool.cores_for(*rate).unwrap_or_else(|| Millicores(share_up(pool.cores.0, rate.0, sustained))),
            MilliDevices(share_up(pool.devices.0, rate.0, sustained)),
        ),
    };
    let demand = Demand { cores, devices, memory: shape.memory };
    let tasks = u128::from(shape.gang.unwrap_or(1).max(1));
    let within = |each: u64, whole: u64| u128::from(each) * tasks <= u128::from(whole);
    let fits = within(demand.cores.0, pool.cores.0)
        && within(demand.memory.0, pool.memory.0)
        && within(demand.devices.0, pool.devices.0);
    if fits { domain::answer(pool, shape, demand) } else { Answer::TooSmall(demand) }
}

fn devices_match(pool: &Pool, need: &DeviceNeed) -> bool {
    !pool.devices.is_zero()
        && pool.device_memory >= need.memory_min
        && (need.any_of.is_empty() || need.any_of.contains(&pool.id))
}

/// `whole * part / of`, rounded up; more than `whole` when `part` is more than `of`.
fn share_up(whole: u64, part: u64, of: u64) -> u64 {
    let share = (u128::from(whole) * u128::from(part)).div_ceil(u128::from(of));
    u64::try_from(share).unwrap_or(u64::MAX)
}
