//! The account of every pool's hours: what was used, what was idle and what could not be used are its capacity.

use std::collections::BTreeMap;

use huisuan_model::{CentreId, Class, MeterRecord, PoolId, TimeMs};

use super::capacity::Piece;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// One hour of one pool, in thousandths of a device or core times milliseconds:
/// `used + idle + unavailable = capacity`, none of them negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// The class of the pool.
    pub class: Class,
    /// Its first moment, a full hour of UTC.
    pub from: TimeMs,
    /// All that was there.
    pub capacity: i128,
    /// What attempts had.
    pub used: i128,
    /// What nobody had and anybody could have had.
    pub idle: i128,
    /// What could not be had: maintenance, a pause, an agent or a server that was away.
    pub unavailable: i128,
    /// What attempts had beyond the capacity, by the clocks of centres: never hidden in the others.
    pub beyond: i128,
}

#[derive(Default)]
struct Sums {
    class: Option<Class>,
    capacity: i128,
    shut: i128,
    used: i128,
}

/// Every hour of every pool from a full hour on, by centre, pool and hour. Hours without capacity and use are left out.
pub fn hours<'a>(
    pieces: &[Piece],
    records: impl IntoIterator<Item = &'a MeterRecord>,
    from: TimeMs,
    until: TimeMs,
) -> Vec<Hour> {
    let mut sums: BTreeMap<(CentreId, PoolId, i64), Sums> = BTreeMap::new();
    for piece in pieces {
        let (first, last) = (piece.from.max(from), piece.until.min(until));
        each_hour(first, last, |hour, first, last| {
            let sum = sums.entry((piece.centre.clone(), piece.pool.clone(), hour)).or_default();
            let capacity = i128::from(piece.capacity);
            let shut = if piece.open { shut_ms(&piece.closed, first, last) } else { last.since(first).0 };
            sum.class = Some(piece.class);
            sum.capacity += capacity * i128::from(last.since(first).0);
            sum.shut += capacity * i128::from(shut);
        });
    }
    for record in records.into_iter().filter(|record| record.reading.timed()) {
        let (first, last) = (record.reading.from.max(from), record.reading.until.min(until));
        each_hour(first, last, |hour, first, last| {
            let sum = sums.entry((record.centre.clone(), record.pool.clone(), hour)).or_default();
            sum.class = sum.class.or(Some(record.share.class));
            sum.used += i128::from(record.share.part) * i128::from(last.since(first).0);
        });
    }
    let row = |((centre, pool, hour), sum): ((CentreId, PoolId, i64), Sums)| {
        let used = sum.used.min(sum.capacity);
        // What was used could be used, whatever was declared.
        let unavailable = sum.shut.min(sum.capacity - used);
        let idle = sum.capacity - used - unavailable;
        assert!(used >= 0 && idle >= 0 && unavailable >= 0, "no part of an hour is below nothing");
        Some(Hour {
            centre,
            pool,
            class: sum.class?,
            from: TimeMs(hour * HOUR_MS),
            capacity: sum.capacity,
            used,
            idle,
            unavailable,
            beyond: sum.used - used,
        })
    };
    sums.into_iter().filter_map(row).collect()
}

fn each_hour(from: TimeMs, until: TimeMs, mut take: impl FnMut(i64, TimeMs, TimeMs)) {
    let mut at = from;
    while at < until {
        let hour = at.0.div_euclid(HOUR_MS);
        let end = TimeMs((hour + 1) * HOUR_MS).min(until);
        take(hour, at, end);
        at = end;
    }
}

/// How much of a span is in any of the windows; where they meet, it counts once.
fn shut_ms(windows: &[(TimeMs, TimeMs)], from: TimeMs, until: TimeMs) -> u64 {
    let mut within: Vec<(TimeMs, TimeMs)> = windows
        .iter()
        .map(|(first, last)| ((*first).max(from), (*last).min(until)))
        .filter(|(first, last)| first < last)
        .collect();
    within.sort_unstable();
    let (mut shut, mut at) = (0, from);
    for (first, last) in within {
        shut += last.since(first.max(at)).0;
        at = at.max(last);
    }
    shut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::meter::tests_record as record;

    fn piece(from: i64, until: i64, capacity: u64, open: bool, closed: Vec<(TimeMs, TimeMs)>) -> Piece {
        Piece {
            centre: CentreId::new("hpc-1").expect("a name"),
            pool: PoolId::new("cpu:x").expect("a name"),
            class: Class::Hpc,
            from: TimeMs(from),
            until: TimeMs(until),
            capacity,
            devices: false,
            rate: 10,
            open,
            overlapping: false,
            closed,
        }
    }

    #[test]
    fn an_hour_is_used_idle_or_unavailable() {
        let mut used = record(1, 1, 0);
        used.share.part = 500;
        let all = vec![(TimeMs(0), TimeMs(HOUR_MS)), (TimeMs(HOUR_MS / 2), TimeMs(HOUR_MS))];
        let pieces = [piece(0, HOUR_MS, 1000, true, all), piece(HOUR_MS, 2 * HOUR_MS, 1000, true, Vec::new())];
        let found = hours(&pieces, [&used], TimeMs(0), TimeMs(9 * HOUR_MS));
        let unit = i128::from(HOUR_MS) * 500;
        let rows: Vec<_> = found.iter().map(|row| (row.used, row.idle, row.unavailable, row.beyond)).collect();
        assert_eq!(rows, [(0, 0, 2 * unit, 0), (unit, unit, 0, 0)]);
        used.share.part = 5000;
        let found = hours(&pieces, [&used], TimeMs(0), TimeMs(9 * HOUR_MS));
        assert_eq!((found[1].used, found[1].idle, found[1].beyond), (2 * unit, 0, 8 * unit));
    }

    proptest! {
        /// For every hour of every pool: used + idle + unavailable = capacity, none negative, and nothing that was
        /// used is lost.
        #[test]
        fn the_parts_are_the_whole(
            pieces in prop::collection::vec((0..50_000_000_i64, 1..9_000_000_i64, 0..9000_u64, any::<bool>(), 0..4_000_000_i64), 0..8),
            uses in prop::collection::vec((0..50_000_000_i64, 1..3_600_000_i64, 1..9000_u64), 0..30),
        ) {
            let mut at = 0;
            let pieces: Vec<Piece> = pieces.into_iter().map(|(gap, length, capacity, open, window)| {
                let from = at + gap % 5_000_000;
                at = from + length;
                let window = (TimeMs(from + window), TimeMs(from + 2 * window));
                piece(from, at, capacity, open, vec![window, (window.0, TimeMs(window.1.0 + 7))])
            }).collect();
            let rows: Vec<MeterRecord> = uses.iter().map(|(from, length, part)| {
                let mut row = record(1, 1, 0);
                row.share.part = *part;
                (row.reading.from, row.reading.until) = (TimeMs(*from), TimeMs(from + length));
                row
            }).collect();
            let found = hours(&pieces, &rows, TimeMs(0), TimeMs(i64::MAX));
            for hour in &found {
                prop_assert_eq!(hour.used + hour.idle + hour.unavailable, hour.capacity);
                prop_assert!(hour.used >= 0 && hour.idle >= 0 && hour.unavailable >= 0 && hour.beyond >= 0);
                prop_assert_eq!(hour.from.0 % HOUR_MS, 0);
            }
            let used: i128 = found.iter().map(|hour| hour.used + hour.beyond).sum();
            prop_assert_eq!(used, uses.iter().map(|(_, length, part)| i128::from(*part) * i128::from(*length)).sum::<i128>());
            let capacity: i128 = found.iter().map(|hour| hour.capacity).sum();
            let there = pieces.iter().map(|piece| i128::from(piece.capacity) * i128::from(piece.until.0 - piece.from.0));
            prop_assert_eq!(capacity, there.sum::<i128>());
        }
    }
}
