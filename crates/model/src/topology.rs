//! How the nodes of a pool are connected: racks of nodes under one leaf switch, pods of racks under one spine.
//!
//! A pool's nodes are alike and numbered from 0 through the racks: 66,000 of them are three numbers here.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::centre::Pool;

/// A level of the tree below the whole pool, from the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The nodes of one leaf switch.
    Rack,
    /// The racks of one spine.
    Pod,
}

impl Level {
    /// The word used in files, flags and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Rack => "rack",
            Level::Pod => "pod",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Level::Rack, Level::Pod]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("level `{text}` is none of rack, pod"))
    }
}

/// How near to each other the tasks of a gang must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// As near as there is room: in one rack, else in one pod, else in the fewest racks.
    #[default]
    Preferred,
    /// Within one domain of this level, or not at all.
    Required(Level),
}

impl Together {
    /// The level that is required.
    pub fn required(self) -> Option<Level> {
        match self {
            Together::Preferred => None,
            Together::Required(level) => Some(level),
        }
    }
}

impl FromStr for Together {
    type Err = String;

    /// `preferred`, or the level that is required.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("preferred", _) => Ok(Together::Preferred),
            (_, Ok(level)) => Ok(Together::Required(level)),
            (_, Err(_)) => Err(format!("`{text}` is none of preferred, rack, pod")),
        }
    }
}

/// The nodes of a pool, which share it evenly, and how they are connected. The last rack and the last pod may be
/// smaller than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// How many nodes the pool has.
    pub nodes: u32,
    /// How many of them one leaf switch connects.
    pub rack_nodes: u32,
    /// How many racks one spine connects; absent where there is no such level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_racks: Option<u32>,
}

/// What one of the alike nodes of a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePart {
    /// Thousandths of a core.
    pub cores_milli: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Whole devices.
    pub devices: u8,
}

/// The most nodes that are told one by one: a snapshot shows each of them, and a site may lie.
const NODES_MAX: u32 = 100_000;
/// The most devices of one node.
const NODE_DEVICES_MAX: u64 = 16;

impl Topology {
    /// That of one machine, whose tasks are together whatever is required.
    pub const ONE_NODE: Topology = Topology { nodes: 1, rack_nodes: 1, pod_racks: Some(1) };

    /// How many nodes a whole domain of a level has; `None` where the pool has no such level.
    pub fn width(&self, level: Level) -> Option<u32> {
        match level {
            Level::Rack => Some(self.rack_nodes),
            Level::Pod => self.pod_racks.map(|racks| racks.saturating_mul(self.rack_nodes)),
        }
    }

    /// How many racks there are.
    pub fn racks(&self) -> u32 {
        self.nodes.div_ceil(self.rack_nodes.max(1))
    }

    /// The number of the rack of a node.
    pub fn rack_of(&self, node: u32) -> u32 {
        node / self.rack_nodes.max(1)
    }

    /// The nodes of a rack.
    pub fn nodes_of(&self, rack: u32) -> Range<u32> {
        let first = rack.saturating_mul(self.rack_nodes).min(self.nodes);
        first..first.saturating_add(self.rack_nodes).min(self.nodes)
    }

    /// What one node of a pool has, rounded down.
    pub fn part(&self, pool: &Pool) -> NodePart {
        let nodes = u64::from(self.nodes.max(1));
        let part = |all: u64| u32::try_from(all / nodes).unwrap_or(u32::MAX);
        NodePart {
            cores_milli: part(pool.cores.0),
            memory_mib: part(pool.memory.0 >> 20),
            devices: u8::try_from(pool.devices.0 / 1000 / nodes).unwrap_or(u8::MAX),
        }
    }

    /// What is wrong with it as the topology of a pool; nothing when it may be believed.
    pub fn fault(&self, pool: &Pool) -> Option<String> {
        let Topology { nodes, rack_nodes, pod_racks } = *self;
        if nodes == 0 || rack_nodes == 0 || pod_racks == Some(0) {
            return Some("a pool has at least one node, a rack one node, and a pod one rack".to_owned());
        }
        if nodes > NODES_MAX {
            return Some(format!("{nodes} nodes are more than the {NODES_MAX} that a pool may tell of"));
        }
        let each = pool.devices.0 / u64::from(nodes);
        if each * u64::from(nodes) != pool.devices.0 || !each.is_multiple_of(1000) || each > NODE_DEVICES_MAX * 1000 {
            let devices = pool.devices.0 / 1000;
            return Some(format!("{devices} devices are no whole number, at most 16, on each of {nodes} nodes"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_through_the_racks() {
        let topology = Topology { nodes: 10, rack_nodes: 4, pod_racks: Some(2) };
        assert_eq!((topology.racks(), topology.rack_of(3), topology.rack_of(9)), (3, 0, 2));
        assert_eq!((topology.nodes_of(1), topology.nodes_of(2), topology.nodes_of(3)), (4..8, 8..10, 10..10));
        assert_eq!((topology.width(Level::Rack), topology.width(Level::Pod)), (Some(4), Some(8)));
        assert_eq!(Topology { pod_racks: None, ..topology }.width(Level::Pod), None);
    }

    #[test]
    fn the_stored_form_is_short() {
        for (together, text) in
            [(Together::Preferred, r#""preferred""#), (Together::Required(Level::Rack), r#"{"required":"rack"}"#)]
        {
            assert_eq!(serde_json::to_string(&together).expect("JSON"), text);
        }
        let topology = Topology { nodes: 66_000, rack_nodes: 32, pod_racks: None };
        assert_eq!(serde_json::to_string(&topology).expect("JSON"), r#"{"nodes":66000,"rack_nodes":32}"#);
        assert!(serde_json::from_str::<Topology>(r#"{"nodes":1,"rack_nodes":1,"spines":2}"#).is_err());
        assert_eq!("pod".parse(), Ok(Level::Pod));
        assert!("row".parse::<Level>().is_err_and(|text| text.contains("rack, pod")));
    }
}
