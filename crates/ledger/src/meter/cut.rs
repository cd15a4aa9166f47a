//! Cutting the cumulative meter of one attempt into intervals of at most an hour.

use huisuan_model::{DurationMs, Metered, RatedShare, TimeMs, Usage};

use crate::tariff::Zone;

/// What was used within one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// Work in GFLOP.
    pub work: u64,
    /// Processor time.
    pub cpu: DurationMs,
    /// Measured energy in joules; 0 where nothing measures it.
    pub joules: u64,
}

/// The intervals from where the meter was read last to `usage`, which is cumulative, and of whose time `wall` counts;
/// the meter moves along. The hour that is not over yet is left for the next time, unless the meter is `closed`.
///
/// Cumulative figures make repeated and late news harmless: what is not ahead of the meter gives nothing. The work of
/// all intervals together is what the share does in all of the time, to the GFLOP.
pub fn cut(
    meter: &mut Metered,
    (wall, usage): (DurationMs, Usage),
    share: &RatedShare,
    zone: &Zone,
    closed: bool,
) -> Vec<Span> {
    let (first, mut spans) = (*meter, Vec::new());
    let whole = wall.0.saturating_sub(first.wall.0);
    while meter.wall < wall {
        let from = meter.until;
        let left = from.after(DurationMs(wall.0 - meter.wall.0));
        let hour_end = zone.hour_end(from);
        if left < hour_end && !closed {
            break;
        }
        let until = left.min(hour_end);
        meter.wall = DurationMs(meter.wall.0 + until.since(from).0);
        let part = meter.wall.0 - first.wall.0;
        let work = share.work(meter.wall.0).0.max(meter.work);
        let cpu = evenly(first.cpu.0, usage.cpu.0, part, whole).max(meter.cpu.0);
        let joules = evenly(first.joules, usage.joules, part, whole).max(meter.joules);
        spans.push(Span {
            from,
            until,
            work: work - meter.work,
            cpu: DurationMs(cpu - meter.cpu.0),
            joules: joules - meter.joules,
        });
        (meter.until, meter.work, meter.cpu, meter.joules) = (until, work, DurationMs(cpu), joules);
        meter.number += 1;
    }
    spans
}

/// Processor time and energy are known at the ends alone; between them they are taken to be used evenly.
fn evenly(first: u64, last: u64, part: u64, whole: u64) -> u64 {
    first + huisuan_model::quantity::mul_div(last.saturating_sub(first), part, whole)
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Class, GflopPerS};
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn share(part: u64) -> RatedShare {
        RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(12_345), part, whole: 64_000 }
    }

    fn begin(until: i64) -> Metered {
        Metered { until: TimeMs(until), ..Metered::default() }
    }

    /// So much time, processor time, and a third of that in joules.
    fn used(wall: u64, cpu: u64) -> (DurationMs, Usage) {
        let usage = Usage { wall: DurationMs(wall), cpu: DurationMs(cpu), joules: cpu / 3, ..Usage::default() };
        (DurationMs(wall), usage)
    }

    #[test]
    fn hours_are_cut_at_the_clock() {
        let check = |from: i64, wall: u64, closed: bool, expected: &[(i64, i64)]| {
            let mut meter = begin(from);
            let spans = cut(&mut meter, used(wall, wall / 2), &share(64_000), &Zone::default(), closed);
            let found: Vec<(i64, i64)> = spans.iter().map(|span| (span.from.0, span.until.0)).collect();
            assert_eq!(found, expected, "{from} {wall} {closed}");
        };
        let hour = HOUR as i64;
        check(0, HOUR, false, &[(0, hour)]);
        check(0, HOUR - 1, false, &[]);
        check(0, HOUR - 1, true, &[(0, hour - 1)]);
        check(hour - 10, 30, false, &[(hour - 10, hour)]);
        check(hour - 10, 30, true, &[(hour - 10, hour), (hour, hour + 20)]);
        check(5, 0, true, &[]);
        check(-10, 20, true, &[(-10, 0), (0, 10)]);
    }

    proptest! {
        /// However often and in whatever order samples come, the intervals follow each other without gaps, each within
        /// an hour, and add up to what the whole time gives.
        #[test]
        fn intervals_add_up_in_any_order(
            from in 0..10_000_000_000_000_i64,
            part in 1..64_000_u64,
            samples in prop::collection::vec((0..9 * HOUR, 0..9 * HOUR), 0..20),
            end in (1..10 * HOUR, 0..10 * HOUR),
        ) {
            let (share, zone) = (share(part), Zone::named("Asia/Kolkata").expect("a zone"));
            let mut meter = begin(from);
            let (mut spans, mut seen) = (Vec::new(), (0, 0));
            for (wall, cpu) in samples.into_iter().chain([end]) {
                // The caller merges: figures never fall.
                seen = (wall.max(seen.0), cpu.max(seen.1));
                spans.extend(cut(&mut meter, used(seen.0, seen.1), &share, &zone, false));
                prop_assert!(cut(&mut meter, used(seen.0, seen.1), &share, &zone, false).is_empty());
            }
            spans.extend(cut(&mut meter, used(seen.0, seen.1), &share, &zone, true));
            let mut at = TimeMs(from);
            for span in &spans {
                prop_assert_eq!(span.from, at);
                prop_assert!(span.until > span.from && span.until <= zone.hour_end(span.from));
                at = span.until;
            }
            prop_assert_eq!(at, TimeMs(from).after(DurationMs(seen.0)));
            prop_assert_eq!(spans.iter().map(|span| span.work).sum::<u64>(), share.work(seen.0).0);
            prop_assert_eq!(spans.iter().map(|span| span.cpu.0).sum::<u64>(), seen.1);
            prop_assert_eq!(spans.iter().map(|span| span.joules).sum::<u64>(), seen.1 / 3);
            prop_assert_eq!(u64::from(meter.number), spans.len() as u64);
        }
    }
}
