//! From nodes to pools, and from an order to the nodes that suit it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Bytes, Class, GflopPerS, MilliDevices, Millicores, Pool, PoolId, StartOrder, spec::Need};

use super::{
    config::{KubernetesConfig, PoolRule, Toleration},
    objects::{Node, Taint},
    placing::Amounts,
    quantity::{thousandths, units},
};

/// Names of the devices that vendors' plugins offer; what begins with one of the prefixes is one, too.
const DEVICES: [&str; 9] = [
    "nvidia.com/gpu",
    "amd.com/gpu",
    "hygon.com/dcu",
    "hygon.com/dcunum",
    "cambricon.com/mlu",
    "metax-tech.com/gpu",
    "mthreads.com/gpu",
    "iluvatar.com/gpu",
    "enflame.com/gcu",
];
const DEVICE_PREFIXES: [&str; 3] = ["huawei.com/Ascend", "huawei.com/ascend", "nvidia.com/mig-"];

/// Labels in which vendors' tools tell the part number of a node's devices.
const PRODUCT_LABELS: [&str; 5] = [
    "nvidia.com/gpu.product",
    "node.kubernetes.io/npu.chip.name",
    "hygon.com/dcu.product",
    "metax-tech.com/gpu.product",
    "amd.com/gpu.product-name",
];

/// Memory of one device in MiB.
const MEMORY_LABEL: &str = "nvidia.com/gpu.memory";

/// The pools of a cluster and the machines that they are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hardware {
    rules: Vec<PoolRule>,
    machines: Vec<Machine>,
    /// Nodes of the centre that take no work now, and why, by name.
    away: BTreeMap<String, &'static str>,
}

/// What one node may give away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    name: String,
    labels: BTreeMap<String, String>,
    /// All of it, as Kubernetes counts.
    allocatable: Amounts,
    /// Its pool's place among the rules.
    rule: usize,
    cores: Millicores,
    memory: Bytes,
    devices: u64,
}

/// Where a pod may go, as its spec says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Suits {
    /// The extended resource of its devices.
    pub(super) resource: Option<String>,
    /// Any of these will do; all of its requirements count. Anywhere when empty.
    pub(super) terms: Vec<Vec<Requirement>>,
}

/// What a label of a node must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) key: String,
    /// `None` when the node must not have the label at all.
    pub(super) value: Option<String>,
}

impl Hardware {
    /// The hardware that these nodes are; those that are cordoned, not ready or tainted against us are left out.
    pub(super) fn of(nodes: &[Node], config: &KubernetesConfig) -> Hardware {
        // A taint that is not tolerated says that a node is not for this centre at all.
        let ours: Vec<&Node> = nodes.iter().filter(|node| !kept_away(node, &config.tolerations)).collect();
        let rules = match config.pools.is_empty() {
            true => found(&ours),
            false => config.pools.clone(),
        };
        let (mut machines, mut away) = (Vec::new(), BTreeMap::new());
        for node in ours {
            let Some(machine) = machine(node, &rules) else { continue };
            match absence(node) {
                None => machines.push(machine),
                Some(why) => drop(away.insert(node.metadata.name.clone(), why)),
            }
        }
        Hardware { rules, machines, away }
    }

    /// Nodes that take work now: name, labels, and what each may give away.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, String>, &Amounts)> {
        self.machines.iter().map(|machine| (machine.name.as_str(), &machine.labels, &machine.allocatable))
    }

    /// Nodes that take no work now, and why.
    pub(super) fn away(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.away.iter().map(|(node, why)| (node.as_str(), *why))
    }

    /// The pools that have a node, without ratings, in the order of their names.
    pub(super) fn pools(&self) -> Vec<Pool> {
        let mut pools: BTreeMap<&PoolId, Pool> = BTreeMap::new();
        for machine in &self.machines {
            let rule = &self.rules[machine.rule];
            let pool = pools.entry(&rule.id).or_insert_with(|| Pool {
                id: rule.id.clone(),
                class: rule.class,
                cores: Millicores::ZERO,
                memory: Bytes::ZERO,
                devices: MilliDevices::ZERO,
                device_memory: rule.device_memory,
                rating: None,
                images: true,
                topology: None,
            });
            pool.cores = pool.cores.saturating_add(machine.cores);
            pool.memory = pool.memory.saturating_add(machine.memory);
            pool.devices = pool.devices.saturating_add(MilliDevices(machine.devices.saturating_mul(1_000)));
        }
        pools.into_values().collect()
    }

    /// The rate of a whole pool, where the site declares what one of its devices or cores sustains.
    pub(super) fn declared_rate(&self, id: &PoolId) -> Option<GflopPerS> {
        let rule = self.rules.iter().find(|rule| rule.id == *id)?;
        let each = rule.rate_each?.0;
        let pool = self.pools().into_iter().find(|pool| pool.id == *id)?;
        let thousandths = if rule.resource.is_some() { pool.devices.0 } else { pool.cores.0 };
        u64::try_from(u128::from(each) * u128::from(thousandths) / 1_000).ok().map(GflopPerS)
    }

    /// Which nodes suit an order; an error says in words why none ever could.
    pub(super) fn suits(&self, order: &StartOrder) -> Result<Suits, String> {
        let devices = order.devices.0;
        if !devices.is_multiple_of(1_000) {
            return Err(format!("{} is no whole number; Kubernetes gives whole devices only", order.devices));
        }
        let named: Vec<usize> = (0..self.rules.len()).filter(|&rule| named(order, &self.rules[rule])).collect();
        if let Some(pool) = order.pool.as_ref().filter(|pool| !self.rules.iter().any(|rule| rule.id == **pool)) {
            return Err(format!("pool `{pool}` is not here"));
        }
        let holds = |machine: &&Machine| {
            machine.cores >= order.cores && machine.memory >= order.memory() && machine.devices * 1_000 >= devices
        };
        let able: BTreeSet<usize> = self
            .machines
            .iter()
            .filter(holds)
            .map(|machine| machine.rule)
            .filter(|rule| named.contains(rule))
            .collect();
        let wants = |rule: &&usize| self.rules[**rule].resource.is_some() == (devices > 0);
        // A cluster of device nodes only runs work without devices there, too.
        let Some(&first) = able.iter().find(wants).or(able.first().filter(|_| devices == 0)) else {
            return Err(self.refusal(order));
        };
        let resource = self.rules[first].resource.clone().filter(|_| devices > 0);
        let alike = able.iter().filter(|rule| self.rules[**rule].resource == self.rules[first].resource);
        let terms: Vec<_> = alike.map(|&rule| self.requirements(&self.rules[rule])).collect();
        let anywhere = terms.iter().any(Vec::is_empty);
        Ok(Suits { resource, terms: if anywhere { Vec::new() } else { terms } })
    }

    fn requirements(&self, rule: &PoolRule) -> Vec<Requirement> {
        let own = rule.nodes.iter().map(|(key, value)| Requirement { key: key.clone(), value: Some(value.clone()) });
        if rule.resource.is_some() || !rule.nodes.is_empty() {
            return own.collect();
        }
        // Processors without a label of their own are where the labels of devices are not.
        let others = self.rules.iter().filter(|rule| rule.resource.is_some()).flat_map(|rule| rule.nodes.keys());
        let keys: BTreeSet<&String> = others.collect();
        keys.into_iter().map(|key| Requirement { key: key.clone(), value: None }).collect()
    }

    fn refusal(&self, order: &StartOrder) -> String {
        let beyond = |fits: &dyn Fn(&Machine) -> bool| !self.machines.iter().any(fits);
        let what = match () {
            () if beyond(&|machine| machine.cores >= order.cores) => format!("{} cores", order.cores.cores_up()),
            () if beyond(&|machine| machine.memory >= order.memory()) => format!("{} of memory", order.memory()),
            () if beyond(&|machine| machine.devices * 1_000 >= order.devices.0) => format!("{}", order.devices),
            () => "this hardware".to_owned(),
        };
        format!("no node of this centre has {what}")
    }
}

/// Whether a pool is one of those that the job names.
fn named(order: &StartOrder, rule: &PoolRule) -> bool {
    let (parts, memory_min) = match &order.spec.need {
        Need::Hardware { devices: Some(devices), .. } => (devices.any_of.as_slice(), devices.memory_min),
        Need::Hardware { devices: None, .. } => (&[][..], Bytes::ZERO),
        Need::Rate { device_memory_min, .. } => (&[][..], *device_memory_min),
    };
    order.pool.as_ref().is_none_or(|pool| *pool == rule.id)
        && (parts.is_empty() || parts.contains(&rule.id))
        && (order.devices.is_zero() || memory_min <= rule.device_memory)
}

/// Taints that the cluster itself puts on nodes whose state is told by other fields, too.
const STATE_TAINTS: &str = "node.kubernetes.io/";

fn kept_away(node: &Node, tolerations: &[Toleration]) -> bool {
    node.spec.taints.iter().any(|taint| {
        let of_state = taint.key.starts_with(STATE_TAINTS);
        taint.effect != "PreferNoSchedule" && !of_state && !tolerated(taint, tolerations)
    })
}

/// Why a node takes no work now.
fn absence(node: &Node) -> Option<&'static str> {
    let ready = node.status.conditions.iter().any(|one| one.kind == "Ready" && one.status == "True");
    let pressed =
        node.spec.taints.iter().any(|taint| taint.key.starts_with(STATE_TAINTS) && taint.effect != "PreferNoSchedule");
    match (ready, node.spec.unschedulable) {
        (false, _) => Some("it is not ready"),
        (true, true) => Some("it is cordoned"),
        (true, false) => pressed.then_some("the cluster tainted it for its state"),
    }
}

fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|one| {
        one.key == taint.key
            && one.value.as_ref().is_none_or(|value| *value == taint.value)
            && one.effect.as_ref().is_none_or(|effect| *effect == taint.effect)
    })
}

fn is_device(resource: &str) -> bool {
    DEVICES.contains(&resource) || DEVICE_PREFIXES.iter().any(|prefix| resource.starts_with(prefix))
}

/// The device that a node offers, if it offers one.
fn device_of(node: &Node) -> Option<&str> {
    let offers = |(name, amount): &(&String, &String)| is_device(name) && units(amount).is_some_and(|count| count > 0);
    node.status.allocatable.iter().find(offers).map(|(name, _)| name.as_str())
}

fn machine(node: &Node, rules: &[PoolRule]) -> Option<Machine> {
    let amount = |name: &str| node.status.allocatable.get(name).map(String::as_str).unwrap_or("0");
    let device = device_of(node);
    let belongs = |rule: &PoolRule| {
        let labelled = rule.nodes.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value));
        labelled
            && match &rule.resource {
                Some(resource) => units(amount(resource)).is_some_and(|count| count > 0),
                // Without labels, processors are what has no devices.
                None => !rule.nodes.is_empty() || device.is_none(),
            }
    };
    let rule = rules.iter().position(belongs)?;
    let devices = rules[rule].resource.as_ref().and_then(|resource| units(amount(resource))).unwrap_or(0);
    let cores = Millicores(units(amount("cpu")).map(|_| thousandths(amount("cpu")).unwrap_or(0)).unwrap_or(0));
    Some(Machine {
        name: node.metadata.name.clone(),
        labels: node.metadata.labels.clone(),
        allocatable: Amounts::of_node(node),
        rule,
        cores,
        memory: Bytes(units(amount("memory")).unwrap_or(0)),
        devices,
    })
}

/// The pools that nodes tell of by themselves.
fn found(nodes: &[&Node]) -> Vec<PoolRule> {
    let mut rules: BTreeMap<PoolId, PoolRule> = BTreeMap::new();
    for node in nodes {
        let labels = &node.metadata.labels;
        let rule = match device_of(node) {
            Some(resource) => {
                let product = PRODUCT_LABELS.iter().find_map(|&key| labels.get(key).map(|value| (key, value)));
                let memory = labels.get(MEMORY_LABEL).and_then(|mib| mib.parse::<u64>().ok()).unwrap_or(0);
                PoolRule {
                    id: name(product.map_or(resource, |(_, value)| value)),
                    class: Class::Ai,
                    resource: Some(resource.to_owned()),
                    device_memory: Bytes(memory.saturating_mul(1 << 20)),
                    rate_each: None,
                    nodes: product.map(|(key, value)| (key.to_owned(), value.clone())).into_iter().collect(),
                }
            }
            None => {
                let architecture = labels.get("kubernetes.io/arch").map_or("unknown", String::as_str);
                PoolRule {
                    id: name(&format!("cpu:{architecture}")),
                    class: Class::General,
                    resource: None,
                    device_memory: Bytes::ZERO,
                    rate_each: None,
                    nodes: BTreeMap::new(),
                }
            }
        };
        rules.entry(rule.id.clone()).or_insert(rule);
    }
    rules.into_values().collect()
}

/// A part number in our alphabet: what Kubernetes allows beyond it becomes a dash.
fn name(text: &str) -> PoolId {
    let clean: String =
        text.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '-' }).collect();
    PoolId::new(clean.trim_start_matches(['.', '_', ':', '-']))
        .unwrap_or_else(|_| PoolId::new("unnamed").expect("a name in our alphabet"))
}
