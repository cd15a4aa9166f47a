//! Pods get the nodes that were chosen for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use huisuan_model::AttemptId;
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{
    super::{
        client::{CallError, Method},
        objects::Pod,
        shared::{Shared, in_lanes},
    },
    line::{Chosen, Place, Waits, choose},
    taken::Taken,
};
use crate::clock::now;

/// How often the line is looked at although nothing changed: those who were passed for long enough are passed no more.
const TICK: Duration = Duration::from_secs(2);
/// After a look at the line so many times as long as it took is rested: in a long line much changes at once.
const REST: u32 = 4;
/// What is done, for errors.
const DOING: &str = "binding pods to nodes";

/// What choosing nodes goes by, and what became of it.
#[derive(Debug, Default)]
pub(in super::super) struct Binding {
    taken: Mutex<Taken>,
    /// Something changed since the line was looked at.
    rung: Mutex<bool>,
    bell: Condvar,
    stuck: Mutex<Vec<AttemptId>>,
}

impl Binding {
    /// Who holds what.
    pub(super) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of this centre's pods is so now.
    pub(in super::super) fn told(&self, pod: &Pod) {
        // What was bound a moment ago holds its room although the cluster told of it without a node before.
        if !pod.spec.node_name.is_empty() {
            self.taken().take(pod, true);
        }
    }

    /// One of this centre's pods is there no more.
    pub(in super::super) fn forget(&self, pod: &Pod) {
        self.taken().gone(&pod.metadata.uid);
    }

    /// Has the line looked at.
    pub(in super::super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    /// Who would find no room if nothing else of this centre ran.
    pub(in super::super) fn stuck(&self) -> Vec<AttemptId> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the bell, but for `rest` in any case.
    fn wait(&self, rest: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can end a rest.
        let rested = self.bell.wait_timeout_while(rung, rest, |_| true);
        drop(rested.unwrap_or_else(PoisonError::into_inner).0);
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(rung, TICK, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// A binding that was not answered well. Its room stays taken until it is looked at again: it may count all the same.
struct Unsure {
    one: Waits,
    again_at: Instant,
}

/// Binds pods until the engine is dropped.
pub(in super::super) fn bind(shared: &Arc<Shared>) {
    let (mut unsure, mut rest): (Vec<Unsure>, _) = (Vec::new(), Duration::ZERO);
    while !shared.stopped() {
        shared.binding.wait(rest);
        unsure.retain_mut(|unsure| still_unsure(shared, unsure));
        let began = Instant::now();
        let Chosen { bindings, stuck } = next(shared);
        rest = began.elapsed() * REST;
        *shared.binding.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
        let results = in_lanes(&bindings, |(one, node)| post(shared, one, node));
        for ((one, node), result) in bindings.into_iter().zip(results) {
            let Err(error) = result else { continue };
            debug!(attempt = %one.id, node, code = error.code(), "a pod is not bound yet");
            // A pod that has a node already or is there no more is no trouble; its own state says what it is.
            if !matches!(error.code(), 404 | 409) {
                let why = error.during(DOING).to_string();
                if shared.troubled(DOING, &why) {
                    warn!(error = why, "pods cannot be bound");
                }
            }
            if !bound(shared, &one).unwrap_or(false) {
                unsure.push(Unsure { one, again_at: Instant::now() + TICK });
            }
        }
        if unsure.is_empty() {
            shared.well(DOING);
        }
    }
}

/// Whether a pod has a node, by its own word; if so, that is taken in.
fn bound(shared: &Shared, one: &Waits) -> Result<bool, CallError> {
    let Some(pod) = shared.find(one.id)? else { return Ok(false) };
    if pod.metadata.uid != one.pod.uid || pod.spec.node_name.is_empty() {
        return Ok(false);
    }
    shared.binding.taken().take(&pod, true);
    let errand = shared.state().take(pod, now(), shared.patience());
    shared.changed(errand);
    Ok(true)
}

/// Looks at a pod again when it is time. One that has no node takes its turn anew.
fn still_unsure(shared: &Shared, unsure: &mut Unsure) -> bool {
    if unsure.again_at > Instant::now() {
        return true;
    }
    match bound(shared, &unsure.one) {
        Ok(true) => false,
        Ok(false) => {
            shared.binding.taken().gone(&unsure.one.pod.uid);
            false
        }
        Err(_) => {
            unsure.again_at = Instant::now() + TICK;
            true
        }
    }
}

/// Who gets a node now. From here on it counts as theirs.
fn next(shared: &Shared) -> Chosen {
    let mut taken = shared.binding.taken();
    let line = shared.state().waiting(|uid| taken.has(uid));
    if line.is_empty() {
        return Chosen::default();
    }
    let hardware = shared.hardware.lock().unwrap_or_else(PoisonError::into_inner);
    let held = taken.by_node();
    let mut places = BTreeMap::new();
    for (name, labels, allocatable) in hardware.nodes() {
        let (mut free, mut without_ours) = (allocatable.clone(), allocatable.clone());
        if let Some((all, others)) = held.get(name) {
            free.subtract(all);
            without_ours.subtract(others);
        }
        places.insert(name.to_owned(), Place { labels, free, without_ours, kept: false });
    }
    let chosen = choose(line, places, now());
    for (one, node) in &chosen.bindings {
        taken.hold(&one.pod.uid, node, one.wants.clone(), true);
    }
    chosen
}

fn post(shared: &Shared, one: &Waits, node: &str) -> Result<(), CallError> {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": { "name": one.pod.name, "uid": one.pod.uid },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    let path = format!("{}/binding", shared.pod_path(&one.pod.name));
    shared.client.call::<Value>(Method::Post, &path, Some(&binding)).map(drop)
}

/// Whether the cluster lets this agent choose nodes; the error says for people what it does not.
pub(in super::super) fn may_bind(shared: &Shared) -> Result<(), String> {
    let own = &shared.config.namespace;
    for what in [
        json!({ "namespace": own, "verb": "create", "resource": "pods", "subresource": "binding" }),
        json!({ "verb": "list", "resource": "pods" }),
        json!({ "verb": "watch", "resource": "pods" }),
        json!({ "verb": "watch", "resource": "nodes" }),
    ] {
        if !shared.client.allows(&what).map_err(|error| error.during("asking for the agent's rights").to_string())? {
            let word = |name: &str| what[name].as_str().unwrap_or_default();
            let slash = if word("subresource").is_empty() { "" } else { "/" };
            return Err(format!(
                "the agent's role does not let it {} {}{slash}{} {}; hint: it needs that where `placement` is \"huisuan\"",
                word("verb"),
                word("resource"),
                word("subresource"),
                if word("namespace").is_empty() { "of the whole cluster" } else { "of its namespace" },
            ));
        }
    }
    Ok(())
}
