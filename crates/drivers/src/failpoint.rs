//! Named places at which a crash test may end this process, as a power cut or `kill -9` would.

/// Ends the process by SIGKILL when the failpoint `name` is set to `return`. Costs nothing unless the
/// feature `failpoints` is on.
pub fn reach(name: &'static str) {
    // Without the feature the macro is empty and the name unused.
    let _ = name;
    fail::fail_point!(name, |_| die());
}

#[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "only failpoints end the process"))]
fn die() {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL);
}
