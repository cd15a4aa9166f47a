//! What a site's own scheduler keeps to, on the wire.

use huisuan_model::{SiteBook, SiteFeatures, SiteQos, SiteReservation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::Timestamp;

/// What a site's own scheduler keeps to, as its agent tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteView {
    /// The site's own reservations that take nodes of this centre, the first to begin first.
    pub reservations: Vec<SiteReservationView>,
    /// The qualities of service that the network's jobs have or may have there, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qos: Vec<SiteQosView>,
    /// What its nodes are said to have, by pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SiteFeaturesView>,
}

/// The features of a pool's nodes, in the site's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteFeaturesView {
    /// The pool.
    pub pool: String,
    /// What all of its nodes have.
    pub all: Vec<String>,
    /// What some of them have: nobody can count on it.
    pub some: Vec<String>,
}

/// A quality of service, and what it lets one job have. What is absent has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteQosView {
    /// Its name there.
    pub name: String,
    /// The network's jobs have it.
    pub ours: bool,
    /// Its limits are kept there: what is beyond them is refused.
    pub kept: bool,
    /// How long a job may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walltime_max_ms: Option<u64>,
    /// Its cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_max: Option<u64>,
    /// Its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// Its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_max: Option<u64>,
    /// Its accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_max: Option<u64>,
    /// How many jobs one user may have there at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_max: Option<u64>,
}

/// A reservation of the site's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteReservationView {
    /// Its name there.
    pub name: String,
    /// It is for maintenance.
    pub maintenance: bool,
    /// The network's jobs run in it.
    pub ours: bool,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// How many nodes of this centre it takes.
    pub nodes: u64,
    /// The pools that it takes all nodes of.
    pub pools: Vec<String>,
}

impl From<&SiteBook> for SiteView {
    fn from(book: &SiteBook) -> Self {
        SiteView {
            reservations: book.reservations.iter().map(Into::into).collect(),
            qos: book.qos.iter().map(Into::into).collect(),
            features: book.features.iter().map(Into::into).collect(),
        }
    }
}

impl From<&SiteFeatures> for SiteFeaturesView {
    fn from(one: &SiteFeatures) -> Self {
        SiteFeaturesView { pool: one.pool.to_string(), all: one.all.clone(), some: one.some.clone() }
    }
}

impl From<&SiteQos> for SiteQosView {
    fn from(one: &SiteQos) -> Self {
        SiteQosView {
            name: one.name.clone(),
            ours: one.ours,
            kept: one.kept,
            walltime_max_ms: one.walltime_max.map(|most| most.0),
            cores_max: one.cores_max,
            memory_max_bytes: one.memory_max.map(|most| most.0),
            nodes_max: one.nodes_max,
            devices_max: one.devices_max,
            jobs_max: one.jobs_max,
        }
    }
}

impl From<&SiteReservation> for SiteReservationView {
    fn from(one: &SiteReservation) -> Self {
        SiteReservationView {
            name: one.name.clone(),
            maintenance: one.maintenance,
            ours: one.ours,
            from: one.from.into(),
            until: one.until.into(),
            nodes: one.nodes,
            pools: one.pools.iter().map(ToString::to_string).collect(),
        }
    }
}
