//! How a task saves its state before it is ended, so that its next attempt goes on from there.

use serde::{Deserialize, Serialize};

use super::{SpecError, check};
use crate::quantity::DurationMs;

/// Asks for a signal and time before the task is ended, at its walltime or when somebody else gets its room.
///
/// The next attempt of the task at the same centre finds what was written to the folder that
/// `HUISUAN_CHECKPOINT_DIR` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The signal it gets, one of [`SIGNALS`].
    pub signal: String,
    /// How long it then has. Before the end of the walltime it gets the signal this much earlier.
    pub grace: DurationMs,
}

/// The signals that a task may ask for: those that a program may handle and that the system sends for no reason of
/// its own.
pub const SIGNALS: [&str; 5] = ["TERM", "INT", "HUP", "USR1", "USR2"];

/// The longest time to save, in milliseconds: an hour. Somebody else waits for the room meanwhile.
pub const GRACE_MS_MAX: u64 = 3_600_000;

impl Checkpoint {
    pub(super) fn validate(&self, walltime: DurationMs) -> Result<(), SpecError> {
        let known = SIGNALS.contains(&self.signal.as_str());
        check(known, "checkpoint.signal", &self.signal, "TERM, INT, HUP, USR1 or USR2")?;
        let (grace, most) = (self.grace.0, GRACE_MS_MAX.min(walltime.0.saturating_sub(1)));
        let expected = "more than none, an hour at most, and less than the walltime";
        check((1..=most).contains(&grace), "checkpoint.grace", format_args!("{grace} ms"), expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobSpec;

    #[track_caller]
    fn check(signal: &str, grace_ms: u64, walltime_ms: u64, wrong: Option<&str>) {
        let checkpoint = Some(Checkpoint { signal: signal.to_owned(), grace: DurationMs(grace_ms) });
        let spec = JobSpec { checkpoint, walltime: DurationMs(walltime_ms), ..JobSpec::command("job", &["/bin/true"]) };
        assert_eq!(spec.validate().err().map(|error| error.field), wrong);
    }

    #[test]
    fn a_task_has_a_signal_and_time_within_its_walltime() {
        check("USR1", 60_000, 3_600_000, None);
        check("TERM", 1, 2, None);
        check("TERM", GRACE_MS_MAX, 2 * GRACE_MS_MAX, None);
        check("KILL", 60_000, 3_600_000, Some("checkpoint.signal"));
        check("SIGTERM", 60_000, 3_600_000, Some("checkpoint.signal"));
        check("TERM", 0, 3_600_000, Some("checkpoint.grace"));
        check("TERM", 60_000, 60_000, Some("checkpoint.grace"));
        check("TERM", GRACE_MS_MAX + 1, 100 * GRACE_MS_MAX, Some("checkpoint.grace"));
    }
}
