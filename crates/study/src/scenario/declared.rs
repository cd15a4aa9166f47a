//! What of a scenario's network operators would declare to the control plane: links, and power by the hour.

use std::sync::Arc;

use huisuan_model::{
    Facts, Money,
    facts::{Curve, Link, Power},
};
use huisuan_twin::setup::Site;

use super::{
    check::{Check, in_units},
    file::File,
    network::{HOURS, SiteFacts},
};
use crate::read::ReadError;

/// Gives every centre its facts.
pub(super) fn declare(
    check: Check<'_>,
    sites: &mut [Site],
    known: &[SiteFacts],
    file: &File,
    zone_ms: i64,
) -> Result<(), ReadError> {
    let mut all: Vec<Facts> = sites.iter().zip(known).map(|(site, facts)| power(site, facts, zone_ms)).collect();
    for link in &file.link {
        let price = check.number_or("price_cny_per_gb", link.price_cny_per_gb.as_ref(), 0.0, 0.0..=1e6)?;
        let from = sites.iter().position(|site| site.centre.id.as_str() == link.from.get_ref());
        let to = sites.iter().find(|site| site.centre.id.as_str() == link.to.get_ref());
        let (Some(from), Some(to)) = (from, to) else { continue };
        all[from].links.push(Link {
            to: to.centre.id.clone(),
            round_trip_us: in_units(*link.round_trip_ms.get_ref(), 1e3),
            bytes_per_s: in_units(*link.gbit_per_s.get_ref(), 1e9 / 8.0),
            price_per_gb: Money(in_units(price, 1e6) as i64),
        });
    }
    for (site, facts) in sites.iter_mut().zip(all) {
        if let Some(why) = facts.fault(&site.centre.id) {
            return Err(check.refuse("link", &file.name, &site.centre.id, &format!("sound links and power: {why}")));
        }
        site.centre.facts = (!facts.is_empty()).then(|| Arc::new(facts));
    }
    Ok(())
}

/// The power of a site that says what its machines draw.
fn power(site: &Site, known: &SiteFacts, zone_ms: i64) -> Facts {
    let mut draw_mw = std::collections::BTreeMap::new();
    for pool in &site.pools {
        let facts = known.pools[&pool.id];
        let units = if pool.devices.is_zero() { pool.cores.0 } else { pool.devices.0 };
        let watts = (facts.node_watts_busy - facts.node_watts_idle) * facts.nodes as f64;
        if watts > 0.0 && units > 0 {
            draw_mw.insert(pool.id.clone(), in_units(watts / units as f64, 1e6));
        }
    }
    if draw_mw.is_empty() {
        return Facts::default();
    }
    let curve = |hours: &[f64; HOURS], units: f64| -> Curve<u64> { hours.map(|figure| in_units(figure, units)) };
    let power = Power {
        offset_minutes: i32::try_from(zone_ms / 60_000).unwrap_or(0),
        price_per_kwh: curve(&known.power_cny_per_kwh, 1e6).map(|price| Money(price as i64)),
        carbon_g_per_kwh: curve(&known.carbon_g_per_kwh, 1.0).map(|grams| grams as u32),
        pue_permille: u32::try_from(in_units(known.pue, 1e3)).unwrap_or(u32::MAX),
        draw_mw,
    };
    Facts { power: Some(Box::new(power)), ..Facts::default() }
}
