//! From a start order to a pod. Pure: all that a tenant wrote becomes data in the object, nothing of it is read by a
//! shell, and nothing of a pod's rights is theirs to say.

use huisuan_model::{
    AttemptId, CentreId, StartOrder, hex,
    spec::{JobKind, Work},
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    config::{KubernetesConfig, PlacedBy, is_dns_name},
    ending::Ending,
    gang,
    hardware::{Requirement, Suits},
    objects::Metadata,
    volume::{self, mounts},
};
use crate::container::{self, ATTEMPT_FOLDER, SCRIPT_FOLDER};

/// Keeps a pod until the end of its attempt is recorded elsewhere.
pub(super) const FINALIZER: &str = "huisuan.io/end-is-recorded";
/// The label by which all pods of a centre are listed.
pub(super) const CENTRE_LABEL: &str = "huisuan.io/centre";
/// The attempt, as `job.task.attempt`.
const ATTEMPT: &str = "huisuan.io/attempt";
/// The hash of the spec: the same name with another hash is another network's attempt.
const SPEC: &str = "huisuan.io/spec";
/// How many tasks its gang has; absent for a task that needs no other.
pub(super) const GANG: &str = "huisuan.io/gang";
/// The scheduler that pods name whose nodes are chosen here.
pub(super) const SCHEDULER: &str = "huisuan";
/// The text of a script; the node writes it into a file of the container.
const SCRIPT: &str = "huisuan.io/script";

/// The longest script: all annotations of an object together have 256 KiB.
const SCRIPT_BYTES_MAX: usize = 224 << 10;
/// The longest reference of an image.
const IMAGE_LENGTH_MAX: usize = 512;

/// The name of an attempt's pod. It begins with a mark of the centre, so that two centres may share a namespace.
pub(super) fn name(centre: &CentreId, attempt: AttemptId) -> String {
    format!("hs-{}-{}-{}-{}", mark(centre), attempt.job, attempt.task, attempt.attempt)
}

/// The centre as the value of a label.
pub(super) fn mark(centre: &CentreId) -> String {
    hex::encode(&Sha256::digest(centre.as_str().as_bytes())[..5])
}

/// The attempt that a pod is of, and the hash of its spec; `None` for a pod that is not ours.
pub(super) fn identity(metadata: &Metadata) -> Option<(AttemptId, &str)> {
    let attempt: AttemptId = metadata.annotations.get(ATTEMPT)?.parse().ok()?;
    let hash = metadata.annotations.get(SPEC)?;
    Some((attempt, hash.as_str())).filter(|_| metadata.name.ends_with(&suffix(attempt)))
}

fn suffix(attempt: AttemptId) -> String {
    format!("-{}-{}-{}", attempt.job, attempt.task, attempt.attempt)
}

/// The pod of an order; an error says in words why it can never run here. `addresses` says whether tasks of gangs are
/// given names.
pub(super) fn manifest(
    order: &StartOrder,
    suits: &Suits,
    config: &KubernetesConfig,
    addresses: bool,
) -> Result<Value, String> {
    let spec = &order.spec;
    if let Some(why) = container::refusal(order) {
        return Err(why);
    }
    if !mounts(order).is_empty() && config.volume.is_none() {
        let what = if spec.checkpoint.is_some() { "it is to save its state" } else { "data is to be brought to it" };
        return Err(format!("{what}, and agent and pods share no volume here; hint: for the site, set `volume`"));
    }
    let words = container::words(order)?;
    let mut annotations = json!({
        (ATTEMPT): order.attempt.to_string(),
        (SPEC): spec.hash().to_string(),
        "huisuan.io/centre": order.centre.as_str(),
        "huisuan.io/tenant": order.tenant.as_str(),
        "huisuan.io/project": order.project.as_str(),
    });
    if let Work::Script { text, .. } = &spec.work {
        if text.len() > SCRIPT_BYTES_MAX {
            return Err(format!("the script has {} bytes, Kubernetes takes {SCRIPT_BYTES_MAX}", text.len()));
        }
        annotations[SCRIPT] = json!(text);
    }
    if spec.gang {
        annotations[GANG] = json!(spec.tasks.len().to_string());
    }
    let mut labels = json!({
        "app.kubernetes.io/managed-by": "huisuan",
        (CENTRE_LABEL): mark(&order.centre),
        "huisuan.io/job": order.attempt.job.to_string(),
    });
    if let Some(queue) = order.account.as_ref().or(config.queue.as_ref()) {
        if !is_dns_name(queue) {
            return Err(format!("its account `{queue}` is no name of a queue in Kubernetes; hint: a-z 0-9 - and ."));
        }
        labels["kueue.x-k8s.io/queue-name"] = json!(queue);
        if spec.gang {
            // Admitted together or not at all, and never given a replacement for one that failed.
            let id = order.attempt;
            labels["kueue.x-k8s.io/pod-group-name"] =
                json!(format!("hs-{}-{}-{}", mark(&order.centre), id.job, id.attempt));
            annotations["kueue.x-k8s.io/pod-group-total-count"] = json!(spec.tasks.len().to_string());
            annotations["kueue.x-k8s.io/retriable-in-group"] = json!("false");
        }
    }
    let mut pod_spec = pod_spec(order, suits, config, &image(order, config)?, words);
    if let Some(gang) = gang::Try::of(order).filter(|_| addresses) {
        labels[gang::LABEL] = json!(gang.label());
        pod_spec["hostname"] = json!(gang::host(order.attempt.task));
        pod_spec["subdomain"] = json!(gang.domain(&order.centre));
    }
    let variables = pod_spec["containers"][0]["env"].as_array_mut().expect("it was made as a list");
    variables.extend(gang::variables(order, addresses).into_iter().map(variable));
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(&order.centre, order.attempt),
            "labels": labels,
            "annotations": annotations,
            "finalizers": [FINALIZER],
        },
        "spec": pod_spec,
    }))
}

fn pod_spec(order: &StartOrder, suits: &Suits, config: &KubernetesConfig, image: &str, words: Vec<String>) -> Value {
    let ending = Ending::of(order, config.grace_s);
    let mut spec = json!({
        "restartPolicy": "Never",
        "activeDeadlineSeconds": ending.deadline_s,
        "terminationGracePeriodSeconds": ending.grace_s,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": config.user,
            "runAsGroup": config.user,
            "fsGroup": config.user,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [task_container(order, suits, image, words, &ending)],
        "volumes": volumes(order, config),
    });
    if !mounts(order).is_empty() {
        // Or a node would give every file of the volume to the group, before each pod.
        spec["securityContext"]["fsGroupChangePolicy"] = json!("OnRootMismatch");
    }
    let fields = spec.as_object_mut().expect("it was made as an object");
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("schedulerName", (config.placement == PlacedBy::Huisuan).then(|| json!(SCHEDULER)));
    set("serviceAccountName", config.service_account.as_ref().map(|name| json!(name)));
    set("priorityClassName", config.priority_class.as_ref().map(|name| json!(name)));
    set("runtimeClassName", config.runtime_class.as_ref().map(|name| json!(name)));
    let secrets: Vec<Value> = config.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    set("imagePullSecrets", (!secrets.is_empty()).then(|| json!(secrets)));
    let tolerations: Vec<Value> = config
        .tolerations
        .iter()
        .map(|one| {
            let mut toleration = Map::from_iter([("key".to_owned(), json!(one.key))]);
            match &one.value {
                Some(value) => {
                    toleration.extend([("operator".to_owned(), json!("Equal")), ("value".to_owned(), json!(value))])
                }
                None => toleration.extend([("operator".to_owned(), json!("Exists"))]),
            }
            toleration.extend(one.effect.iter().map(|effect| ("effect".to_owned(), json!(effect))));
            Value::Object(toleration)
        })
        .collect();
    set("tolerations", (!tolerations.is_empty()).then(|| json!(tolerations)));
    set("affinity", affinity(&suits.terms));
    spec
}

fn affinity(terms: &[Vec<Requirement>]) -> Option<Value> {
    let expression = |requirement: &Requirement| match &requirement.value {
        Some(value) => json!({ "key": requirement.key, "operator": "In", "values": [value] }),
        None => json!({ "key": requirement.key, "operator": "DoesNotExist" }),
    };
    let terms: Vec<Value> =
        terms.iter().map(|all| json!({ "matchExpressions": all.iter().map(expression).collect::<Vec<_>>() })).collect();
    let required = || json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
    (!terms.is_empty()).then(|| json!({ "nodeAffinity": required() }))
}

fn task_container(order: &StartOrder, suits: &Suits, image: &str, words: Vec<String>, ending: &Ending) -> Value {
    let spec = &order.spec;
    let mut amounts = json!({
        "cpu": format!("{}m", order.cores.0.max(1)),
        "memory": spec.memory.0.to_string(),
    });
    if let Some(resource) = &suits.resource {
        amounts[resource] = json!((order.devices.0 / 1_000).to_string());
    }
    let folder = spec.directory.as_deref().unwrap_or(ATTEMPT_FOLDER);
    let shared = mounts(order);
    let folders = shared.iter().map(|mount| (mount.variable.to_owned(), mount.folder.to_owned()));
    let variables: Vec<Value> = container::variables(order, folder).into_iter().chain(folders).map(variable).collect();
    let mut inside = vec![json!({ "name": "attempt", "mountPath": ATTEMPT_FOLDER })];
    if matches!(spec.work, Work::Script { .. }) {
        inside.push(json!({ "name": "script", "mountPath": SCRIPT_FOLDER, "readOnly": true }));
    }
    inside.extend(
        shared
            .iter()
            .map(|mount| json!({ "name": volume::NAME, "mountPath": mount.folder, "subPath": mount.sub_path })),
    );
    let mut container = json!({
        "name": "task",
        "image": image,
        // `command` alone: what the image would run by itself is never added to it.
        "command": words.iter().map(|word| literal(word)).collect::<Vec<_>>(),
        "workingDir": folder,
        "env": variables,
        "resources": { "requests": amounts, "limits": amounts },
        "volumeMounts": inside,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "privileged": false,
            "capabilities": { "drop": ["ALL"] },
        },
    });
    if order.spec.kind == JobKind::Session {
        // Its input stays open when a viewer leaves: the next one has the same terminal.
        container["tty"] = json!(true);
        container["stdin"] = json!(true);
    }
    if let Some(lifecycle) = ending.lifecycle() {
        container["lifecycle"] = lifecycle;
    }
    container
}

fn volumes(order: &StartOrder, config: &KubernetesConfig) -> Value {
    let mut volumes = vec![json!({ "name": "attempt", "emptyDir": {} })];
    if matches!(order.spec.work, Work::Script { .. }) {
        let field = json!({ "fieldPath": format!("metadata.annotations['{SCRIPT}']") });
        let items = json!([{ "path": "script", "fieldRef": field, "mode": 0o555 }]);
        volumes.push(json!({ "name": "script", "downwardAPI": { "items": items } }));
    }
    if let Some(shared) = config.volume.as_ref().filter(|_| !mounts(order).is_empty()) {
        let claim = json!({ "claimName": shared.claim });
        volumes.push(json!({ "name": volume::NAME, "persistentVolumeClaim": claim }));
    }
    json!(volumes)
}

fn variable((name, value): (String, String)) -> Value {
    json!({ "name": name, "value": literal(&value) })
}

/// A text that nodes do not change: they replace `$(NAME)` by a variable and `$$` by a dollar.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The image of an order. The site's own image is the site's to choose; a tenant's must be one that the site allows.
fn image(order: &StartOrder, config: &KubernetesConfig) -> Result<String, String> {
    let Some(image) = &order.spec.image else {
        let own = config.image.clone();
        return own
            .ok_or_else(|| "the job names no image and this centre has no default; hint: set `image`".to_owned());
    };
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:/@-".contains(&b);
    if image.is_empty() || image.len() > IMAGE_LENGTH_MAX || !image.bytes().all(good) {
        return Err("the image's name has characters that no image has".to_owned());
    }
    let prefixes = &config.image_prefixes;
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| image.starts_with(prefix)) {
        return Err(format!("image `{image}` is of no registry that this centre allows: {}", prefixes.join(", ")));
    }
    let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
    if config.digest_required
        && !digest.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(format!("image `{image}` is not named by digest; hint: name@sha256:..."));
    }
    Ok(image.clone())
}
