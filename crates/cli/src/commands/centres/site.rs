//! What a site's own scheduler keeps to, below its centre.

use huisuan_api::site::{SiteReservationView, SiteView};

use crate::{
    output::Output,
    table::{Cell, Listing},
};

/// Tables, each after an empty line; nothing of what there is none of.
pub(super) fn lines(output: &Output, site: &SiteView) -> Vec<String> {
    let mut lines = Vec::new();
    if !site.reservations.is_empty() {
        lines.extend([String::new(), output.table(&reservations(&site.reservations))]);
    }
    lines
}

fn reservations(reservations: &[SiteReservationView]) -> Listing {
    let mut listing = Listing::new(&["site_reservation", "for", "from", "until", "nodes", "pools"]);
    for one in reservations {
        let purpose = match (one.ours, one.maintenance) {
            (true, _) => "our jobs",
            (_, true) => "maintenance",
            _ => "others",
        };
        listing.row(vec![
            Cell::text(&one.name),
            Cell::text(purpose),
            Cell::text(one.from),
            Cell::text(one.until),
            Cell::text(one.nodes),
            Cell::text(if one.pools.is_empty() { "parts".to_owned() } else { one.pools.join(",") }),
        ]);
    }
    listing
}
