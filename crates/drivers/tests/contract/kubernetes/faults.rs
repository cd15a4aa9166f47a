//! What goes wrong between engine and cluster, and must not matter: every attempt starts once and its end is told.

use std::{
    fs,
    time::{Duration, Instant},
};

use huisuan_drivers::SubmitResult;
use huisuan_model::{EndCause, ReportKind, StartOrder};
use serde_json::json;

use super::{Lab, server::Act};
use crate::bench::{PATIENCE, end_of, expect_cause, id, order, script};

/// An order that leaves a trace outside of everything.
fn traced(lab: &Lab, job: u64, then: &str) -> StartOrder {
    let file = lab.bench.file("trace");
    order(job, script(&format!("echo {job} >> {file}; {then}")))
}

/// How often each of these jobs started.
fn starts(lab: &Lab) -> Vec<u64> {
    let text = fs::read_to_string(lab.bench.file("trace")).unwrap_or_default();
    let mut jobs: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    jobs.sort_unstable();
    jobs
}

fn taken(results: &[SubmitResult]) -> bool {
    results.iter().all(|result| matches!(result, SubmitResult::Accepted | SubmitResult::Duplicate))
}

#[test]
fn a_connection_that_breaks_after_the_create_starts_once() {
    let mut lab = Lab::new();
    lab.server.fail("POST", Act::DropAfter, 1);
    let order = traced(&lab, 1, "exit 3");
    assert!(taken(&lab.bench.engine.submit(&[order]).expect("submitted")));
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
    assert_eq!(starts(&lab), [1]);
}

#[test]
fn an_outcome_that_stays_unknown_starts_once_after_a_restart() {
    let mut lab = Lab::new();
    lab.server.fail("POST", Act::DropAfter, 4);
    let order = traced(&lab, 1, "exit 3");
    let error = lab.bench.engine.submit(std::slice::from_ref(&order)).expect_err("no answer came");
    assert!(error.to_string().contains("making pods"), "{error}");
    lab.reopen();
    assert!(taken(&lab.bench.engine.submit(&[order]).expect("submitted")));
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
    assert_eq!(starts(&lab), [1]);
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let mut lab = Lab::new();
    lab.server.fail("POST", Act::Answer(500), 2);
    lab.server.fail("POST", Act::Answer(429), 1);
    let order = traced(&lab, 1, "");
    assert!(lab.bench.run(order).outcome.success());
    lab.server.fail("POST", Act::Answer(503), 4);
    let order = traced(&lab, 2, "");
    lab.bench.engine.submit(std::slice::from_ref(&order)).expect_err("it said no four times");
    assert!(lab.bench.run(order).outcome.success(), "who repeats the call is served");
    assert_eq!(starts(&lab), [1, 2]);
}

#[test]
fn a_watch_that_is_gone_misses_nothing() {
    let mut lab = Lab::new();
    let go = lab.bench.file("go");
    let wait = format!("until [ -e {go} ]; do sleep 0.01; done");
    let orders = [traced(&lab, 1, &wait), traced(&lab, 2, "exit 4")];
    lab.bench.submit(&orders);
    lab.bench.started(id(1, 0));
    lab.server.cluster.forget();
    fs::write(&go, "").expect("a file");
    lab.server.cluster.forget();
    assert!(lab.bench.end(id(1, 0)).outcome.success());
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(4));
    let lists = lab.server.count("LIST");
    assert!(lists >= 2, "it was listed again: {lists}");
    assert_eq!(starts(&lab), [1, 2]);
}

#[test]
fn broken_watches_and_lists_are_begun_anew() {
    let mut lab = Lab::new();
    lab.server.fail("WATCH", Act::DropBefore, 2);
    lab.server.fail("LIST", Act::Answer(500), 2);
    lab.server.cluster.forget();
    let order = traced(&lab, 1, "exit 5");
    assert_eq!(lab.bench.run(order).outcome.exit_code, Some(5));
}

#[test]
fn a_slow_watch_tells_all_in_the_end() {
    let mut lab = Lab::new();
    lab.server.fail("WATCH", Act::Slow(20), 100);
    lab.server.cluster.forget();
    let orders: Vec<_> = (1..=20).map(|job| traced(&lab, job, "")).collect();
    lab.bench.submit(&orders);
    for order in &orders {
        assert!(lab.bench.end(order.attempt).outcome.success());
    }
    assert_eq!(starts(&lab), (1..=20).collect::<Vec<_>>());
}

/// Every request of the engine fails now and then, the agent is replaced twice, and its watch forgets.
#[test]
fn many_attempts_through_all_faults_start_and_end_once() {
    let mut lab = Lab::new();
    let orders: Vec<_> = (1..=60).map(|job| traced(&lab, job, &format!("exit {}", job % 7))).collect();
    for (round, orders) in orders.chunks(20).enumerate() {
        for act in [Act::DropAfter, Act::Answer(500), Act::DropBefore, Act::Answer(429)] {
            lab.server.fail("POST", act, 3);
            lab.server.fail("DELETE", act, 2);
        }
        lab.server.fail("PATCH", Act::Answer(409), 4);
        lab.server.fail("WATCH", Act::DropBefore, 1);
        while !lab.bench.engine.submit(orders).is_ok_and(|results| taken(&results)) {}
        lab.server.cluster.forget();
        if round < 2 {
            lab.reopen();
            assert!(taken(&lab.bench.engine.submit(orders).expect("ordered again")));
        }
        for order in orders {
            let code = i32::try_from(order.attempt.job.0 % 7).expect("small");
            assert_eq!(lab.bench.end(order.attempt).outcome.exit_code, Some(code));
            lab.bench.engine.acknowledge(&[order.attempt]).expect("acknowledged");
        }
    }
    assert_eq!(starts(&lab), (1..=60).collect::<Vec<_>>());
    lab.all_gone();
    let lists = lab.server.count("LIST");
    assert!(lists < 40, "{lists} lists for 60 attempts");
}

#[test]
fn conflicts_while_a_pod_is_let_go() {
    let mut lab = Lab::new();
    let order = traced(&lab, 1, "");
    lab.bench.run(order);
    lab.server.fail("PATCH", Act::Answer(409), 3);
    lab.server.fail("DELETE", Act::DropAfter, 1);
    lab.server.fail("LOG", Act::Answer(500), 1);
    lab.bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    lab.all_gone();
    assert_eq!(lab.bench.stdout(id(1, 0)), "");
}

#[test]
fn an_end_stays_in_the_cluster_until_it_is_acknowledged() {
    let mut lab = Lab::new();
    let order = traced(&lab, 1, "echo kept; exit 6");
    lab.bench.run(order.clone());
    lab.close();
    let name = lab.pod(1);
    lab.server
        .cluster
        .with(|all| all.delete(&name, &json!({ "gracePeriodSeconds": 0 })))
        .expect("deleted by an operator");
    assert!(lab.server.cluster.lock().find(&name).is_ok(), "our finalizer holds it");
    lab.reopen();
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(6));
    lab.bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    lab.all_gone();
    lab.reopen();
    assert_eq!(lab.bench.stdout(id(1, 0)), "kept\n");
    assert_eq!(lab.bench.engine.submit(&[order]).expect("submitted"), [SubmitResult::Duplicate]);
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(6), "told again, from the journal");
    assert_eq!(starts(&lab), [1]);
}

#[test]
fn a_pod_that_somebody_removed_is_lost_and_never_started_again() {
    let mut lab = Lab::new();
    let order = traced(&lab, 1, "sleep 1000");
    lab.bench.submit(std::slice::from_ref(&order));
    lab.bench.started(id(1, 0));
    // A container is told of before the first line of its script has run.
    let deadline = Instant::now() + PATIENCE;
    while starts(&lab).is_empty() {
        assert!(Instant::now() < deadline, "no trace");
        std::thread::yield_now();
    }
    lab.close();
    let name = lab.pod(1);
    lab.server.cluster.with(|all| {
        all.patch(&name, &json!({ "metadata": { "finalizers": [] } }), false).expect("stripped");
        all.delete(&name, &json!({ "gracePeriodSeconds": 0 })).expect("forced");
    });
    lab.reopen();
    expect_cause(&lab.bench.end(id(1, 0)), EndCause::Lost);
    assert_eq!(lab.bench.engine.submit(&[order]).expect("submitted"), [SubmitResult::Duplicate]);
    assert_eq!(starts(&lab), [1]);
}

#[test]
fn a_pod_that_somebody_deletes_while_it_runs_is_lost_with_its_signal() {
    let mut lab = Lab::new();
    let order = traced(&lab, 1, "sleep 1000");
    lab.bench.submit(&[order]);
    lab.bench.started(id(1, 0));
    let name = lab.pod(1);
    lab.server.cluster.with(|all| all.delete(&name, &json!({}))).expect("deleted by an operator");
    let end = lab.bench.end(id(1, 0));
    expect_cause(&end, EndCause::Lost);
    assert_eq!(end.outcome.signal, Some(15));
    assert!(end.outcome.detail.contains("somebody else"), "{end:?}");
}

#[test]
fn a_cancel_is_not_forgotten_with_the_agent() {
    let mut lab = Lab::new();
    let order = traced(&lab, 1, "sleep 1000");
    lab.bench.submit(&[order]);
    lab.bench.started(id(1, 0));
    lab.server.fail("DELETE", Act::DropBefore, 4);
    lab.bench.engine.cancel(&[id(1, 0)]).expect("it is written down");
    lab.reopen();
    let end = lab.bench.end(id(1, 0));
    expect_cause(&end, EndCause::Cancelled);
    assert_eq!(end.outcome.signal, Some(15));
}

#[test]
fn a_duplicate_order_races_with_nothing() {
    let mut lab = Lab::new();
    let one = traced(&lab, 1, "");
    let engine = &lab.bench.engine;
    let results: Vec<SubmitResult> = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..8).map(|_| scope.spawn(|| engine.submit(std::slice::from_ref(&one)).expect("submitted"))).collect();
        tries.into_iter().flat_map(|tried| tried.join().expect("no panic")).collect()
    });
    assert_eq!(results.iter().filter(|result| **result == SubmitResult::Accepted).count(), 1, "{results:?}");
    assert!(lab.bench.end(id(1, 0)).outcome.success());
    let more = lab.bench.engine.observe(Duration::from_millis(100)).expect("observed");
    let ends = more.iter().filter_map(|report| end_of(report, id(1, 0))).count();
    assert_eq!((starts(&lab), ends), (vec![1], 0));
    assert!(more.iter().all(|report| !matches!(report.what, ReportKind::Started)));
}

/// The answer to a create is lost, and then the cluster, or the agent itself, would not make the pod again: it runs.
#[test]
fn a_refusal_does_not_hit_what_runs() {
    let check = |code: u16, gone: bool| {
        let mut lab = Lab::new();
        lab.server.fail("WATCH", Act::Slow(2_000), 1_000);
        lab.server.cluster.forget();
        lab.server.fail("POST", Act::DropAfter, 1);
        lab.server.fail("POST", Act::Answer(code), 3);
        lab.server.fail("GET", Act::DropBefore, 4);
        let order = traced(&lab, 1, "exit 3");
        let _ = lab.bench.engine.submit(std::slice::from_ref(&order));
        if gone {
            lab.server.cluster.with(|all| all.remove_node("node"));
            lab.bench.engine.inventory().expect("no node");
        }
        lab.server.heal();
        lab.server.fail("POST", Act::Answer(code), 4);
        assert!(taken(&lab.bench.engine.submit(std::slice::from_ref(&order)).expect("submitted")), "{code} {gone}");
        assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
        assert_eq!(starts(&lab), [1]);
    };
    check(403, false);
    check(422, false);
    check(403, true);
}

#[test]
fn what_is_refused_and_not_there_is_refused() {
    let lab = Lab::new();
    lab.server.fail("POST", Act::Answer(422), 1);
    let results = lab.bench.engine.submit(&[traced(&lab, 1, "")]).expect("submitted");
    assert!(matches!(&results[0], SubmitResult::Refused { why } if why.contains("refused its pod")), "{results:?}");
    assert!(starts(&lab).is_empty());
}
