//! What the engine's threads share, and the paths of the API.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::Duration,
};

use huisuan_model::{AttemptId, CentreId, DurationMs, Outcome, StartOrder};
use serde_json::json;

use super::{
    client::{CallError, Client},
    config::KubernetesConfig,
    gang::{Strange, Try},
    hardware::Hardware,
    objects::{List, Node, Pod},
    output::Outputs,
    placing::Binding,
    pod::{CENTRE_LABEL, manifest, mark, name},
    state::{Errand, Patience, PodReference, State},
    volume::{NoPod, Volume},
};
use crate::{Alarm, EngineError};

/// How long after a pod is over the exit code of its container may be missing, beyond its grace.
const EXIT_CODE_WITHIN_S: u32 = 60;
/// How many requests are made at the same time.
const AT_ONCE: usize = 8;
/// So many are made one after the other in any case: what was ordered first waits first.
const LANE_MIN: usize = 16;
/// How many objects a page of a list has.
const PAGE: u32 = 500;

/// Where errands go: deletions do not wait for pods whose output is being fetched.
pub(super) struct Errands {
    pub(super) deletions: Sender<PodReference>,
    pub(super) sweeps: Sender<(AttemptId, PodReference)>,
}

/// Everything that more than one thread touches.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) config: KubernetesConfig,
    pub(super) centre: CentreId,
    pub(super) outputs: Outputs,
    pub(super) volume: Option<Volume>,
    /// Why no session runs here, if none does.
    pub(super) no_sessions: Option<String>,
    /// Whether tasks of a gang are given names; empty until the cluster has said so.
    pub(super) addresses: OnceLock<bool>,
    pub(super) strange: Mutex<Strange>,
    pub(super) hardware: Mutex<Hardware>,
    /// The hardware follows every change of a node by itself.
    pub(super) nodes_watched: AtomicBool,
    pub(super) binding: Binding,
    /// What cannot be done in the cluster now, and why.
    trouble: Mutex<BTreeMap<&'static str, String>>,
    state: Mutex<State>,
    changed: Condvar,
    errands: Errands,
    stopped: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        client: Client,
        config: KubernetesConfig,
        centre: CentreId,
        state: State,
        errands: Errands,
    ) -> Result<Shared, EngineError> {
        let outputs = Outputs::open(&config.dir, config.output_bytes_max)?;
        let volume = Volume::open(&config, &centre)?;
        let no_sessions = attaches(&client, &config.namespace).err();
        Ok(Shared {
            client,
            config,
            centre,
            outputs,
            volume,
            no_sessions,
            addresses: OnceLock::new(),
            strange: Mutex::default(),
            hardware: Mutex::default(),
            nodes_watched: AtomicBool::new(false),
            binding: Binding::default(),
            trouble: Mutex::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            errands,
            stopped: AtomicBool::new(false),
        })
    }

    /// The state; nobody asks the cluster anything while it is held.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for news or for nodes, and has errands done.
    pub(super) fn changed(&self, errands: impl IntoIterator<Item = Errand>) {
        self.changed.notify_all();
        self.binding.ring();
        for errand in errands {
            // Nobody does them while the engine is being dropped; its successor finds the same errands.
            let _ = match errand {
                Errand::Delete(_, pod) => self.errands.deletions.send(pod).is_ok(),
                Errand::Sweep(id, pod) => self.errands.sweeps.send((id, pod)).is_ok(),
            };
        }
    }

    /// Waits for news, or for `wait`.
    pub(super) fn news(&self, wait: Duration) -> Vec<huisuan_model::AttemptReport> {
        let nothing = |state: &mut State| !state.has_news();
        let waited = self.changed.wait_timeout_while(self.state(), wait, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.take_news()
    }

    /// How an attempt ends, waited for so long.
    pub(super) fn end_of(&self, id: AttemptId, within: Duration) -> Option<Outcome> {
        let open = |state: &mut State| state.end_of(id).is_none() && !self.stopped();
        let waited = self.changed.wait_timeout_while(self.state(), within, open);
        waited.unwrap_or_else(PoisonError::into_inner).0.end_of(id).cloned()
    }

    /// Waits so long, or until the engine is dropped.
    pub(super) fn rest(&self, time: Duration) {
        let open = |_: &mut State| !self.stopped();
        drop(self.changed.wait_timeout_while(self.state(), time, open));
    }

    /// Tells the threads to end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Whoever has just looked waits by now.
        drop(self.state());
        self.changed.notify_all();
        self.binding.ring();
    }

    /// Whether the engine was dropped.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// For how long the cluster is trusted to come to an end by itself.
    pub(super) fn patience(&self) -> Patience {
        let seconds = |seconds: u32| DurationMs(u64::from(seconds) * 1_000);
        Patience { image: seconds(self.config.image_patience_s), exit_code: seconds(EXIT_CODE_WITHIN_S) }
    }

    /// The path of all pods of the namespace.
    pub(super) fn pods_path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.config.namespace)
    }

    /// The path of all services of the namespace.
    pub(super) fn services_path(&self) -> String {
        format!("/api/v1/namespaces/{}/services", self.config.namespace)
    }

    /// The path of one pod.
    pub(super) fn pod_path(&self, pod: &str) -> String {
        format!("{}/{pod}", self.pods_path())
    }

    /// The pod of an attempt; `None` when there is none.
    pub(super) fn find(&self, attempt: AttemptId) -> Result<Option<Pod>, CallError> {
        match self.client.get(&self.pod_path(&name(&self.centre, attempt))) {
            Ok(pod) => Ok(Some(pod)),
            Err(error) if error.code() == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What selects the pods of this centre, for a query.
    pub(super) fn selector(&self) -> String {
        format!("labelSelector={}%3D{}", CENTRE_LABEL.replace('/', "%2F"), mark(&self.centre))
    }

    /// All objects of a path, page by page, and the version of the whole. A page that ran out of time begins the list
    /// anew, once.
    pub(super) fn list<T: serde::de::DeserializeOwned>(&self, path: &str, query: &str) -> Result<Listed<T>, CallError> {
        match self.list_once(path, query) {
            Err(error) if error.code() == 410 => self.list_once(path, query),
            other => other,
        }
    }

    fn list_once<T: serde::de::DeserializeOwned>(&self, path: &str, query: &str) -> Result<Listed<T>, CallError> {
        let mut listed = Listed { items: Vec::new(), version: String::new() };
        let mut next = String::new();
        loop {
            let page: List<T> = self.client.get(&format!("{path}?limit={PAGE}&{query}{next}"))?;
            listed.items.extend(page.items.unwrap_or_default());
            listed.version = page.metadata.resource_version;
            if page.metadata.next.is_empty() {
                return Ok(listed);
            }
            next = format!("&continue={}", escaped(&page.metadata.next));
        }
    }

    /// Asks for the nodes again, where they are not watched: what is asked for may be older than what was told.
    pub(super) fn refresh_hardware(&self) -> Result<(), EngineError> {
        if self.nodes_watched.load(Ordering::Relaxed) {
            return Ok(());
        }
        let nodes: Listed<Node> =
            self.list("/api/v1/nodes", "").map_err(|error| error.during("asking for the nodes"))?;
        *self.hardware.lock().unwrap_or_else(PoisonError::into_inner) = Hardware::of(&nodes.items, &self.config);
        Ok(())
    }

    /// Something can be done again.
    pub(super) fn well(&self, doing: &'static str) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).remove(doing);
    }

    /// Something cannot be done; true when that is new.
    pub(super) fn troubled(&self, doing: &'static str, why: &str) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.insert(doing, why.to_owned()).is_none()
    }

    /// What somebody should look at now, ordered by subject.
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let hardware = self.hardware.lock().unwrap_or_else(PoisonError::into_inner);
        let away = hardware.away().map(|(node, why)| (format!("node {node}"), why.to_owned()));
        let mut alarms: Vec<(String, String)> = away.collect();
        alarms.extend(self.state().stuck().map(|(id, why)| (format!("attempt {id}"), why.to_owned())));
        let no_room = "no node has room for it, or for all of its gang, even when nothing else of this centre runs";
        alarms.extend(self.binding.stuck().into_iter().map(|id| (format!("attempt {id}"), no_room.to_owned())));
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.extend(trouble.values().map(|why| ("cluster".to_owned(), why.clone())));
        alarms.sort();
        alarms.into_iter().map(|(subject, what)| Alarm { subject, what }).collect()
    }

    /// The pod that an order becomes; the folders that it will be given are there then. `addresses` says whether tasks
    /// of gangs are given names, or why nobody knows.
    pub(super) fn manifest(
        &self,
        order: &StartOrder,
        addresses: &Result<bool, String>,
    ) -> Result<serde_json::Value, NoPod> {
        if order.centre != self.centre {
            return Err(format!("the order is for centre `{}`, this is `{}`", order.centre, self.centre).into());
        }
        let suits = self.hardware.lock().unwrap_or_else(PoisonError::into_inner).suits(order)?;
        let addresses = match addresses {
            Ok(addresses) => *addresses,
            Err(why) if Try::of(order).is_some() => return Err(NoPod::Later(EngineError::Refused(why.clone()))),
            Err(_) => false,
        };
        let manifest = manifest(order, &suits, &self.config, addresses)?;
        self.volume.iter().try_for_each(|volume| volume.prepare(order))?;
        Ok(manifest)
    }
}

/// Whether the cluster lets this agent attach to pods; the error says for people that it does not.
fn attaches(client: &Client, namespace: &str) -> Result<(), String> {
    let what = json!({ "namespace": namespace, "verb": "get", "resource": "pods", "subresource": "attach" });
    match client.allows(&what) {
        Ok(true) => Ok(()),
        Ok(false) => Err("the agent's role does not let it attach to pods, which sessions need".to_owned()),
        Err(error) => Err(error.during("asking whether pods may be attached to").to_string()),
    }
}

/// Asks for many things, several at a time; one answer for each in the same order.
pub(super) fn in_lanes<T: Sync, R: Send>(all: &[T], ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let lanes = all.chunks(all.len().div_ceil(AT_ONCE).max(LANE_MIN));
    thread::scope(|scope| {
        let ask = &ask;
        let lanes: Vec<_> = lanes.map(|lane| scope.spawn(move || lane.iter().map(ask).collect::<Vec<_>>())).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("asking does not panic")).collect()
    })
}

/// A whole list.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) version: String,
}

/// A text in a query.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
