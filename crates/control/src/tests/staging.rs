//! Data that is moved for attempts: counted, and a reason to fail.

use huisuan_model::{AttemptState, Bytes, EndCause, JobId, JobSpec, Outcome, ReportKind, Staged, Usage};

use super::job;
use crate::testing::{Network, attempt, centre, exited, origin};

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
