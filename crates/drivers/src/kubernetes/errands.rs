//! What is done in the cluster beside the engine's callers: ends that were asked for, pods that are let go, usage,
//! and a look now and then at what waits for something.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, Bytes};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{
    client::{CallError, Method},
    objects::{Pod, PodMetrics},
    output,
    pod::{FINALIZER, identity},
    quantity::{thousandths, units},
    shared::{Listed, Shared, now},
    state::{Errand, PodReference},
};

/// How often what waits is looked at.
const TICK: Duration = Duration::from_secs(2);
/// How often the nodes are asked for.
const NODES_EVERY: Duration = Duration::from_secs(60);
/// How often a change that met another one is made again.
const CONFLICTS_MAX: u32 = 8;

/// Does errands until the engine is dropped.
pub(super) fn work(shared: &Arc<Shared>, errands: &Receiver<Errand>) {
    let mut failed: VecDeque<Errand> = VecDeque::new();
    let (mut ticked_at, mut sampled_at, mut nodes_at) = (Instant::now(), Instant::now(), Instant::now());
    let sample_every = Duration::from_secs(shared.config.usage_every_s.into());
    while !shared.stopped() {
        match errands.recv_timeout(TICK.saturating_sub(ticked_at.elapsed())) {
            Ok(errand) => failed.extend(run(shared, errand)),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ticked_at.elapsed() < TICK {
            continue;
        }
        ticked_at = Instant::now();
        for errand in std::mem::take(&mut failed) {
            failed.extend(run(shared, errand));
        }
        let again = shared.state().tick(now(), shared.patience());
        shared.changed(again);
        if sampled_at.elapsed() >= sample_every {
            sampled_at = Instant::now();
            sample(shared);
        }
        if nodes_at.elapsed() >= NODES_EVERY {
            nodes_at = Instant::now();
            if let Err(error) = shared.refresh_hardware() {
                warn!(%error, "nodes cannot be asked for");
            }
        }
    }
}

/// Does an errand; gives it back when it is to be tried again.
fn run(shared: &Shared, errand: Errand) -> Option<Errand> {
    let done = match &errand {
        Errand::Delete(_, pod) => delete(shared, pod, None),
        Errand::Sweep(id, pod) => output::keep(shared, *id, pod).and_then(|()| let_go(shared, pod)),
    };
    let error = done.err()?;
    debug!(?errand, error = %error.during("doing an errand"), "an errand is tried again");
    Some(errand)
}

/// Asks for the end of one pod and no other of its name.
pub(super) fn delete(shared: &Shared, pod: &PodReference, grace_s: Option<u32>) -> Result<(), CallError> {
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": pod.uid } });
    if let Some(grace_s) = grace_s {
        options["gracePeriodSeconds"] = json!(grace_s);
    }
    match shared.client.call::<Value>(Method::Delete, &shared.pod_path(&pod.name), Some(&options)) {
        // Not there, or another one by now: the one that was meant is gone.
        Err(error) if !matches!(error.code(), 404 | 409) => Err(error),
        _ => Ok(()),
    }
}

/// Takes our finalizer from a pod that is over, and removes it.
fn let_go(shared: &Shared, reference: &PodReference) -> Result<(), CallError> {
    let path = shared.pod_path(&reference.name);
    for conflicts in 0.. {
        let pod: Pod = match shared.client.get(&path) {
            Err(error) if error.code() == 404 => return Ok(()),
            other => other?,
        };
        if pod.metadata.uid != reference.uid {
            return Ok(());
        }
        let others: Vec<&String> = pod.metadata.finalizers.iter().filter(|name| *name != FINALIZER).collect();
        if others.len() == pod.metadata.finalizers.len() {
            break;
        }
        // The version makes it a change of what was read, so that no other finalizer is lost on the way.
        let version = &pod.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": others } });
        match shared.client.call::<Value>(Method::Patch, &path, Some(&patch)) {
            Ok(_) => break,
            Err(error) if error.code() == 404 => return Ok(()),
            Err(error) if error.code() == 409 && conflicts < CONFLICTS_MAX => {}
            Err(error) => return Err(error),
        }
    }
    delete(shared, reference, Some(0))
}

/// Tells what running attempts used; processor and memory where the cluster has a metrics server.
fn sample(shared: &Shared) {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", shared.config.namespace);
    let listed: Result<Listed<PodMetrics>, _> = shared.list(&path, &shared.selector());
    let mut rates = BTreeMap::new();
    let pods = listed.map(|listed| listed.items).unwrap_or_else(|error| {
        debug!(error = %error.during("asking for usage"), "no usage is metered");
        Vec::new()
    });
    for pod in pods {
        if let Some(id) = attempt_of(shared, &pod) {
            let sum = |name: &str, read: fn(&str) -> Option<u64>| -> u64 {
                pod.containers.iter().filter_map(|container| read(container.usage.get(name)?)).sum()
            };
            rates.insert(id, (sum("cpu", thousandths), Bytes(sum("memory", units))));
        }
    }
    shared.state().sample(now(), &rates);
    shared.changed([]);
}

/// The attempt that a record of usage is of: records have the pod's name, and not always its annotations.
fn attempt_of(shared: &Shared, pod: &PodMetrics) -> Option<AttemptId> {
    if let Some((id, _)) = identity(&pod.metadata) {
        return Some(id);
    }
    let prefix = format!("hs-{}-", super::pod::mark(&shared.centre));
    pod.metadata.name.strip_prefix(&prefix)?.replace('-', ".").parse().ok()
}
