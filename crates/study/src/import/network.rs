//! The network that a dump's jobs ran on: which partitions are one centre, and how large it is.
//!
//! Partitions that share nodes are one centre: counted apart, their nodes would be counted twice. How large a centre is
//! comes from `sinfo`, or else is the most that its jobs ever held at once, which is no more than what is there.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::hostlist;
use serde::Serialize;

use super::{
    Job,
    asked::{Asked, part_id},
    peak::Peak,
};
use crate::read::{sacct::SacctJob, sinfo::SinfoNode};

/// The part number of the pool for jobs without accelerators.
pub const CPU: &str = "cpu";
/// The part number of accelerators that nobody named.
pub const GPU: &str = "gpu";

/// Centres in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The centres.
    pub centres: Vec<ImportedCentre>,
}

/// One centre: partitions that share nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedCentre {
    /// Its name in the alphabet of ids.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// Its partitions, in the order of their names.
    pub partitions: Vec<String>,
    /// Where its size comes from.
    pub sized_by: SizedBy,
    /// What it has, in the order of part numbers.
    pub pools: Vec<ImportedPool>,
}

/// Where the size of a centre comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizedBy {
    /// From its nodes, as `sinfo` tells them.
    Nodes,
    /// From the most that its jobs held at once: a lower bound.
    Peak,
    /// From the log's own word of its machine.
    Log,
}

/// Devices of one type with the cores and memory beside them, or processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportedPool {
    /// The part number: [`CPU`], a type of accelerator, or [`GPU`].
    pub part: String,
    /// Cores.
    pub cores: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// Accelerators.
    pub devices: u64,
}

/// A partition of a cluster.
type Partition = (String, String);

impl Network {
    /// The network of these jobs. `nodes`, where given, are those of the one cluster that the dump is of; a dump of
    /// several clusters is sized by its peaks alone.
    pub fn of_sacct(jobs: &[SacctJob], nodes: &[SinfoNode]) -> Network {
        let clusters: BTreeSet<&str> = jobs.iter().map(|job| job.cluster.as_str()).collect();
        let nodes = if clusters.len() == 1 { nodes } else { &[] };
        let groups = groups(jobs, nodes);
        let mut names = BTreeSet::new();
        let mut centres: Vec<ImportedCentre> = groups
            .into_iter()
            .map(|partitions| {
                let alone = clusters.len() == 1 && partitions.len() > 1;
                centre(&partitions, alone, &mut names)
            })
            .collect();
        size(&mut centres, jobs, nodes);
        centres.retain(|centre| !centre.pools.is_empty());
        centres.sort_by(|a, b| a.name.cmp(&b.name));
        Network { centres }
    }

    /// Whether a centre has accelerators of this part number.
    pub(super) fn has_part(&self, part: &str) -> bool {
        self.centres.iter().any(|centre| centre.pools.iter().any(|pool| pool.part == part && pool.devices > 0))
    }

    /// The pool that a job is meant for: that of its part in its centre, or the processors there. None when it may go
    /// anywhere, or wants accelerators of no told type where there are several.
    pub(super) fn pool_of(&self, asked: &Asked) -> Option<&ImportedPool> {
        let centre = self.centres.iter().find(|centre| Some(&centre.name) == asked.centre.as_ref())?;
        let mut fitting = centre.pools.iter().filter(|pool| match &asked.part {
            Some(part) => part_id(&pool.part) == *part,
            None => (pool.devices > 0) == (asked.devices > 0),
        });
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// The centre that a job ran in.
    pub fn centre_of(&self, job: &Job) -> Option<&ImportedCentre> {
        self.centres.iter().find(|centre| centre.cluster == job.cluster && centre.partitions.contains(&job.partition))
    }
}

/// Sets of partitions that share nodes, each in the order of names.
fn groups(jobs: &[SacctJob], nodes: &[SinfoNode]) -> Vec<Vec<Partition>> {
    let partitions: BTreeSet<Partition> = jobs.iter().map(|job| (job.cluster.clone(), job.partition.clone())).collect();
    let index: BTreeMap<&Partition, usize> = partitions.iter().zip(0..).collect();
    let mut leader: Vec<usize> = (0..partitions.len()).collect();
    let mut first_on: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let lists: BTreeSet<(&str, &str, &str)> =
        jobs.iter().map(|job| (&*job.cluster, &*job.partition, &*job.node_list)).collect();
    let cluster = jobs.first().map_or("", |job| job.cluster.as_str());
    let told = nodes.iter().map(|node| (cluster, &*node.partition, node.name.clone()));
    // A list that is no list of nodes joins nothing.
    let used = lists.into_iter().flat_map(|(cluster, partition, list)| {
        hostlist::names(list).unwrap_or_default().into_iter().map(move |name| (cluster, partition, name))
    });
    for (cluster, partition, name) in told.chain(used) {
        let Some(&here) = index.get(&(cluster.to_owned(), partition.to_owned())) else { continue };
        let there = *first_on.entry((cluster, name)).or_insert(here);
        let (a, b) = (find(&mut leader, here), find(&mut leader, there));
        leader[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Vec<Partition>> = BTreeMap::new();
    for (partition, here) in &index {
        groups.entry(find(&mut leader, *here)).or_default().push((*partition).clone());
    }
    groups.into_values().collect()
}

/// The leader of a set, with the way to it shortened.
fn find(leader: &mut [usize], mut index: usize) -> usize {
    while leader[index] != index {
        leader[index] = leader[leader[index]];
        index = leader[index];
    }
    index
}

/// A centre without pools. One of several partitions that is `alone` in its cluster has the cluster's name.
fn centre(partitions: &[Partition], alone: bool, names: &mut BTreeSet<String>) -> ImportedCentre {
    let (cluster, first) = partitions.first().cloned().unwrap_or_default();
    let wanted = match (cluster.as_str(), alone) {
        ("", _) => first,
        (_, true) => cluster.clone(),
        (_, false) => format!("{cluster}-{first}"),
    };
    ImportedCentre {
        name: free_name(&id_of(&wanted, "site"), names),
        cluster,
        partitions: partitions.iter().map(|(_, partition)| partition.clone()).collect(),
        sized_by: SizedBy::Peak,
        pools: Vec::new(),
    }
}

/// A text in the alphabet of ids, at most 48 long; `otherwise` for one of which nothing is left.
pub(super) fn id_of(text: &str, otherwise: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._:-".contains(letter) { letter } else { '-' };
    let id: String = text.chars().map(plain).skip_while(|letter| !letter.is_ascii_alphanumeric()).take(48).collect();
    if id.is_empty() { otherwise.to_owned() } else { id }
}

pub(super) fn free_name(wanted: &str, names: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u64| format!("{wanted}-{number}"));
    let name = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !names.contains(name));
    let name = name.expect("numbers do not end");
    names.insert(name.clone());
    name
}

/// Gives every centre its pools.
fn size(centres: &mut [ImportedCentre], jobs: &[SacctJob], nodes: &[SinfoNode]) {
    let of: BTreeMap<Partition, usize> = centres
        .iter()
        .enumerate()
        .flat_map(|(index, centre)| {
            centre.partitions.iter().map(move |partition| ((centre.cluster.clone(), partition.clone()), index))
        })
        .collect();
    let mut grouped: Vec<Vec<&SacctJob>> = vec![Vec::new(); centres.len()];
    for job in jobs {
        grouped[of[&(job.cluster.clone(), job.partition.clone())]].push(job);
    }
    for (centre, jobs) in centres.iter_mut().zip(grouped) {
        let mine = |node: &&SinfoNode| centre.partitions.contains(&node.partition);
        let nodes: BTreeMap<&str, &SinfoNode> =
            nodes.iter().filter(mine).map(|node| (node.name.as_str(), node)).collect();
        let peaks = peaks(&jobs);
        if nodes.is_empty() {
            centre.pools = peaks;
        } else {
            centre.sized_by = SizedBy::Nodes;
            centre.pools = pools_of_nodes(nodes.values().copied(), &peaks);
        }
    }
}

/// The most that jobs of each type held at once. Jobs that name no type belong to the only one there is.
fn peaks(jobs: &[&SacctJob]) -> Vec<ImportedPool> {
    let kinds: BTreeSet<&str> = jobs.iter().filter(|job| job.devices > 0).map(|job| &*job.part).collect();
    let named: Vec<&str> = kinds.into_iter().filter(|part| !part.is_empty()).collect();
    let unnamed = if let [only] = named[..] { only } else { GPU };
    let mut by_part: BTreeMap<&str, Peak> = BTreeMap::new();
    for job in jobs {
        let part = match (job.devices, &*job.part) {
            (0, _) => CPU,
            (_, "") => unnamed,
            (_, part) => part,
        };
        let held = [u64::from(job.cores), job.memory_bytes.unwrap_or(0), u64::from(job.devices)];
        by_part.entry(part).or_default().add(job.start_at_ms, job.run_ms, held);
    }
    by_part.into_iter().map(|(part, peak)| peak.pool(part)).collect()
}

/// Pools of nodes. Jobs without accelerators run on nodes with accelerators too, which one pool cannot hold: the pool
/// of a type keeps the cores and memory that its jobs held at most, in proportion to its devices at least, as far as
/// its nodes go; the rest belongs to the processors.
fn pools_of_nodes<'a>(nodes: impl Iterator<Item = &'a SinfoNode>, peaks: &[ImportedPool]) -> Vec<ImportedPool> {
    let mut whole: BTreeMap<&str, ImportedPool> = BTreeMap::new();
    for node in nodes {
        let part = match (node.devices, &*node.part) {
            (0, _) => CPU,
            (_, "") => GPU,
            (_, part) => part,
        };
        let pool =
            whole.entry(part).or_insert_with(|| ImportedPool { part: part.to_owned(), ..ImportedPool::default() });
        pool.cores += u64::from(node.cores);
        pool.memory_bytes = pool.memory_bytes.saturating_add(node.memory_bytes);
        pool.devices += u64::from(node.devices);
    }
    let peak_of = |part: &str| peaks.iter().find(|peak| peak.part == part);
    // Most sites do not track types: jobs then tell accelerators, and nodes tell which.
    let used = |part: &str| peak_of(part).or_else(|| peak_of(GPU));
    if peak_of(CPU).is_some() {
        let mut rest = ImportedPool { part: CPU.to_owned(), ..ImportedPool::default() };
        for pool in whole.values_mut().filter(|pool| pool.devices > 0) {
            let (cores, memory_bytes) = used(&pool.part).map_or((0, 0), |peak| {
                // The share of the peak's devices grows to all devices.
                let grown = |held: u64| u128::from(held) * u128::from(pool.devices) / u128::from(peak.devices.max(1));
                let at_most = |held, all: u64| u64::try_from(grown(held)).map_or(all, |grown| grown.min(all));
                (at_most(peak.cores, pool.cores), at_most(peak.memory_bytes, pool.memory_bytes))
            });
            rest.cores += pool.cores - cores;
            rest.memory_bytes += pool.memory_bytes - memory_bytes;
            (pool.cores, pool.memory_bytes) = (cores, memory_bytes);
        }
        let cpu = whole.entry(CPU).or_insert_with(|| ImportedPool { part: CPU.to_owned(), ..ImportedPool::default() });
        cpu.cores += rest.cores;
        cpu.memory_bytes = cpu.memory_bytes.saturating_add(rest.memory_bytes);
    }
    whole.into_values().collect()
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
