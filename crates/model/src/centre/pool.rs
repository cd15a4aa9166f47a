//! Pools: what a centre has of one part number.

use serde::{Deserialize, Serialize};

use super::{Class, Tariff, Terms};
use crate::{
    ids::PoolId,
    quantity::{Bytes, Gflop, GflopPerS, MilliDevices, Millicores},
    rating::Rating,
    topology::Topology,
};

/// The devices of one part number in one centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The part number.
    pub id: PoolId,
    /// The class its rating is in.
    pub class: Class,
    /// Processor cores that may be given away.
    pub cores: Millicores,
    /// Memory that may be given away.
    pub memory: Bytes,
    /// Accelerators; zero for a pool of processors.
    pub devices: MilliDevices,
    /// Memory of one accelerator.
    pub device_memory: Bytes,
    /// The rating in force; work is placed only on rated pools.
    pub rating: Option<Rating>,
    /// Whether its engine runs container images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub images: bool,
    /// Its nodes and how they are connected, where its centre lets the network choose them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
}

impl Pool {
    /// The share of the pool's rate that these cores and devices are: the devices' share where the pool
    /// has devices, otherwise the cores' share. `None` while the pool is not rated.
    pub fn share(&self, cores: Millicores, devices: MilliDevices) -> Option<RatedShare> {
        let rating = self.rating.as_ref()?;
        let (part, whole) = if self.devices.is_zero() { (cores.0, self.cores.0) } else { (devices.0, self.devices.0) };
        Some(RatedShare { class: self.class, version: rating.version, sustained: rating.sustained, part, whole })
    }

    /// The terms on which a share of it is given under a tariff. `None` while the pool is not rated.
    pub fn terms(&self, cores: Millicores, devices: MilliDevices, tariff: &Tariff) -> Option<Terms> {
        let mark = self.rating.as_ref()?.mark;
        Some(Terms { share: self.share(cores, devices)?, tariff: tariff.clone(), mark })
    }

    /// Work done in `ms` milliseconds by a share of the pool; nothing while it is not rated.
    pub fn work(&self, cores: Millicores, devices: MilliDevices, ms: u64) -> Gflop {
        self.share(cores, devices).map_or(Gflop::ZERO, |share| share.work(ms))
    }

    /// The cores that reach `rate`, rounded up to a millicore; `None` when the pool has no rating or
    /// is too slow as a whole.
    pub fn cores_for(&self, rate: GflopPerS) -> Option<Millicores> {
        let sustained = self.rating.as_ref()?.sustained.0;
        if sustained == 0 || rate.0 > sustained {
            return None;
        }
        let need = u128::from(rate.0) * u128::from(self.cores.0);
        u64::try_from(need.div_ceil(u128::from(sustained))).ok().map(Millicores)
    }
}

/// A part of a rated pool, with all that counting its work needs: later ratings do not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatedShare {
    /// The class whose unit counts.
    pub class: Class,
    /// The version of the pool's rating.
    pub version: u32,
    /// Sustained rate of the whole pool.
    pub sustained: GflopPerS,
    /// Millicores or thousandths of devices given.
    pub part: u64,
    /// The same of the whole pool.
    pub whole: u64,
}

impl RatedShare {
    /// Its rate, rounded up to a GFLOP/s and capped at 64 bits, so that what is held is never counted as nothing.
    pub fn rate_up(&self) -> GflopPerS {
        let rate = (u128::from(self.part) * u128::from(self.sustained.0)).div_ceil(u128::from(self.whole).max(1));
        GflopPerS(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// Work done in `ms` milliseconds, rounded down to a GFLOP and capped at 64 bits.
    pub fn work(&self, ms: u64) -> Gflop {
        let whole = u128::from(self.whole) * 1000;
        if whole == 0 {
            return Gflop::ZERO;
        }
        let work = (u128::from(ms) * u128::from(self.part)).saturating_mul(u128::from(self.sustained.0)) / whole;
        Gflop(u64::try_from(work).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mark, TimeMs};

    fn pool(sustained: u64) -> Pool {
        Pool {
            id: PoolId::new("cpu:test").expect("a valid name"),
            class: Class::Hpc,
            cores: Millicores(2000),
            memory: Bytes(1 << 30),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: Some(Rating::plain(
                GflopPerS(sustained),
                GflopPerS(sustained * 2),
                "test/1",
                Mark::Measured,
                TimeMs(0),
            )),
            images: false,
            topology: None,
        }
    }

    #[test]
    fn work_is_share_times_rate_times_time() {
        assert_eq!(pool(60).work(Millicores(1000), MilliDevices::ZERO, 1000), Gflop(30));
        assert_eq!(pool(60).work(Millicores(500), MilliDevices::ZERO, 2000), Gflop(30));
        assert_eq!(pool(60).work(Millicores(2000), MilliDevices::ZERO, 0), Gflop(0));
        assert_eq!(pool(u64::MAX / 2).work(Millicores(2000), MilliDevices::ZERO, u64::MAX), Gflop(u64::MAX));
    }

    #[test]
    fn neutral_demand_becomes_cores_by_rating() {
        assert_eq!(pool(60).cores_for(GflopPerS(30)), Some(Millicores(1000)));
        assert_eq!(pool(60).cores_for(GflopPerS(1)), Some(Millicores(34)));
        assert_eq!(pool(60).cores_for(GflopPerS(61)), None);
        assert_eq!(pool(0).cores_for(GflopPerS(1)), None);
    }
}
