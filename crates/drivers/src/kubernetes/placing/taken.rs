//! Who holds what of which node: all pods of the cluster that have one and are not over. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::objects::Pod, Amounts};

/// What pods hold, by their uids.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pods: BTreeMap<String, Holder>,
    /// Counts lists of all pods, so that what was bound after a list began is not missed in it.
    round: u64,
}

/// One pod on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    node: String,
    amounts: Amounts,
    /// It is of this centre: gone when its work is done.
    ours: bool,
    round: u64,
}

impl Taken {
    /// Takes in how a pod is now.
    pub(super) fn take(&mut self, pod: &Pod, ours: bool) {
        let over = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        if over || pod.spec.node_name.is_empty() {
            self.gone(&pod.metadata.uid);
        } else {
            self.hold(&pod.metadata.uid, &pod.spec.node_name, Amounts::of_pod(pod), ours);
        }
    }

    /// Counts a pod from here on, whether the cluster has told of it or not.
    pub(super) fn hold(&mut self, uid: &str, node: &str, amounts: Amounts, ours: bool) {
        let holder = Holder { node: node.to_owned(), amounts, ours, round: self.round };
        self.pods.insert(uid.to_owned(), holder);
    }

    /// Counts a pod no more.
    pub(super) fn gone(&mut self, uid: &str) {
        self.pods.remove(uid);
    }

    /// Whether a pod has a node.
    pub(super) fn has(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// Begins a list of all pods.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Ends it: what was not in it, and was not heard of since it began, is gone.
    pub(super) fn end_round(&mut self, listed: &BTreeSet<String>) {
        let round = self.round;
        self.pods.retain(|uid, holder| holder.round >= round || listed.contains(uid));
    }

    /// What is held of each node: by all, and by those that are not of this centre.
    pub(super) fn by_node(&self) -> BTreeMap<&str, (Amounts, Amounts)> {
        let mut sums: BTreeMap<&str, (Amounts, Amounts)> = BTreeMap::new();
        for holder in self.pods.values() {
            let (all, others) = sums.entry(&holder.node).or_default();
            all.add(&holder.amounts);
            if !holder.ours {
                others.add(&holder.amounts);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, node: &str, phase: &str) -> Pod {
        let container = json!({ "resources": { "requests": { "cpu": "1" } } });
        let pod = json!({ "metadata": { "uid": uid }, "spec": { "nodeName": node, "containers": [container] },
                          "status": { "phase": phase } });
        serde_json::from_value(pod).expect("a pod")
    }

    fn holds(taken: &Taken) -> Vec<&str> {
        taken.pods.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_is_over_or_has_no_node_holds_nothing() {
        let mut taken = Taken::default();
        for (uid, node, phase) in [("a", "n", "Running"), ("b", "n", "Pending"), ("c", "", "Pending")] {
            taken.take(&pod(uid, node, phase), uid == "a");
        }
        assert_eq!(holds(&taken), ["a", "b"]);
        let sums = taken.by_node();
        let (all, others) = &sums["n"];
        assert_eq!((all.times(others), others.times(all)), (2, 0), "two pods, one of another");
        taken.take(&pod("a", "n", "Succeeded"), true);
        taken.gone("b");
        assert!(holds(&taken).is_empty());
    }

    #[test]
    fn a_list_misses_nothing_that_was_bound_while_it_was_made() {
        let mut taken = Taken::default();
        taken.take(&pod("old", "n", "Running"), false);
        taken.take(&pod("stays", "n", "Running"), false);
        taken.begin_round();
        taken.hold("new", "n", Amounts::default(), true);
        taken.end_round(&["stays".to_owned()].into());
        assert_eq!(holds(&taken), ["new", "stays"]);
        taken.begin_round();
        taken.end_round(&BTreeSet::new());
        assert!(holds(&taken).is_empty());
    }
}
