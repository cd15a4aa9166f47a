//! What the network level knows: supply of centres over the slots of a horizon, links, tenants, classes of work.
//!
//! Capacity of a pool is in thousandths of a device times milliseconds; a pool without devices counts cores.

pub use huisuan_model::StartDelay;
use huisuan_model::{Bytes, CentreId, Class, Gflop, GflopPerS, Money, PoolId, TenantId};
use serde::{Deserialize, Serialize};

/// One value for each hour of the day, by the centre's local time.
pub type Curve<T> = [T; 24];

/// The whole input of the network level. Every list is sorted by its id, without doubles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkModel {
    /// How long one slot is, in milliseconds. An hour or a part of it, so that curves of the day apply.
    pub slot_ms: u64,
    /// How many slots the horizon has. What starts later is for a later plan.
    pub slots: u32,
    /// By id.
    pub centres: Vec<CentreSupply>,
    /// By (from, to).
    pub links: Vec<Link>,
    /// By id.
    pub tenants: Vec<TenantDue>,
    /// By id.
    pub classes: Vec<WorkClass>,
}

/// What one centre can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentreSupply {
    /// Its name.
    pub id: CentreId,
    /// Local hour of the day at the beginning of the horizon, 0 to 23.
    pub hour: u8,
    /// What a kWh costs, in millionths. It may be negative, as markets are at times.
    pub power_price_per_kwh: Curve<Money>,
    /// Carbon intensity, in grams of CO2 for a kWh.
    pub carbon_g_per_kwh: Curve<u32>,
    /// Power of the whole site for each part that reaches devices, in thousandths: 1,250 is a PUE of 1.25.
    pub pue_permille: u32,
    /// The part of free capacity that flexible work may take: the hourly virtual capacity curve of Radovanović et al.,
    /// "Carbon-aware computing for datacenters" (2021), in thousandths.
    pub usable_permille: Curve<u16>,
    /// Power that the work of this plan may draw, PUE included, in watts; `None` where nothing limits it.
    pub power_max_w: Option<Curve<u64>>,
    /// Tasks that may still be handed to an opaque centre; `None` for a transparent one.
    pub in_flight_left: Option<u64>,
    /// By id.
    pub pools: Vec<PoolSupply>,
}

/// What one pool can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSupply {
    /// The part number. Centres with the same part have pools of the same name.
    pub id: PoolId,
    /// What its rate counts in.
    pub class: Class,
    /// Thousandths of a device (or core) that are free in each slot, on average: free now plus what comes free.
    pub free: Vec<u64>,
    /// Sustained rate of one whole device or core.
    pub rate: GflopPerS,
    /// Memory of one device; zero where there are no devices.
    pub device_memory: Bytes,
    /// Power of one device or core at work, in milliwatts, without PUE.
    pub power_mw: u64,
    /// Tariff of one device or core for an hour, in millionths.
    pub price_per_h: Money,
    /// How soon work starts that is sent there.
    pub start: StartDelay,
}

/// One direction of a connection between two centres.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where data leaves.
    pub from: CentreId,
    /// Where it arrives.
    pub to: CentreId,
    /// Bandwidth that this plan may use, in bytes per second.
    pub bytes_per_s: u64,
    /// Latency of one way, in microseconds.
    pub latency_us: u64,
    /// What 10^9 bytes cost, in millionths.
    pub price_per_gb: Money,
}

/// What a tenant is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDue {
    /// Its name.
    pub id: TenantId,
    /// How much more its work counts while it has less than its share (less where negative: more), in thousandths.
    pub lift_permille: i32,
    /// The most work of a class that this plan may give it; at most one for each class.
    pub quotas: Vec<Quota>,
}

/// A limit on the work of one class of compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Of which class.
    pub class: Class,
    /// How much.
    pub work_max: Gflop,
}

/// The stable number of a class of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkClassId(pub u64);

/// Tasks that the network level cannot tell apart. A gang is one task of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkClass {
    /// Its number.
    pub id: WorkClassId,
    /// Who pays.
    pub tenant: TenantId,
    /// How many tasks wait.
    pub tasks: u64,
    /// What one task runs on.
    pub hardware: Hardware,
    /// Memory that each device must have.
    pub device_memory_min: Bytes,
    /// The centres that it may go to; all when empty. In their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub centres: Vec<CentreId>,
    /// Data that must be where a task runs.
    pub data: Option<Data>,
    /// People or machines that it answers, when they bind it to a place.
    pub users: Option<Users>,
    /// A task must end within this from now, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// What one finished task is worth, in millionths. Priority is a factor in it.
    pub worth: Money,
    /// What its owner minds.
    pub wishes: Wishes,
    /// Prices that its owner agreed on with centres; elsewhere the tariff is asked. By (centre, pool).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreed: Vec<AgreedPrice>,
}

/// The price of a pool by a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreedPrice {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// Of one device or core for an hour, in millionths.
    pub price_per_h: Money,
}

/// What one task can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Hardware {
    /// Any of these parts, at the speed that was measured for this kind of work on each.
    Parts(Vec<Part>),
    /// Any part of a class, at its rated speed.
    Neutral {
        /// The class.
        class: Class,
        /// Thousandths of devices or cores that it uses at once.
        width: u64,
        /// Work of one task.
        work: Gflop,
    },
}

/// One alternative of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The part number.
    pub id: PoolId,
    /// Thousandths of devices or cores that it uses at once.
    pub width: u64,
    /// How long it runs there, in milliseconds.
    pub run_ms: u64,
}

/// Input of a task that lies at a centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where it lies.
    pub home: CentreId,
    /// How much of it each task needs.
    pub bytes: Bytes,
}

/// A bound of latency to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// The centre beside them.
    pub at: CentreId,
    /// The most that one way may take, in microseconds.
    pub latency_max_us: u64,
}

/// What the owner of a class minds, and how much. Zero means not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// What an hour until the end of a task costs it, in millionths; waiting and running count alike.
    pub time_per_h: Money,
    /// How much tariff, transfer and electricity count, in thousandths of what they cost.
    pub cost_permille: u32,
    /// What a kWh costs beside its price, in millionths.
    pub energy_per_kwh: Money,
    /// What a kilogram of CO2 costs, in millionths.
    pub carbon_per_kg: Money,
}
