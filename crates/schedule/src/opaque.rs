//! Centres whose engine has a queue of its own (Slurm, Kubernetes): how much may be handed over to them, and how soon
//! they start it. Both follow from what they did, see [`Starts`].

use std::collections::BTreeMap;

use huisuan_model::{Band, OpaquePolicy, Pool, PoolId, StartDelay, Starts, TimeMs, starts::SIZE_BANDS};

use crate::{
    fit::Demand,
    snapshot::{Amounts, PoolView},
    translate::Problem,
};

/// What a cycle knows of the queue of an opaque centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueView {
    /// Tasks of ours that were handed over and did not start yet.
    pub in_flight: u64,
    /// The most that there may be.
    pub in_flight_most: u64,
    /// How soon each pool starts work, as full as it is now, by band of size.
    starts: BTreeMap<PoolId, [StartDelay; SIZE_BANDS as usize]>,
}

impl OpaqueView {
    /// What `starts` says of a centre with these pools.
    pub fn new(starts: &Starts, policy: &OpaquePolicy, in_flight: u64, pools: &[PoolView], now: TimeMs) -> Self {
        let of_pool = |view: &PoolView| {
            let load = band(&view.pool, view.used, Amounts::default()).load;
            let mut size = 0;
            let delays = [(); SIZE_BANDS as usize].map(|()| {
                size += 1;
                starts.delay(policy, Band { size: size - 1, load })
            });
            (view.pool.id.clone(), delays)
        };
        OpaqueView {
            in_flight,
            in_flight_most: starts.in_flight_most(policy, now),
            starts: pools.iter().map(of_pool).collect(),
        }
    }

    /// How soon tasks that go together start in a pool.
    pub fn start(&self, pool: &Pool, each: &Demand, together: u64) -> StartDelay {
        let each = Amounts { cores: each.cores, memory: each.memory, devices: each.devices };
        let size = band(pool, Amounts::default(), Amounts::default().plus(each, together)).size;
        self.starts.get(&pool.id).map(|delays| delays[usize::from(size)]).unwrap_or_default()
    }

    /// How soon one device starts, or one core of a pool without devices.
    pub(crate) fn one_of(&self, pool: &Pool) -> StartDelay {
        let Amounts { cores, memory, devices } = Amounts {
            cores: huisuan_model::Millicores(1_000),
            memory: huisuan_model::Bytes::ZERO,
            devices: huisuan_model::MilliDevices(1_000),
        };
        self.start(pool, &Demand { cores, memory, devices }, 1)
    }
}

/// Where work that takes so much stands in a pool of which so much is used: by devices, or by cores where it has none.
pub fn band(pool: &Pool, used: Amounts, takes: Amounts) -> Band {
    match pool.devices.0 {
        0 => Band::of(takes.cores.0, used.cores.0, pool.cores.0),
        devices => Band::of(takes.devices.0, used.devices.0, devices),
    }
}

/// How many tasks may be handed over to a centre that has so many in flight, `unit` of them going together: up to the
/// most, which a gang may pass. Otherwise large gangs would wait for ever behind a stream of small tasks.
pub fn hand_over(in_flight: u64, most: u64, unit: u64) -> u64 {
    match most.saturating_sub(in_flight) {
        0 => 0,
        left => left.max(unit),
    }
}

/// What is in flight while a cycle goes on.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    /// For each pool the number of its centre.
    centre_of: Vec<usize>,
    /// For each opaque centre what is in flight there, and the most that may be.
    centres: Vec<Option<(u64, u64)>>,
}

impl InFlight {
    pub(crate) fn new(problem: &Problem<'_>) -> Self {
        let pools = problem.pools_of.iter().enumerate();
        let of_centre =
            |centre: &crate::CentreView| centre.opaque.as_ref().map(|opaque| (opaque.in_flight, opaque.in_flight_most));
        InFlight {
            centre_of: pools.flat_map(|(centre, pools)| pools.clone().map(move |_| centre)).collect(),
            centres: problem.snapshot.centres.iter().map(of_centre).collect(),
        }
    }

    /// What is in flight at the centre of a pool, and the most that may be, where that is limited.
    pub(crate) fn at(&self, pool: usize) -> Option<(u64, u64)> {
        self.centres[self.centre_of[pool]]
    }

    /// How many tasks may be handed over, `unit` of them going together.
    pub(crate) fn room(&self, pool: usize, unit: u64) -> u64 {
        self.at(pool).map_or(u64::MAX, |(in_flight, most)| hand_over(in_flight, most, unit))
    }

    /// Counts tasks in.
    pub(crate) fn add(&mut self, pool: usize, count: u64) {
        if let Some((in_flight, _)) = &mut self.centres[self.centre_of[pool]] {
            *in_flight = in_flight.saturating_add(count);
        }
    }
}
