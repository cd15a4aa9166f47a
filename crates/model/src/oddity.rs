//! What a centre reported and cannot be: kept apart with its reason, for its operator to look at, and never silently
//! dropped.

use serde::{Deserialize, Serialize};

use crate::{ids::AttemptId, quantity::TimeMs};

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
}

impl OddityKind {
    /// All kinds in their fixed order.
    pub const ALL: [OddityKind; 6] = [
        OddityKind::Backwards,
        OddityKind::TooLong,
        OddityKind::ClockAhead,
        OddityKind::ClockBehind,
        OddityKind::Overflow,
        OddityKind::TooMuchEnergy,
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
    /// What was reported, what is possible, and what was taken instead.
    pub detail: String,
}
