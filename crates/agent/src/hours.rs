//! Daily hours in which a site runs nothing, in the site's own time zone.

use huisuan_model::{DurationMs, TimeMs};
use jiff::{Timestamp, tz::TimeZone};

/// A day in minutes.
const DAY: u32 = 24 * 60;

/// The hours of a day that are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours {
    zone: TimeZone,
    /// From the first minute to the one after the last; what passes midnight is two.
    spans: Vec<(u32, u32)>,
}

impl Hours {
    /// Reads spans such as `22:00-06:00`.
    pub(crate) fn read(spans: &[String], zone: &str) -> Result<Self, String> {
        let unknown = |_| format!("zone `{zone}` is not known here; hint: a name such as Asia/Shanghai, and tzdata");
        let zone = match zone {
            "UTC" => TimeZone::UTC,
            zone => TimeZone::get(zone).map_err(unknown)?,
        };
        let mut minutes = Vec::new();
        for text in spans {
            let wrong = || format!("closed: `{text}` is not a span of hours such as 22:00-06:00");
            let (from, until) = text.split_once('-').ok_or_else(wrong)?;
            let (from, until) = (minute(from).ok_or_else(wrong)?, minute(until).ok_or_else(wrong)?);
            if from == until || from == DAY {
                return Err(wrong());
            }
            if from < until {
                minutes.push((from, until));
            } else {
                minutes.extend([(from, DAY), (0, until)].into_iter().filter(|(from, until)| from < until));
            }
        }
        Ok(Hours { zone, spans: minutes })
    }

    /// Whether a task of this walltime fits between closed hours at all.
    pub(crate) fn ever_fits(&self, walltime: DurationMs) -> bool {
        // The longest span in which no minute is closed, over two days so that it may pass midnight.
        let closed = |at: u32| self.spans.iter().any(|(from, until)| (*from..*until).contains(&(at % DAY)));
        let (mut longest, mut open) = (0_u64, 0_u64);
        for at in 0..2 * DAY {
            open = if closed(at) { 0 } else { open + 1 };
            longest = longest.max(open);
        }
        longest >= u64::from(2 * DAY) || walltime.0 <= longest * 60_000
    }

    /// Whether a task that begins now and may run for `walltime` stays clear of closed hours.
    pub(crate) fn open(&self, now: TimeMs, walltime: DurationMs) -> bool {
        let Some(begin) = self.ms_of_day(now) else { return false };
        let (day, end) = (u64::from(DAY) * 60_000, begin.saturating_add(walltime.0));
        let meets = |(from, until): &(u32, u32)| {
            let (from, until) = (u64::from(*from) * 60_000, u64::from(*until) * 60_000);
            // This day's and the next one's; what runs longer meets one of these.
            [0, day].into_iter().any(|shift| begin < until + shift && from + shift < end)
        };
        !self.spans.iter().any(meets)
    }

    /// The closed spans of today and of the two days after it that are not over. Spans that meet at midnight are one.
    pub(crate) fn ahead(&self, now: TimeMs) -> Vec<(TimeMs, TimeMs)> {
        let Ok(at) = Timestamp::from_millisecond(now.0) else { return Vec::new() };
        let today = at.to_zoned(self.zone.clone()).date();
        let days = (0..3).filter_map(|days| today.checked_add(jiff::Span::new().days(days)).ok());
        let moment = |day: jiff::civil::Date, minute: u32| {
            let (day, minute) = if minute == DAY { (day.tomorrow().ok()?, 0) } else { (day, minute) };
            let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
            let local = day.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?;
            Some(TimeMs(local.timestamp().as_millisecond()))
        };
        let mut spans: Vec<(TimeMs, TimeMs)> = days
            .flat_map(|day| self.spans.iter().map(move |span| (day, *span)))
            .filter_map(|(day, (from, until))| Some((moment(day, from)?, moment(day, until)?)))
            .filter(|(_, until)| *until > now)
            .collect();
        spans.sort_unstable();
        let mut joined: Vec<(TimeMs, TimeMs)> = Vec::new();
        for (from, until) in spans {
            match joined.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(until),
                _ => joined.push((from, until)),
            }
        }
        joined
    }

    fn ms_of_day(&self, now: TimeMs) -> Option<u64> {
        let local = Timestamp::from_millisecond(now.0).ok()?.to_zoned(self.zone.clone());
        let parts = [local.hour(), local.minute(), local.second()].map(u64::try_from);
        let [Ok(hours), Ok(minutes), Ok(seconds)] = parts else { return None };
        Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + u64::try_from(local.millisecond()).ok()?)
    }
}

/// The minute of a day as `08:30`; `24:00` is its end.
fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let at = hours * 60 + minutes;
    (minutes < 60 && at <= DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const BEGIN: i64 = 1_767_225_600_000;

    fn hours(spans: &[&str], zone: &str) -> Hours {
        let spans: Vec<String> = spans.iter().map(|&span| span.to_owned()).collect();
        Hours::read(&spans, zone).expect("hours")
    }

    #[test]
    fn tasks_stay_clear_of_closed_hours() {
        let check = |spans: &[&str], at: &str, walltime_minutes: u64, open: bool| {
            let now = TimeMs(BEGIN + i64::from(minute(at).expect("a time")) * 60_000);
            let walltime = DurationMs(walltime_minutes * 60_000);
            assert_eq!(hours(spans, "UTC").open(now, walltime), open, "{spans:?} at {at} for {walltime_minutes}");
        };
        check(&["08:00-18:00"], "07:00", 60, true);
        check(&["08:00-18:00"], "07:00", 61, false);
        check(&["08:00-18:00"], "08:00", 1, false);
        check(&["08:00-18:00"], "17:59", 1, false);
        check(&["08:00-18:00"], "18:00", 14 * 60, true);
        check(&["08:00-18:00"], "18:00", 14 * 60 + 1, false);
        check(&["22:00-06:00"], "23:00", 1, false);
        check(&["22:00-06:00"], "05:59", 1, false);
        check(&["22:00-06:00"], "06:00", 16 * 60, true);
        check(&["22:00-24:00"], "00:00", 22 * 60, true);
        check(&[], "00:00", 99_999, true);
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        // 02:00 in UTC is 10:00 in Shanghai.
        let at = TimeMs(BEGIN + 2 * 3_600_000);
        assert!(hours(&["08:00-09:00"], "UTC").open(at, DurationMs(60_000)));
        assert!(!hours(&["10:00-11:00"], "Asia/Shanghai").open(at, DurationMs(60_000)));
    }

    #[test]
    fn the_next_days_are_told_with_their_moments() {
        let hour = 3_600_000;
        let spans = |closed: &[&str], zone: &str, now: i64| -> Vec<(i64, i64)> {
            let ahead = hours(closed, zone).ahead(TimeMs(BEGIN + now));
            ahead.into_iter().map(|(from, until)| ((from.0 - BEGIN) / hour, (until.0 - BEGIN) / hour)).collect()
        };
        assert_eq!(spans(&["08:00-18:00"], "UTC", 0), [(8, 18), (32, 42), (56, 66)]);
        assert_eq!(spans(&["08:00-18:00"], "UTC", 17 * hour), [(8, 18), (32, 42), (56, 66)], "it goes on");
        assert_eq!(spans(&["08:00-18:00"], "UTC", 18 * hour), [(32, 42), (56, 66)]);
        assert_eq!(spans(&["22:00-06:00"], "UTC", 0), [(0, 6), (22, 30), (46, 54), (70, 72)]);
        assert_eq!(spans(&["10:00-11:00"], "Asia/Shanghai", 0)[0], (2, 3));
    }

    #[test]
    fn what_is_longer_than_the_open_hours_never_fits() {
        let day = |minutes: u64| DurationMs(minutes * 60_000);
        assert!(hours(&["22:00-06:00"], "UTC").ever_fits(day(16 * 60)));
        assert!(!hours(&["22:00-06:00"], "UTC").ever_fits(day(16 * 60 + 1)));
        assert!(hours(&[], "UTC").ever_fits(day(99_999)));
        assert!(!hours(&["00:00-12:00", "12:00-24:00"], "UTC").ever_fits(day(1)));
    }
}
