//! Hourly prices and carbon intensities of electricity.

use jiff::tz::TimeZone;

use super::{
    ReadError, Text,
    table::{Layout, Row, Table, scaled, scaled_up},
    time::{local, utc_ms},
};

/// A value that holds from each point to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    /// From when, in milliseconds since 1970 UTC, and the value; times strictly rise.
    pub points: Vec<(i64, i64)>,
    /// Rows without a value: they are not in `points`, so that the value before them holds on.
    pub empty: u64,
}

impl Series {
    /// The value that holds at a time; `None` before the first point. After the last point its value holds on.
    pub fn at(&self, at_ms: i64) -> Option<i64> {
        let after = self.points.partition_point(|&(from_ms, _)| from_ms <= at_ms);
        after.checked_sub(1).map(|index| self.points[index].1)
    }
}

/// Reads day-ahead prices `time,DAM_price` with local times such as `01jan2022 00:00:00` of a zone (Belgium:
/// `Europe/Brussels`) and EUR per kWh; the values are millionths of a EUR per kWh and may be negative. An hour that the
/// clock shows twice may stand twice and is then the first and the second; an hour that it skips has no price.
pub fn read_prices(text: &Text, zone: &TimeZone) -> Result<Series, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["time", "DAM_price"]))?;
    let mut series = Series::default();
    while let Some(row) = table.row()? {
        if row.text(1).is_empty() {
            series.empty += 1;
            continue;
        }
        let price = row.read(1, "a price in EUR per kWh", |found| scaled(found, 1e6))?;
        let time = row.read(0, "a time such as 01jan2022 00:00:00", |found| local(found, "%d%b%Y %H:%M:%S"))?;
        let last_ms = series.points.last().map_or(i64::MIN, |&(at_ms, _)| at_ms);
        let ambiguous = zone.to_ambiguous_timestamp(time);
        let candidates = [ambiguous.earlier(), ambiguous.later()];
        let at_ms = candidates.into_iter().flatten().map(jiff::Timestamp::as_millisecond).find(|&ms| ms > last_ms);
        push(text, &row, &mut series, at_ms, price)?;
    }
    Ok(series)
}

/// Reads carbon intensities `timestamp,carbon_intensity` with UTC times such as `2022-01-01 00:00:00.000` and grams of
/// CO2 equivalent per kWh; the values are milligrams per kWh. `docs/traces.md` says how to make such a file from
/// OpenDC's.
pub fn read_carbon(text: &Text) -> Result<Series, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["timestamp", "carbon_intensity"]))?;
    let mut series = Series::default();
    while let Some(row) = table.row()? {
        if row.text(1).is_empty() {
            series.empty += 1;
            continue;
        }
        let at_ms = row.read(0, "a time such as 2022-01-01 00:00:00", |found| {
            utc_ms(local(found, "%Y-%m-%d %H:%M:%S%.f")?, &TimeZone::UTC)
        })?;
        let intensity = row.read(1, "grams of CO2 per kWh", |found| scaled_up(found, 1e3))?;
        let last_ms = series.points.last().map_or(i64::MIN, |&(at_ms, _)| at_ms);
        push(text, &row, &mut series, (at_ms > last_ms).then_some(at_ms), intensity.cast_signed())?;
    }
    Ok(series)
}

fn push(text: &Text, row: &Row<'_>, series: &mut Series, at_ms: Option<i64>, value: i64) -> Result<(), ReadError> {
    let at_ms =
        at_ms.ok_or_else(|| text.field(row.line, "time", row.text(0), "a time after that of the line before"))?;
    series.points.push((at_ms, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::time::zone, *};

    fn prices(rows: &str) -> Result<Series, String> {
        let brussels = zone("Europe/Brussels").expect("a known zone");
        read_prices(&Text::new("be.csv", format!("time,DAM_price\n{rows}")), &brussels)
            .map_err(|error| error.to_string())
    }

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_hours() {
        let autumn = "30oct2022 01:00:00,.1\n30oct2022 02:00:00,.2\n30oct2022 02:00:00,-.3\n30oct2022 03:00:00,.4\n";
        let found = prices(autumn).expect("well formed");
        assert_eq!(
            found.points,
            [
                (ms("2022-10-29T23:00:00Z"), 100_000),
                (ms("2022-10-30T00:00:00Z"), 200_000),
                (ms("2022-10-30T01:00:00Z"), -300_000),
                (ms("2022-10-30T02:00:00Z"), 400_000),
            ],
        );
    }

    #[test]
    fn the_hour_that_is_skipped_has_no_price() {
        let found = prices("27mar2022 01:00:00,.1\n27mar2022 02:00:00,\n27mar2022 03:00:00,.3\n").expect("well formed");
        assert_eq!(found.points, [(ms("2022-03-27T00:00:00Z"), 100_000), (ms("2022-03-27T01:00:00Z"), 300_000)]);
        assert_eq!(found.empty, 1);
    }

    #[test]
    fn a_value_holds_until_the_next() {
        let series = Series { points: vec![(10, 1), (20, 2)], empty: 0 };
        for (at_ms, expected) in [(9, None), (10, Some(1)), (19, Some(1)), (20, Some(2)), (99, Some(2))] {
            assert_eq!(series.at(at_ms), expected, "{at_ms}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(rows: &str, expected: &str) {
            let error = prices(rows).expect_err("malformed");
            assert!(error.contains(expected), "{error}");
        }
        check("01jan2022 00:00:00,x\n", "line 2, field `DAM_price`: `x` where a price in EUR per kWh");
        check("2022-01-01 00:00:00,1\n", "line 2, field `time`: `2022-01-01 00:00:00` where a time such as");
        check(
            "01jan2022 00:00:00,1\n01jan2022 00:00:00,1\n",
            "line 3, field `time`: `01jan2022 00:00:00` where a time after",
        );
        let carbon = Text::new("c.csv", "timestamp,carbon_intensity\n2022-01-01 00:00:00,-1\n");
        let error = read_carbon(&carbon).expect_err("malformed").to_string();
        assert!(error.contains("field `carbon_intensity`: `-1` where grams"), "{error}");
    }

    #[test]
    fn carbon_is_in_milligrams() {
        let rows =
            "\"timestamp\",\"carbon_intensity\"\n2022-01-01 00:00:00.000,29.001127704967995\n2022-01-01 01:00:00,0\n";
        let found = read_carbon(&Text::new("c.csv", rows)).expect("well formed");
        let from_ms = ms("2022-01-01T00:00:00Z");
        assert_eq!(found.points, [(from_ms, 29_001), (from_ms + 3_600_000, 0)]);
    }
}
