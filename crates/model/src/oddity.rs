//! What a centre reported and cannot be: kept apart with its reason, for its operator to look at, and never silently
//! dropped.

use serde::{Deserialize, Serialize};

use crate::{
    ids::AttemptId,
    quantity::{DurationMs, TimeMs},
};

/// In which way a report is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OddityKind {
    /// A cumulative figure is lower than it was before.
    Backwards,
    /// It was used for longer than the centre has had it.
    TooLong,
    /// The centre's clock is ahead of the server's.
    ClockAhead,
    /// A start or an end lies before the attempt was placed.
    ClockBehind,
    /// Work or money does not fit into its type, and was cut.
    Overflow,
    /// More energy was measured than the pool can take.
    TooMuchEnergy,
    /// An attempt that never was.
    UnknownAttempt,
    /// An attempt that was given to another centre.
    ForeignAttempt,
    /// Another end than the one that is in the books.
    SecondEnd,
    /// News of an attempt that had ended, which the books do not take.
    Late,
    /// A report number that was taken before, with other news.
    NumberReused,
    /// More was found within an hour than is written one by one.
    TooMany,
}

impl OddityKind {
    /// All kinds in their fixed order.
    pub const ALL: [OddityKind; 12] = [
        OddityKind::Backwards,
        OddityKind::TooLong,
        OddityKind::ClockAhead,
        OddityKind::ClockBehind,
        OddityKind::Overflow,
        OddityKind::TooMuchEnergy,
        OddityKind::UnknownAttempt,
        OddityKind::ForeignAttempt,
        OddityKind::SecondEnd,
        OddityKind::Late,
        OddityKind::NumberReused,
        OddityKind::TooMany,
    ];

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            OddityKind::Backwards => "backwards",
            OddityKind::TooLong => "too-long",
            OddityKind::ClockAhead => "clock-ahead",
            OddityKind::ClockBehind => "clock-behind",
            OddityKind::Overflow => "overflow",
            OddityKind::TooMuchEnergy => "too-much-energy",
            OddityKind::UnknownAttempt => "unknown-attempt",
            OddityKind::ForeignAttempt => "foreign-attempt",
            OddityKind::SecondEnd => "second-end",
            OddityKind::Late => "late",
            OddityKind::NumberReused => "number-reused",
            OddityKind::TooMany => "too-many",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddity {
    /// About which attempt.
    pub attempt: AttemptId,
    /// In which way.
    pub kind: OddityKind,
    /// When it came.
    pub at: TimeMs,
    /// What was reported, what is possible, and what was taken instead; empty for a repetition that gets no row.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How often it came since `since`.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
    /// When it was found first within the hour that its centre's findings are counted in; absent for what is found of
    /// a live attempt, which remembers it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<TimeMs>,
}

impl Oddity {
    /// Whether it gets a row: the first time, then the tenth, the hundredth and so on. Whoever repeats it does not fill
    /// the disk.
    pub fn shown(&self) -> bool {
        self.count == 10_u64.pow(self.count.max(1).ilog10())
    }
}

fn once() -> u64 {
    1
}

fn is_once(count: &u64) -> bool {
    *count == 1
}

/// What was found at one centre within an hour beside its live attempts: how often each thing came, so that a centre
/// which reports nonsense gets a bounded number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OddBook {
    /// The first finding of the hour.
    since: TimeMs,
    /// Each thing that was found, in its order.
    found: Vec<Repeated>,
    /// Findings beyond [`OddBook::ROWS_MAX`].
    #[serde(default, skip_serializing_if = "is_none")]
    more: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Repeated {
    kind: OddityKind,
    attempt: AttemptId,
    since: TimeMs,
    count: u64,
}

impl OddBook {
    /// Things that are written one by one within an hour.
    pub const ROWS_MAX: usize = 100;
    const HOUR: DurationMs = DurationMs(3_600_000);

    /// Whether nothing was ever found.
    pub fn is_empty(&self) -> bool {
        *self == OddBook::default()
    }

    /// A finding as it is to be recorded now, with how often it came. Beyond the bound it is one of too many.
    pub fn next(&self, kind: OddityKind, attempt: AttemptId, at: TimeMs, detail: String) -> Oddity {
        let found = |kind, count, since| Oddity { attempt, kind, at, detail: String::new(), count, since: Some(since) };
        let known = self.found.iter().find(|known| (known.kind, known.attempt) == (kind, attempt));
        let mut next = match known {
            _ if self.over(at) => found(kind, 1, at),
            Some(known) => found(kind, known.count.saturating_add(1), known.since),
            None if self.found.len() < Self::ROWS_MAX => found(kind, 1, at),
            None => found(OddityKind::TooMany, self.more.saturating_add(1), self.since),
        };
        if next.shown() {
            next.detail = match next.kind {
                OddityKind::TooMany => {
                    let most = Self::ROWS_MAX;
                    format!("beyond {most} of an hour they are only counted; one of them, {}: {detail}", kind.as_str())
                }
                _ => detail,
            };
        }
        next
    }

    /// Takes a finding that [`OddBook::next`] made.
    pub fn take(&mut self, oddity: &Oddity) {
        let Oddity { attempt, kind, at, count, since: Some(since), .. } = *oddity else { return };
        if self.over(at) {
            *self = OddBook { since: at, ..OddBook::default() };
        }
        let known = self.found.iter_mut().find(|known| (known.kind, known.attempt) == (kind, attempt));
        match (kind, known) {
            (OddityKind::TooMany, _) => self.more = count,
            (_, Some(known)) => known.count = count,
            (_, None) => self.found.push(Repeated { kind, attempt, since, count }),
        }
    }

    fn over(&self, at: TimeMs) -> bool {
        self.found.is_empty() || at >= self.since.after(Self::HOUR)
    }
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::JobId;

    /// The rows that so many findings make: each is of one of `attempts` and comes a second after the one before.
    fn rows(findings: u64, attempts: u64) -> Vec<(OddityKind, u64, u64)> {
        let mut book = OddBook::default();
        let mut rows = Vec::new();
        for number in 0..findings {
            let attempt = AttemptId { job: JobId(number % attempts + 1), task: 0, attempt: 1 };
            let found = book.next(OddityKind::Late, attempt, TimeMs(number as i64 * 1_000), "told".into());
            book.take(&found);
            assert_eq!(found.shown(), !found.detail.is_empty());
            if found.shown() {
                rows.push((found.kind, found.attempt.job.0, found.count));
            }
        }
        rows
    }

    #[test]
    fn a_centre_that_repeats_itself_gets_few_rows() {
        let late = OddityKind::Late;
        assert_eq!(rows(1, 1), [(late, 1, 1)]);
        assert_eq!(rows(150, 1), [(late, 1, 1), (late, 1, 10), (late, 1, 100)]);
        assert_eq!(rows(3_601, 1)[3..], [(late, 1, 1000), (late, 1, 1)], "the next hour begins anew");
        let many = rows(3_600, 3_600);
        assert_eq!(many.len(), OddBook::ROWS_MAX + 4, "the rest is counted");
        assert_eq!(many[OddBook::ROWS_MAX], (OddityKind::TooMany, OddBook::ROWS_MAX as u64 + 1, 1));
        assert_eq!(many.last(), Some(&(OddityKind::TooMany, 1_100, 1_000)));
    }
}
