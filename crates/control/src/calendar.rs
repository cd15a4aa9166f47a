//! The zones that hours and months are counted in; derived from the centres, never stored.

use std::collections::BTreeMap;

use huisuan_ledger::tariff::Zone;
use huisuan_model::{Centre, CentreId, TimeMs};

/// Zones by centre, and that of bills.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    bills: Zone,
    utc: Zone,
    centres: BTreeMap<CentreId, Zone>,
}

impl Default for Calendar {
    fn default() -> Self {
        Calendar { bills: Zone::of_bills(), utc: Zone::default(), centres: BTreeMap::new() }
    }
}

impl Calendar {
    /// Takes a centre's zone. A name that is none of a zone is counted in UTC.
    pub(crate) fn set(&mut self, centre: &Centre) {
        self.centres.insert(centre.id.clone(), Zone::named(&centre.zone).unwrap_or_default());
    }

    pub(crate) fn zone(&self, centre: &CentreId) -> &Zone {
        self.centres.get(centre).unwrap_or(&self.utc)
    }

    /// The month of bills and budgets.
    pub(crate) fn month(&self, at: TimeMs) -> i32 {
        self.bills.month(at)
    }
}
