//! Centres on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    facts::FactsFields,
    site::SiteView,
    wire::{Amount, Timestamp},
};

/// All centres in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CentreList {
    /// The centres.
    pub centres: Vec<CentreView>,
}

/// One centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CentreView {
    /// Its name.
    pub centre: String,
    /// `ai`, `hpc` or `general`.
    pub class: String,
    /// `local`, `slurm`, `kubernetes` or `simulated`.
    pub engine: String,
    /// IANA time zone.
    pub zone: String,
    /// `active` or `paused`.
    pub state: String,
    /// True when its cores are also another centre's: such capacities are never added.
    pub overlapping: bool,
    /// Its price.
    pub tariff: TariffView,
    /// Whether its agent was heard lately.
    pub connected: bool,
    /// Since when it counts as away and gets no new work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Timestamp>,
    /// When its agent was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// How memory limits are kept there, in the engine's words, such as `cgroup` or `watched`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mode: Option<String>,
    /// Whether its engine runs container images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub images: bool,
    /// When it or a pool of it runs nothing: maintenance that goes on or is to come, and what ended lately.
    #[serde(default)]
    pub windows: Vec<WindowView>,
    /// What its own scheduler keeps to, where its agent tells that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteView>,
    /// What is declared of its place, links and power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<FactsFields>,
    /// What somebody has to look at there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmView>,
    /// Its pools in the order of their names.
    pub pools: Vec<PoolView>,
    /// Attempts placed or running there.
    pub active: u64,
}

/// The body of a request for a new centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCentreRequest {
    /// Its name.
    pub centre: String,
    /// `ai`, `hpc` or `general`: the class that it is run as.
    pub class: String,
    /// `local` (when absent), `slurm` or `kubernetes`: what it runs work with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Its IANA time zone; `UTC` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The price of one P·h of its class, in millionths of CNY; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_p_h: Option<i64>,
}

/// A new token of a centre's agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CentreToken {
    /// Whose it is.
    pub centre: String,
    /// The class that the centre is run as.
    pub class: String,
    /// What it runs work with.
    pub engine: String,
    /// The token. It is told this once: the server keeps its hash.
    pub token: String,
}

/// All alarms, by centre and age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmList {
    /// The alarms.
    pub alarms: Vec<AlarmView>,
}

/// Something at a centre that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmView {
    /// Where.
    pub centre: String,
    /// `unknown-attempt`, `ended-attempt`, `foreign-attempt`, `missing-attempt`, `false-report`,
    /// `false-epoch` or `engine`.
    pub kind: String,
    /// What it is about, such as an attempt.
    pub subject: String,
    /// What was found.
    pub detail: String,
    /// When it was first found.
    pub since: Timestamp,
}

/// Maintenance of a centre or of a pool of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowView {
    /// Its number at its centre.
    pub window: u32,
    /// The pool; `null` for all of the centre.
    pub pool: Option<String>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Why.
    pub note: String,
}

/// The body of a request for maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// The pool; all of the centre when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Why, for people; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The price of a centre's compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TariffView {
    /// The price of one P·h of the centre's class.
    pub price_per_p_h: Amount,
}

/// The devices of one part number in one centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// The part number.
    pub pool: String,
    /// The class that it is rated in.
    pub class: String,
    /// Cores that may be given away.
    pub cores: f64,
    /// Cores given away now.
    pub cores_used: f64,
    /// Memory that may be given away.
    pub memory_bytes: u64,
    /// Memory given away now.
    pub memory_used_bytes: u64,
    /// Accelerators that may be given away.
    #[serde(default)]
    pub devices: f64,
    /// Accelerators given away now.
    #[serde(default)]
    pub devices_used: f64,
    /// How fast it is; `null` before its first rating.
    pub rating: Option<RatingView>,
}

/// How fast a pool is, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RatingView {
    /// Sustained rate of the whole pool in the precision of its class.
    pub sustained_gflop_per_s: u64,
    /// Peak of the whole pool as computed or declared.
    pub nameplate_gflop_per_s: u64,
    /// How it was found.
    pub method: String,
    /// Counts from 1.
    pub version: u32,
    /// `measured`, `modelled` or `declared`: where `sustained_gflop_per_s` comes from.
    pub mark: String,
    /// When.
    pub rated_at: Timestamp,
    /// Whether its units may be sold: it was measured or modelled, and nobody doubts it.
    #[serde(default)]
    pub certified: bool,
    /// Why it is not believed; while there is a doubt, nothing new is placed on the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<DoubtView>,
    /// The signed rest of the record; `null` for ratings without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateView>,
}

/// Why a rating is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoubtView {
    /// `above-nameplate`, `above-part`, `above-peers`, `signature`, `other-key` or `expired`.
    pub code: String,
    /// In words, with numbers.
    pub detail: String,
}

/// What an agent signed beside the rate of the pool's class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// The rates of the whole pool by precision.
    pub rates: Vec<PrecisionRateView>,
    /// Memory of one device, or of the pool where it has none.
    pub memory_bytes: u64,
    /// Measured memory bandwidth of the whole pool in MB/s.
    pub bandwidth_mb_per_s: Option<u64>,
    /// Declared power cap of the whole pool.
    pub watts: Option<u32>,
    /// SHA-256 of what the machine says of itself.
    pub host_hash: String,
    /// SHA-256 of the record with all raw timings, which stays at the centre.
    pub data_hash: String,
    /// From when on the rating does not count any more.
    pub expires_at: Timestamp,
    /// The ed25519 key that signed it.
    pub key: String,
    /// The signature.
    pub signature: String,
}

/// The rates of a pool in one precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrecisionRateView {
    /// `fp64`, `fp32`, `bf16`, ...
    pub precision: String,
    /// Sustained rate; `null` where only the nameplate is known.
    pub sustained_gflop_per_s: Option<u64>,
    /// Peak as computed or declared.
    pub nameplate_gflop_per_s: Option<u64>,
}

/// Names a pool of a centre, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolRequest {
    /// Which pool; all of the centre's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}
