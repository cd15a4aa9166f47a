//! What a site's own scheduler keeps to, on the wire.

use huisuan_model::{SiteBook, SiteReservation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::Timestamp;

/// What a site's own scheduler keeps to, as its agent tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteView {
    /// The site's own reservations that take nodes of this centre, the first to begin first.
    pub reservations: Vec<SiteReservationView>,
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
        SiteView { reservations: book.reservations.iter().map(Into::into).collect() }
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
