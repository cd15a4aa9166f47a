//! Series of prices and carbon intensities as the hours of a day at one centre of a network.

use std::path::Path;

use jiff::tz::TimeZone;

use super::{Assumptions, Format, ImportError, Made, NetworkFile, network_file::HourlyField, site::zone_of};
use crate::read::{
    energy::{Series, read_carbon, read_prices},
    read_text,
};

/// The hours of the day.
const HOURS: usize = 24;

/// What a series came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct HoursOfDay {
    /// Values that were read.
    pub values: u64,
    /// Rows without a value.
    pub empty: u64,
    /// Hours of the day whose mean was below zero and became zero: no scenario has such prices.
    pub below_zero: u64,
    /// The mean of each hour of the local day, in the unit of the scenario's field: yuan or grams per kWh.
    pub means: [f64; HOURS],
    /// The field of the centre that it became.
    pub field: &'static str,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// Reads a series and puts the mean of each of its hours of the day into a centre of a network. Hours are those
/// of clocks in the zone; in a scenario they count by the offset of its start.
///
/// # Errors
/// When the file is malformed, the zone or the centre not known, or an hour of the day has no value.
pub fn import_hours(
    format: Format,
    file: &Path,
    zone_name: Option<&str>,
    network: &NetworkFile,
    centre: &str,
    assume: &Assumptions,
) -> Result<(Made, HoursOfDay), ImportError> {
    let zone = zone_of(zone_name.unwrap_or("UTC"))?;
    let text = read_text(file)?;
    let (field, series, unit, assumed) = match format {
        Format::Prices => {
            let rate = format!("{} yuan for a euro", assume.cny_per_eur);
            (HourlyField::Power, read_prices(&text, &zone)?, 1e6 / assume.cny_per_eur, vec![rate])
        }
        _ => (HourlyField::Carbon, read_carbon(&text)?, 1e3, Vec::new()),
    };
    let mut means =
        means(&series, &zone).map_err(|hour| ImportError::Hour { file: file.display().to_string(), hour })?;
    let below_zero = means.iter().filter(|mean| **mean < 0.0).count() as u64;
    // Ten-thousandths of a yuan or a gram, which every reader of the file gives back as they are.
    means.iter_mut().for_each(|mean| *mean = (mean.max(0.0) / unit * 1e4).round() / 1e4);
    let shown: Vec<String> = means.iter().map(f64::to_string).collect();
    let name = text.file.file_name().unwrap_or_default().to_string_lossy().replace(['\n', '\r'], " ");
    let note = format!("mean of each hour in {name}, imported by `huisuan twin import {}`", format.name());
    let made = network.with_field(centre, field, &format!("[{}]", shown.join(", ")), &note);
    let made = made.ok_or_else(|| ImportError::Centre {
        file: network.file(),
        centre: centre.to_owned(),
        known: network.centres().join(", "),
    })?;
    made.scenario()?;
    let (values, empty) = (series.points.len() as u64, series.empty);
    let field = if field == HourlyField::Power { "power_cny_per_kwh" } else { "carbon_g_per_kwh" };
    Ok((made, HoursOfDay { values, empty, below_zero, means, field, assumed }))
}

/// The mean of each hour of the day on the clocks of a zone, or the first hour without a value.
fn means(series: &Series, zone: &TimeZone) -> Result<[f64; HOURS], usize> {
    let mut sums = [(0_i128, 0_u64); HOURS];
    for &(at_ms, value) in &series.points {
        let Ok(at) = jiff::Timestamp::from_millisecond(at_ms) else { continue };
        let sum = &mut sums[usize::try_from(zone.to_datetime(at).hour()).expect("an hour of the day")];
        *sum = (sum.0 + i128::from(value), sum.1 + 1);
    }
    match sums.iter().position(|(_, count)| *count == 0) {
        Some(hour) => Err(hour),
        None => Ok(sums.map(|(sum, count)| sum as f64 / count as f64)),
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs};

    use super::*;

    fn imported(format: Format, rows: &str, zone: &str, centre: &str) -> Result<(Made, HoursOfDay), String> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/trace.toml");
        let network = NetworkFile::read(Path::new(scenario)).expect("a scenario of the repository");
        let file = folder.path().join("series.csv");
        fs::write(&file, rows).expect("space on disk");
        import_hours(format, &file, Some(zone), &network, centre, &Assumptions::default())
            .map_err(|error| error.to_string())
    }

    /// Two days of prices of which every hour is one cent above its number, the second day one dearer; one is missing.
    fn prices() -> String {
        let mut rows = "time,DAM_price\n".to_owned();
        for (day, hour) in [10, 11].into_iter().flat_map(|day| (0..24).map(move |hour| (day, hour))) {
            let price =
                if (day, hour) == (11, 3) { String::new() } else { format!("{}", 0.01 * f64::from(hour + day)) };
            let _ = writeln!(rows, "{day}jan2022 {hour:02}:00:00,{price}");
        }
        rows
    }

    #[test]
    fn prices_become_the_hours_of_a_centre() {
        let (made, hours) = imported(Format::Prices, &prices(), "Europe/Brussels", "west").expect("well formed");
        assert_eq!((hours.values, hours.empty, hours.below_zero, hours.assumed.len()), (47, 1, 0, 1));
        // 10.5 cents on average at midnight, 13 in the one hour without its second day; 7.8 yuan for a euro.
        assert_eq!((hours.means[0], hours.means[3], hours.means[23]), (0.819, 1.014, 2.613));
        let scenario = made.scenario().expect("a whole scenario");
        assert_eq!(scenario.facts.sites[1].power_cny_per_kwh, hours.means);
        assert_eq!(scenario.facts.sites[0].power_cny_per_kwh, [0.0; 24]);
    }

    #[test]
    fn prices_below_zero_are_counted() {
        let rows = prices().replace("10jan2022 04:00:00,0.14", "10jan2022 04:00:00,-9");
        let (_, hours) = imported(Format::Prices, &rows, "Europe/Brussels", "east").expect("well formed");
        assert_eq!((hours.below_zero, hours.means[4]), (1, 0.0));
    }

    #[test]
    fn carbon_is_by_the_clock_of_its_zone() {
        let mut rows = "timestamp,carbon_intensity\n".to_owned();
        (0..24).for_each(|hour| {
            let _ = writeln!(rows, "2022-01-01 {hour:02}:00:00,{}", 100 + hour);
        });
        let (_, hours) = imported(Format::Carbon, &rows, "Asia/Shanghai", "east").expect("well formed");
        assert_eq!((hours.means[8], hours.means[7], hours.field), (100.0, 123.0, "carbon_g_per_kwh"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |rows: &str, zone: &str, centre: &str, expected: &str| {
            let error = imported(Format::Prices, rows, zone, centre).expect_err("not possible");
            assert!(error.contains(expected), "{error}");
        };
        check(&prices(), "Mars", "west", "time zone `Mars`");
        check(&prices(), "UTC", "north", "has no centre `north`\nhint: one of east, west");
        check("time,DAM_price\n10jan2022 00:00:00,1\n", "UTC", "west", "no value for the hour from 1 o'clock");
        check("time,DAM_price\nx,1\n", "UTC", "west", "line 2, field `time`");
    }
}
