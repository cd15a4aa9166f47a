//! A fake of what a Kubernetes API server keeps: objects, versions, and changes that are forgotten after a while.
//!
//! Not a Kubernetes: it knows pods, nodes, services and records of usage, checks nothing of a pod's spec beyond what the tests
//! are about, and keeps everything in memory. What it does is done as the real one does: names are unique, versions
//! grow, changes may name the version that they are for, deletion waits for grace and finalizers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// Why a request is not carried out: a code of HTTP, Kubernetes' word for it, a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str, pub(crate) String);

/// One change of an object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    /// What it is one of: `pods` or `nodes`.
    pub(crate) of: &'static str,
    /// How it was before; nothing before there was one.
    pub(crate) before: Option<Value>,
    /// How it is now, or was last.
    pub(crate) object: Value,
    /// It is there no more.
    pub(crate) deleted: bool,
}

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) version: u64,
    pub(crate) pods: BTreeMap<String, Value>,
    pub(crate) nodes: BTreeMap<String, Value>,
    pub(crate) services: BTreeMap<String, Value>,
    /// Records of usage, by the name of the pod.
    pub(crate) metrics: BTreeMap<String, Value>,
    pub(crate) changes: VecDeque<Change>,
    /// Changes up to this version are forgotten.
    pub(crate) forgotten: u64,
    /// Parts of pods that the agent's role does not name.
    pub(crate) forbidden: BTreeSet<String>,
    /// Watches that began before this count end at once.
    pub(crate) cut: u64,
}

/// The objects, and who waits for them to change.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    objects: Mutex<Objects>,
    pub(crate) changed: Condvar,
}

impl Cluster {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all changes so far, and ends all watches: what is watched from an old version is gone.
    pub(crate) fn forget(&self) {
        let mut objects = self.lock();
        objects.forgotten = objects.version;
        objects.changes.clear();
        objects.cut += 1;
        // Something must be newer than what watchers know, or they would know everything.
        objects.version += 1;
        objects.forgotten = objects.version;
        self.changed.notify_all();
    }

    /// Does something to the objects, and tells everybody.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Objects) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

impl Objects {
    /// Keeps how a pod is now, or was last.
    fn record(&mut self, mut pod: Value, deleted: bool) -> Value {
        self.version += 1;
        pod["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = text(&pod, "/metadata/name").to_owned();
        let before = match deleted {
            true => self.pods.remove(&name),
            false => self.pods.insert(name, pod.clone()),
        };
        self.changes.push_back(Change { version: self.version, of: "pods", before, object: pod.clone(), deleted });
        pod
    }

    /// Makes or changes a node.
    pub(crate) fn put_node(&mut self, mut node: Value) {
        self.version += 1;
        node["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before = self.nodes.insert(text(&node, "/metadata/name").to_owned(), node.clone());
        self.changes.push_back(Change { version: self.version, of: "nodes", before, object: node, deleted: false });
    }

    /// A node is gone.
    pub(crate) fn remove_node(&mut self, name: &str) {
        self.version += 1;
        let mut node = self.nodes.remove(name).expect("it is there");
        let before = Some(node.clone());
        node["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.changes.push_back(Change { version: self.version, of: "nodes", before, object: node, deleted: true });
    }

    pub(crate) fn create(&mut self, namespace: &str, mut pod: Value) -> Result<Value, Refusal> {
        let name = text(&pod, "/metadata/name").to_owned();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        {
            return Err(Refusal(422, "Invalid", format!("Pod \"{name}\" is invalid: metadata.name")));
        }
        if self.pods.contains_key(&name) {
            return Err(Refusal(409, "AlreadyExists", format!("pods \"{name}\" already exists")));
        }
        let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object);
        let size: usize =
            annotations.into_iter().flatten().map(|(key, value)| key.len() + value.to_string().len()).sum();
        if size > 256 << 10 {
            return Err(Refusal(422, "Invalid", format!("Pod \"{name}\" is invalid: metadata.annotations: Too long")));
        }
        pod["metadata"]["namespace"] = json!(namespace);
        pod["metadata"]["uid"] = json!(format!("uid-{}", self.version + 1));
        pod["metadata"]["creationTimestamp"] = json!(time());
        pod["status"] = json!({ "phase": "Pending" });
        Ok(self.record(pod, false))
    }

    pub(crate) fn find(&self, name: &str) -> Result<Value, Refusal> {
        let missing = || Refusal(404, "NotFound", format!("pods \"{name}\" not found"));
        self.pods.get(name).cloned().ok_or_else(missing)
    }

    /// A merge patch; of the status alone, or of all but the status.
    pub(crate) fn patch(&mut self, name: &str, patch: &Value, of_status: bool) -> Result<Value, Refusal> {
        let mut pod = self.find(name)?;
        check(&pod, patch.get("metadata"))?;
        let part = if of_status { "status" } else { "metadata" };
        if let Some(change) = patch.get(part) {
            merge(&mut pod[part], change);
        }
        let finalizers = pod.pointer("/metadata/finalizers").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        Ok(self.record(pod, finalizers && grace == Some(0)))
    }

    pub(crate) fn delete(&mut self, name: &str, options: &Value) -> Result<Value, Refusal> {
        let mut pod = self.find(name)?;
        check(&pod, options.get("preconditions"))?;
        let over = ["Succeeded", "Failed"].contains(&text(&pod, "/status/phase"));
        let unscheduled = text(&pod, "/spec/nodeName").is_empty();
        let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
        let asked = options.get("gracePeriodSeconds").and_then(Value::as_i64).unwrap_or(own);
        let before = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        let grace = if over || unscheduled { 0 } else { asked.min(before.unwrap_or(asked)) };
        let finalizers =
            pod.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        if grace == 0 && !finalizers {
            return Ok(self.record(pod, true));
        }
        if before != Some(grace) {
            pod["metadata"]["deletionTimestamp"] = json!(time());
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            return Ok(self.record(pod, false));
        }
        Ok(pod)
    }

    /// Makes a service.
    pub(crate) fn serve(&mut self, namespace: &str, service: &Value) -> Result<Value, Refusal> {
        let (name, mut service) = (text(service, "/metadata/name").to_owned(), service.clone());
        if self.services.contains_key(&name) {
            return Err(Refusal(409, "AlreadyExists", format!("services \"{name}\" already exists")));
        }
        service["metadata"]["namespace"] = json!(namespace);
        self.services.insert(name, service.clone());
        Ok(service)
    }

    /// Gives a pod to a node, as its scheduler says: nobody looks whether there is room, or such a node.
    pub(crate) fn bind(&mut self, name: &str, binding: &Value) -> Result<Value, Refusal> {
        let mut pod = self.find(name)?;
        let conflict = |why: String| {
            Err(Refusal(409, "Conflict", format!("Operation cannot be fulfilled on pods/binding \"{name}\": {why}")))
        };
        if pod.pointer("/metadata/deletionTimestamp").is_some() {
            return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        match text(&pod, "/spec/nodeName") {
            "" => pod["spec"]["nodeName"] = binding["target"]["name"].clone(),
            node => return conflict(format!("pod {name} is already assigned to node \"{node}\"")),
        }
        self.record(pod, false);
        Ok(json!({ "kind": "Status", "status": "Success", "code": 201 }))
    }

    /// Gives waiting pods that ask for no other scheduler to nodes that have room for them, the oldest first.
    pub(crate) fn schedule(&mut self) -> bool {
        let waits = |pod: &&Value| {
            text(pod, "/spec/nodeName").is_empty()
                && ["", "default-scheduler"].contains(&text(pod, "/spec/schedulerName"))
                && pod.pointer("/metadata/deletionTimestamp").is_none()
        };
        let mut waiting: Vec<Value> = self.pods.values().filter(waits).cloned().collect();
        waiting.sort_by_key(version);
        let mut bound = false;
        for mut pod in waiting {
            let room = self.nodes.values().find(|node| suits(&pod, node) && self.has_room(&pod, node));
            if let Some(node) = room.map(|node| text(node, "/metadata/name").to_owned()) {
                pod["spec"]["nodeName"] = json!(node);
                self.record(pod, false);
                bound = true;
            }
        }
        bound
    }

    fn has_room(&self, pod: &Value, node: &Value) -> bool {
        let name = text(node, "/metadata/name");
        let there = |other: &&Value| {
            text(other, "/spec/nodeName") == name && !["Succeeded", "Failed"].contains(&text(other, "/status/phase"))
        };
        let Some(Value::Object(wants)) = pod.pointer("/spec/containers/0/resources/requests") else { return true };
        wants.iter().all(|(resource, wanted)| {
            let path = format!("/spec/containers/0/resources/requests/{}", resource.replace('/', "~1"));
            let used: u64 = self.pods.values().filter(there).map(|other| amount(other.pointer(&path))).sum();
            let all = node.pointer(&format!("/status/allocatable/{}", resource.replace('/', "~1")));
            used + amount(Some(wanted)) <= amount(all)
        })
    }
}

fn suits(pod: &Value, node: &Value) -> bool {
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let Some(terms) = pod.pointer(path).and_then(Value::as_array) else { return true };
    let holds = |expression: &Value| {
        let label = node["metadata"]["labels"].get(text(expression, "/key"));
        match text(expression, "/operator") {
            "In" => label.is_some_and(|value| expression["values"].as_array().is_some_and(|all| all.contains(value))),
            _ => label.is_none(),
        }
    };
    terms.iter().any(|term| term["matchExpressions"].as_array().into_iter().flatten().all(holds))
}

/// A quantity in thousandths, of the few kinds that tests write.
pub(crate) fn amount(quantity: Option<&Value>) -> u64 {
    let text = quantity.and_then(Value::as_str).unwrap_or("0");
    let (digits, factor) = match text {
        text if text.ends_with("Gi") => (&text[..text.len() - 2], 1000 << 30),
        text if text.ends_with("Mi") => (&text[..text.len() - 2], 1000 << 20),
        text if text.ends_with("Ki") => (&text[..text.len() - 2], 1000 << 10),
        text if text.ends_with('M') => (&text[..text.len() - 1], 1_000_000_000),
        text if text.ends_with('k') => (&text[..text.len() - 1], 1_000_000),
        text if text.ends_with('m') => (&text[..text.len() - 1], 1),
        text => (text, 1000),
    };
    digits.parse::<u64>().expect("a number") * factor
}

fn check(pod: &Value, wanted: Option<&Value>) -> Result<(), Refusal> {
    for field in ["uid", "resourceVersion"] {
        if let Some(value) = wanted.and_then(|wanted| wanted.get(field))
            && *value != pod["metadata"][field]
        {
            let name = text(pod, "/metadata/name");
            return Err(Refusal(409, "Conflict", format!("Operation cannot be fulfilled on pods \"{name}\": {field}")));
        }
    }
    Ok(())
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in changes {
        match value {
            Value::Null => drop(target.as_object_mut().expect("an object").remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}

pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

/// Now, as Kubernetes writes it.
pub(crate) fn time() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).expect("after 1970");
    jiff::Timestamp::from_second(i64::try_from(now.as_secs()).expect("before the year 9999"))
        .expect("a time")
        .to_string()
}
