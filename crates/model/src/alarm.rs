//! Alarms: what the network found at a centre and must not mend by itself.

use serde::{Deserialize, Serialize};

use crate::quantity::TimeMs;

/// Something at a centre that a person has to look at. It stays until it is no longer so, or an operator clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What it is.
    pub kind: AlarmKind,
    /// What it is about: an attempt, a server run, an order. With the kind it names the alarm at its centre.
    pub subject: String,
    /// What was found, for people.
    pub detail: String,
    /// When it was first found.
    pub since: TimeMs,
}

/// What an alarm says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// The centre runs an attempt that this network never ordered: it is left alone.
    UnknownAttempt,
    /// The centre runs an attempt that has ended in the books: it was told to end it.
    EndedAttempt,
    /// The centre runs an attempt that was given to another one: it is not believed.
    ForeignAttempt,
    /// The centre says nothing of an attempt that it was given and that ran there.
    MissingAttempt,
    /// Whoever speaks for the centre reported an attempt of another one: nothing of that was taken.
    FalseReport,
    /// Whoever speaks for the centre named a server run that was never there.
    FalseEpoch,
    /// The centre's engine says that a person should look at something there, such as a node that is drained.
    Engine,
    /// A pool was measured again, and its rate is far from the one before.
    RateChanged,
    /// The centre's agent does not measure a pool again, though it was asked and nothing runs there.
    MeasurementIgnored,
}

impl AlarmKind {
    /// All kinds in their fixed order.
    pub const ALL: [AlarmKind; 9] = [
        AlarmKind::UnknownAttempt,
        AlarmKind::EndedAttempt,
        AlarmKind::ForeignAttempt,
        AlarmKind::MissingAttempt,
        AlarmKind::FalseReport,
        AlarmKind::FalseEpoch,
        AlarmKind::Engine,
        AlarmKind::RateChanged,
        AlarmKind::MeasurementIgnored,
    ];

    /// The word used in code, API and console.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::UnknownAttempt => "unknown-attempt",
            AlarmKind::EndedAttempt => "ended-attempt",
            AlarmKind::ForeignAttempt => "foreign-attempt",
            AlarmKind::MissingAttempt => "missing-attempt",
            AlarmKind::FalseReport => "false-report",
            AlarmKind::FalseEpoch => "false-epoch",
            AlarmKind::Engine => "engine",
            AlarmKind::RateChanged => "rate-changed",
            AlarmKind::MeasurementIgnored => "measurement-ignored",
        }
    }
}

/// The most alarms that a centre keeps: whoever lies a thousand times is no better known after the first hundred.
pub const ALARMS_MAX: usize = 100;
/// The longest detail, in bytes.
pub const DETAIL_BYTES_MAX: usize = 500;
