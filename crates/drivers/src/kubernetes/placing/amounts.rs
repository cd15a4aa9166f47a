//! Quantities by resource name: what a node has, and what a pod holds of it. Pure.

use std::collections::BTreeMap;

use super::super::{
    objects::{Node, Pod, PodSpec, Resources},
    quantity::thousandths,
};

/// The resource that every pod takes one of.
const PODS: &str = "pods";

/// Thousandths of each resource, by its name in Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Amounts(BTreeMap<String, u64>);

impl Amounts {
    fn read(quantities: &BTreeMap<String, String>) -> Amounts {
        let amount = |(name, text): (&String, &String)| Some((name.clone(), thousandths(text)?));
        Amounts(quantities.iter().filter_map(amount).collect())
    }

    /// What a node may give away.
    pub(in super::super) fn of_node(node: &Node) -> Amounts {
        Amounts::read(&node.status.allocatable)
    }

    /// What a scheduler counts for a pod: its containers together, or the largest that runs before them, and its
    /// overhead. A container that begins early and stays counts with both.
    pub(in super::super) fn of_pod(pod: &Pod) -> Amounts {
        let PodSpec { containers, init_containers, overhead, .. } = &pod.spec;
        let read = |resources: &Resources| Amounts::read(&resources.requests);
        let (mut stays, mut peak) = (Amounts::default(), Amounts::default());
        for container in init_containers {
            let own = read(&container.resources);
            let mut then = stays.clone();
            then.add(&own);
            if container.restart_policy == "Always" {
                stays.add(&own);
            }
            peak.raise(&then);
        }
        containers.iter().for_each(|container| stays.add(&read(&container.resources)));
        stays.raise(&peak);
        stays.add(&Amounts::read(overhead));
        stays.add(&Amounts([(PODS.to_owned(), 1_000)].into()));
        stays
    }

    pub(super) fn add(&mut self, other: &Amounts) {
        for (name, &amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// Takes away as much as there is.
    pub(super) fn subtract(&mut self, other: &Amounts) {
        for (name, &amount) in &other.0 {
            if let Some(left) = self.0.get_mut(name) {
                *left = left.saturating_sub(amount);
            }
        }
    }

    fn raise(&mut self, other: &Amounts) {
        for (name, &amount) in &other.0 {
            let most = self.0.entry(name.clone()).or_default();
            *most = amount.max(*most);
        }
    }

    /// How often `wants` is in it.
    pub(super) fn times(&self, wants: &Amounts) -> u64 {
        let wanted = wants.0.iter().filter(|(_, amount)| **amount > 0);
        let times = wanted.map(|(name, &amount)| self.0.get(name).copied().unwrap_or(0) / amount);
        times.min().unwrap_or(u64::MAX)
    }

    /// What decides which of two nodes is the fuller one: devices first, for they are scarce, then cores and memory.
    pub(super) fn spare(&self) -> (u64, u64, u64) {
        let of = |name: &str| self.0.get(name).copied().unwrap_or(0);
        // Whole names of devices have a vendor's domain.
        let devices = self.0.iter().filter(|(name, _)| name.contains('/')).map(|(_, &amount)| amount);
        (devices.fold(0, u64::saturating_add), of("cpu"), of("memory"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn amounts(cpu: u64, memory: u64, pods: u64) -> Amounts {
        Amounts([("cpu", cpu), ("memory", memory), (PODS, pods)].map(|(name, amount)| (name.to_owned(), amount)).into())
    }

    #[test]
    fn a_pod_counts_as_a_scheduler_counts_it() {
        let check = |spec: serde_json::Value, cpu: u64, memory: u64| {
            let pod: Pod = serde_json::from_value(json!({ "spec": spec })).expect("a pod");
            assert_eq!(Amounts::of_pod(&pod), amounts(cpu, memory, 1_000), "{spec}");
        };
        let part = |cpu: &str, memory: &str| json!({ "resources": { "requests": { "cpu": cpu, "memory": memory } } });
        let stays = |cpu: &str, memory: &str| {
            let mut one = part(cpu, memory);
            one["restartPolicy"] = json!("Always");
            one
        };
        check(json!({ "containers": [part("1", "10"), part("500m", "20")] }), 1_500, 30_000);
        check(json!({ "containers": [part("1", "10")], "initContainers": [part("2", "5")] }), 2_000, 10_000);
        let beside = json!({ "containers": [part("1", "10")], "initContainers": [stays("1", "1"), part("2", "5")] });
        check(beside, 3_000, 11_000);
        let overhead = json!({ "cpu": "250m", "memory": "1" });
        check(json!({ "containers": [part("1", "10")], "overhead": overhead }), 1_250, 11_000);
    }

    #[test]
    fn what_is_asked_for_fits_so_often() {
        let check = |free: Amounts, wants: Amounts, times: u64| assert_eq!(free.times(&wants), times, "{free:?}");
        check(amounts(4_000, 10_000, 9_000), amounts(1_000, 3_000, 1_000), 3);
        check(amounts(4_000, 10_000, 2_000), amounts(1_000, 3_000, 1_000), 2);
        check(amounts(999, 10_000, 9_000), amounts(1_000, 0, 1_000), 0);
        check(Amounts::default(), amounts(0, 0, 0), u64::MAX);
        check(Amounts::default(), amounts(1, 0, 0), 0);
        let mut left = amounts(4_000, 10_000, 9_000);
        left.subtract(&amounts(5_000, 1_000, 1_000));
        assert_eq!(left, amounts(0, 9_000, 8_000));
    }
}
