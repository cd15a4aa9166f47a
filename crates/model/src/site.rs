//! What a site's own scheduler keeps to, as its agent tells it: for people. What follows from it for work comes by other
//! ways: closed spans, pools that are smaller, orders that are refused.

use serde::{Deserialize, Serialize};

use crate::{
    ids::PoolId,
    quantity::{Bytes, DurationMs, TimeMs},
};

/// The most reservations that are told, and the most qualities of service.
pub const LINES_MAX: usize = 100;

/// What a site's own scheduler has written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteBook {
    /// Its reservations that take nodes of ours, the first to begin first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<SiteReservation>,
    /// The qualities of service that our jobs may have, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qos: Vec<SiteQos>,
    /// What its nodes are said to have, by pool; without pools of whose nodes nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SiteFeatures>,
}

/// The features of a pool's nodes, in the site's own words, each once and in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFeatures {
    /// The pool.
    pub pool: PoolId,
    /// What all of its nodes have: a task there has it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
    /// What some of them have: nobody can count on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub some: Vec<String>,
}

/// A reservation of the site's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteReservation {
    /// Its name there.
    pub name: String,
    /// It is for maintenance: nobody's jobs run in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Our jobs run in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// How many of our nodes it takes.
    pub nodes: u64,
    /// The pools that it takes all nodes of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolId>,
}

/// A quality of service, and what it lets one job have. What is absent has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteQos {
    /// Its name there.
    pub name: String,
    /// Our jobs have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// Its limits are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// How long a job may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walltime_max: Option<DurationMs>,
    /// Its cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_max: Option<u64>,
    /// Its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<Bytes>,
    /// Its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_max: Option<u64>,
    /// Its accelerators, whatever their type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_max: Option<u64>,
    /// How many jobs one user may have there at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_max: Option<u64>,
}
