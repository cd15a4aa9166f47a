//! Why a job waits: one dominant reason out of one enum, with numbers and names.
//!
//! The same code reaches command line, API, pages and metrics. Tiers follow what can be done about it:
//! what never can run is refused at the door; then what somebody must change; then what time mends.

use serde::{Deserialize, Serialize};

use crate::{
    advance::ReservationId,
    dependency::When,
    ids::{CentreId, JobId, PoolId},
    quantity::{Bytes, DurationMs, MilliDevices, Millicores, Money, TimeMs},
    topology::Level,
};

/// What leaves a tenant less to spend than it has money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetLimit {
    /// The budget of its month.
    Month,
    /// Its cap on what it may spend in an hour.
    Hour,
    /// The budget of the month of the job's project.
    Project,
}

/// What a quota is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaResource {
    /// Processor cores.
    Cores,
    /// Accelerators.
    Devices,
}

/// The dominant reason of a waiting shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// Every centre that could take it is paused.
    CentrePaused {
        /// The first of them.
        centre: CentreId,
    },
    /// Every centre that could take it is away.
    CentreAbsent {
        /// The first of them.
        centre: CentreId,
    },
    /// A task would not end before every centre that could take it closes for maintenance.
    CentreClosed {
        /// The centre that opens again first.
        centre: CentreId,
        /// When it closes.
        from: TimeMs,
        /// When it opens again.
        until: TimeMs,
    },
    /// No centre has joined that could take it, or none of its pools is rated yet.
    NoCentre {
        /// How many centres are known.
        centres: u32,
    },
    /// No centre that could take it runs container images.
    NoImages {
        /// How many centres are known.
        centres: u32,
    },
    /// What the tenant may spend does not cover the hold.
    Budget {
        /// The hold of one task, or of the whole gang.
        needed: Money,
        /// What it may spend: its free balance, or what a limit leaves of it.
        available: Money,
        /// The limit, where that is less than the free balance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<BudgetLimit>,
    },
    /// What is left of the job's own budget does not cover the hold.
    JobBudget {
        /// The smallest hold of one task anywhere, or of the whole gang.
        needed: Money,
        /// What is left of the budget, without what its tasks cost and hold.
        left: Money,
    },
    /// The tenant holds as much as its quota allows.
    Quota {
        /// Of what.
        resource: QuotaResource,
        /// What one task needs, or the whole gang, in thousandths of a core or device.
        needed: u64,
        /// What the tenant holds now, in thousandths.
        held: u64,
        /// The most that it may hold, in thousandths.
        limit: u64,
    },
    /// Hardware of the right kind is busy.
    Capacity {
        /// The centre with the nearest miss.
        centre: CentreId,
        /// Its pool.
        pool: PoolId,
        /// Cores that one task needs there.
        needed: Millicores,
        /// Cores free there now.
        free: Millicores,
        /// Memory that one task needs.
        memory_needed: Bytes,
        /// Memory free there now.
        memory_free: Bytes,
    },
    /// A centre that hides its queue has as much of ours waiting there as it is trusted with.
    InFlight {
        /// The first such centre with room by our books.
        centre: CentreId,
        /// Tasks that were handed over to it and did not start yet.
        in_flight: u64,
        /// The most that there may be, by what it started lately.
        most: u64,
    },
    /// Enough is free in sum, but on no node, or on too few for a gang.
    NodeCapacity {
        /// The centre with the nearest miss.
        centre: CentreId,
        /// Its pool.
        pool: PoolId,
        /// Devices that one task needs on one node, in thousandths.
        needed: MilliDevices,
        /// The most that are free on one node.
        node_free: MilliDevices,
        /// What is free on all nodes together.
        free: MilliDevices,
    },
    /// A gang's tasks do not fit together now.
    GangCapacity {
        /// The centre where most of them fit.
        centre: CentreId,
        /// Its pool.
        pool: PoolId,
        /// The size of the gang.
        needed: u32,
        /// How many fit there now.
        fits: u32,
    },
    /// Enough is free in the pool, but not within one of its racks or pods, which the gang requires.
    TopologyCapacity {
        /// The first centre with room in sum.
        centre: CentreId,
        /// Its pool.
        pool: PoolId,
        /// Within what.
        level: Level,
        /// The size of the gang.
        needed: u32,
        /// How many of its tasks fit into the roomiest domain of that level now.
        fits: u32,
        /// How many fit into the pool, wherever.
        free: u32,
    },
    /// What is near enough to its users has no room, or nothing is.
    Latency {
        /// The longest round trip that it bears, in milliseconds.
        round_trip_max: DurationMs,
        /// How many centres with hardware for it are within that.
        within: u32,
        /// Of those beyond, the nearest with room now, or the nearest at all where none is within.
        centre: CentreId,
        /// The round trip to that one, in microseconds; absent where no way to it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round_trip_us: Option<u64>,
    },
    /// Jobs of higher priority or age took what was free in this cycle.
    Behind {
        /// How many tasks were placed before it in this cycle.
        ahead: u64,
        /// Where it would have fitted.
        centre: CentreId,
    },
    /// It would fit now, but tenants that hold a smaller part of what they are due went first.
    FairShare {
        /// Where it would have fitted.
        centre: CentreId,
        /// How many tasks were placed before it in this cycle.
        ahead: u64,
        /// What the tenant holds of what it is due, in millionths: above 1,000,000 it holds more.
        held_ppm: u64,
    },
    /// It would fit now, but would keep a job ahead of it from starting when it was promised to.
    Reserved {
        /// Where it would fit.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// For which job capacity is kept.
        job: JobId,
        /// From when on.
        start_at: TimeMs,
    },
    /// It would fit now, but would reach into what is kept for others by a reservation in advance.
    Kept {
        /// Where it would fit.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// The first reservation that it would reach into.
        reservation: ReservationId,
        /// From when on that keeps something.
        from: TimeMs,
        /// Until when.
        until: TimeMs,
    },
    /// The reservation in advance that it names has not begun.
    ReservationLater {
        /// Which.
        reservation: ReservationId,
        /// When it begins.
        from: TimeMs,
    },
    /// The reservation in advance that it names is over, was taken back, or ends before a task of it would.
    ReservationOver {
        /// Which.
        reservation: ReservationId,
        /// When it ends; absent where it is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<TimeMs>,
    },
    /// Other jobs of the reservation in advance that it names hold what it keeps.
    ReservationFull {
        /// Which.
        reservation: ReservationId,
        /// How many of the job's tasks must start together.
        needed: u64,
        /// How many fit into what it still keeps.
        fits: u64,
    },
    /// Other jobs must come so far first.
    Dependency {
        /// The first of them, by number.
        on: JobId,
        /// What must become of it.
        when: When,
        /// How many jobs it waits for in all.
        jobs: u32,
    },
    /// The job's own limit of parallel tasks is reached.
    ParallelMax {
        /// That limit.
        limit: u32,
    },
    /// Not looked at yet: the next cycle will.
    NotPlanned,
}

impl Reason {
    /// The stable code, as in JSON and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::CentrePaused { .. } => "centre-paused",
            Reason::CentreAbsent { .. } => "centre-absent",
            Reason::CentreClosed { .. } => "centre-closed",
            Reason::NoCentre { .. } => "no-centre",
            Reason::NoImages { .. } => "no-images",
            Reason::Budget { .. } => "budget",
            Reason::JobBudget { .. } => "job-budget",
            Reason::Quota { .. } => "quota",
            Reason::Capacity { .. } => "capacity",
            Reason::InFlight { .. } => "in-flight",
            Reason::NodeCapacity { .. } => "node-capacity",
            Reason::GangCapacity { .. } => "gang-capacity",
            Reason::TopologyCapacity { .. } => "topology-capacity",
            Reason::Latency { .. } => "latency",
            Reason::Behind { .. } => "behind",
            Reason::FairShare { .. } => "fair-share",
            Reason::Reserved { .. } => "reserved",
            Reason::Kept { .. } => "kept",
            Reason::ReservationLater { .. } => "reservation-later",
            Reason::ReservationOver { .. } => "reservation-over",
            Reason::ReservationFull { .. } => "reservation-full",
            Reason::Dependency { .. } => "dependency",
            Reason::ParallelMax { .. } => "parallel-max",
            Reason::NotPlanned => "not-planned",
        }
    }
}
