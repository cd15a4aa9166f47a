//! What every engine promises, run on each engine there is, and what each promises beyond it.

mod away;
mod bench;
mod checkpoint;
mod containers;
mod copies;
mod crash;
mod faults;
mod full;
mod gangs;
mod kubernetes;
#[path = "../lab/mod.rs"]
mod lab;
mod local;
mod names;
mod place;
mod qos;
mod reservations;
mod sessions;
mod simulated;
mod slurm;
mod staging;
mod suite;
mod users;

use std::path::PathBuf;

/// Not a test by itself: the tests start this program again with this entry as their supervisor.
#[test]
fn supervisor_entry() {
    if std::env::var_os(bench::SUPERVISOR_VARIABLE).is_none() {
        return;
    }
    #[cfg(feature = "failpoints")]
    let _armed = fail::FailScenario::setup();
    let dir = std::env::args_os().skip_while(|argument| argument != "--dir").nth(1);
    let dir = PathBuf::from(dir.expect("a supervisor is started with --dir DIR"));
    huisuan_drivers::supervise(&dir).expect("the supervisor ends well");
}

/// Not a test by itself: an agent that the fault tests of the Slurm engine kill.
#[test]
fn slurm_agent_entry() {
    if std::env::var_os(faults::AGENT_VARIABLE).is_some() {
        faults::agent();
    }
}
