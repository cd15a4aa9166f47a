//! What was moved between centres, added up by family and pool and by line.

use huisuan_model::{TimeMs, quantity::DurationMs};
use huisuan_twin::Transfer;

use super::Collector;
use crate::scenario::{HOURS, LinkFacts};

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

/// Transfers of the tasks of a family that ran in a pool away from their data.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// All that was moved, also of transfers that were given up.
    pub(super) bytes: u128,
    /// Transfers that were not.
    pub(super) whole: u64,
    /// How long these took, and how long the scheduler took each to last.
    pub(super) lasted_ms: u128,
    pub(super) lasted_ms_max: u64,
    pub(super) expected_ms: u128,
    pub(super) price_cny: f64,
    pub(super) kwh: f64,
    pub(super) energy_cny: f64,
    pub(super) carbon_kg: f64,
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(super) struct LineTally {
    pub(super) bytes: u128,
    pub(super) transfers: u64,
}

impl Collector<'_> {
    /// Adds up one transfer. Its energy is bought where the data lay, in the hours in which it was moved.
    pub(super) fn transferred(&mut self, transfer: &Transfer<'_>) {
        let facts = &self.scenario.facts;
        let bytes = u128::from(transfer.bytes.0);
        let (mut price_cny, mut kwh) = (0.0, 0.0);
        for ends in transfer.path.windows(2) {
            let line = self.lines_used.entry((ends[0], ends[1])).or_default();
            line.bytes += bytes;
            line.transfers += 1;
            let LinkFacts { price_cny_per_gb, wh_per_gb, .. } = facts.links[&(ends[0], ends[1])];
            price_cny += bytes as f64 / 1e9 * price_cny_per_gb;
            kwh += bytes as f64 / 1e12 * wh_per_gb;
        }
        let Some(seen) = self.jobs.get(&transfer.attempt.job) else { return };
        let Some(taken) = self.attempts.get(&transfer.attempt) else { return };
        let moves = &mut self.away.entry((seen.family, taken.pool)).or_default().moves;
        let lasted_ms = transfer.ended_at.since(transfer.began_at).0;
        moves.bytes += bytes;
        if transfer.whole {
            moves.whole += 1;
            moves.lasted_ms += u128::from(lasted_ms);
            moves.lasted_ms_max = moves.lasted_ms_max.max(lasted_ms);
            moves.expected_ms += u128::from(transfer.expected_ms);
        }
        moves.price_cny += price_cny;
        moves.kwh += kwh;
        if let Some(site) = transfer.path.first().map(|&from| &facts.sites[from]) {
            let hours = by_hour(transfer.began_at, transfer.ended_at, facts.zone_ms);
            let whole = hours.iter().sum::<u64>().max(1) as f64;
            let mean = |figures: &[f64; HOURS]| -> f64 {
                hours.iter().zip(figures).map(|(ms, figure)| *ms as f64 * figure).sum::<f64>() / whole
            };
            moves.energy_cny += kwh * mean(&site.power_cny_per_kwh);
            moves.carbon_kg += kwh * mean(&site.carbon_g_per_kwh) / 1_000.0;
        }
    }
}

/// Milliseconds of a span in each hour of the local day.
pub(super) fn by_hour(from: TimeMs, until: TimeMs, zone_ms: i64) -> [u64; HOURS] {
    let mut hours = [0; HOURS];
    let mut at = from;
    while at < until {
        let local = at.0 + zone_ms;
        let hour = usize::try_from(local.div_euclid(HOUR_MS).rem_euclid(HOURS as i64)).expect("an hour of the day");
        let left_ms = (HOUR_MS - local.rem_euclid(HOUR_MS)).unsigned_abs();
        let here_ms = left_ms.min(until.since(at).0);
        hours[hour] += here_ms;
        at = at.after(DurationMs(here_ms));
    }
    hours
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_lies_in_the_hours_of_its_place() {
        let minute = |minutes: i64| TimeMs(minutes * 60_000);
        // 00:30 to 02:15 UTC is 08:30 to 10:15 in China.
        let hours = by_hour(minute(30), minute(135), 8 * HOUR_MS);
        assert_eq!((hours[8], hours[9], hours[10]), (1_800_000, 3_600_000, 900_000));
        assert_eq!(by_hour(minute(5), minute(5), 0), [0; HOURS]);
        let days = by_hour(minute(-30), minute(48 * 60), 0);
        assert_eq!((days[23], days[0]), (2 * 3_600_000 + 1_800_000, 2 * 3_600_000));
    }

    proptest! {
        #[test]
        fn no_moment_is_lost(from in -100_000_000i64..100_000_000, span in 0u64..400_000_000, zone in -50_000_000i64..50_000_000) {
            let hours = by_hour(TimeMs(from), TimeMs(from).after(DurationMs(span)), zone);
            prop_assert_eq!(hours.iter().sum::<u64>(), span);
        }
    }
}
