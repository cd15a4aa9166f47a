//! The contract on the Kubernetes engine, and what only that one does.
//!
//! It runs against a fake API server (`server.rs`, `cluster.rs`) over real HTTP, with faults on demand, and a fake
//! kubelet (`kubelet.rs`) that runs pods as processes. With `HUISUAN_KUBERNETES=KUBECONFIG` the same suite runs against
//! a real control plane, whose pods the same fake kubelet runs; faults are then left out.

mod admission;
mod apart;
mod api;
mod cluster;
mod container;
mod faults;
mod gangs;
mod kubelet;
mod objects;
mod placed;
mod real;
mod request;
mod server;
mod sessions;
mod volume;
mod ways;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use huisuan_drivers::{KubernetesConfig, KubernetesEngine, PlacedBy};
use huisuan_model::{Bytes, CentreId, JobSpec, Millicores, RangeSet, StartOrder};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    api::Api,
    container::{CLAIM, user},
    kubelet::Kubelet,
    server::Server,
};
use crate::{
    bench::{Bench, PATIENCE, end_of, id, order, script, task},
    checkpoint, staging, suite,
};

/// How the engine marks what is of the centre `here`: the beginning of the name's SHA-256.
const HERE: &str = "fcec915097";

/// A fake cluster of nodes with two cores and 1 GiB each, and an engine that uses it.
pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) server: Arc<Server>,
    /// What agent and pods share.
    pub(crate) shared: PathBuf,
    /// Who gives pods their nodes.
    placement: PlacedBy,
    _scratch: TempDir,
}

impl Lab {
    /// One node, and the cluster's own scheduler.
    pub(crate) fn new() -> Lab {
        Lab::of(&["node"], PlacedBy::Kubernetes)
    }

    /// These nodes, whose pods are placed so.
    pub(crate) fn of(nodes: &[&str], placement: PlacedBy) -> Lab {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (logs, pods) = (scratch.path().join("logs"), scratch.path().join("pods"));
        std::fs::create_dir_all(&logs).expect("a folder");
        let shared = container::claims(&pods).join(CLAIM);
        std::fs::create_dir_all(&shared).expect("a folder");
        let server = Server::start(logs.clone());
        let api = Api::new(&format!("http://127.0.0.1:{}", server.port), "kubelet");
        for name in nodes {
            server.cluster.with(|objects| objects.put_node(node(name, json!({}), json!({}))));
            server.know(Kubelet::start(api.clone(), name, &logs, &pods));
        }
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut lab = Lab { bench: Bench::new(nothing(), folder), server, shared, placement, _scratch: scratch };
        let engine = KubernetesEngine::open(config(&lab)).expect("a centre");
        lab.bench.engine = Box::new(engine);
        lab
    }

    /// Its bench, for who needs nothing else.
    fn take_bench(&mut self) -> Bench {
        let nothing = Bench::new(nothing(), tempfile::tempdir().expect("a scratch folder"));
        std::mem::replace(&mut self.bench, nothing)
    }

    /// The agent is gone.
    pub(crate) fn close(&mut self) {
        self.bench.engine = Box::new(nothing());
    }

    /// Another agent takes over what the folder and the cluster hold.
    pub(crate) fn reopen(&mut self) {
        self.close();
        let config = config(self);
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
    let mut allocatable = json!({ "cpu": "2", "memory": "1Gi", "pods": "500" });
    for (resource, amount) in more.as_object().expect("resources") {
        allocatable[resource] = amount.clone();
    }
    json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {},
        "status": { "allocatable": allocatable, "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

/// The configuration of a centre whose files are in the folder of a bench.
pub(crate) fn config(lab: &Lab) -> KubernetesConfig {
    let (folder, server) = (lab.bench.folder.path(), &lab.server);
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "clusters: [{{name: fake, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
         users: [{{name: engine, user: {{token: engine}}}}]\n\
         contexts: [{{name: fake, context: {{cluster: fake, user: engine}}}}]\ncurrent-context: fake\n",
        server.port
    );
    std::fs::write(&kubeconfig, text).expect("written");
    let path = folder.join("kubernetes.toml");
    let shared = lab.shared.display();
    let text = format!(
        "namespace = 'jobs'\nimage = 'site/base'\ngrace_s = 1\nusage_every_s = 1\nuser = {}\n\
         volume = {{ claim = '{CLAIM}', path = '{shared}' }}\n",
        user()
    );
    std::fs::write(&path, text).expect("written");
    let mut config = KubernetesConfig::read(&path).expect("a configuration");
    config.centre = Some(CentreId::new("here").expect("a name"));
    config.dir = folder.join("centre");
    config.kubeconfig = Some(kubeconfig);
    config.placement = lab.placement;
    config
}

/// The suite's place: a real cluster where the environment names one, and the fake otherwise.
struct Anywhere {
    bench: Bench,
    config: KubernetesConfig,
    place: Place,
}

enum Place {
    Real(real::Real),
    Fake(Lab),
}

impl Place {
    fn shake(&self) {
        match self {
            Place::Real(real) => real.restart_server(),
            Place::Fake(lab) => {
                for kind in ["POST", "BIND", "WATCH", "LIST", "GET"] {
                    lab.server.fail(kind, server::Act::DropAfter, 2);
                }
                lab.server.cluster.forget();
            }
        }
    }
}

impl Anywhere {
    fn new() -> Anywhere {
        Anywhere::of(1, PlacedBy::Kubernetes)
    }

    /// So many nodes, whose pods are placed so.
    fn of(nodes: usize, placement: PlacedBy) -> Anywhere {
        let Some(real) = real::Real::from_environment(nodes) else {
            let mut lab = Lab::of(&["a", "b", "c", "d"][..nodes], placement);
            let config = config(&lab);
            return Anywhere { config, bench: lab.take_bench(), place: Place::Fake(lab) };
        };
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut config = real.config(folder.path());
        config.centre = Some(CentreId::new("here").expect("a name"));
        config.dir = folder.path().join("centre");
        config.placement = placement;
        let engine = KubernetesEngine::open(config.clone()).expect("a centre");
        Anywhere { bench: Bench::new(engine, folder), config, place: Place::Real(real) }
    }

    /// Closes one of its nodes to new pods, or opens it again.
    fn cordon(&self, number: usize, cordoned: bool) {
        match &self.place {
            Place::Real(real) => real.cordon(number, cordoned),
            Place::Fake(lab) => lab.server.cluster.with(|all| {
                let mut node = all.nodes.values().nth(number).expect("a node").clone();
                node["spec"] = json!({ "unschedulable": cordoned });
                all.put_node(node);
            }),
        }
    }

    /// Waits until no gang has a service.
    fn until_no_services(&self) {
        match &self.place {
            Place::Real(real) => real.until_no_services(),
            Place::Fake(lab) => gangs::no_services(lab),
        }
    }

    /// Its bench, while it stays.
    fn take_bench(&mut self) -> Bench {
        std::mem::replace(&mut self.bench, Bench::new(nothing(), tempfile::tempdir().expect("a scratch folder")))
    }

    fn reopen(&mut self) {
        self.bench.engine = Box::new(nothing());
        self.bench.engine = Box::new(KubernetesEngine::open(self.config.clone()).expect("again"));
        self.bench.reports.clear();
    }
}

/// The suite, each promise of it at a place of its own.
macro_rules! contract {
    ($anywhere:expr) => {
        contract! { $anywhere;
            apart::runs_and_reports,
            suite::exit_codes,
            suite::signals,
            apart::start_failures,
            suite::refusals,
            suite::arrays_know_who_they_are,
            suite::environment,
            apart::output_of_any_kind,
            suite::output_can_be_followed,
            apart::walltime_is_kept,
            suite::a_queued_attempt_is_cancelled,
            suite::a_running_attempt_is_cancelled_with_all_it_started,
            suite::an_unknown_attempt_is_cancelled_for_ever,
            apart::memory_is_limited,
            suite::a_duplicate_runs_once,
            suite::capacity_is_never_exceeded,
            suite::a_report_comes_until_it_is_acknowledged,
            suite::what_is_held_is_told_and_what_is_missing_is_looked_for,
            checkpoint::state_is_saved_within_the_walltime,
            checkpoint::state_is_saved_when_room_is_taken_away,
            staging::data_is_where_the_variable_says,
        }
    };
    ($anywhere:expr; $($place:ident::$name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            $place::$name(&mut $anywhere.bench);
        }
    )*};
}
use contract;

contract!(Anywhere::new());

#[test]
fn an_agent_restart_changes_nothing() {
    let mut lab = Anywhere::new();
    let go = lab.bench.file("go");
    let waits = script(&format!("until [ -e {go} ]; do sleep 0.01; done; exit 5"));
    lab.bench.submit(&[order(1, script("exit 4")), order(2, waits)]);
    lab.bench.end(id(1, 0));
    lab.bench.started(id(2, 0));
    lab.reopen();
    assert_eq!(lab.bench.end(id(1, 0)).outcome.exit_code, Some(4), "told again, for it was not acknowledged");
    lab.bench.started(id(2, 0));
    lab.bench.engine.acknowledge(&[id(1, 0)]).expect("acknowledged");
    lab.reopen();
    std::fs::write(go, "").expect("a file");
    assert_eq!(lab.bench.end(id(2, 0)).outcome.exit_code, Some(5));
    assert!(lab.bench.reports.iter().all(|report| report.attempt != id(1, 0)), "acknowledged and told again");
}

#[test]
fn many_short_tasks_all_end_once() {
    let mut lab = Anywhere::new();
    let orders = small(100);
    lab.bench.submit(&orders);
    for order in &orders {
        let end = lab.bench.end(order.attempt);
        assert!(end.outcome.success(), "{end:?}");
    }
    let ids: Vec<_> = orders.iter().map(|order| order.attempt).collect();
    lab.bench.engine.acknowledge(&ids).expect("acknowledged");
    let ends = lab.bench.reports.iter().filter_map(|report| end_of(report, report.attempt));
    assert_eq!(ends.count(), 100);
}

/// Up to 200 attempts that fit on a node all at once, so that no scheduler has to come back to them. Each has more memory
/// than `true` takes where it is so slow to end that the kubelet looks at it.
fn small(count: u32) -> Vec<StartOrder> {
    let mut spec = JobSpec::command("true", &["/bin/true"]);
    spec.memory = Bytes(4 << 20);
    spec.tasks = RangeSet::from_range(0, count - 1);
    let spec = Arc::new(spec);
    spec.tasks.iter().map(|index| StartOrder { cores: Millicores(5), ..task(1, index, &spec) }).collect()
}

/// The server of the cluster dies again and again while attempts are ordered, run and end. Where the cluster is real,
/// `HUISUAN_KUBERNETES_RESTART` names a program that kills its API server and starts it again; the fake forgets its
/// changes and breaks connections.
#[test]
fn a_server_that_dies_and_comes_back_loses_and_doubles_nothing() {
    for placement in [PlacedBy::Kubernetes, PlacedBy::Huisuan] {
        dies_and_comes_back(Anywhere::of(1, placement));
    }
}

fn dies_and_comes_back(mut lab: Anywhere) {
    let trace = lab.bench.file("trace");
    let mut orders = Vec::new();
    for job in 1..=60 {
        let text = format!("echo {job} >> {trace}; sleep 0.3; exit {}", job % 5);
        orders.push(StartOrder {
            cores: Millicores(5),
            ..order(job, JobSpec { memory: Bytes(16 << 20), ..script(&text) })
        });
    }
    for some in orders.chunks(20) {
        std::thread::scope(|scope| {
            scope.spawn(|| lab.place.shake());
            // An error means that the outcome is unknown: the agent repeats the call.
            while lab.bench.engine.submit(some).is_err() {}
        });
        lab.place.shake();
        for order in some {
            let code = i32::try_from(order.attempt.job.0 % 5).expect("small");
            assert_eq!(lab.bench.end(order.attempt).outcome.exit_code, Some(code));
        }
    }
    let text = std::fs::read_to_string(trace).expect("they ran");
    let mut started: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    started.sort_unstable();
    assert_eq!(started, (1..=60).collect::<Vec<_>>());
}
