//! From nodes to pools, and what of them an order asks for.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{
    Bytes, DurationMs, MilliDevices, Millicores, Pool, PoolId, SiteFeatures, SiteQos, SiteReservation, StartOrder,
    TimeMs, site::LINES_MAX, spec::Need,
};

use super::{
    answers::{Node, Reservation},
    config::SlurmConfig,
    gang::{self, Spread},
    limits::{self, Limits},
    site::{self, Site},
    users::Users,
};
use crate::engine::{Alarm, Closed};

/// The pool of nodes without accelerators when the configuration names none.
const CPU_POOL: &str = "cpu:slurm";

/// A pool, and the largest of its nodes: an attempt runs on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    pool: Pool,
    /// `gpu:h100`; `None` for the pool of processors.
    gres: Option<String>,
    cores_max: u64,
    memory_max: Bytes,
    devices_max: u64,
    /// How many nodes have so many cores, so much memory and so many accelerators.
    sizes: BTreeMap<(u64, Bytes, u64), u64>,
}

/// What a cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    parts: Vec<Part>,
    walltime_max: Option<DurationMs>,
    alarms: Vec<Alarm>,
    /// When the site's own reservations take a pool, or all of it.
    closed: Vec<Closed>,
    reservations: Vec<SiteReservation>,
    features: Vec<SiteFeatures>,
    pub(super) limits: Limits,
}

impl Inventory {
    /// Sums up nodes. A node in several partitions counts once; one that is down or drained counts as an alarm only.
    /// A node with accelerators belongs to the pool of its first type. Nodes that a reservation of the site's has now
    /// do not count, unless it has all of their pool: that is closed then, and as large as it was.
    pub(super) fn of(nodes: &[Node], config: &SlurmConfig, site: &Site, now: TimeMs) -> Inventory {
        let mut inventory = Inventory { limits: site.limits.clone(), ..Inventory::default() };
        let mut by_name: BTreeMap<&str, &Node> = BTreeMap::new();
        let mut limits = Vec::new();
        for node in nodes {
            by_name.insert(&node.name, node);
            limits.push(node.walltime_max);
        }
        // Several partitions may have several limits; Slurm takes the first partition that fits.
        inventory.walltime_max = if limits.contains(&None) { None } else { limits.into_iter().flatten().max() };
        let own = config.reservation.as_deref();
        inventory.alarms.extend(own.and_then(|own| site.alarm_of_own(own, now)));
        inventory.alarms.extend(site.limits.alarm(config));
        let own = own.and_then(|own| site.reservation(own));
        let is_own = |one: &&Reservation| own.is_some_and(|own| own.name == one.name);
        let others: Vec<&Reservation> = site.reservations.iter().filter(|one| !is_own(one)).collect();
        let reserved = |name: &str| others.iter().any(|one| one.takes_nodes(&by_name) && one.has_at(name, now));
        let mut groups: BTreeMap<Option<String>, Vec<&Node>> = BTreeMap::new();
        for node in by_name.values().filter(|node| own.is_none_or(|own| own.nodes.contains(&node.name))) {
            match node.usable() || (node.maintained() && reserved(&node.name)) {
                true => groups.entry(node.device().map(|(name, _)| name.to_owned())).or_default().push(node),
                false => inventory.alarms.push(alarm_of(node)),
            }
        }
        let mut names: BTreeMap<PoolId, BTreeSet<&str>> = BTreeMap::new();
        let mut features: BTreeMap<PoolId, Vec<&BTreeSet<String>>> = BTreeMap::new();
        for (gres, group) in &groups {
            let id = Part::new(gres.clone(), config).pool.id;
            features.entry(id.clone()).or_default().extend(group.iter().map(|node| &node.features));
            names.entry(id).or_default().extend(group.iter().map(|node| node.name.as_str()));
        }
        inventory.features = features.into_iter().filter_map(|(pool, nodes)| features_of(pool, &nodes)).collect();
        (inventory.closed, inventory.reservations) = site::ahead(&others, own, &by_name, &names, now);
        for (gres, group) in groups {
            let mut part = Part::new(gres, config);
            let closed = inventory.closed.iter().any(|span| {
                span.from <= now && now < span.until && span.pool.as_ref().is_none_or(|pool| *pool == part.pool.id)
            });
            let mut free = group.iter().filter(|node| closed || !reserved(&node.name)).peekable();
            if free.peek().is_some() {
                free.for_each(|node| part.add(node));
                inventory.parts.push(part);
            }
        }
        inventory.parts.sort_by(|a, b| a.pool.id.cmp(&b.pool.id));
        inventory
    }

    pub(super) fn pools(&self) -> Vec<Pool> {
        self.parts.iter().map(|part| part.pool.clone()).collect()
    }

    pub(super) fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// When the site's own reservations take a pool, or all of it.
    pub(super) fn closed(&self) -> &[Closed] {
        &self.closed
    }

    /// The site's own reservations that take nodes of ours.
    pub(super) fn reservations(&self) -> &[SiteReservation] {
        &self.reservations
    }

    /// What nodes are said to have, by pool.
    pub(super) fn features(&self) -> &[SiteFeatures] {
        &self.features
    }

    /// Whether no node can be used: all of them are down, or a controller that was just started has not heard of them.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether it was ever read.
    pub(super) fn known(&self) -> bool {
        !self.parts.is_empty() || !self.alarms.is_empty()
    }

    /// The longest time limit that a job of a quality of service may be given, in minutes.
    pub(super) fn minutes_max(&self, qos: Option<&SiteQos>) -> u64 {
        let limits = self.walltime_max.into_iter().chain(qos.and_then(|qos| qos.walltime_max));
        limits.min().map_or(u64::MAX, |most| most.0 / 60_000).max(1)
    }

    /// Whether an order can ever run here; an error is a sentence for people.
    pub(super) fn may_run(&self, order: &StartOrder, config: &SlurmConfig, users: &Users) -> Result<(), String> {
        self.gres(order, self.limits.of(order, config, users))?;
        self.spread(order).map(drop)
    }

    /// The memory of the largest node that an order may get; no bound while nothing is known of the cluster.
    pub(super) fn memory_max(&self, order: &StartOrder) -> Bytes {
        let parts = self.parts.iter().filter(|part| order.pool.as_ref().is_none_or(|pool| *pool == part.pool.id));
        parts.map(|part| part.memory_max).max().unwrap_or(Bytes(u64::MAX))
    }

    /// The value of `--gres` that an order needs under a quality of service, or why it can never run here. While nothing
    /// is known of the cluster everything may fit.
    pub(super) fn gres(&self, order: &StartOrder, qos: Option<&SiteQos>) -> Result<Option<String>, String> {
        if order.cores.is_zero() {
            return Err("it asks for no cores".to_owned());
        }
        if !order.devices.0.is_multiple_of(1000) {
            return Err("it asks for a part of an accelerator, this engine gives whole ones".to_owned());
        }
        // All tasks of a gang are one job.
        let tasks = if order.spec.gang { order.spec.tasks.len() } else { 1 };
        if let Some(why) = qos.and_then(|qos| limits::refusal(qos, order, tasks)) {
            return Err(why);
        }
        let (cores, devices) = (order.cores.cores_up(), order.devices.0 / 1000);
        if self.parts.is_empty() {
            return Ok((devices > 0).then(|| format!("gpu:{devices}")));
        }
        if let Some(most) = self.walltime_max
            && order.walltime() > most
        {
            return Err(format!("it asks for {} ms, the partition's limit is {} ms", order.walltime().0, most.0));
        }
        let all = || self.parts.iter().filter(|part| order.pool.as_ref().is_none_or(|pool| *pool == part.pool.id));
        if let (Some(pool), None) = (&order.pool, all().next()) {
            return Err(format!("it was placed on pool {pool}, which this centre does not have now"));
        }
        let most_cores = all().map(|part| part.cores_max).max().unwrap_or(0);
        if cores > most_cores {
            return Err(format!("it asks for {cores} cores, the largest node has {most_cores} cores"));
        }
        let most_memory = all().map(|part| part.memory_max).max().unwrap_or_default();
        if order.memory() > most_memory {
            return Err(format!("it asks for {} of memory, the largest node has {most_memory}", order.memory()));
        }
        let part = all().find(|part| part.takes(order));
        let part = part.ok_or("no node has this many cores, memory and devices together")?;
        Ok(part.gres.as_ref().filter(|_| devices > 0).map(|gres| format!("{gres}:{devices}")))
    }

    /// How a gang is to lie on nodes whose accelerators Slurm does not give by the task, or why it never can.
    pub(super) fn spread(&self, order: &StartOrder) -> Result<Option<Spread>, String> {
        let (cores, devices) = (order.cores.cores_up().max(1), order.devices.0 / 1000);
        let mut all = self.parts.iter().filter(|part| order.pool.as_ref().is_none_or(|pool| *pool == part.pool.id));
        let Some(part) = all.find(|part| part.takes(order)) else { return Ok(None) };
        if !order.spec.gang || devices == 0 || part.gres.as_deref().is_none_or(gang::by_task) {
            return Ok(None);
        }
        let tasks = order.spec.tasks.len();
        let mut takes = BTreeMap::new();
        for ((node_cores, memory, node_devices), count) in &part.sizes {
            let by_memory = memory.0 / order.memory().0.max(1);
            *takes.entry((node_cores / cores).min(node_devices / devices).min(by_memory)).or_insert(0) += count;
        }
        let spread = gang::spread(tasks, &takes);
        let pool = &part.pool.id;
        spread.map(Some).ok_or_else(|| format!("the nodes of pool {pool} have no room for {tasks} such tasks at once"))
    }
}

impl Part {
    fn new(gres: Option<String>, config: &SlurmConfig) -> Part {
        let known = config.devices.iter().find(|device| Some(&device.gres) == gres.as_ref());
        let id = match (&gres, known) {
            (_, Some(device)) => device.pool.clone(),
            (Some(gres), None) => PoolId::new(gres).unwrap_or_else(|_| pool_id("gpu:slurm")),
            (None, None) => config.cpu_pool.clone().unwrap_or_else(|| pool_id(CPU_POOL)),
        };
        let class = match (&gres, known) {
            (_, Some(device)) => device.class,
            (Some(_), None) => huisuan_model::Class::Ai,
            (None, None) => config.class,
        };
        let pool = Pool {
            id,
            class,
            cores: Millicores::ZERO,
            memory: Bytes::ZERO,
            devices: MilliDevices::ZERO,
            device_memory: known.map_or(Bytes::ZERO, |device| device.memory),
            rating: None,
            images: config.images(),
            topology: None,
        };
        Part { pool, gres, cores_max: 0, memory_max: Bytes::ZERO, devices_max: 0, sizes: BTreeMap::new() }
    }

    fn add(&mut self, node: &Node) {
        let count = node.device().map_or(0, |(_, count)| count);
        self.pool.cores = self.pool.cores.saturating_add(Millicores(node.cpus.saturating_mul(1000)));
        self.pool.memory = Bytes(self.pool.memory.0.saturating_add(node.memory.0));
        self.pool.devices = self.pool.devices.saturating_add(MilliDevices(count.saturating_mul(1000)));
        *self.sizes.entry((node.cpus, node.memory, count)).or_insert(0) += 1;
        self.cores_max = self.cores_max.max(node.cpus);
        self.memory_max = self.memory_max.max(node.memory);
        self.devices_max = self.devices_max.max(count);
    }

    /// Whether one of its nodes has what a task asks for.
    fn takes(&self, order: &StartOrder) -> bool {
        let devices = order.devices.0 / 1000;
        order.cores.cores_up() <= self.cores_max
            && order.memory() <= self.memory_max
            && devices <= self.devices_max
            && (devices == 0 || self.is_wanted(order))
    }

    /// Whether its devices are among those that the job names.
    fn is_wanted(&self, order: &StartOrder) -> bool {
        match &order.spec.need {
            Need::Hardware { devices: Some(need), .. } => {
                (need.any_of.is_empty() || need.any_of.contains(&self.pool.id))
                    && need.memory_min <= self.pool.device_memory
            }
            Need::Rate { device_memory_min, .. } => *device_memory_min <= self.pool.device_memory,
            Need::Hardware { devices: None, .. } => true,
        }
    }
}

/// What all of a pool's nodes have, and what some of them have besides; nothing where they have nothing.
fn features_of(pool: PoolId, nodes: &[&BTreeSet<String>]) -> Option<SiteFeatures> {
    let of_any: BTreeSet<&String> = nodes.iter().flat_map(|node| node.iter()).collect();
    let of_all = |name: &&String| nodes.iter().all(|node| node.contains(*name));
    let (all, some): (Vec<String>, Vec<String>) = {
        let (all, some): (Vec<&String>, Vec<&String>) = of_any.into_iter().partition(of_all);
        (all.into_iter().cloned().collect(), some.into_iter().take(LINES_MAX).cloned().collect())
    };
    (!all.is_empty() || !some.is_empty()).then_some(SiteFeatures { pool, all, some })
}

fn alarm_of(node: &Node) -> Alarm {
    let reason = if node.reason.is_empty() { String::new() } else { format!(": {}", node.reason) };
    let what = format!("is {}{reason}; hint: scontrol show node {}", node.state, node.name);
    Alarm { subject: format!("node {}", node.name), what }
}

fn pool_id(text: &str) -> PoolId {
    PoolId::new(text).expect("a name of the right alphabet")
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use huisuan_model::{AttemptId, CentreId, JobId, JobSpec, ProjectId, TenantId, spec::DeviceNeed};

    use super::*;
    use crate::slurm::{
        answers::{read_nodes, read_reservations},
        config::example,
    };

    fn inventory(text: &str) -> Inventory {
        let mut config = example(Path::new("/shared"));
        config.devices = toml::from_str::<std::collections::BTreeMap<String, Vec<_>>>(
            "d = [{ gres = \"gpu:h100\", pool = \"H100\", memory = 80 }]",
        )
        .expect("devices")
        .remove("d")
        .expect("devices");
        Inventory::of(&read_nodes(text).expect("understood"), &config, &Site::default(), TimeMs(0))
    }

    fn order(cores: u64, devices: u64, any_of: &[&str]) -> StartOrder {
        let any_of = any_of.iter().map(|name| pool_id(name)).collect();
        let need = DeviceNeed { count: MilliDevices(devices), any_of, memory_min: Bytes::ZERO };
        let devices_need = (devices > 0).then_some(need);
        let need = Need::Hardware { cores: Millicores(cores), devices: devices_need };
        StartOrder {
            attempt: AttemptId { job: JobId(1), task: 0, attempt: 1 },
            centre: CentreId::new("c").expect("a name"),
            tenant: TenantId::new("t").expect("a name"),
            project: ProjectId::new("p").expect("a name"),
            spec: Arc::new(JobSpec { need, memory: Bytes(1 << 20), ..JobSpec::command("x", &["true"]) }),
            cores: Millicores(cores),
            devices: MilliDevices(devices),
            pool: None,
            account: None,
        }
    }

    const NODES: &str = "n1|8|1000|gpu:h100:4|idle|2:00:00|(null)|none\nn1|8|1000|gpu:h100:4|idle|1-00:00:00|(null)|none\n\
        n2|8|1000|gpu:h100:4|mixed|2:00:00|(null)|none\nn3|64|2000|(null)|idle|2:00:00|(null)|none\n\
        n4|8|1000|gpu:a100:2|idle|2:00:00|(null)|none\nn5|8|1000|gpu:a100:2|drained|2:00:00|(null)|Duplicate jobid\n";

    #[test]
    fn nodes_are_summed_up_by_type_and_the_drained_are_told() {
        let inventory = inventory(NODES);
        let pools = inventory.pools();
        let told: Vec<_> =
            pools.iter().map(|pool| (pool.id.as_str(), pool.cores.0 / 1000, pool.devices.0 / 1000)).collect();
        assert_eq!(told, [("H100", 16, 8), ("cpu:slurm", 64, 0), ("gpu:a100", 8, 2)]);
        assert_eq!((pools[0].device_memory, inventory.minutes_max(None)), (Bytes(80), 24 * 60));
        let [alarm] = inventory.alarms() else { panic!("one alarm: {:?}", inventory.alarms()) };
        assert!(alarm.subject == "node n5" && alarm.what.contains("Duplicate jobid"), "{alarm:?}");
    }

    /// Nodes n1 and n2 are pool `H100`, n3 is `cpu:slurm`, n4 is `gpu:a100`; all of it at moment 1000, in seconds.
    #[test]
    fn reservations_of_the_site_close_pools_or_take_nodes() {
        let check = |reservations: &[&str], own: Option<&str>, cores: &[(&str, u64)], closed: &[&str]| {
            let mut config = example(Path::new("/shared"));
            config.reservation = own.map(str::to_owned);
            let text = reservations.iter().map(|rest| format!("ReservationName={rest}\n")).collect::<String>();
            let mut site = Site::default();
            site.note(read_reservations(&text).expect("understood"));
            let nodes = NODES.replace("n4|8|1000|gpu:a100:2|idle", "n4|8|1000|gpu:a100:2|maint");
            let nodes = read_nodes(&nodes).expect("understood");
            let inventory = Inventory::of(&nodes, &config, &site, TimeMs(1_000_000));
            let pools = inventory.pools();
            let told: Vec<_> = pools.iter().map(|pool| (pool.id.as_str(), pool.cores.0 / 1000)).collect();
            assert_eq!(told, cores, "{reservations:?}");
            let seconds = |at: TimeMs| at.0 / 1000;
            let told = inventory.closed().iter().map(|Closed { from, until, pool, why }| {
                let pool = pool.as_ref().map_or("all", PoolId::as_str);
                format!("{pool} {}-{} {why}", seconds(*from), seconds(*until))
            });
            assert_eq!(told.collect::<Vec<_>>(), closed, "{reservations:?}");
            inventory.alarms().iter().map(|alarm| alarm.subject.clone()).collect::<Vec<_>>()
        };
        let (gpus, cpus, other) = (("gpu:h100", 16), ("cpu:slurm", 64), ("gpu:a100", 8));
        let alarms = check(&[], None, &[cpus, gpus], &[]);
        assert_eq!(alarms, ["node n4", "node n5"], "for maintenance, and nobody says until when");
        // Ahead: of one pool, of all that can be used, of a part of one.
        let ahead = |nodes: &str| format!("m StartTime=2000 EndTime=3000 Nodes={nodes} Flags=MAINT,SPEC_NODES");
        check(&[&ahead("n[1-2]")], None, &[cpus, gpus], &["gpu:h100 2000-3000 maintenance m"]);
        check(&[&ahead("n[1-5]")], None, &[cpus, gpus], &["all 2000-3000 maintenance m"]);
        check(&[&ahead("n1")], None, &[cpus, gpus], &[]);
        check(&[&ahead("x[1-9]")], None, &[cpus, gpus], &[]);
        // Now: a pool is smaller, or closed and as large as it was.
        let now = |nodes: &str| format!("r StartTime=900 EndTime=3000 Nodes={nodes} Flags=SPEC_NODES");
        check(&[&now("n1")], None, &[cpus, ("gpu:h100", 8)], &[]);
        let alarms = check(
            &[&now("n[1-2,4]")],
            None,
            &[cpus, other, gpus],
            &["gpu:a100 900-3000 reservation r", "gpu:h100 900-3000 reservation r"],
        );
        assert_eq!(alarms, ["node n5"], "the one for maintenance is in it");
        let half = |node: &str| now(node).replace("r Start", &format!("{node} Start"));
        check(&[&half("n1"), &half("n2")], None, &[cpus], &[]);
        check(&["r StartTime=1 EndTime=1000 Nodes=n1"], None, &[cpus, gpus], &[]);
        // Some processors of nodes that others use as well.
        check(&["r StartTime=900 EndTime=3000 Nodes=n[1-2] TRES=cpu=15"], None, &[cpus, gpus], &[]);
        check(&["r StartTime=900 EndTime=3000 Nodes=n1 TRES=cpu=8"], None, &[cpus, ("gpu:h100", 8)], &[]);
        // Ours: its nodes alone are there, and nobody minds that it takes them.
        let alarms = check(&[&now("n1")], Some("r"), &[("gpu:h100", 8)], &[]);
        assert!(alarms.is_empty(), "{alarms:?}");
        let alarms = check(&[&ahead("n1")], Some("m"), &[("gpu:h100", 8)], &[]);
        assert_eq!(alarms, ["reservation m"]);
        let alarms = check(&[], Some("gone"), &[cpus, gpus], &[]);
        assert_eq!(alarms, ["reservation gone", "node n4", "node n5"]);
    }

    /// A task counts on what all nodes of its pool have, and on nothing else.
    #[test]
    fn features_are_those_of_all_nodes_or_of_some() {
        let features = ["a,b", "", "b,c", "x", "", "y"];
        let lines = NODES.lines().zip(features).map(|(line, own)| line.replace("(null)|none", &format!("{own}|none")));
        let told = inventory(&lines.collect::<Vec<_>>().join("\n")).features;
        let of = |pool: &str, all: &[&str], some: &[&str]| {
            let [all, some] = [all, some].map(|words| words.iter().map(|&word| word.to_owned()).collect());
            SiteFeatures { pool: pool_id(pool), all, some }
        };
        // The second line of n1 is another partition's, and counts; n4 has none, n5 is drained.
        assert_eq!(told, [of("H100", &[], &["b", "c"]), of("cpu:slurm", &["x"], &[])]);
    }

    #[test]
    fn an_order_gets_its_type_or_is_refused() {
        let inventory = inventory(NODES);
        let check =
            |order: &StartOrder, expected: Result<Option<&str>, &str>| match (inventory.gres(order, None), expected) {
                (Ok(gres), Ok(expected)) => assert_eq!(gres.as_deref(), expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "`{why}` does not say `{part}`"),
                (gres, expected) => panic!("{gres:?}, expected {expected:?}"),
            };
        check(&order(1_000, 0, &[]), Ok(None));
        check(&order(1_000, 3_000, &[]), Ok(Some("gpu:h100:3")));
        check(&order(1_000, 2_000, &["gpu:a100"]), Ok(Some("gpu:a100:2")));
        check(&order(1_000, 3_000, &["gpu:a100"]), Err("no node"));
        check(&order(9_000, 1_000, &[]), Err("no node"));
        check(&order(65_000, 0, &[]), Err("64 cores"));
        check(&order(1_000, 1_500, &[]), Err("a part"));
        check(&order(0, 0, &[]), Err("no cores"));
        let on = |pool: &str, order: StartOrder| StartOrder { pool: Some(pool_id(pool)), ..order };
        check(&on("gpu:a100", order(1_000, 1_000, &[])), Ok(Some("gpu:a100:1")));
        check(&on("H100", order(60_000, 0, &[])), Err("8 cores"));
        check(&on("V100", order(1_000, 0, &[])), Err("V100"));
        let mut long = order(1_000, 0, &[]);
        Arc::make_mut(&mut long.spec).walltime = DurationMs(25 * 3_600_000);
        check(&long, Err("limit"));
        let qos = SiteQos { walltime_max: Some(DurationMs(90_000)), devices_max: Some(2), ..SiteQos::default() };
        assert_eq!(inventory.minutes_max(Some(&qos)), 1);
        let why = inventory.gres(&order(1_000, 3_000, &[]), Some(&qos)).expect_err("too long, too many");
        assert!(why.contains("QOS"), "{why}");
    }

    #[test]
    fn before_the_cluster_is_known_everything_may_fit() {
        let unknown = Inventory::default();
        assert!(!unknown.known());
        assert_eq!(unknown.gres(&order(1_000_000, 2_000, &[]), None), Ok(Some("gpu:2".to_owned())));
    }
}
