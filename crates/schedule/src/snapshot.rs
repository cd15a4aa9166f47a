//! What a cycle knows: centres with what is used of them, waiting jobs by shape, free balances.

use huisuan_model::{
    Bytes, CentreId, Class, JobId, MilliDevices, Millicores, Money, Pool, RangeSet, Shape, Tariff, TenantId, TimeMs,
};

/// The state of the network at one version, as far as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The version of the state that it was made from.
    pub version: u64,
    /// All known centres, in the order of their ids.
    pub centres: Vec<CentreView>,
    /// Every shape that has waiting tasks, in the order of shapes.
    pub shapes: Vec<ShapeView>,
    /// The tenants of these shapes at least, in the order of their ids.
    pub tenants: Vec<TenantView>,
}

/// One centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentreView {
    /// Its name.
    pub id: CentreId,
    /// The class it is run as.
    pub class: Class,
    /// Whether it takes new work.
    pub active: bool,
    /// Its price.
    pub tariff: Tariff,
    /// Its pools, in the order of their ids.
    pub pools: Vec<PoolView>,
}

/// One pool and what our books say is used of it: by placed and by running attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// What it has.
    pub pool: Pool,
    /// Cores used. May exceed those of the pool, by the look-ahead.
    pub cores_used: Millicores,
    /// Memory used. May exceed that of the pool, by the look-ahead.
    pub memory_used: Bytes,
    /// Devices used. May exceed those of the pool, by the look-ahead.
    pub devices_used: MilliDevices,
}

/// Waiting jobs that the scheduler cannot tell apart but by priority, age and length of their tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeView {
    /// What they share.
    pub shape: Shape,
    /// The first of them in queue order: priority falling, then submission, then id. An order that is
    /// not this one is kept within the shape.
    pub jobs: Vec<JobView>,
    /// Jobs of the shape that were left out of `jobs`, all later in the queue.
    pub more: u64,
}

/// One waiting job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// Larger goes first.
    pub priority: i32,
    /// Of two of the same priority the earlier goes first.
    pub submitted_at: TimeMs,
    /// Tasks that are not placed.
    pub waiting: RangeSet,
    /// How many tasks are placed or running.
    pub active: u64,
    /// The most tasks that may be placed or running at once.
    pub parallel_max: Option<u32>,
    /// How long its tasks take, in milliseconds, where that is known. Only tasks of known length are
    /// placed ahead of free capacity.
    pub mean_run_ms: Option<u64>,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    /// Its name.
    pub id: TenantId,
    /// What it may still spend. All tariffs are taken to be in its currency.
    pub available: Money,
}
