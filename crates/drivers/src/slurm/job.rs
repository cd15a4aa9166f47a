//! What Slurm calls the job of an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a job or array and, for the elements of an array, their index: what Slurm's programs print and take.
pub(super) type Number = (u64, Option<u32>);

/// The job of an attempt. Slurm may give its number to another one, so it counts only together with its name.
///
/// In the log it is `70`, `[70, 3, 12]` for an element, or `{"gang": 70}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SlurmJob {
    /// One for this attempt alone, under the attempt's name.
    Single(u64),
    /// Number of the array, index of the element, number of the list that says which attempt each element is.
    Element(u64, u32, u64),
    /// One for all tasks of a gang.
    Gang {
        /// Its number.
        gang: u64,
    },
}

impl SlurmJob {
    pub(super) fn number(self) -> Number {
        match self {
            SlurmJob::Single(number) | SlurmJob::Gang { gang: number } => (number, None),
            SlurmJob::Element(number, index, _) => (number, Some(index)),
        }
    }
}

impl fmt::Display for SlurmJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlurmJob::Single(number) | SlurmJob::Gang { gang: number } => write!(f, "{number}"),
            SlurmJob::Element(number, index, _) => write!(f, "{number}_{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_arrays_is_read_as_before() {
        for (text, job, said) in [
            ("70", SlurmJob::Single(70), "70"),
            ("[70,3,12]", SlurmJob::Element(70, 3, 12), "70_3"),
            (r#"{"gang":70}"#, SlurmJob::Gang { gang: 70 }, "70"),
        ] {
            assert_eq!(serde_json::from_str::<SlurmJob>(text).expect("a job"), job);
            assert_eq!(serde_json::to_string(&job).expect("text"), text);
            assert_eq!(job.to_string(), said);
        }
    }
}
