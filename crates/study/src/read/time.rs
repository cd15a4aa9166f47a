//! Times of day as sites and traces write them.

use jiff::{civil::DateTime, tz::TimeZone};

/// The zone of an IANA name such as `Asia/Shanghai`, or `UTC`; `None` when there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("UTC") {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name).ok()
}

/// A local date and time in the `strptime` form given, all of the text.
pub fn local(found: &str, form: &str) -> Option<DateTime> {
    DateTime::strptime(form, found).ok()
}

/// Milliseconds since 1970 in UTC of a local time. A time that occurs twice is the first; one that the clock jumped
/// over is moved on by the jump.
pub fn utc_ms(time: DateTime, zone: &TimeZone) -> Option<i64> {
    zone.to_ambiguous_timestamp(time).compatible().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_become_utc() {
        fn check(found: &str, zone_name: &str, expected: Option<&str>) {
            let zone = zone(zone_name).expect("a known zone");
            let found_ms = local(found, "%Y-%m-%dT%H:%M:%S").and_then(|time| utc_ms(time, &zone));
            let expected_ms = expected.map(|text| text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond());
            assert_eq!(found_ms, expected_ms, "{found} {zone_name}");
        }
        check("2026-01-31T08:00:00", "UTC", Some("2026-01-31T08:00:00Z"));
        check("2026-01-31T08:00:00", "utc", Some("2026-01-31T08:00:00Z"));
        check("2026-01-31T08:00:00", "Asia/Shanghai", Some("2026-01-31T00:00:00Z"));
        check("2026-07-01T08:00:00", "Europe/Brussels", Some("2026-07-01T06:00:00Z"));
        // Twice, and never.
        check("2026-10-25T02:30:00", "Europe/Brussels", Some("2026-10-25T00:30:00Z"));
        check("2026-03-29T02:30:00", "Europe/Brussels", Some("2026-03-29T01:30:00Z"));
        check("2026-02-30T08:00:00", "UTC", None);
        check("2026-01-31T08:00:00Z", "UTC", None);
        check("2026-01-31", "UTC", None);
        check("Unknown", "UTC", None);
    }

    #[test]
    fn unknown_zones_are_none() {
        assert!(zone("Mars/Olympus").is_none());
        assert!(zone("").is_none());
    }
}
