//! Nodes, and all pods that have one, whoever made them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use super::super::{
    client::CallError,
    hardware::Hardware,
    objects::{Node, Pod},
    pod::{CENTRE_LABEL, mark},
    shared::Shared,
    watch::Subject,
};

/// The nodes of the cluster: the pools follow them at once, so that nothing is bound to one that was cordoned.
#[derive(Debug, Default)]
pub(in super::super) struct Nodes {
    nodes: BTreeMap<String, Node>,
}

impl Nodes {
    fn tell(&self, shared: &Shared) {
        let nodes: Vec<Node> = self.nodes.values().cloned().collect();
        let hardware = Hardware::of(&nodes, &shared.config);
        *shared.hardware.lock().unwrap_or_else(PoisonError::into_inner) = hardware;
        shared.changed([]);
    }
}

/// A node without what changes with every sign of life.
fn still(mut node: Node) -> Node {
    node.metadata.resource_version.clear();
    node.metadata.annotations.clear();
    node
}

impl Subject for Nodes {
    type Object = Node;
    const DOING: &'static str = "watching nodes";

    fn path(&self, _: &Shared) -> String {
        "/api/v1/nodes".to_owned()
    }

    fn query(&self, _: &Shared) -> String {
        String::new()
    }

    fn begin(&mut self, _: &Shared) {}

    fn all(&mut self, shared: &Shared, nodes: Vec<Node>) -> Result<(), CallError> {
        self.nodes = nodes.into_iter().map(|node| (node.metadata.name.clone(), still(node))).collect();
        self.tell(shared);
        Ok(())
    }

    fn take(&mut self, shared: &Shared, node: Node) {
        let node = still(node);
        if self.nodes.get(&node.metadata.name) != Some(&node) {
            self.nodes.insert(node.metadata.name.clone(), node);
            self.tell(shared);
        }
    }

    fn gone(&mut self, shared: &Shared, node: Node) {
        self.nodes.remove(&node.metadata.name);
        self.tell(shared);
    }
}

/// All pods of the cluster that have a node and are not over.
#[derive(Debug, Default)]
pub(in super::super) struct Others;

impl Subject for Others {
    type Object = Pod;
    const DOING: &'static str = "watching the pods of all nodes";

    fn path(&self, _: &Shared) -> String {
        "/api/v1/pods".to_owned()
    }

    fn query(&self, _: &Shared) -> String {
        let all = ["spec.nodeName!=", "status.phase!=Succeeded", "status.phase!=Failed"];
        format!("fieldSelector={}", all.join(",").replace('!', "%21").replace('=', "%3D").replace(',', "%2C"))
    }

    fn begin(&mut self, shared: &Shared) {
        shared.binding.taken().begin_round();
    }

    fn all(&mut self, shared: &Shared, pods: Vec<Pod>) -> Result<(), CallError> {
        let mut taken = shared.binding.taken();
        let mut listed = BTreeSet::new();
        for pod in &pods {
            listed.insert(pod.metadata.uid.clone());
            taken.take(pod, ours(shared, pod));
        }
        taken.end_round(&listed);
        drop(taken);
        shared.changed([]);
        Ok(())
    }

    fn take(&mut self, shared: &Shared, pod: Pod) {
        shared.binding.taken().take(&pod, ours(shared, &pod));
        shared.changed([]);
    }

    /// Also told of a pod that is selected no more: it is over.
    fn gone(&mut self, shared: &Shared, pod: Pod) {
        shared.binding.taken().gone(&pod.metadata.uid);
        shared.changed([]);
    }
}

fn ours(shared: &Shared, pod: &Pod) -> bool {
    let centre = pod.metadata.labels.get(CENTRE_LABEL);
    pod.metadata.namespace == shared.config.namespace && centre == Some(&mark(&shared.centre))
}
