//! Data that is moved for attempts: counted, and a reason to fail.

use huisuan_model::{AttemptState, Bytes, EndCause, JobId, JobSpec, Outcome, ReportKind, Staged, Usage, spec::Reading};

use super::job;
use crate::{
    snapshot,
    testing::{Network, attempt, centre, exited, origin},
};

#[test]
fn data_of_attempts_is_counted_and_its_failure_is_a_failed_try() {
    let mut network = Network::new();
    let spec = JobSpec { retries: 1, centres: vec![centre("hpc-1")], ..job("a") };
    network.submit(spec).expect("accepted");
    network.plan();
    let half = Staged { brought: Bytes(50), to_bring: Bytes(100), ..Staged::default() };
    let on_the_way = ReportKind::Used(Usage { staged: half, ..Usage::default() });
    network.report("hpc-1", vec![(attempt(1, 0, 1), on_the_way)]);
    let seen = network.state.attempt(attempt(1, 0, 1)).expect("it is live");
    assert_eq!((seen.state, seen.usage.staged.percent()), (AttemptState::Placed, Some(50)));
    let outcome = Outcome { cause: EndCause::Staging, exit_code: None, signal: None, detail: "gone".to_owned() };
    let what = ReportKind::Ended { started_at: None, outcome, usage: Usage::default() };
    network.report("hpc-1", vec![(attempt(1, 0, 1), what)]);
    network.plan();
    network.pass(1000);
    let ReportKind::Ended { started_at, outcome, usage } = network.ended(exited(0), 500) else { panic!("an end") };
    let whole = Staged { brought: Bytes(100), to_bring: Bytes(100), taken: Bytes(7), to_take: Bytes(7) };
    let what = ReportKind::Ended { started_at, outcome, usage: Usage { staged: whole, ..usage } };
    network.report("hpc-1", vec![(attempt(1, 0, 2), what)]);
    assert_eq!(network.state.job(JobId(1)).map(|job| job.state), None, "the second try was good, and the job is over");
    let tally = network.state.tally(&origin().tenant).expect("it moved data");
    assert_eq!((tally.bytes_in, tally.bytes_out), (Bytes(150), Bytes(7)));
    network.check_rebuilt();
}

/// What an attempt reads elsewhere is under way from its placement to its start, or to its end if it never starts.
#[test]
fn data_is_under_way_until_its_attempt_starts() {
    let mut network = Network::new();
    let reads = ["ai-1", "hpc-1"].map(|name| Reading { at: centre(name), bytes: Bytes(70) }).into();
    let spec = JobSpec { reads, centres: vec![centre("hpc-1")], retries: 1, ..job("a") };
    network.submit(spec).expect("accepted");
    let under_way = |network: &Network| {
        network.check_rebuilt();
        !snapshot(&network.state).traffic.is_empty()
    };
    assert!(!under_way(&network), "nothing moves to what waits");
    network.plan();
    assert!(under_way(&network));
    let lost = Outcome { cause: EndCause::Lost, exit_code: None, signal: None, detail: String::new() };
    let what = ReportKind::Ended { started_at: None, outcome: lost, usage: Usage::default() };
    network.report("hpc-1", vec![(attempt(1, 0, 1), what)]);
    assert!(!under_way(&network), "what it was for is gone");
    network.plan();
    assert!(under_way(&network));
    network.report("hpc-1", vec![(attempt(1, 0, 2), ReportKind::Started)]);
    assert!(!under_way(&network), "it has what it reads");
}
