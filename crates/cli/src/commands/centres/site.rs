//! What a site's own scheduler keeps to, below its centre.

use huisuan_api::site::{SiteFeaturesView, SiteQosView, SiteReservationView, SiteView};

use crate::{
    output::Output,
    table::{Cell, Listing},
    text,
};

/// Tables, each after an empty line; nothing of what there is none of.
pub(super) fn lines(output: &Output, site: &SiteView) -> Vec<String> {
    let mut lines = Vec::new();
    if !site.reservations.is_empty() {
        lines.extend([String::new(), output.table(&reservations(&site.reservations))]);
    }
    if !site.qos.is_empty() {
        lines.extend([String::new(), output.table(&qualities(&site.qos))]);
    }
    if !site.features.is_empty() {
        lines.extend([String::new(), output.table(&features(&site.features))]);
    }
    lines
}

fn features(features: &[SiteFeaturesView]) -> Listing {
    let mut listing = Listing::new(&["pool", "all_nodes_have", "some_have"]);
    for one in features {
        let words = |words: &[String]| if words.is_empty() { Cell::none() } else { Cell::text(words.join(",")) };
        listing.row(vec![Cell::text(&one.pool), words(&one.all), words(&one.some)]);
    }
    listing
}

fn qualities(qualities: &[SiteQosView]) -> Listing {
    let mut listing = Listing::new(&[
        "site_qos",
        "our_jobs",
        "limits",
        "walltime",
        "cores",
        "memory_bytes",
        "nodes",
        "devices",
        "jobs",
    ]);
    let amount = |most: Option<u64>| most.map_or_else(Cell::none, Cell::text);
    for one in qualities {
        listing.row(vec![
            Cell::text(&one.name),
            Cell::text(if one.ours { "have it" } else { "may have it" }),
            Cell::text(if one.kept { "kept" } else { "not kept" }),
            one.walltime_max_ms.map_or_else(Cell::none, |ms| Cell::figure(text::span(ms), ms)),
            amount(one.cores_max),
            one.memory_max_bytes.map_or_else(Cell::none, |bytes| Cell::figure(text::memory(bytes), bytes)),
            amount(one.nodes_max),
            amount(one.devices_max),
            amount(one.jobs_max),
        ]);
    }
    listing
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
