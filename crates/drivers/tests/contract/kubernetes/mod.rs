//! The contract on the Kubernetes engine, and what only that one does.
//!
//! It runs against a fake API server (`server.rs`, `cluster.rs`) over real HTTP, with faults on demand, and a fake
//! kubelet (`kubelet.rs`) that runs pods as processes. With `HUISUAN_KUBERNETES=KUBECONFIG` the same suite runs against
//! a real control plane, whose pods the same fake kubelet runs; faults are then left out.

mod cluster;
mod faults;
mod kubelet;
mod objects;
mod server;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use huisuan_drivers::{KubernetesConfig, KubernetesEngine};
use huisuan_model::{CentreId, EndCause, Stream};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    kubelet::{Api, Kubelet},
    server::Server,
};
use crate::{
    bench::{Bench, PATIENCE, expect_cause, id, order, script},
    suite,
};

/// How the engine marks what is of the centre `here`: the beginning of the name's SHA-256.
const HERE: &str = "fcec915097";

/// A fake cluster of one node with two cores and 1 GiB, and an engine that uses it.
pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) server: Arc<Server>,
    _scratch: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (logs, pods) = (scratch.path().join("logs"), scratch.path().join("pods"));
        std::fs::create_dir_all(&logs).expect("a folder");
        std::fs::create_dir_all(&pods).expect("a folder");
        let server = Server::start(logs.clone());
        server.cluster.with(|objects| objects.nodes.insert("node".into(), node("node", json!({}), json!({}))));
        Kubelet::start(Api::new(&format!("http://127.0.0.1:{}", server.port), "kubelet"), "node", &logs, &pods);
        let folder = tempfile::tempdir().expect("a scratch folder");
        let engine = KubernetesEngine::open(config(folder.path(), &server)).expect("a centre");
        Lab { bench: Bench { engine: Box::new(engine), folder, reports: Vec::new() }, server, _scratch: scratch }
    }

    /// The agent is gone.
    pub(crate) fn close(&mut self) {
        self.bench.engine = Box::new(nothing());
    }

    /// Another agent takes over what the folder and the cluster hold.
    pub(crate) fn reopen(&mut self) {
        self.close();
        let config = config(self.bench.folder.path(), &self.server);
        self.bench.engine = Box::new(KubernetesEngine::open(config).expect("again"));
        self.bench.reports.clear();
    }

    /// The name of a job's pod.
    pub(crate) fn pod(&self, job: u64) -> String {
        format!("hs-{HERE}-{job}-0-1")
    }

    /// Waits for something of the pods.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&BTreeMap<String, Value>) -> bool) {
        let cluster = &self.server.cluster;
        let wait = |objects: &mut cluster::Objects| !done(&objects.pods);
        let waited = cluster.changed.wait_timeout_while(cluster.lock(), PATIENCE, wait).expect("no panic");
        assert!(!waited.1.timed_out(), "no {what} in {PATIENCE:?}: {:#?}", waited.0.pods);
    }

    /// Waits until no pod is left.
    pub(crate) fn all_gone(&self) {
        self.until("empty cluster", BTreeMap::is_empty);
    }
}

/// An engine of nothing, while the real one is closed and opened again.
fn nothing() -> impl huisuan_drivers::Engine {
    let fate = Box::new(|_: &_, _: &_| huisuan_drivers::Fate { run_ms: 0, exit_code: 0, busy_percent: 0 });
    let config = huisuan_drivers::SimulatedConfig { pools: Vec::new(), fate, folder: None };
    huisuan_drivers::SimulatedEngine::open(config).expect("nothing")
}

/// A node as its kubelet would tell of it.
pub(crate) fn node(name: &str, labels: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    let mut allocatable = json!({ "cpu": "2", "memory": "1Gi" });
    for (resource, amount) in more.as_object().expect("resources") {
        allocatable[resource] = amount.clone();
    }
    json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {},
        "status": { "allocatable": allocatable, "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

/// The configuration of a centre whose files are in `folder`.
pub(crate) fn config(folder: &Path, server: &Server) -> KubernetesConfig {
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "clusters: [{{name: fake, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
         users: [{{name: engine, user: {{token: engine}}}}]\n\
         contexts: [{{name: fake, context: {{cluster: fake, user: engine}}}}]\ncurrent-context: fake\n",
        server.port
    );
    std::fs::write(&kubeconfig, text).expect("written");
    let path = folder.join("kubernetes.toml");
    std::fs::write(&path, "namespace = 'jobs'\nimage = 'site/base'\ngrace-s = 1\nusage-every-s = 1\n")
        .expect("written");
    let mut config = KubernetesConfig::read(&path).expect("a configuration");
    config.centre = Some(CentreId::new("here").expect("a name"));
    config.dir = folder.join("centre");
    config.kubeconfig = Some(kubeconfig);
    config
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            suite::$name(&mut Lab::new().bench);
        }
    )*};
}

contract! {
    exit_codes,
    signals,
    refusals,
    arrays_know_who_they_are,
    environment,
    output_can_be_followed,
    a_queued_attempt_is_cancelled,
    a_running_attempt_is_cancelled_with_all_it_started,
    an_unknown_attempt_is_cancelled_for_ever,
    a_duplicate_runs_once,
    capacity_is_never_exceeded,
    a_report_comes_until_it_is_acknowledged,
}

/// `runs_and_reports`, but for the two outputs: Kubernetes has one.
#[test]
fn runs_and_reports() {
    let mut lab = Lab::new();
    let bench = &mut lab.bench;
    let end = bench.run(order(1, script("echo out; echo err >&2; exit 0")));
    expect_cause(&end, EndCause::Exited);
    assert!(end.outcome.success() && end.outcome.signal.is_none() && end.outcome.detail.is_empty(), "{end:?}");
    assert!(end.started_at.expect("it ran") <= end.at);
    assert_eq!(bench.stdout(id(1, 0)), "out\nerr\n");
    assert_eq!(bench.output(id(1, 0), Stream::Stderr), b"");
    bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    assert_eq!(bench.stdout(id(1, 0)), "out\nerr\n", "output outlives the acknowledgement");
}
