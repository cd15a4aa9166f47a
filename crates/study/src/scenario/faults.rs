//! What goes wrong, from the format to what the twin lets happen.

use huisuan_model::{CentreId, DurationMs, TimeMs};
use huisuan_twin::setup::{Fault, Site, Span};
use toml::Spanned;

use super::{
    check::{Check, in_units},
    file::File,
    network::SiteFacts,
};
use crate::read::ReadError;

/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// All faults of a file, for a run that begins at `start`.
pub(super) fn faults(
    check: Check<'_>,
    file: &File,
    sites: &[Site],
    facts: &[SiteFacts],
    start: TimeMs,
) -> Result<Vec<Fault>, ReadError> {
    let place = |value: &Spanned<String>| {
        check.known("centre", value, "centre", sites.iter().map(|site| site.centre.id.as_str()))
    };
    let centre = |value: &Spanned<String>| Ok::<CentreId, ReadError>(sites[place(value)?].centre.id.clone());
    let span = |from: &Spanned<f64>, until: &Spanned<f64>| {
        let first = check.number("from_h", from, 0.0..=87_840.0)?;
        let last = check.number("until_h", until, first..=87_840.0)?;
        let moment = |hours| start.after(DurationMs(in_units(hours, HOUR_MS)));
        Ok::<Span, ReadError>(Span { from: moment(first), until: moment(last) })
    };
    let mut faults = Vec::new();
    for found in &file.node_failures {
        let at = place(&found.centre)?;
        let pools = || facts[at].pools.iter();
        if let Some(pool) = &found.pool {
            check.known("pool", pool, "pool of the centre", pools().map(|(id, _)| id.as_str()))?;
        }
        let mean_between_ms = in_units(check.number("mean_between_h", &found.mean_between_h, 0.01..=1e7)?, HOUR_MS);
        let repair_ms = in_units(check.number("repair_h", &found.repair_h, 0.0..=1e5)?, HOUR_MS);
        let shown = sites[at].pools.iter().find(|pool| {
            pool.topology.is_some() && found.pool.as_ref().is_none_or(|named| named.get_ref() == pool.id.as_str())
        });
        if let Some(pool) = shown {
            let expected = "a pool without `rack_nodes`: which of the known nodes fails is not modelled yet";
            return Err(check.refuse("node_failures", &found.centre, &pool.id, expected));
        }
        let named = pools().filter(|(id, _)| found.pool.as_ref().is_none_or(|pool| pool.get_ref() == id.as_str()));
        faults.extend(named.map(|(pool, known)| Fault::Nodes {
            centre: sites[at].centre.id.clone(),
            pool: pool.clone(),
            nodes: known.nodes,
            mean_between_ms,
            repair_ms,
        }));
    }
    for found in &file.outage {
        let noticed_after_ms = found.noticed_after_s.saturating_mul(1_000);
        let (centre, span) = (centre(&found.centre)?, span(&found.from_h, &found.until_h)?);
        faults.push(Fault::Outage { centre, span, noticed_after_ms });
    }
    for found in &file.maintenance {
        faults.push(Fault::Maintenance { centre: centre(&found.centre)?, span: span(&found.from_h, &found.until_h)? });
    }
    apart(check, file, &faults)?;
    for found in &file.link_loss {
        faults.push(Fault::LinkLoss { centre: centre(&found.centre)?, span: span(&found.from_h, &found.until_h)? });
    }
    Ok(faults)
}

/// Refuses outages and maintenance of one centre that overlap: it would be open again when the first of them ends.
fn apart(check: Check<'_>, file: &File, faults: &[Fault]) -> Result<(), ReadError> {
    let closed = faults.iter().filter_map(|fault| match fault {
        Fault::Outage { centre, span, .. } | Fault::Maintenance { centre, span } => Some((centre, span)),
        Fault::Nodes { .. } | Fault::LinkLoss { .. } => None,
    });
    let fields =
        file.outage.iter().map(|found| &found.centre).chain(file.maintenance.iter().map(|found| &found.centre));
    let closed: Vec<_> = closed.zip(fields).collect();
    for (number, ((centre, span), field)) in closed.iter().enumerate() {
        let overlaps = |((other, earlier), _): &((&CentreId, &Span), &Spanned<String>)| {
            other == centre && earlier.from < span.until && span.from < earlier.until
        };
        let expected = "a centre that no other outage or maintenance closes at the same time";
        check.holds(!closed[..number].iter().any(overlaps), "centre", field, centre, expected)?;
    }
    Ok(())
}
