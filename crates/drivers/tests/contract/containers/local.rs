//! Containers at a local centre.

use std::{fs, path::Path};

use huisuan_drivers::{LocalEngine, SubmitResult};
use huisuan_model::EndCause;

use super::{Imaged, container_contract, containers, first_process, left, own};
use crate::{
    bench::{Bench, ProcessHandle, expect_cause, id, open_with, order, script},
    suite,
};

fn open(dir: &Path) -> Imaged<LocalEngine> {
    Imaged(open_with(dir, "", 1 << 30, Ok(containers(dir))).expect("a local centre"))
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let engine = open(&folder.path().join("centre"));
    Bench::new(engine, folder)
}

container_contract!(bench());

// At Slurm centres these are of the engine, whatever runs on the nodes; and nobody there looks at memory that often.
suite::contract! {
    bench(),
    refusals,
    a_queued_attempt_is_cancelled,
    an_unknown_attempt_is_cancelled_for_ever,
    a_report_comes_until_it_is_acknowledged,
    memory_is_limited,
}

#[test]
fn an_image_that_is_not_here_is_refused_and_goes_elsewhere() {
    let bench = bench();
    let other = format!("localhost/huisuan-test@sha256:{}", "0a".repeat(32));
    let mut orders = vec![order(1, script("true")), order(2, script("true")), order(3, script("true"))];
    for order in &mut orders[..2] {
        std::sync::Arc::make_mut(&mut order.spec).image = Some(other.clone());
    }
    std::sync::Arc::make_mut(&mut orders[2].spec).output = Some("/tmp/x".into());
    let results = bench.engine.submit(&orders).expect("submitted");
    for (result, hint) in results.iter().zip(["not on this machine", "not on this machine", "file of the node"]) {
        assert!(matches!(result, SubmitResult::Refused { why } if why.contains(hint)), "{result:?}");
    }
    assert!(bench.engine.inventory().expect("an inventory").iter().all(|pool| pool.images));
    assert!(bench.engine.images().is_ok_and(|how| how.contains("images of this machine only")));
}

#[test]
fn a_killed_supervisor_loses_no_container_and_no_exit_code() {
    let mut bench = bench();
    let dir = bench.folder.path().join("centre");
    let text = |code: u32| format!("until [ -e go ]; do sleep 0.02; done; echo done; exit {code}");
    let mut orders = vec![order(1, script(&text(5))), order(2, script(&text(6)))];
    orders.iter_mut().for_each(|order| order.cores = huisuan_model::Millicores(500));
    bench.submit(&orders);
    bench.started(id(1, 0));
    bench.started(id(2, 0));
    crate::crash::supervisor(&dir).kill();
    // The second ends while nobody watches.
    let second = first_process(&bench, id(2, 0));
    fs::write(own(&bench, id(2, 0), "go"), "").expect("a file");
    second.wait_gone();
    bench.engine = Box::new(open(&dir));
    bench.reports.clear();
    fs::write(own(&bench, id(1, 0), "go"), "").expect("a file");
    for (job, code) in [(1, 5), (2, 6)] {
        let end = bench.end(id(job, 0));
        assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(code)), "{end:?}");
        assert_eq!(bench.stdout(id(job, 0)), "done\n");
    }
    assert_eq!(left(&bench), 0);
}

#[test]
fn a_killed_client_takes_its_container_along() {
    let mut bench = bench();
    bench.submit(&[order(1, script("sleep 1000"))]);
    bench.started(id(1, 0));
    assert_eq!(left(&bench), 1, "as the other tests count");
    let first = first_process(&bench, id(1, 0));
    let claim = fs::read_to_string(own(&bench, id(1, 0), "../claim")).expect("a claim");
    let pid = claim.split("\"pid\":").nth(1).and_then(|rest| rest.split(',').next()).expect("it runs");
    let pid = rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("a process id");
    ProcessHandle(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it runs")).kill();
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Lost);
    assert!(end.outcome.detail.contains("client was killed"), "{end:?}");
    first.wait_gone();
    assert_eq!(left(&bench), 0);
}
