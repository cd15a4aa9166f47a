//! What the engine makes of nodes, pods and records of usage.

use std::sync::Arc;

use huisuan_drivers::{Held, KubernetesConfig, KubernetesEngine, PoolRule, SubmitResult};
use huisuan_model::{
    Bytes, Class, EndCause, EngineKind, GflopPerS, JobSpec, MilliDevices, Millicores, PoolId, ReportKind, StartOrder,
    spec::{DeviceNeed, Need, Work},
};
use serde_json::{Value, json};

use super::{Lab, config, node, server::Act, small};
use crate::bench::{expect_cause, id, order, script, task};

/// A node without a kubelet: what goes there happens only when a test says so.
fn ghost(lab: &Lab, more: Value, labels: Value) {
    lab.server.cluster.with(|all| all.put_node(node("ghost", labels, more)));
    lab.bench.engine.inventory().expect("asked again");
}

fn with_devices(job: u64, part: Option<&str>, count: u64) -> StartOrder {
    let any_of = part.map(|part| PoolId::new(part).expect("a name")).into_iter().collect();
    let devices = Some(DeviceNeed { count: MilliDevices(count), any_of, memory_min: Bytes::ZERO });
    let spec = JobSpec { need: Need::Hardware { cores: Millicores(1000), devices }, ..script("true") };
    StartOrder { devices: MilliDevices(count), ..order(job, spec) }
}

#[test]
fn the_inventory_is_what_nodes_offer() {
    let lab = Lab::new();
    assert_eq!((lab.bench.engine.kind(), lab.bench.engine.memory_mode().as_str()), (EngineKind::Kubernetes, "cgroup"));
    assert!(lab.bench.engine.blank());
    let labels = json!({ "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu.memory": "81920" });
    ghost(&lab, json!({ "nvidia.com/gpu": "8" }), labels);
    lab.server.cluster.with(|all| {
        let mut cordoned = node("cordoned", json!({}), json!({}));
        cordoned["spec"] = json!({ "unschedulable": true });
        let mut tainted = node("tainted", json!({}), json!({}));
        tainted["spec"] = json!({ "taints": [{ "key": "mine", "effect": "NoSchedule" }] });
        let mut dead = node("dead", json!({}), json!({}));
        dead["status"]["conditions"] = json!([{ "type": "Ready", "status": "Unknown" }]);
        [cordoned, tainted, dead].into_iter().for_each(|node| all.put_node(node));
    });
    let pools = lab.bench.engine.inventory().expect("an inventory");
    let [gpu, cpu] = pools.as_slice() else { panic!("two pools: {pools:?}") };
    assert_eq!((gpu.id.as_str(), gpu.devices.0, gpu.device_memory.0), ("NVIDIA-A100-SXM4-80GB", 8_000, 80 << 30));
    assert_eq!((cpu.id.as_str(), cpu.cores.0, cpu.memory.0), ("cpu:unknown", 2_000, 1 << 30));
    assert!(gpu.images && cpu.images && lab.bench.engine.images().is_ok());
    let alarms: Vec<_> = lab.bench.engine.alarms().into_iter().map(|alarm| (alarm.subject, alarm.what)).collect();
    let expected = [("node cordoned", "it is cordoned"), ("node dead", "it is not ready")];
    assert_eq!(alarms, expected.map(|(subject, what)| (subject.to_owned(), what.to_owned())));
}

/// An agent looks often whether its pools are others by now, and says what is known when the cluster does not answer.
#[test]
fn pools_are_remembered_and_not_asked_for() {
    let lab = Lab::new();
    let known = lab.bench.engine.pools().expect("known since it was opened");
    assert_eq!(known.len(), 1, "{known:?}");
    let asked = lab.server.count("GET");
    assert_eq!(lab.bench.engine.pools().expect("remembered"), known);
    assert_eq!(lab.server.count("GET"), asked, "nobody was asked");
    lab.server.fail("GET", Act::Answer(500), 100);
    lab.bench.engine.inventory().expect_err("the cluster does not answer");
    assert_eq!(lab.bench.engine.pools().expect("remembered"), known);
}

#[test]
fn devices_are_asked_for_by_their_vendors_name() {
    let lab = Lab::new();
    ghost(&lab, json!({ "huawei.com/Ascend910": "8" }), json!({ "node.kubernetes.io/npu.chip.name": "910B3" }));
    lab.bench.submit(&[with_devices(1, Some("910B3"), 2_000), with_devices(2, None, 1_000)]);
    let objects = lab.server.cluster.lock();
    let pod = &objects.pods[&lab.pod(1)];
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["huawei.com/Ascend910"], "2");
    assert_eq!(container["resources"]["limits"], container["resources"]["requests"]);
    let variable = |name: &str| {
        let all = container["env"].as_array().expect("variables");
        all.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].clone())
    };
    assert_eq!(variable("ASCEND_VISIBLE_DEVICES"), None, "the device plugin says which");
    drop(objects);
    let refused = lab.bench.engine.submit(&[with_devices(3, Some("910A"), 1_000), with_devices(4, None, 9_000)]);
    let refused = refused.expect("submitted");
    assert!(matches!(&refused[0], SubmitResult::Refused { why } if why.contains("this hardware")), "{refused:?}");
    assert!(matches!(&refused[1], SubmitResult::Refused { why } if why.contains("device")), "{refused:?}");
    let half = lab.bench.engine.submit(&[with_devices(5, None, 500)]).expect("submitted");
    assert!(matches!(&half[0], SubmitResult::Refused { why } if why.contains("whole")), "{half:?}");
}

#[test]
fn what_can_never_run_is_refused() {
    let lab = Lab::new();
    let check = |job: u64, spec: JobSpec, hint: &str| {
        let results = lab.bench.engine.submit(&[order(job, spec)]).expect("submitted");
        assert!(matches!(&results[0], SubmitResult::Refused { why } if why.contains(hint)), "{results:?}: {hint}");
    };
    let text = |text: &str| JobSpec { work: Work::Script { text: text.into(), arguments: vec![] }, ..script("") };
    check(6, text("#!/bin/sh\r\necho\r\n"), "Windows");
    check(7, text("echo"), "#!");
    check(8, text(&format!("#!/bin/sh\n{}", "x".repeat(250_000))), "bytes");
    check(9, JobSpec { output: Some("/shared/out".into()), ..script("") }, "output");
    check(10, JobSpec { directory: Some("here".into()), ..script("") }, "absolute");
    check(11, JobSpec { image: Some("evil image".into()), ..script("") }, "characters");
    check(12, JobSpec { image: Some("debian:12".into()), ..script("") }, "digest");
}

/// The fake kubelet ignores images; what a real one would be told is looked at.
#[test]
fn a_job_runs_in_its_own_image() {
    let mut lab = Lab::new();
    let image = format!("registry.local/tools/blast@sha256:{}", "0a".repeat(32));
    let end = lab.bench.run(order(1, JobSpec { image: Some(image.clone()), ..script("exit 3") }));
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(3)), "{end:?}");
    lab.bench.run(order(2, script("true")));
    let objects = lab.server.cluster.lock();
    let of = |job: u64| objects.pods[&lab.pod(job)]["spec"]["containers"][0]["image"].clone();
    assert_eq!((of(1), of(2)), (json!(image), json!("site/base")));
}

#[test]
fn an_image_that_does_not_come_ends_the_attempt() {
    let mut lab = Lab::new();
    ghost(&lab, json!({ "nvidia.com/gpu": "1" }), json!({}));
    lab.bench.submit(&[with_devices(1, None, 1_000)]);
    let name = lab.pod(1);
    let waiting = json!({ "waiting": { "reason": "InvalidImageName", "message": "no such name" } });
    let status = json!({ "status": { "containerStatuses": [{ "state": waiting }] } });
    lab.server.cluster.with(|all| all.patch(&name, &status, true)).expect("told");
    lab.until("a deletion", |pods| pods[&name]["metadata"].get("deletionTimestamp").is_some());
    // What a kubelet says when nothing of a pod is left.
    lab.server.cluster.with(|all| all.delete(&name, &json!({ "gracePeriodSeconds": 0 }))).expect("told");
    let end = lab.bench.end(id(1, 0));
    expect_cause(&end, EndCause::StartFailed);
    assert!(end.outcome.detail.contains("InvalidImageName") && end.started_at.is_none(), "{end:?}");
}

#[test]
fn a_name_that_is_anothers_is_refused() {
    let lab = Lab::new();
    let name = lab.pod(1);
    let foreign = json!({ "metadata": { "name": name, "annotations": {
        "huisuan.io/attempt": "1.0.1", "huisuan.io/spec": "0000" } }, "spec": {} });
    lab.server.cluster.with(|all| all.create("jobs", foreign)).expect("made");
    let results = lab.bench.engine.submit(&[order(1, script("true"))]).expect("submitted");
    assert!(matches!(&results[0], SubmitResult::Refused { why } if why.contains("another job")), "{results:?}");
}

#[test]
fn an_order_for_another_centre_is_refused() {
    let lab = Lab::new();
    let mut elsewhere = order(1, script("true"));
    elsewhere.centre = huisuan_model::CentreId::new("there").expect("a name");
    let results = lab.bench.engine.submit(&[elsewhere]).expect("submitted");
    assert!(matches!(&results[0], SubmitResult::Refused { why } if why.contains("`there`")), "{results:?}");
}

#[test]
fn pods_have_no_rights_and_nothing_of_a_tenant_is_text_for_a_shell() {
    let lab = Lab::new();
    let mut spec = script("echo $(id) `id` $HOME");
    spec.environment.insert("NVIDIA_VISIBLE_DEVICES".into(), "all".into());
    spec.environment.insert("EVIL".into(), "$(HUISUAN_JOB_ID)".into());
    lab.bench.submit(&[order(1, spec)]);
    let objects = lab.server.cluster.lock();
    let pod = &objects.pods[&lab.pod(1)];
    let spec = &pod["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    for field in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
        assert_eq!(spec.get(field), None, "{field}");
    }
    let container = &spec["containers"][0];
    let secured =
        json!({ "allowPrivilegeEscalation": false, "privileged": false, "capabilities": { "drop": ["ALL"] } });
    assert_eq!(container["securityContext"], secured);
    assert_eq!(container["command"], json!(["/bin/sh", "/huisuan/script/script"]));
    let kinds: Vec<&String> = spec["volumes"]
        .as_array()
        .expect("volumes")
        .iter()
        .flat_map(|volume| volume.as_object().expect("a volume").keys().filter(|key| *key != "name"))
        .collect();
    assert_eq!(kinds, ["emptyDir", "downwardAPI"]);
    let value = |name: &str| {
        let all = container["env"].as_array().expect("variables");
        all.iter().find(|one| one["name"] == name).expect("it is there")["value"].clone()
    };
    assert_eq!(value("NVIDIA_VISIBLE_DEVICES"), "void", "or it would see all devices of the node");
    assert_eq!(value("EVIL"), "$$(HUISUAN_JOB_ID)", "a node makes one dollar of two, and no variable");
}

#[test]
fn a_queue_of_kueue_admits_gangs_as_groups() {
    let mut lab = Lab::new();
    lab.close();
    let queue = Some("tenant-a".to_owned());
    let opened = KubernetesEngine::open(KubernetesConfig { queue, ..config(&lab) });
    lab.bench.engine = Box::new(opened.expect("again"));
    let gang = Arc::new(JobSpec { gang: true, tasks: "0-1".parse().expect("indices"), ..script("true") });
    let accounted = StartOrder { account: Some("tenant-b".into()), ..order(3, script("true")) };
    lab.bench.submit(&[order(1, script("true")), task(2, 0, &gang), task(2, 1, &gang), accounted]);
    let objects = lab.server.cluster.lock();
    let metadata = |job: u64, part: &str| objects.pods[&lab.pod(job)]["metadata"][part].clone();
    assert_eq!(metadata(1, "labels")["kueue.x-k8s.io/queue-name"], "tenant-a");
    assert_eq!(metadata(1, "labels").get("kueue.x-k8s.io/pod-group-name"), None);
    assert_eq!(metadata(3, "labels")["kueue.x-k8s.io/queue-name"], "tenant-b", "the site's account of the tenant");
    assert_eq!(metadata(2, "annotations")["kueue.x-k8s.io/pod-group-total-count"], "2");
    let group = metadata(2, "labels")["kueue.x-k8s.io/pod-group-name"].clone();
    let other = &objects.pods[&lab.pod(2).replace("-2-0-1", "-2-1-1")];
    assert!(group.is_string() && other["metadata"]["labels"]["kueue.x-k8s.io/pod-group-name"] == group);
}

#[test]
fn usage_comes_from_the_metrics_server() {
    let mut lab = Lab::new();
    let name = lab.pod(1);
    let usage = json!({ "cpu": "1500m", "memory": "20Mi" });
    let record = json!({ "metadata": { "name": name }, "containers": [{ "usage": usage }] });
    lab.server.cluster.with(|all| all.metrics.insert(name, record));
    let go = lab.bench.file("go");
    lab.bench.submit(&[order(1, script(&format!("until [ -e {go} ]; do sleep 0.01; done")))]);
    let used = lab.bench.observe_until("usage", |reports| {
        reports.iter().find_map(|report| match report.what {
            ReportKind::Used(usage) if usage.cpu.0 > 0 => Some(usage),
            _ => None,
        })
    });
    assert_eq!((used.cpu.0, used.memory_peak), (used.wall.0 * 3 / 2, Bytes(20 << 20)));
    std::fs::write(go, "").expect("a file");
    let end = lab.bench.end(id(1, 0));
    assert!(end.usage.cpu >= used.cpu && end.usage.memory_peak == Bytes(20 << 20), "{end:?}");
}

#[test]
fn what_is_held_is_said_and_what_is_missed_is_looked_for() {
    let mut lab = Lab::new();
    let go = lab.bench.file("go");
    let waits = order(1, script(&format!("until [ -e {go} ]; do sleep 0.01; done")));
    lab.bench.submit(&[waits, order(2, script("exit 3"))]);
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(3));
    assert_eq!(lab.bench.engine.held().expect("asked"), Some(Held { live: vec![id(1, 0)], ended: vec![id(2, 0)] }));
    let known = |job| lab.bench.engine.knows(id(job, 0)).expect("asked");
    assert_eq!((known(1), known(2), known(3)), (true, true, false));
    lab.bench.engine.acknowledge(&[id(2, 0)]).expect("acknowledged");
    lab.bench.reports.clear();
    lab.bench.engine.look_for(&[id(1, 0), id(2, 0), id(3, 0)]).expect("looked for");
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(3), "told again");
    expect_cause(&lab.bench.end(id(3, 0)), EndCause::Lost);
    lab.reopen();
    expect_cause(&lab.bench.end(id(3, 0)), EndCause::Lost);
    let late = lab.bench.engine.submit(&[order(3, script("true"))]).expect("submitted");
    assert_eq!(late, [SubmitResult::Duplicate], "what was called lost is not started any more");
    std::fs::write(go, "").expect("a file");
    assert!(lab.bench.end(id(1, 0)).outcome.success());
    assert_eq!(lab.bench.engine.held().expect("asked"), Some(Held { live: vec![], ended: vec![id(1, 0), id(3, 0)] }));
}

/// A pod that the journal does not know of, as after a folder was lost, is found in the cluster.
#[test]
fn a_lost_folder_is_made_good_by_the_cluster() {
    let mut lab = Lab::new();
    lab.bench.submit(&[order(1, script("echo kept; exit 3"))]);
    lab.bench.end(id(1, 0));
    lab.close();
    std::fs::remove_dir_all(lab.bench.folder.path().join("centre")).expect("removed");
    lab.reopen();
    assert!(!lab.bench.engine.blank(), "its pods are there");
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(3));
    assert_eq!(lab.bench.stdout(id(1, 0)), "kept\n");
}

#[test]
fn an_order_goes_to_the_pool_that_it_was_placed_on() {
    let mut lab = Lab::new();
    let rule = |id: &str, resource: Option<&str>, zone: &str, rate: u64| PoolRule {
        id: PoolId::new(id).expect("a name"),
        class: Class::Hpc,
        resource: resource.map(str::to_owned),
        device_memory: Bytes::ZERO,
        rate_each: Some(GflopPerS(rate)),
        nodes: [("zone".to_owned(), zone.to_owned())].into(),
    };
    lab.server.cluster.with(|all| {
        all.put_node(node("a", json!({ "zone": "a" }), json!({ "nvidia.com/gpu": "4" })));
        all.put_node(node("b", json!({ "zone": "b" }), json!({})));
    });
    lab.close();
    let pools = vec![rule("gpu", Some("nvidia.com/gpu"), "a", 19_500), rule("cpu", None, "b", 40)];
    let opened = KubernetesEngine::open(KubernetesConfig { pools, ..config(&lab) });
    lab.bench.engine = Box::new(opened.expect("again"));
    let placed = |job: u64, pool: &str| StartOrder {
        pool: Some(PoolId::new(pool).expect("a name")),
        ..order(job, script("true"))
    };
    lab.bench.submit(&[placed(1, "cpu"), placed(2, "gpu")]);
    lab.until("nodes for both", |pods| pods.values().all(|pod| pod["spec"].get("nodeName").is_some()));
    let node_of = |job: u64| lab.server.cluster.lock().pods[&lab.pod(job)]["spec"]["nodeName"].clone();
    assert_eq!((node_of(1), node_of(2)), (json!("b"), json!("a")));
    let refused = lab.bench.engine.submit(&[placed(3, "other")]).expect("submitted");
    assert!(matches!(&refused[0], SubmitResult::Refused { why } if why.contains("`other`")), "{refused:?}");
    let rate = |pool: &str| lab.bench.engine.declared_rate(&PoolId::new(pool).expect("a name"));
    assert_eq!((rate("gpu"), rate("cpu"), rate("other")), (Some(GflopPerS(78_000)), Some(GflopPerS(80)), None));
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let lab = Lab::new();
    let Err(error) = KubernetesEngine::open(config(&lab)) else { panic!("two") };
    assert!(error.to_string().contains("used by another engine"), "{error}");
}

/// What is asked of the cluster does not grow with the number of attempts beyond one creation each.
#[test]
fn observation_costs_the_same_for_many() {
    let mut lab = Lab::new();
    let orders = small(200);
    let before = lab.server.count("LIST") + lab.server.count("WATCH") + lab.server.count("GET");
    lab.bench.submit(&orders);
    for order in &orders {
        let end = lab.bench.end(order.attempt);
        assert!(end.outcome.success(), "{end:?}");
    }
    let asked = lab.server.count("LIST") + lab.server.count("WATCH") + lab.server.count("GET") - before;
    assert!(asked < 30, "{asked} questions for 200 attempts");
    assert_eq!(lab.server.count("POST"), 200);
}
