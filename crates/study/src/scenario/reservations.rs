//! Reservations in advance, from the format to what the twin asks for at the beginning.

use huisuan_model::{AskedReservation, Bytes, DurationMs, MilliDevices, Millicores, ReservationId, TenantId, TimeMs};
use huisuan_twin::{
    World,
    setup::{Setup, Site},
};
use toml::Spanned;

use super::{
    check::{Check, in_units},
    file::{FamilyFile, File},
};
use crate::read::ReadError;

/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// All reservations of a file, for a run that begins at `start`.
pub(super) fn asked(
    check: Check<'_>,
    file: &File,
    sites: &[Site],
    tenants: &[TenantId],
    start: TimeMs,
) -> Result<Vec<AskedReservation>, ReadError> {
    let mut reservations = Vec::new();
    for (number, found) in file.reservation.iter().enumerate() {
        let name = found.name.get_ref();
        let twice = file.reservation[..number].iter().any(|other| other.name.get_ref() == name);
        check.holds(!twice, "name", &found.name, name, "a reservation that is listed once")?;
        let first = check.number("from_h", &found.from_h, 0.0..=8_784.0)?;
        let last = check.number("until_h", &found.until_h, first..=8_784.0)?;
        let amount = |field, value: &Option<Spanned<f64>>, units| {
            let checked = value.as_ref().map(|value| check.number(field, value, 0.001..=1e9)).transpose();
            checked.map(|found| found.map(|found| in_units(found, units)))
        };
        let centre = found
            .centre
            .as_ref()
            .map(|centre| check.known("centre", centre, "centre", sites.iter().map(|site| site.centre.id.as_str())));
        let tenant = check.known("tenant", &found.tenant, "tenant", tenants.iter().map(TenantId::as_str))?;
        reservations.push(AskedReservation {
            tenant: tenants[tenant].clone(),
            centre: centre.transpose()?.map(|at| sites[at].centre.id.clone()),
            pool: found.part.as_ref().map(|part| check.name("part", part)).transpose()?,
            class: found.class,
            cores: amount("cores", &found.cores, 1e3)?.map(Millicores),
            memory: amount("memory_gib", &found.memory_gib, (1u64 << 30) as f64)?.map(Bytes),
            devices: amount("devices", &found.devices, 1e3)?.map(MilliDevices),
            from: start.after(DurationMs(in_units(first, HOUR_MS))),
            until: start.after(DurationMs(in_units(last, HOUR_MS))),
            note: name.clone(),
            own: false,
        });
    }
    Ok(reservations)
}

/// The number of the reservation that a family names; all of the family's tenants must be the reservation's.
pub(super) fn of_family(
    check: Check<'_>,
    file: &File,
    family: &FamilyFile,
) -> Result<Option<ReservationId>, ReadError> {
    let Some(named) = &family.reservation else { return Ok(None) };
    let names = file.reservation.iter().map(|found| found.name.get_ref().as_str());
    let at = check.known("reservation", named, "reservation", names)?;
    let tenant = file.reservation[at].tenant.get_ref();
    let own = family.tenants.get_ref().keys().all(|name| name == tenant);
    check.holds(own, "reservation", named, named.get_ref(), "a reservation of the family's only tenant")?;
    Ok(Some(ReservationId(u32::try_from(at + 1).unwrap_or(u32::MAX))))
}

/// Refuses what the network has no room for, or never could have.
pub(super) fn possible(check: Check<'_>, file: &File, setup: &Setup) -> Result<(), ReadError> {
    if setup.reservations.is_empty() {
        return Ok(());
    }
    match World::refused_reservation(setup, ()) {
        None => Ok(()),
        Some((number, refusal)) => {
            let name = &file.reservation[number].name;
            Err(check.refuse("reservation", name, name.get_ref(), &format!("one that can be kept: {refusal}")))
        }
    }
}
