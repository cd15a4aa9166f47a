//! Where crash tests end the process: named points, compiled in with the feature `failpoints` only.

/// Ends the process at the named point when a crash test armed it: no destructor runs, nothing is flushed.
macro_rules! failpoint {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort());
    };
}

pub(crate) use failpoint;
