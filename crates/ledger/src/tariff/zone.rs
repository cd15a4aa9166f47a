//! Hours and months of a time zone. The zones are part of the program.

use huisuan_model::{TimeMs, centre::BILLING_ZONE};
use jiff::{
    Timestamp, civil,
    tz::{TimeZone, TimeZoneDatabase},
};

const HOUR_MS: i64 = 3_600_000;

/// A zone's calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone of an IANA name, such as `Asia/Shanghai`; `None` when there is none.
    pub fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().map(Zone)
    }

    /// The zone of bills and budgets.
    pub fn of_bills() -> Self {
        Self::named(BILLING_ZONE).expect("the constant names a zone")
    }

    fn local_ms(&self, at: TimeMs) -> i64 {
        let offset = self.0.to_offset(timestamp(at)).seconds();
        at.0.saturating_add(i64::from(offset) * 1000)
    }

    /// The hour of the day, 0 to 23.
    pub fn hour(&self, at: TimeMs) -> u8 {
        u8::try_from(self.local_ms(at).div_euclid(HOUR_MS).rem_euclid(24)).expect("an hour of a day is below 24")
    }

    /// The first moment after the hour of the clock that `at` is in.
    pub fn hour_end(&self, at: TimeMs) -> TimeMs {
        TimeMs(at.0.saturating_add(HOUR_MS - self.local_ms(at).rem_euclid(HOUR_MS)))
    }

    /// Whether an hour of the clock begins at this moment.
    pub fn full_hour(&self, at: TimeMs) -> bool {
        self.local_ms(at).rem_euclid(HOUR_MS) == 0
    }

    /// The calendar month: years times 12 and months from 0.
    pub fn month(&self, at: TimeMs) -> i32 {
        let date = self.0.to_datetime(timestamp(at)).date();
        i32::from(date.year()) * 12 + i32::from(date.month()) - 1
    }

    /// The first moment of a month and the first one after it.
    pub fn month_range(&self, month: i32) -> (TimeMs, TimeMs) {
        (self.month_begin(month), self.month_begin(month.saturating_add(1)))
    }

    fn month_begin(&self, month: i32) -> TimeMs {
        let year = i16::try_from(month.div_euclid(12)).unwrap_or(9999).clamp(1, 9998);
        let number = i8::try_from(month.rem_euclid(12) + 1).expect("a month is at most 12");
        let midnight = civil::date(year, number, 1).at(0, 0, 0, 0);
        let moment = self.0.to_ambiguous_timestamp(midnight).compatible();
        TimeMs(moment.expect("years 1 to 9998 are within the range of moments").as_millisecond())
    }
}

/// The month as it is written: `2026-11`.
pub fn month_text(month: i32) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// Reads a month such as `2026-11`.
pub fn month_of_text(text: &str) -> Option<i32> {
    let (year, month) = text.split_once('-')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let (year, month): (i32, i32) = (year.parse().ok()?, month.parse().ok()?);
    ((1..=9998).contains(&year) && (1..=12).contains(&month)).then(|| year * 12 + month - 1)
}

fn timestamp(at: TimeMs) -> Timestamp {
    let nearest = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at.0).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimeMs {
        TimeMs(text.parse::<Timestamp>().expect("a time").as_millisecond())
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        for (zone, moment, hour, end) in [
            ("Asia/Shanghai", "2026-11-22T13:59:59Z", 21, "2026-11-22T14:00:00Z"),
            ("Asia/Shanghai", "2026-11-22T16:00:00Z", 0, "2026-11-22T17:00:00Z"),
            ("Asia/Kolkata", "2026-11-22T00:00:00Z", 5, "2026-11-22T00:30:00Z"),
            ("Europe/Berlin", "2026-03-29T00:30:00Z", 1, "2026-03-29T01:00:00Z"),
            // The clock goes from 2 to 3: there is no hour 2 in that night.
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 3, "2026-03-29T02:00:00Z"),
        ] {
            let zone = Zone::named(zone).expect(zone);
            assert_eq!((zone.hour(at(moment)), zone.hour_end(at(moment))), (hour, at(end)), "{moment}");
            assert!(zone.full_hour(at(end)) && !zone.full_hour(TimeMs(at(end).0 - 1)));
        }
        assert_eq!(Zone::named("Mars/Olympus"), None);
        assert_eq!(Zone::default().hour(TimeMs(-1)), 23);
    }

    #[test]
    fn months_follow_each_other_without_gaps() {
        let zone = Zone::of_bills();
        assert_eq!(month_text(zone.month(at("2026-10-31T16:00:00Z"))), "2026-11");
        assert_eq!(month_text(zone.month(at("2026-10-31T15:59:59Z"))), "2026-10");
        let month = month_of_text("2026-11").expect("a month");
        assert_eq!(zone.month_range(month), (at("2026-10-31T16:00:00Z"), at("2026-11-30T16:00:00Z")));
        for month in 23_000..24_500 {
            let (from, until) = zone.month_range(month);
            assert_eq!(until, zone.month_range(month + 1).0);
            assert_eq!((zone.month(from), zone.month(TimeMs(until.0 - 1))), (month, month));
            assert_eq!(month_of_text(&month_text(month)), Some(month));
        }
        for bad in ["", "2026", "2026-13", "2026-1", "26-11", "2026-11-01", "2026-00", "+026-11"] {
            assert_eq!(month_of_text(bad), None, "{bad}");
        }
    }
}
