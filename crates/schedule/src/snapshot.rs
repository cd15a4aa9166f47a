//! What a cycle knows: centres with what is used of them, waiting jobs by shape, free balances.

use std::sync::Arc;

use crate::{
    advance::Reserved,
    holdings::Holdings,
    network::Lengths,
    opaque::OpaqueView,
    pack::Fleet,
    reach::{Traffic, Ways},
};
use huisuan_model::{
    BudgetLimit, Bytes, CentreId, Class, Facts, JobId, MilliDevices, Millicores, Money, Place, Pool, PoolId, ProjectId,
    RangeSet, Shape, Targets, Tariff, TenantId, TimeMs,
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
    /// What the network level wants of each kind of work, where it has a say.
    pub targets: Option<Arc<Targets>>,
    /// How long work ran lately, where somebody keeps it: the network level asks.
    pub lengths: Arc<Lengths>,
    /// The ways between the centres, where somebody keeps them; found anew when absent.
    pub ways: Option<Arc<Ways>>,
    /// What is under way on them.
    pub traffic: Arc<Traffic>,
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
    /// Whether its agent has not been heard for long: it takes no work, though nobody paused it.
    pub absent: bool,
    /// When it or one of its pools is closed for maintenance.
    pub closed: Vec<Window>,
    /// Where it stands, if that is known.
    pub place: Option<Place>,
    /// Its links and its power, as far as they are declared.
    pub facts: Option<Arc<Facts>>,
    /// What is known of its queue, where its engine hides it.
    pub opaque: Option<Arc<OpaqueView>>,
}

/// A time in which no task may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: TimeMs,
    /// Its end, exclusive.
    pub until: TimeMs,
    /// Only this pool; the whole centre when absent.
    pub pool: Option<PoolId>,
}

impl Window {
    /// Whether it closes `pool` at some moment of `[from, until)`.
    pub fn meets(&self, pool: &PoolId, from: TimeMs, until: TimeMs) -> bool {
        self.from.max(from) < self.until.min(until) && self.concerns(pool)
    }

    /// Whether it closes `pool` at all.
    pub fn concerns(&self, pool: &PoolId) -> bool {
        self.pool.as_ref().is_none_or(|closed| closed == pool)
    }
}

/// One pool and what our books say is used of it: by placed and by running attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// What it has.
    pub pool: Pool,
    /// What is used of it. May exceed what it has, by the look-ahead.
    pub used: Amounts,
    /// The part of `used` by tasks that are not known to be short: nothing is placed ahead behind them.
    pub long: Amounts,
    /// Who holds what is used, and when it comes free. Shared with the state that it was made from.
    pub holdings: Arc<Holdings>,
    /// Its nodes with what is free on them, where its centre shows them; tasks then get nodes and devices.
    pub nodes: Option<Fleet>,
    /// By when all that runs on each of them has ended at the latest; empty where that is not known, and then no gang
    /// is promised a rack.
    pub node_ends: Vec<TimeMs>,
    /// What is kept of it in advance, in the order of numbers.
    pub reserved: Vec<Reserved>,
}

/// An amount of each resource of a pool. Their order says nothing; it makes them keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amounts {
    /// Processor cores.
    pub cores: Millicores,
    /// Memory.
    pub memory: Bytes,
    /// Accelerators.
    pub devices: MilliDevices,
}

impl Amounts {
    /// These and as many times others, capped at 64 bits.
    #[must_use]
    pub fn plus(self, other: Amounts, times: u64) -> Amounts {
        let sum = |a: u64, b: u64| a.saturating_add(b.saturating_mul(times));
        Amounts {
            cores: Millicores(sum(self.cores.0, other.cores.0)),
            memory: Bytes(sum(self.memory.0, other.memory.0)),
            devices: MilliDevices(sum(self.devices.0, other.devices.0)),
        }
    }

    /// These without others, as far as they have them.
    #[must_use]
    pub fn less(self, other: Amounts) -> Amounts {
        Amounts {
            cores: Millicores(self.cores.0.saturating_sub(other.cores.0)),
            memory: Bytes(self.memory.0.saturating_sub(other.memory.0)),
            devices: MilliDevices(self.devices.0.saturating_sub(other.devices.0)),
        }
    }

    /// The lesser of each.
    #[must_use]
    pub fn least(self, other: Amounts) -> Amounts {
        Amounts {
            cores: self.cores.min(other.cores),
            memory: self.memory.min(other.memory),
            devices: self.devices.min(other.devices),
        }
    }

    /// These without others that are part of them.
    #[must_use]
    pub fn minus(self, part: Amounts) -> Amounts {
        let rest = |a: u64, b: u64| a.checked_sub(b).expect("a part is no more than the whole");
        Amounts {
            cores: Millicores(rest(self.cores.0, part.cores.0)),
            memory: Bytes(rest(self.memory.0, part.memory.0)),
            devices: MilliDevices(rest(self.devices.0, part.devices.0)),
        }
    }
}

/// Waiting jobs that the scheduler cannot tell apart but by priority, age and length of their tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeView {
    /// What they share.
    pub shape: Shape,
    /// The first of them in queue order: priority falling, then deadline, then submission, then id. An order that
    /// is not this one is kept within the shape.
    pub jobs: Vec<JobView>,
    /// Jobs of the shape that were left out of `jobs`, all later in the queue.
    pub more: u64,
    /// What may be held for it beside its tenant's money, such as of a project's budget; no such limit when absent.
    pub available: Option<Money>,
    /// What limits it to that.
    pub limit: Option<BudgetLimit>,
    /// What is left of the budget of the one job of the shape that has its own.
    pub budget: Option<Money>,
    /// Prices that were agreed with its tenant, in the order of centres and pools; elsewhere the centre's own is asked.
    pub agreed: Vec<Agreed>,
}

/// The price that a tenant agreed on with a centre, for a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Agreed {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// Millionths of the currency for one P·h, at most.
    pub price_per_p_h: Money,
}

impl Agreed {
    /// The agreed price of a pool among prices in the order of centres and pools.
    pub fn of(agreed: &[Agreed], centre: &CentreId, pool: &PoolId) -> Option<Money> {
        let found = agreed.binary_search_by(|one| (&one.centre, &one.pool).cmp(&(centre, pool)));
        found.ok().map(|at| agreed[at].price_per_p_h)
    }
}

impl ShapeView {
    /// What may be held for it beside its tenant's money, by all limits; no limit when absent.
    pub(crate) fn own(&self) -> Option<Money> {
        self.available.into_iter().chain(self.budget).min()
    }

    /// What its tenant pays for one P·h on a pool, in millionths.
    pub fn price(&self, centre: &CentreView, pool: &PoolId) -> Money {
        Agreed::of(&self.agreed, &centre.id, pool).unwrap_or(centre.tariff.price_per_p_h)
    }

    /// Jobs of a shape: all that there are, limited by nothing but their tenant's money.
    pub fn new(shape: Shape, jobs: Vec<JobView>) -> Self {
        ShapeView { shape, jobs, more: 0, available: None, limit: None, budget: None, agreed: Vec::new() }
    }
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
    /// When it must have ended.
    pub deadline_at: Option<TimeMs>,
    /// Whether its tasks may be ended to make room for others.
    pub preemptible: bool,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    /// Its name.
    pub id: TenantId,
    /// What it may still spend. All tariffs are taken to be in its currency.
    pub available: Money,
    /// What limits it to that, where it is not its money.
    pub limit: Option<BudgetLimit>,
    /// Twice the weight is due twice the share; from 1.
    pub weight: u32,
    /// The most that it may hold at once.
    pub quota: Quota,
    /// Its projects whose weight is not 1, in the order of their ids.
    pub projects: Vec<ProjectView>,
}

impl TenantView {
    /// A tenant of weight 1 without a quota.
    pub fn new(id: TenantId, available: Money) -> Self {
        TenantView { id, available, limit: None, weight: 1, quota: Quota::default(), projects: Vec::new() }
    }
}

/// The most that a tenant may hold at once over all centres, by placed and running attempts; no limit when absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Processor cores.
    pub cores: Option<Millicores>,
    /// Accelerators.
    pub devices: Option<MilliDevices>,
}

/// One project of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectView {
    /// Its name.
    pub id: ProjectId,
    /// Twice the weight is due twice the share of what its tenant has; from 1.
    pub weight: u32,
}
