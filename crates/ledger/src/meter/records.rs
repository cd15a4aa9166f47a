//! Rows of the meter taken in from anywhere: twice, late, in any order.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, Class, DurationMs, LineKey, MeterRecord, TenantId, TimeMs};

/// Why a row or a set of rows is refused. A refused row has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeterError {
    /// The row's name is taken by another one.
    #[error(
        "meter record {attempt}/{number} is there already and says otherwise; hint: a record never changes, correct it by another one"
    )]
    Conflict {
        /// Whose.
        attempt: AttemptId,
        /// Its number.
        number: u32,
    },
    /// It runs backwards, or beyond an hour.
    #[error(
        "meter record {attempt}/{number} is from {from} until {until}; hint: an interval goes forward and is at most an hour"
    )]
    Interval {
        /// Whose.
        attempt: AttemptId,
        /// Its number.
        number: u32,
        /// Its first moment.
        from: TimeMs,
        /// The first moment after it.
        until: TimeMs,
    },
    /// Work or money is negative of what is no correction of a price.
    #[error(
        "meter record {attempt}/{number} takes back {what}; hint: only a correction of a price may, and it names its reading"
    )]
    Negative {
        /// Whose.
        attempt: AttemptId,
        /// Its number.
        number: u32,
        /// Work or cost.
        what: &'static str,
    },
    /// A number is missing.
    #[error("meter record {attempt}/{number} is missing; hint: ask its centre to send it again")]
    Gap {
        /// Whose.
        attempt: AttemptId,
        /// The first number that is not there.
        number: u32,
    },
    /// Two intervals of one attempt meet.
    #[error("meter records {attempt}/{number} and the one before it meet; hint: time is metered once")]
    Overlap {
        /// Whose.
        attempt: AttemptId,
        /// The number of the later one.
        number: u32,
    },
    /// A correction names no reading, or another correction.
    #[error(
        "meter record {attempt}/{number} corrects {of}, which is no reading; hint: a correction names the reading itself"
    )]
    Correction {
        /// Whose.
        attempt: AttemptId,
        /// Its number.
        number: u32,
        /// What it names.
        of: u32,
    },
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was not known.
    New,
    /// It was known, word for word.
    Known,
}

/// An hour is 3,600,000 ms.
const HOUR: DurationMs = DurationMs(3_600_000);

/// Rows by attempt and number. The same rows in any order, however often, make the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meters {
    records: BTreeMap<(AttemptId, u32), MeterRecord>,
}

impl Meters {
    /// Takes a row.
    pub fn take(&mut self, record: MeterRecord) -> Result<Taken, MeterError> {
        let (attempt, number) = (record.attempt, record.reading.number);
        if let Some(known) = self.records.get(&(attempt, number)) {
            return if *known == record { Ok(Taken::Known) } else { Err(MeterError::Conflict { attempt, number }) };
        }
        let reading = &record.reading;
        if reading.until <= reading.from || reading.until.since(reading.from) > HOUR {
            let (from, until) = (reading.from, reading.until);
            return Err(MeterError::Interval { attempt, number, from, until });
        }
        let negative = |amount: i64, what| (amount < 0 && reading.timed()).then_some(what);
        if let Some(what) = negative(reading.work, "work").or_else(|| negative(reading.cost.0, "cost")) {
            return Err(MeterError::Negative { attempt, number, what });
        }
        self.records.insert((attempt, number), record);
        Ok(Taken::New)
    }

    /// Whether the rows are whole: no number missing, no time metered twice, every correction of a reading.
    pub fn check(&self) -> Result<(), MeterError> {
        let mut last: Option<(AttemptId, u32, TimeMs)> = None;
        for ((attempt, number), record) in &self.records {
            let before = last.filter(|(known, ..)| known == attempt);
            let (previous, end) = before.map_or((0, None), |(_, number, end)| (number, Some(end)));
            if *number != previous + 1 {
                return Err(MeterError::Gap { attempt: *attempt, number: previous + 1 });
            }
            let reading = &record.reading;
            if reading.timed() && end.is_some_and(|end| reading.from < end) {
                return Err(MeterError::Overlap { attempt: *attempt, number: *number });
            }
            if let Some(of) = reading.adjusts {
                let named = self.records.get(&(*attempt, of)).filter(|_| of < *number);
                // What came late may follow anything; a price is corrected of a reading.
                if named.is_none_or(|named| !reading.timed() && !named.reading.timed()) {
                    return Err(MeterError::Correction { attempt: *attempt, number: *number, of });
                }
            }
            let end = if reading.timed() { reading.until } else { end.unwrap_or(reading.from) };
            last = Some((*attempt, *number, end));
        }
        Ok(())
    }

    /// Every row by attempt and number.
    pub fn records(&self) -> impl Iterator<Item = &MeterRecord> {
        self.records.values()
    }

    /// Work and money of each line of each tenant.
    pub fn totals(&self) -> BTreeMap<(TenantId, LineKey, Class), (i128, i128)> {
        let mut totals = BTreeMap::new();
        for record in self.records.values() {
            let key = (record.tenant.clone(), record.line(), record.share.class);
            let sum: &mut (i128, i128) = totals.entry(key).or_default();
            sum.0 += i128::from(record.reading.work);
            sum.1 += i128::from(record.reading.cost.0);
        }
        totals
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use huisuan_model::{CentreId, GflopPerS, JobId, Money, PoolId, ProjectId, RatedShare, Reading};
    use proptest::prelude::*;

    use super::*;

    /// A row of attempt `job`.0.1 in the hour `number`.
    pub(crate) fn record(job: u64, number: u32, cost: i64) -> MeterRecord {
        let from = i64::from(number) * 3_600_000;
        let reading = Reading {
            number,
            adjusts: None,
            from: TimeMs(from),
            until: TimeMs(from + 3_600_000),
            at: TimeMs(from + 3_600_007),
            work: cost * 3,
            cpu: DurationMs(9),
            rule: 0,
            contract: None,
            price: Money(5),
            cost: Money(cost),
            energy: None,
        };
        MeterRecord {
            attempt: AttemptId { job: JobId(job), task: 0, attempt: 1 },
            tenant: TenantId::new("lab").expect("a name"),
            project: ProjectId::new("default").expect("a name"),
            centre: CentreId::new("hpc-1").expect("a name"),
            pool: PoolId::new("cpu:x").expect("a name"),
            share: RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(9), part: 1, whole: 2 },
            reading,
        }
    }

    /// What is wrong with a row that was changed so.
    fn check(change: impl FnOnce(&mut MeterRecord), expected: &str) {
        let mut meters = Meters::default();
        meters.take(record(1, 1, 5)).expect("a good row");
        let mut changed = record(1, 2, 5);
        change(&mut changed);
        let found = meters.take(changed).and_then(|_| meters.check());
        let text = found.expect_err(expected).to_string();
        assert!(text.contains(expected) && text.contains("; hint: "), "{text}");
    }

    #[test]
    fn bad_rows_are_refused_with_their_reason() {
        check(|row| row.reading.number = 1, "1.0.1/1 is there already and says otherwise");
        check(|row| row.reading.until = row.reading.from, "is from 7200000 ms until 7200000 ms");
        check(|row| row.reading.until.0 += 1, "at most an hour");
        check(|row| row.reading.cost = Money(-1), "takes back cost");
        check(|row| row.reading.work = -1, "takes back work");
        check(|row| row.reading.number = 3, "1.0.1/2 is missing");
        check(|row| row.reading.from.0 -= 1, "at most an hour");
        check(|row| (row.reading.from.0, row.reading.until.0) = (7_199_999, 7_200_001), "meet");
        check(|row| row.reading.adjusts = Some(7), "corrects 7, which is no reading");
    }

    #[test]
    fn corrections_take_back() {
        let mut meters = Meters::default();
        let mut correction = record(1, 2, -2);
        (correction.reading.adjusts, correction.reading.from, correction.reading.until) =
            (Some(1), TimeMs(3_600_000), TimeMs(7_200_000));
        (correction.reading.work, correction.reading.cpu) = (0, DurationMs(0));
        for row in [correction, record(1, 1, 5)] {
            meters.take(row).expect("a good row");
        }
        meters.check().expect("a whole meter");
        assert_eq!(meters.totals().into_values().collect::<Vec<_>>(), [(15, 3)]);
    }

    #[test]
    fn what_came_late_is_time_of_its_own() {
        let of = |change: &dyn Fn(&mut huisuan_model::Reading)| {
            let (mut meters, mut late) = (Meters::default(), record(1, 2, 4));
            late.reading.adjusts = Some(1);
            change(&mut late.reading);
            let mut corrected = record(1, 3, -1);
            (corrected.reading.adjusts, corrected.reading.work, corrected.reading.cpu) = (Some(2), 0, DurationMs(0));
            let rows = [corrected, late, record(1, 1, 5)];
            let wall = rows.iter().map(MeterRecord::wall_ms).sum::<u64>();
            rows.into_iter().try_for_each(|row| meters.take(row).map(drop)).and_then(|()| meters.check()).map(|()| wall)
        };
        assert_eq!(of(&|_| {}), Ok(2 * HOUR.0), "its price is corrected like any other, at no time");
        let meets = of(&|late| (late.from, late.until) = (TimeMs(7_199_999), TimeMs(7_200_001)));
        assert!(matches!(meets, Err(MeterError::Overlap { number: 2, .. })), "{meets:?}");
        let taken = of(&|late| late.work = -1);
        assert!(matches!(taken, Err(MeterError::Negative { what: "work", .. })), "{taken:?}");
    }

    proptest! {
        /// Rows that come twice, late and in any order make the same meter and the same totals.
        #[test]
        fn duplicates_and_reordering_are_harmless(
            rows in prop::collection::vec((1..5_u64, 1..9_u32), 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut first = Meters::default();
            for (job, number) in &rows {
                first.take(record(*job, *number, i64::from(*number) * 7)).expect("the same body each time");
            }
            let mut second = Meters::default();
            let shuffled = order.iter().map(|index| *index.get(&rows)).chain(rows.iter().rev().copied());
            for (job, number) in shuffled {
                let known = second.records.contains_key(&(record(job, 1, 0).attempt, number));
                let taken = second.take(record(job, number, i64::from(number) * 7)).expect("the same body each time");
                prop_assert_eq!(taken == Taken::Known, known);
            }
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(first.totals(), second.totals());
            let other = record(rows[0].0, rows[0].1, 1);
            let refused = second.take(other).is_err_and(|error| matches!(error, MeterError::Conflict { .. }));
            prop_assert!(refused);
        }
    }
}
