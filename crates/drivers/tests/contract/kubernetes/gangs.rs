//! Tasks of a gang find each other by names that are known before any of them runs. No name server is here: looked at is
//! what it would be told.

use std::sync::Arc;

use huisuan_drivers::{KubernetesConfig, KubernetesEngine, PlacedBy, SubmitResult};
use huisuan_model::{Bytes, CentreId, DurationMs, JobSpec, Millicores, StartOrder, spec::Checkpoint};
use serde_json::json;

use super::{Anywhere, HERE, Lab, cluster::text, config, server::Act};
use crate::bench::{order, script, task};

/// Two tasks that find room on one node, numbered as their user did.
fn pair(job: u64, line: &str) -> Vec<StartOrder> {
    let tasks = "3,7".parse().expect("indices");
    let spec = Arc::new(JobSpec { gang: true, tasks, memory: Bytes(16 << 20), ..script(line) });
    [3, 7].map(|index| StartOrder { cores: Millicores(500), ..task(job, index, &spec) }).to_vec()
}

fn services(lab: &Lab) -> Vec<String> {
    lab.server.cluster.lock().services.keys().cloned().collect()
}

/// Waits until no gang has a service.
pub(super) fn no_services(lab: &Lab) {
    let cluster = &lab.server.cluster;
    let left = |objects: &mut super::cluster::Objects| !objects.services.is_empty();
    let waited = cluster.changed.wait_timeout_while(cluster.lock(), crate::bench::PATIENCE, left).expect("no panic");
    assert!(!waited.1.timed_out(), "services are left: {:?}", waited.0.services);
}

#[test]
fn tasks_are_told_where_the_first_is() {
    for placement in [PlacedBy::Kubernetes, PlacedBy::Huisuan] {
        let mut lab = Anywhere::of(1, placement);
        let orders = pair(1, "echo $HUISUAN_GANG_FIRST $HUISUAN_GANG_HOSTS");
        lab.bench.submit(&orders);
        for order in &orders {
            assert!(lab.bench.end(order.attempt).outcome.success());
            let of = |index: u32| format!("task-{index}.hs-{HERE}-1-g1");
            assert_eq!(lab.bench.stdout(order.attempt), format!("{0} {0}:1,{1}:1\n", of(3), of(7)));
        }
        let ids: Vec<_> = orders.iter().map(|order| order.attempt).collect();
        lab.bench.engine.acknowledge(&ids).expect("acknowledged");
        lab.until_no_services();
    }
}

/// As at other engines; it needs no name for that, and no right.
#[test]
fn a_gang_of_one_task_finds_itself() {
    let mut lab = Anywhere::new();
    let mut alone = order(1, JobSpec { gang: true, ..script("echo $HUISUAN_GANG_FIRST $HUISUAN_GANG_HOSTS") });
    alone.cores = Millicores(500);
    lab.bench.submit(std::slice::from_ref(&alone));
    assert!(lab.bench.end(alone.attempt).outcome.success());
    assert_eq!(lab.bench.stdout(alone.attempt), "127.0.0.1 127.0.0.1:1\n");
    lab.until_no_services();
}

#[test]
fn a_service_selects_the_pods_of_its_try_and_goes_with_the_last() {
    let mut lab = Lab::new();
    let go = lab.bench.file("go");
    let orders = pair(1, &format!("[ $SLURM_PROCID = 0 ] || until [ -e {go} ]; do sleep 0.01; done"));
    lab.bench.submit(&orders);
    let name = format!("hs-{HERE}-1-g1");
    {
        let objects = lab.server.cluster.lock();
        let service = &objects.services[&name];
        assert_eq!((&service["spec"]["clusterIP"], service["spec"].get("ports")), (&json!("None"), None));
        for (pod, host) in objects.pods.values().zip(["task-3", "task-7"]) {
            assert_eq!((text(pod, "/spec/hostname"), text(pod, "/spec/subdomain")), (host, name.as_str()));
            let selector = service["spec"]["selector"].as_object().expect("labels");
            assert!(selector.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value), "{pod}");
        }
    }
    lab.bench.end(orders[0].attempt);
    lab.bench.engine.acknowledge(&[orders[0].attempt]).expect("acknowledged");
    let first = format!("hs-{HERE}-1-3-1");
    lab.until("the first pod gone", |pods| !pods.contains_key(&first));
    assert_eq!(services(&lab), [name], "the other one may still ask for names");
    std::fs::write(go, "").expect("a file");
    lab.bench.end(orders[1].attempt);
    lab.bench.engine.acknowledge(&[orders[1].attempt]).expect("acknowledged");
    no_services(&lab);
}

/// The agent died after the last acknowledgement: its successor removes what is left.
#[test]
fn a_service_that_was_left_behind_is_removed() {
    let mut lab = Lab::new();
    let orders = pair(1, "true");
    lab.bench.submit(&orders);
    orders.iter().for_each(|order| drop(lab.bench.end(order.attempt)));
    let service = lab.server.cluster.lock().services.values().next().expect("a service").clone();
    let ids: Vec<_> = orders.iter().map(|order| order.attempt).collect();
    lab.bench.engine.acknowledge(&ids).expect("acknowledged");
    no_services(&lab);
    lab.close();
    lab.server.cluster.with(|all| all.serve("jobs", &service)).expect("as if it had not been removed");
    lab.reopen();
    no_services(&lab);
}

#[test]
fn who_may_make_no_services_has_gangs_without_names() {
    let mut lab = Lab::new();
    lab.close();
    lab.server.cluster.with(|all| all.forbidden.insert("services".into()));
    lab.reopen();
    let orders = pair(1, "echo \"[$HUISUAN_GANG_FIRST]\"");
    lab.bench.submit(&orders);
    for order in &orders {
        assert!(lab.bench.end(order.attempt).outcome.success());
        assert_eq!(lab.bench.stdout(order.attempt), "[]\n");
    }
    assert!(services(&lab).is_empty());
}

/// Whether names may be given is asked until it is answered: nobody begins without names that others would have.
#[test]
fn a_gang_waits_until_it_is_known_whether_it_has_names() {
    let mut lab = Lab::new();
    lab.close();
    lab.server.fail("REVIEW", Act::Answer(500), 1_000);
    lab.reopen();
    let orders = pair(1, "echo $HUISUAN_GANG_FIRST");
    let error = lab.bench.engine.submit(&orders).expect_err("later").to_string();
    assert!(error.contains("whether services may be made"), "{error}");
    let told = || lab.bench.engine.alarms().iter().any(|alarm| alarm.what.contains("which gangs wait for"));
    assert!(told(), "{:?}", lab.bench.engine.alarms());
    let one = lab.bench.engine.submit(&[order(3, script("true"))]).expect("submitted");
    assert_eq!(one, [SubmitResult::Accepted], "tasks of no gang wait for nothing");
    lab.server.heal();
    lab.bench.submit(&orders);
    assert!(!told(), "it was answered");
    for order in &orders {
        lab.bench.end(order.attempt);
        assert_eq!(lab.bench.stdout(order.attempt), format!("task-3.hs-{HERE}-1-g1\n"));
    }
    let ids: Vec<_> = orders.iter().map(|order| order.attempt).collect();
    lab.bench.engine.acknowledge(&ids).expect("acknowledged");
    no_services(&lab);
}

/// What is refused whatever the cluster says leaves nothing there.
#[test]
fn a_gang_that_is_refused_has_no_service() {
    let mut lab = Lab::new();
    lab.close();
    let opened = KubernetesEngine::open(KubernetesConfig { volume: None, ..config(&lab) });
    lab.bench.engine = Box::new(opened.expect("again"));
    let check = |job: u64, change: &dyn Fn(&mut JobSpec), hint: &str| {
        let mut orders = pair(job, "true");
        let mut spec = (*orders[0].spec).clone();
        change(&mut spec);
        let spec = Arc::new(spec);
        orders.iter_mut().for_each(|order| order.spec = Arc::clone(&spec));
        let results = lab.bench.engine.submit(&orders).expect("submitted");
        let refused = |one: &SubmitResult| matches!(one, SubmitResult::Refused { why } if why.contains(hint));
        assert!(results.iter().all(refused), "{results:?}: {hint}");
    };
    check(1, &|spec| spec.image = Some("x".into()), "digest");
    check(2, &|spec| spec.output = Some("/out".into()), "file of the node");
    let saves = || Some(Checkpoint { signal: "USR1".into(), grace: DurationMs(1_000) });
    check(3, &|spec| spec.checkpoint = saves(), "volume");
    let far = |order: StartOrder| StartOrder { centre: CentreId::new("there").expect("a name"), ..order };
    let orders: Vec<_> = pair(4, "true").into_iter().map(far).collect();
    let results = lab.bench.engine.submit(&orders).expect("submitted");
    assert!(results.iter().all(|one| matches!(one, SubmitResult::Refused { .. })), "{results:?}");
    assert_eq!((lab.server.count("SERVE"), services(&lab)), (0, vec![]));
}

/// One of two that is refused takes nothing from the other, whose end removes the Service.
#[test]
fn a_gang_of_which_a_part_is_refused_has_a_service_until_the_rest_ended() {
    let mut lab = Lab::new();
    let mut orders = pair(1, "true");
    orders[0].centre = CentreId::new("there").expect("a name");
    let results = lab.bench.engine.submit(&orders).expect("submitted");
    assert!(matches!(results[..], [SubmitResult::Refused { .. }, SubmitResult::Accepted]), "{results:?}");
    assert_eq!(services(&lab), [format!("hs-{HERE}-1-g1")]);
    lab.bench.end(orders[1].attempt);
    lab.bench.engine.acknowledge(&[orders[1].attempt]).expect("acknowledged");
    no_services(&lab);
}

#[test]
fn a_gang_whose_service_cannot_be_made_has_no_pods() {
    let lab = Lab::new();
    lab.server.fail("SERVE", Act::Answer(403), 1);
    let results = lab.bench.engine.submit(&pair(1, "true")).expect("submitted");
    assert!(results.iter().all(|one| matches!(one, SubmitResult::Refused { .. })), "{results:?}");
    lab.server.fail("SERVE", Act::Answer(500), 4);
    lab.bench.engine.submit(&pair(2, "true")).expect_err("later, perhaps");
    assert!(lab.server.cluster.lock().pods.is_empty(), "none of them was made");
    let one = lab.bench.engine.submit(&[order(3, script("true"))]).expect("submitted");
    assert_eq!(one, [SubmitResult::Accepted], "tasks of no gang need none");
}
