//! The server's clock: milliseconds UTC that never step back, and never stand still.
//!
//! It shows the system's time while that is ahead. When the system's clock steps back, time goes on here by the
//! kernel's monotonic clock, a little slower, until the system has caught up: were it to stand still, nothing that runs
//! meanwhile would be billed, because no attempt can have run for longer than since it was placed.
//!
//! What waits for silence or for a deadline does not ask this clock but `Instant`, which nobody can set.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use huisuan_model::TimeMs;

/// How fast time goes, in percent, while the system's clock is behind: an hour is caught up with in ten.
const BEHIND_PERCENT: u128 = 90;
/// Steps of the system's clock that are worth a warning.
const WARN_MS: i64 = 1_000;

/// Time for the whole server.
#[derive(Debug)]
pub(crate) struct Clock {
    shown: Mutex<Shown>,
}

/// The last time that came from the system, and when that was.
#[derive(Debug, Clone, Copy)]
struct Shown {
    system: TimeMs,
    at: Instant,
    /// It was said that the system's clock is behind.
    warned: bool,
}

impl Clock {
    /// A clock that shows nothing before `earliest`, the time of the last journal entry.
    pub(crate) fn starting_at(earliest: TimeMs) -> Self {
        Clock { shown: Mutex::new(Shown { system: earliest, at: Instant::now(), warned: false }) }
    }

    pub(crate) fn now(&self) -> TimeMs {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: a thread that read before another one must not be taken for a step back.
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        shown.next(TimeMs(i64::try_from(system.as_millis()).unwrap_or(i64::MAX)), Instant::now())
    }
}

impl Shown {
    fn next(&mut self, system: TimeMs, at: Instant) -> TimeMs {
        let since = at.saturating_duration_since(self.at);
        let alone = self.system.0.saturating_add(slower(since));
        if system.0 >= alone {
            *self = Shown { system, at, warned: false };
            return system;
        }
        if !self.warned && alone - system.0 >= WARN_MS {
            self.warned = true;
            let behind_ms = alone - system.0;
            tracing::warn!(behind_ms, "the system's clock is behind what was shown; time goes on slower meanwhile");
        }
        TimeMs(alone)
    }
}

/// What of a span is shown while the system's clock is behind, in milliseconds.
fn slower(span: Duration) -> i64 {
    i64::try_from(span.as_millis() * BEHIND_PERCENT / 100).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Steps of `(milliseconds that pass, the system's clock then, what is shown)`.
    fn check(steps: &[(u64, i64, i64)]) {
        let mut at = Instant::now();
        let mut shown = Shown { system: TimeMs(0), at, warned: false };
        for &(pass, system, expected) in steps {
            at += Duration::from_millis(pass);
            assert_eq!(shown.next(TimeMs(system), at), TimeMs(expected), "{steps:?}");
        }
    }

    #[test]
    fn the_systems_time_is_shown_while_it_is_ahead() {
        check(&[(0, 1_000, 1_000), (500, 1_500, 1_500), (1, 3_601_501, 3_601_501)]);
    }

    #[test]
    fn after_a_step_back_time_goes_on_slower_until_it_is_caught_up_with() {
        check(&[
            (0, 10_000, 10_000),
            // Five seconds back, at once, after a second, and after the fifty that it takes.
            (0, 5_000, 10_000),
            (1_000, 6_000, 10_900),
            (49_000, 55_000, 55_000),
            (1_000, 56_000, 56_000),
        ]);
    }

    #[test]
    fn a_system_that_is_a_day_behind_bills_what_runs() {
        let day = 86_400_000;
        check(&[(0, 2 * day, 2 * day), (0, day, 2 * day), (3_600_000, day + 3_600_000, 2 * day + 3_240_000)]);
    }

    proptest! {
        /// Whatever the system's clock does, this one never steps back and never stands still.
        #[test]
        fn it_never_steps_back_and_never_stands_still(
            steps in prop::collection::vec((10..10_000_u64, -100_000_000..100_000_000_i64), 1..50),
        ) {
            let mut at = Instant::now();
            let mut shown = Shown { system: TimeMs(0), at, warned: false };
            let mut before = shown.next(TimeMs(0), at);
            let mut passed = 0;
            for (pass, offset) in steps {
                at += Duration::from_millis(pass);
                passed += i64::try_from(pass).expect("small");
                let now = shown.next(TimeMs(passed + offset), at);
                // Parts of a millisecond may be lost at each step.
                prop_assert!(now.0 >= before.0 + slower(Duration::from_millis(pass)) - 1, "{before:?} {now:?}");
                before = now;
            }
        }
    }
}
