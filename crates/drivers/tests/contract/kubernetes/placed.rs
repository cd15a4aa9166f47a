//! The agent gives pods their nodes (`placement = "huisuan"`): the same promises, gangs that begin as one, and what may
//! happen between a pod and its node. Pods of nodes without room are refused by the fake kubelet, as by a real one.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::{KubernetesConfig, KubernetesEngine, PlacedBy, SubmitResult};
use huisuan_model::{AttemptReport, Bytes, EndCause, JobSpec, Millicores, ReportKind, StartOrder};
use serde_json::{Value, json};

use super::{Anywhere, Lab, apart, config, contract, node, server::Act};
use crate::{
    bench::{Bench, PATIENCE, expect_cause, id, order, script, task},
    checkpoint, staging, suite,
};

contract!(Anywhere::of(1, PlacedBy::Huisuan));

fn lab(nodes: &[&str]) -> Lab {
    Lab::of(nodes, PlacedBy::Huisuan)
}

/// A task of `cores` that waits for a file.
fn holds(bench: &Bench, job: u64, cores: u64) -> StartOrder {
    let go = bench.file("go");
    let spec = JobSpec { memory: Bytes(16 << 20), ..script(&format!("until [ -e {go} ]; do sleep 0.01; done")) };
    StartOrder { cores: Millicores(cores), ..order(job, spec) }
}

/// A gang of tasks of one and a half cores each, so that a node takes one: they wait for each other in a folder.
fn gang(folder: &str, job: u64, count: u32) -> Vec<StartOrder> {
    let text = format!(
        "mkdir -p {folder}/{job}; : > {folder}/{job}/$SLURM_PROCID; \
         until [ $(ls {folder}/{job} | wc -l) -eq {count} ]; do sleep 0.01; done"
    );
    let tasks = format!("0-{}", count - 1).parse().expect("indices");
    let spec = Arc::new(JobSpec { gang: true, tasks, memory: Bytes(16 << 20), ..script(&text) });
    (0..count).map(|index| StartOrder { cores: Millicores(1_500), ..task(job, index, &spec) }).collect()
}

/// Waits for something that nobody reports.
fn until(bench: &Bench, what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "no {what} in {PATIENCE:?}");
        bench.engine.observe(Duration::from_millis(20)).expect("observed");
    }
}

fn nodes_of(lab: &Lab) -> Vec<String> {
    let objects = lab.server.cluster.lock();
    objects.pods.values().map(|pod| super::cluster::text(pod, "/spec/nodeName").to_owned()).collect()
}

/// A pod of somebody else, in another namespace, until a file is there.
fn others(name: &str, node: &str, cpu: &str, until: &str) -> Value {
    let command = ["/bin/sh", "-c", &format!("until [ -e {until} ]; do sleep 0.01; done")];
    let resources = json!({ "requests": { "cpu": cpu } });
    let container = json!({ "name": "c", "command": command, "resources": resources, "workingDir": "/tmp" });
    json!({ "metadata": { "name": name }, "spec": { "nodeName": node, "containers": [container] } })
}

fn is_bound(pod: &Value) -> bool {
    pod["spec"].get("nodeName").is_some()
}

#[test]
fn gangs_run_over_nodes_and_one_after_the_other() {
    let mut lab = Anywhere::of(4, PlacedBy::Huisuan);
    let folder = lab.bench.file("met");
    // Each takes all four nodes: pods of both, started as they come, would wait for each other for ever.
    let (first, second) = (gang(&folder, 1, 4), gang(&folder, 2, 4));
    let mixed: Vec<StartOrder> = first.iter().zip(&second).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    lab.bench.submit(&mixed);
    for order in &mixed {
        let end = lab.bench.end(order.attempt);
        assert!(end.outcome.success(), "{end:?}");
    }
}

#[test]
fn a_pod_without_a_node_is_bound_by_the_next_agent() {
    let mut lab = Anywhere::of(1, PlacedBy::Huisuan);
    let go = lab.bench.file("go");
    let waits = StartOrder { cores: Millicores(1_500), ..order(2, script("exit 3")) };
    lab.bench.submit(&[holds(&lab.bench, 1, 1_500), waits]);
    lab.bench.started(id(1, 0));
    lab.reopen();
    std::fs::write(go, "").expect("a file");
    assert!(lab.bench.end(id(1, 0)).outcome.success());
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(3));
}

#[test]
fn a_node_that_is_cordoned_takes_nothing_until_it_is_open_again() {
    let mut lab = Anywhere::of(2, PlacedBy::Huisuan);
    let cores = |lab: &Anywhere, so_many| {
        let all = |pools: Vec<huisuan_model::Pool>| pools.iter().map(|pool| pool.cores.0).sum::<u64>();
        until(&lab.bench, "word of the node", || all(lab.bench.engine.pools().expect("known")) == so_many);
    };
    lab.cordon(1, true);
    cores(&lab, 2_000);
    lab.bench.submit(&[holds(&lab.bench, 1, 1_500), holds(&lab.bench, 2, 1_500)]);
    lab.bench.started(id(1, 0));
    let started = |report: &AttemptReport| report.attempt == id(2, 0) && report.what == ReportKind::Started;
    assert!(!lab.bench.reports.iter().any(started), "the other node is closed");
    lab.cordon(1, false);
    lab.bench.started(id(2, 0));
    std::fs::write(lab.bench.file("go"), "").expect("a file");
    for job in [1, 2] {
        assert!(lab.bench.end(id(job, 0)).outcome.success());
    }
}

#[test]
fn a_gang_that_is_not_all_here_waits() {
    let mut lab = lab(&["a", "b", "c"]);
    let folder = lab.bench.file("met");
    let gang = gang(&folder, 1, 3);
    lab.bench.submit(&gang[..2]);
    // Somebody else's turn comes all the same, so the line was looked at.
    let go = lab.bench.file("go");
    lab.bench.submit(&[holds(&lab.bench, 2, 1_000)]);
    lab.bench.started(id(2, 0));
    assert_eq!(nodes_of(&lab).iter().filter(|node| !node.is_empty()).count(), 1);
    std::fs::write(go, "").expect("a file");
    lab.bench.submit(&gang[2..]);
    for order in &gang {
        assert!(lab.bench.end(order.attempt).outcome.success());
    }
    let all: BTreeSet<String> = nodes_of(&lab).into_iter().collect();
    assert_eq!(all.len(), 3, "one task on each node");
}

#[test]
fn an_agent_that_dies_between_two_bindings_is_succeeded() {
    let mut lab = lab(&["a", "b", "c"]);
    let folder = lab.bench.file("met");
    let gang = gang(&folder, 1, 3);
    // The first binding counts though nobody hears of it; the others are not made.
    lab.server.fail("BIND", Act::DropAfter, 1);
    lab.server.fail("BIND", Act::Answer(500), 1_000);
    lab.bench.submit(&gang);
    lab.until("a bound pod", |pods| pods.values().filter(|pod| is_bound(pod)).count() == 1);
    lab.server.heal();
    lab.reopen();
    for order in &gang {
        assert!(lab.bench.end(order.attempt).outcome.success());
    }
}

#[test]
fn an_agent_that_dies_before_any_binding_is_succeeded() {
    let mut lab = lab(&["a"]);
    lab.server.fail("BIND", Act::DropBefore, 1_000);
    let order = order(1, script("exit 3"));
    lab.bench.submit(std::slice::from_ref(&order));
    lab.close();
    assert!(nodes_of(&lab).iter().all(String::is_empty));
    lab.server.heal();
    lab.reopen();
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
    assert_eq!(lab.bench.engine.submit(&[order]).expect("submitted"), [SubmitResult::Duplicate]);
}

/// A site that changes its mind: what was made for us is still ours to bind.
#[test]
fn pods_that_wait_for_us_are_bound_after_the_site_chose_otherwise() {
    let mut lab = lab(&["a"]);
    lab.server.fail("BIND", Act::DropBefore, 1_000);
    lab.bench.submit(&[order(1, script("exit 3"))]);
    lab.close();
    lab.server.heal();
    let cluster = KubernetesConfig { placement: PlacedBy::Kubernetes, ..config(&lab) };
    lab.bench.engine = Box::new(KubernetesEngine::open(cluster).expect("again"));
    lab.bench.submit(&[order(2, script("exit 4"))]);
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(4));
}

/// The rest of it is for the cluster's scheduler.
#[test]
fn a_gang_of_which_a_part_waits_for_us_begins_after_the_site_chose_otherwise() {
    let mut lab = lab(&["a", "b", "c"]);
    let folder = lab.bench.file("met");
    let gang = gang(&folder, 1, 3);
    lab.bench.submit(&gang[..2]);
    lab.close();
    lab.placement = PlacedBy::Kubernetes;
    lab.reopen();
    lab.bench.submit(&gang[2..]);
    for order in &gang {
        assert!(lab.bench.end(order.attempt).outcome.success());
    }
}

#[test]
fn a_pod_that_is_held_back_is_bound_after_the_site_chose_otherwise() {
    let mut lab = lab(&["a"]);
    let (over, held) = (lab.bench.file("over"), lab.pod(1));
    lab.server.cluster.with(|all| all.create("theirs", others("theirs", "a", "2", &over))).expect("made");
    lab.reopen();
    lab.bench.submit(&[order(1, script("exit 3"))]);
    lab.close();
    let hold = |lab: &Lab, gates: Value| {
        lab.server.cluster.with(|all| {
            all.pods.get_mut(&held).expect("it has no node")["spec"]["schedulingGates"] = gates;
            all.patch(&held, &json!({}), false).expect("told");
        });
    };
    hold(&lab, json!([{ "name": "kueue.x-k8s.io/admission" }]));
    std::fs::write(over, "").expect("a file");
    lab.placement = PlacedBy::Kubernetes;
    lab.reopen();
    hold(&lab, json!([]));
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
}

#[test]
fn a_binding_that_conflicts_is_read_and_not_made_again() {
    let mut lab = lab(&["a", "b"]);
    let name = lab.pod(1);
    lab.server.fail("BIND", Act::Answer(409), 1);
    lab.bench.submit(&[order(1, script("exit 3"))]);
    // Somebody was faster: an operator by hand.
    lab.until("a pod", |pods| pods.contains_key(&name));
    let target = json!({ "target": { "name": "b" } });
    lab.server.cluster.with(|all| all.bind(&name, &target)).ok();
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
}

#[test]
fn what_others_run_is_not_given_away() {
    let mut lab = lab(&["a", "b"]);
    let over = ["a", "b"].map(|node| lab.bench.file(node));
    lab.server.cluster.with(|all| {
        for (name, node, cpu, until) in [("theirs-a", "a", "1500m", &over[0]), ("theirs-b", "b", "1", &over[1])] {
            all.create("theirs", others(name, node, cpu, until)).expect("made");
        }
    });
    lab.reopen();
    lab.bench.submit(&[holds(&lab.bench, 1, 1_000)]);
    lab.bench.started(id(1, 0));
    assert!(nodes_of(&lab).contains(&"b".to_owned()));
    // Nothing is free for a core now; it is when theirs are over.
    lab.bench.submit(&[holds(&lab.bench, 2, 1_000)]);
    std::fs::write(&over[0], "").expect("a file");
    lab.bench.started(id(2, 0));
    std::fs::write(&over[1], "").expect("a file");
    std::fs::write(lab.bench.file("go"), "").expect("a file");
    for job in [1, 2] {
        assert!(lab.bench.end(id(job, 0)).outcome.success());
    }
}

#[test]
fn a_cordoned_node_takes_nothing_and_a_new_one_does() {
    let mut lab = lab(&["a"]);
    let mut cordoned = node("a", json!({}), json!({}));
    cordoned["spec"] = json!({ "unschedulable": true });
    lab.server.cluster.with(|all| all.put_node(cordoned));
    lab.reopen();
    let refused = lab.bench.engine.submit(&[order(1, script("true"))]).expect("submitted");
    assert!(matches!(&refused[0], SubmitResult::Refused { why } if why.contains("no node")), "{refused:?}");
    // A node that comes is known without asking: the watch tells of it.
    lab.server.cluster.with(|all| all.put_node(node("a", json!({}), json!({}))));
    until(&lab.bench, "a node", || !lab.bench.engine.pools().expect("known").is_empty());
    assert!(lab.bench.run(order(2, script("true"))).outcome.success());
}

/// A node goes, and with it, as the cluster's own collector does it, its pods.
#[test]
fn a_node_that_is_lost_loses_what_ran_there_and_nothing_else() {
    let mut lab = lab(&["a", "b"]);
    lab.bench.submit(&[holds(&lab.bench, 1, 1_500), holds(&lab.bench, 2, 1_500)]);
    lab.bench.started(id(1, 0));
    lab.bench.started(id(2, 0));
    let of_first = lab.pod(1);
    let lost = super::cluster::text(&lab.server.cluster.lock().pods[&of_first], "/spec/nodeName").to_owned();
    lab.server.cluster.with(|all| {
        all.remove_node(&lost);
        all.delete(&of_first, &json!({ "gracePeriodSeconds": 0 })).expect("collected");
    });
    expect_cause(&lab.bench.end(id(1, 0)), EndCause::Lost);
    lab.bench.submit(&[holds(&lab.bench, 3, 1_500)]);
    std::fs::write(lab.bench.file("go"), "").expect("a file");
    for job in [2, 3] {
        assert!(lab.bench.end(id(job, 0)).outcome.success());
    }
    assert!(!nodes_of(&lab)[1..].contains(&lost), "nothing more went there");
}

/// A node knows better than we do what is free: what it does not let in may run elsewhere.
#[test]
fn a_node_that_says_no_is_a_refusal() {
    let mut lab = lab(&["a"]);
    // The node has less than it told: the kubelet looks when a pod comes.
    lab.bench.submit(&[holds(&lab.bench, 1, 500)]);
    lab.bench.started(id(1, 0));
    lab.server.cluster.with(|all| {
        let mut lie = node("a", json!({}), json!({}));
        lie["status"]["allocatable"]["cpu"] = json!("1");
        // Nobody is told: as if the kubelet had taken something for itself a moment ago.
        all.nodes.insert("a".into(), lie);
    });
    lab.bench.submit(&[holds(&lab.bench, 2, 1_000)]);
    let end = lab.bench.end(id(2, 0));
    expect_cause(&end, EndCause::Refused);
    assert!(end.started_at.is_none() && end.outcome.detail.contains("OutOfcpu"), "{end:?}");
    std::fs::write(lab.bench.file("go"), "").expect("a file");
    assert!(lab.bench.end(id(1, 0)).outcome.success());
}

#[test]
fn who_may_not_bind_is_told_at_the_start() {
    let mut lab = lab(&["a"]);
    lab.close();
    lab.server.cluster.with(|all| all.forbidden.insert("binding".into()));
    let Err(error) = KubernetesEngine::open(config(&lab)) else { panic!("it has no right to") };
    assert!(error.to_string().contains("create pods/binding"), "{error}");
}

/// What nothing here can ever take is told to somebody.
#[test]
fn a_gang_beyond_the_centre_is_an_alarm() {
    let lab = lab(&["a", "b"]);
    let folder = lab.bench.file("met");
    lab.bench.submit(&gang(&folder, 1, 3));
    until(&lab.bench, "an alarm", || lab.bench.engine.alarms().iter().any(|alarm| alarm.subject == "attempt 1.0.1"));
    assert!(nodes_of(&lab).iter().all(String::is_empty), "no part of it has a node");
}
