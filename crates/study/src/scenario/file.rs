//! The format of a scenario file, field by field. Every unknown field is refused. Numbers that are checked carry the
//! place where they stand.

use std::collections::BTreeMap;

use huisuan_model::{Class, EngineKind, spec::Objective};
use serde::Deserialize;
use toml::{Spanned, value::Datetime};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) title: TitleFile,
    /// The first moment, with its offset from UTC.
    pub(super) start: Spanned<Datetime>,
    pub(super) hours: Spanned<f64>,
    pub(super) seed: u64,
    /// How often the time series has a line.
    #[serde(default = "ten")]
    pub(super) sample_minutes: Spanned<f64>,
    /// Ratings lie within this of the true rates.
    pub(super) rating_noise_percent: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) planning: PlanningFile,
    /// Policies of this scenario, by name.
    #[serde(default)]
    pub(super) policy: BTreeMap<String, huisuan_schedule::Policy>,
    #[serde(default)]
    pub(super) tenant: Vec<TenantFile>,
    #[serde(default)]
    pub(super) centre: Vec<CentreFile>,
    #[serde(default)]
    pub(super) link: Vec<LinkFile>,
    #[serde(default)]
    pub(super) family: Vec<FamilyFile>,
    #[serde(default)]
    pub(super) trace: Vec<TraceFile>,
    #[serde(default)]
    pub(super) node_failures: Vec<NodeFailuresFile>,
    #[serde(default)]
    pub(super) outage: Vec<OutageFile>,
    #[serde(default)]
    pub(super) maintenance: Vec<SpanFile>,
    #[serde(default)]
    pub(super) link_loss: Vec<SpanFile>,
    #[serde(default)]
    pub(super) reservation: Vec<ReservationFile>,
}

fn ten() -> Spanned<f64> {
    Spanned::new(0..0, 10.0)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TitleFile {
    pub(super) en: Option<String>,
    pub(super) zh: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanningFile {
    pub(super) policy: Option<Spanned<String>>,
    /// The shortest time between two cycles.
    pub(super) every_ms: Option<Spanned<u64>>,
    pub(super) placements_max: Option<u64>,
    pub(super) jobs_max: Option<u64>,
    /// Steps of the search for what could move to let others start.
    pub(super) improvement_steps_max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantFile {
    pub(super) id: Spanned<String>,
    pub(super) funds_cny: Spanned<f64>,
    /// The most jobs that it may have at once.
    pub(super) jobs_max: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CentreFile {
    pub(super) id: Spanned<String>,
    #[serde(default)]
    pub(super) title: TitleFile,
    pub(super) class: Class,
    #[serde(default = "simulated")]
    pub(super) engine: EngineKind,
    #[serde(default = "shanghai")]
    pub(super) zone: String,
    pub(super) latitude: Option<Spanned<f64>>,
    pub(super) longitude: Option<Spanned<f64>>,
    pub(super) price_cny_per_p_h: Spanned<f64>,
    pub(super) order_delay_ms: Option<u64>,
    pub(super) report_delay_ms: Option<u64>,
    /// Median and nine tenths of the wait in a queue that the network does not see.
    pub(super) hidden_wait_minutes: Option<Spanned<[f64; 2]>>,
    /// Energy of the whole site for one of its machines.
    pub(super) pue: Option<Spanned<f64>>,
    pub(super) power_cny_per_kwh: Option<Spanned<Hourly>>,
    pub(super) carbon_g_per_kwh: Option<Spanned<Hourly>>,
    #[serde(default)]
    pub(super) pool: Vec<PoolFile>,
}

fn simulated() -> EngineKind {
    EngineKind::Simulated
}

fn shanghai() -> String {
    "Asia/Shanghai".to_owned()
}

/// A figure for every hour of the local day, or one for all.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number, or a list of 24 numbers, one for each hour of the day")]
pub(super) enum Hourly {
    Constant(f64),
    ByHour(Box<[f64; 24]>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolFile {
    pub(super) part: Spanned<String>,
    /// The size, one way or the other.
    pub(super) declared_p: Option<Spanned<f64>>,
    pub(super) nodes: Option<Spanned<u64>>,
    pub(super) node_tflops: Spanned<f64>,
    #[serde(default)]
    pub(super) node_devices: u64,
    pub(super) node_cores: Spanned<u64>,
    pub(super) node_memory_gib: Spanned<u64>,
    pub(super) device_memory_gib: Option<u64>,
    /// What is sustained of the nameplate.
    pub(super) sustained_percent: Spanned<f64>,
    pub(super) node_watts_idle: Option<Spanned<f64>>,
    pub(super) node_watts_busy: Option<Spanned<f64>>,
    /// Nodes of one leaf switch: the network then chooses the nodes of tasks.
    pub(super) rack_nodes: Option<Spanned<u64>>,
    /// Racks of one spine.
    pub(super) pod_racks: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkFile {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    /// There and back.
    pub(super) round_trip_ms: Spanned<f64>,
    pub(super) gbit_per_s: Spanned<f64>,
    /// What 10^9 bytes cost.
    pub(super) price_cny_per_gb: Option<Spanned<f64>>,
    /// What moving 10^9 bytes takes; only reports count it.
    pub(super) wh_per_gb: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamilyFile {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) title: TitleFile,
    /// How many jobs come; absent for a family that comes after another.
    pub(super) jobs_per_day: Option<Spanned<u64>>,
    /// How many come at once.
    pub(super) burst: Option<Spanned<u64>>,
    /// How busy each hour of the local day is.
    pub(super) hours: Option<Spanned<[u64; 24]>>,
    /// Each brings a job when it ends well.
    pub(super) after: Option<Spanned<String>>,
    /// Who submits, with weights.
    pub(super) tenants: Spanned<BTreeMap<String, u64>>,
    pub(super) project: Option<Spanned<String>>,
    pub(super) class: Option<Class>,
    pub(super) centres: Option<Spanned<Vec<String>>>,
    pub(super) cores: Option<Spanned<f64>>,
    pub(super) devices: Option<Spanned<f64>>,
    pub(super) parts: Option<Spanned<Vec<String>>>,
    pub(super) device_memory_gib_min: Option<u64>,
    /// A need that any hardware of the class may serve, instead of cores and devices.
    pub(super) rate_gflops: Option<Spanned<u64>>,
    pub(super) memory_gib: Spanned<f64>,
    /// Its jobs run out of what this reservation keeps, and nowhere else.
    pub(super) reservation: Option<Spanned<String>>,
    /// How many tasks a job has; each of the list is as likely.
    pub(super) tasks: Option<Spanned<Vec<u64>>>,
    #[serde(default)]
    pub(super) gang: bool,
    /// `rack` or `pod` for a gang that must lie within one; as near as there is room when absent.
    pub(super) topology: Option<Spanned<String>>,
    pub(super) parallel_max: Option<u32>,
    #[serde(default)]
    pub(super) priority: i32,
    /// What its jobs prefer.
    pub(super) objective: Option<Objective>,
    #[serde(default)]
    pub(super) retries: u32,
    pub(super) walltime_s: Spanned<f64>,
    /// How long a task runs, wherever; or how much work it is.
    pub(super) run_s: Option<Spanned<DrawFile>>,
    pub(super) work_p_h: Option<Spanned<DrawFile>>,
    /// How far tasks of one job differ.
    pub(super) task_spread: Option<Spanned<f64>>,
    pub(super) failing_percent: Option<Spanned<f64>>,
    pub(super) busy_percent: Option<Spanned<f64>>,
    /// The longest round trip to those who use it, and the centre next to them.
    pub(super) round_trip_ms_max: Option<Spanned<f64>>,
    pub(super) users_at: Option<Spanned<String>>,
    /// What is moved to the task before it starts, and where it lies.
    pub(super) data_gib: Option<Spanned<f64>>,
    pub(super) data_at: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrawFile {
    pub(super) median: f64,
    /// 68 of 100 lie within this factor of the median.
    #[serde(default = "one")]
    pub(super) spread: f64,
    #[serde(default)]
    pub(super) min: f64,
    pub(super) max: Option<f64>,
}

fn one() -> f64 {
    1.0
}

/// Jobs of a file; see [`COLUMNS`](super::COLUMNS).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceFile {
    /// Relative to the scenario.
    pub(super) file: Spanned<String>,
    /// What these jobs are called in reports.
    pub(super) name: Spanned<String>,
    /// Moves them in time.
    #[serde(default)]
    pub(super) shift_s: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeFailuresFile {
    pub(super) centre: Spanned<String>,
    /// All pools of the centre when absent.
    pub(super) pool: Option<Spanned<String>>,
    /// Between two failures of one node.
    pub(super) mean_between_h: Spanned<f64>,
    pub(super) repair_h: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutageFile {
    pub(super) centre: Spanned<String>,
    pub(super) from_h: Spanned<f64>,
    pub(super) until_h: Spanned<f64>,
    #[serde(default)]
    pub(super) noticed_after_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanFile {
    pub(super) centre: Spanned<String>,
    pub(super) from_h: Spanned<f64>,
    pub(super) until_h: Spanned<f64>,
}

/// What is kept in advance for the jobs of a tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReservationFile {
    /// What families call it.
    pub(super) name: Spanned<String>,
    pub(super) tenant: Spanned<String>,
    /// The cheapest centre that has it all the time when absent.
    pub(super) centre: Option<Spanned<String>>,
    pub(super) part: Option<Spanned<String>>,
    pub(super) class: Option<Class>,
    pub(super) cores: Option<Spanned<f64>>,
    pub(super) devices: Option<Spanned<f64>>,
    pub(super) memory_gib: Option<Spanned<f64>>,
    pub(super) from_h: Spanned<f64>,
    pub(super) until_h: Spanned<f64>,
}
