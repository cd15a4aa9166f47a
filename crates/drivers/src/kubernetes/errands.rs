//! What is done in the cluster beside the engine's callers. One thread sees to ends that were asked for, usage, and
//! what waits for something; another lets pods go, which may take long, for their output is fetched first; a third one
//! removes what nobody needs any more.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, Bytes, TimeMs};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{
    client::{CallError, Method},
    gang::{self, Try},
    objects::{Pod, PodMetrics},
    output,
    pod::{FINALIZER, identity},
    quantity::{thousandths, units},
    shared::{Listed, Shared},
    state::PodReference,
};
use crate::clock::now;

/// How often what waits is looked at.
const TICK: Duration = Duration::from_secs(2);
/// How often the nodes are asked for.
const NODES_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked for what nobody needs any more: services of gangs, what tasks saved.
const CLEAN_EVERY: Duration = Duration::from_secs(600);
const DAY_MS: i64 = 86_400_000;
/// How often a change that met another one is made again.
const CONFLICTS_MAX: u32 = 8;
/// How often output is fetched in vain, with pauses of two seconds that double each time: eight minutes and a half.
const FETCHES_MAX: u32 = 8;

/// A pod that could not be let go.
struct Again {
    id: AttemptId,
    pod: PodReference,
    tries: u32,
    at: Instant,
}

/// Lets pods go until the engine is dropped.
pub(super) fn sweep(shared: &Arc<Shared>, sweeps: &Receiver<(AttemptId, PodReference)>) {
    let mut failed: Vec<Again> = Vec::new();
    while !shared.stopped() {
        let fresh = match sweeps.recv_timeout(TICK) {
            Ok((id, pod)) => Some(Again { id, pod, tries: 0, at: Instant::now() }),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => None,
        };
        let now = Instant::now();
        let due: Vec<Again> = failed.extract_if(.., |again| again.at <= now).chain(fresh).collect();
        for mut again in due {
            let kept = output::keep(shared, again.id, &again.pod).or_else(|error| {
                if again.tries < FETCHES_MAX {
                    return Err(error);
                }
                warn!(attempt = %again.id, error = %error.during("fetching output"), "output is given up");
                output::give_up(shared, again.id)
            });
            let let_go = kept.and_then(|()| let_go(shared, &again.pod));
            // Only those of gangs have one: of all others there is nothing to remove.
            if let_go.is_ok() && again.pod.gang {
                gang::remove_if_over(shared, Try { job: again.id.job, attempt: again.id.attempt });
            }
            if let Err(error) = let_go {
                debug!(attempt = %again.id, error = %error.during("letting a pod go"), "a pod stays for now");
                again.tries += 1;
                again.at = Instant::now() + TICK * 2u32.pow(again.tries.min(FETCHES_MAX) - 1);
                failed.push(again);
            }
        }
    }
}

/// Does what else is to be done until the engine is dropped.
pub(super) fn work(shared: &Arc<Shared>, deletions: &Receiver<PodReference>) {
    let mut failed: VecDeque<PodReference> = VecDeque::new();
    let (mut ticked_at, mut sampled_at, mut nodes_at) = (Instant::now(), Instant::now(), Instant::now());
    let sample_every = Duration::from_secs(shared.config.usage_every_s.into());
    while !shared.stopped() {
        match deletions.recv_timeout(TICK.saturating_sub(ticked_at.elapsed())) {
            Ok(pod) => failed.extend(end(shared, pod)),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ticked_at.elapsed() < TICK {
            continue;
        }
        ticked_at = Instant::now();
        for pod in std::mem::take(&mut failed) {
            failed.extend(end(shared, pod));
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

/// Removes what nobody needs any more until the engine is dropped.
pub(super) fn clean(shared: &Arc<Shared>) {
    while !shared.stopped() {
        forget(shared);
        if let Err(error) = gang::clean(shared) {
            debug!(error = %error.during("listing services"), "services of gangs are not looked at");
        }
        shared.rest(CLEAN_EVERY);
    }
}

/// Removes what tasks saved, when the site keeps it no longer.
fn forget(shared: &Shared) {
    let keep_days = shared.config.volume.as_ref().and_then(|volume| volume.keep_days);
    let (Some(volume), Some(days)) = (&shared.volume, keep_days) else { return };
    let before = TimeMs(now().0 - i64::from(days) * DAY_MS);
    match volume.forget(before, |job, task| shared.state().needed_until(job, task)) {
        Ok(0) => {}
        Ok(removed) => debug!(removed, "what tasks saved is kept no longer"),
        Err(error) => warn!(%error, "what tasks saved cannot be removed"),
    }
}

/// Ends a pod, with its grace; gives it back when that is to be tried again.
fn end(shared: &Shared, pod: PodReference) -> Option<PodReference> {
    let error = delete(shared, &pod, None).err()?;
    debug!(pod = pod.name, error = %error.during("ending a pod"), "a pod is not ended yet");
    Some(pod)
}

/// Asks for the end of one pod and no other of its name.
fn delete(shared: &Shared, pod: &PodReference, grace_s: Option<u32>) -> Result<(), CallError> {
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
