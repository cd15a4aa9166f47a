//! The one list of policies by name, and what each of them can decide.

use std::{collections::BTreeMap, fmt, path::Path};

pub use huisuan_schedule::Policy;
use huisuan_schedule::{Weights, pack::Packing, queue::QueuePolicy};
use thiserror::Error;

use crate::scenario::read_policy;

/// What a policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// A network: which centre and pool, and whose turn it is.
    Network,
    /// The queue of one pool of equal processors: the order of jobs.
    Queue,
    /// The nodes of a fleet: which node and devices.
    Nodes,
    /// Each of these, in the best way that there is for it.
    All,
}

/// All names with what they decide, and what each is for.
pub const POLICIES: [(&str, Decides, &str); 14] = [
    ("default", Decides::All, "the best of its kind: `balanced`, `saf-guard`, or our own packing"),
    ("balanced", Decides::Network, "the default of the live network"),
    ("soonest", Decides::Network, "free capacity first, whatever it costs"),
    ("cheapest", Decides::Network, "the lowest price first, even where it means to queue"),
    ("tightest", Decides::Network, "full machines first, so that large tasks find whole ones"),
    ("fifo", Decides::Queue, "in the order of arrival, none goes ahead"),
    ("easy", Decides::Queue, "in the order of arrival, others ahead where they do not delay the first"),
    ("easy-sjbf", Decides::Queue, "the same, the shortest ahead first"),
    ("conservative", Decides::Queue, "others ahead where they delay none"),
    ("saf-guard", Decides::Queue, "small jobs first by predictions, none overtaken for long"),
    ("random", Decides::Nodes, "any node that fits"),
    ("bestfit", Decides::Nodes, "the fullest node"),
    ("dotprod", Decides::Nodes, "the node whose room is most like the task"),
    ("fgd", Decides::Nodes, "the node where the least is fragmented"),
];

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// There is none of this name.
    #[error("policy `{name}` is not known\nhint: {}", known(.own))]
    Unknown {
        /// The name.
        name: String,
        /// The policies of the file, which might have been meant.
        own: Vec<String>,
    },
    /// It decides something else.
    #[error("policy `{name}` decides {decides}, here one for {wanted} is needed\nhint: {}", instead(*.wanted))]
    Kind {
        /// The name.
        name: String,
        /// What it decides.
        decides: Decides,
        /// What is to be decided.
        wanted: Decides,
    },
}

impl fmt::Display for Decides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Decides::Network => "a network of centres",
            Decides::Queue => "the queue of one pool",
            Decides::Nodes => "nodes and devices of a fleet",
            Decides::All => "everything",
        })
    }
}

/// The names of policies that decide something.
pub fn names(decides: Decides) -> impl Iterator<Item = &'static str> {
    let fits = move |row: &&(&str, Decides, &str)| row.1 == decides || row.1 == Decides::All;
    POLICIES.iter().filter(fits).map(|row| row.0)
}

/// All names, those of a file first.
fn known(own: &[String]) -> String {
    let group = |decides, of: &str| {
        let names: Vec<&str> = POLICIES.iter().filter(|row| row.1 == decides).map(|row| row.0).collect();
        format!("{} ({of})", names.join(", "))
    };
    let own = if own.is_empty() { String::new() } else { format!("{} (of this file), ", own.join(", ")) };
    format!(
        "one of {own}{}, {}, {}, default",
        group(Decides::Network, "networks"),
        group(Decides::Queue, "one queue: `twin swf`, or a scenario of one pool"),
        group(Decides::Nodes, "nodes: `twin openb`"),
    )
}

fn instead(wanted: Decides) -> String {
    format!("one of {}", names(wanted).collect::<Vec<_>>().join(", "))
}

/// What is said of a name that does not decide what is wanted.
fn refused(name: &str, wanted: Decides, own: &BTreeMap<String, Policy>) -> PolicyError {
    match POLICIES.iter().find(|row| row.0 == name) {
        Some(&(_, decides, _)) => PolicyError::Kind { name: name.to_owned(), decides, wanted },
        None => PolicyError::Unknown { name: name.to_owned(), own: own.keys().cloned().collect() },
    }
}

/// The policy for a network: those of a file go before the built-in ones.
///
/// # Errors
/// When there is none of this name, or it decides something else.
pub fn network(name: &str, own: &BTreeMap<String, Policy>) -> Result<Policy, PolicyError> {
    let named = |wait, price, fit| {
        let weights = Weights { wait, price, fit, ..Weights::default() };
        Ok(Policy { name: name.to_owned(), weights, ..Policy::default() })
    };
    if let Some(policy) = own.get(name) {
        return Ok(Policy { name: name.to_owned(), ..policy.clone() });
    }
    match name {
        "balanced" | "default" => Ok(Policy::default()),
        "soonest" => named(1_000, 10, 10),
        "cheapest" => named(100, 10_000, 10),
        "tightest" => named(1_000, 100, 1_000),
        _ => Err(refused(name, Decides::Network, own)),
    }
}

/// A policy for a network by its name, or by the path of a file with one table `[policy.NAME]`, which has a dot or a
/// slash in it.
///
/// # Errors
/// A text of two parts, as errors have them: what is wrong, and after `hint:` what to do.
pub fn named_or_read(name: &str) -> Result<Policy, String> {
    if name.contains(['.', '/']) {
        return read_policy(Path::new(name)).map_err(|error| error.to_string());
    }
    network(name, &BTreeMap::new()).map_err(|error| format!("{error}; or a file such as policy.toml"))
}

/// The built-in policy for a network of a name that a journal has; `None` when there is none.
pub fn built_in(name: &str) -> Option<Policy> {
    network(name, &BTreeMap::new()).ok()
}

/// The policy for the queue of one pool.
///
/// # Errors
/// When there is none of this name, or it decides something else.
pub fn queue(name: &str) -> Result<QueuePolicy, PolicyError> {
    match name {
        "default" => Ok(QueuePolicy::SafGuard),
        _ => name.parse().map_err(|_| refused(name, Decides::Queue, &BTreeMap::new())),
    }
}

/// The policy for nodes and devices.
///
/// # Errors
/// When there is none of this name, or it decides something else.
pub fn nodes(name: &str) -> Result<Packing, PolicyError> {
    name.parse().map_err(|_| refused(name, Decides::Nodes, &BTreeMap::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_decides_what_the_list_says_and_nothing_else() {
        let none = BTreeMap::new();
        for (name, decides, _) in POLICIES {
            let found = [network(name, &none).is_ok(), queue(name).is_ok(), nodes(name).is_ok()];
            let expected =
                [Decides::Network, Decides::Queue, Decides::Nodes].map(|kind| [kind, Decides::All].contains(&decides));
            assert_eq!(found, expected, "{name}");
        }
        for policy in QueuePolicy::ALL {
            assert_eq!(queue(policy.name()), Ok(policy));
        }
        for policy in Packing::ALL {
            assert_eq!(nodes(policy.name()), Ok(policy));
        }
    }

    #[test]
    fn what_does_not_apply_says_so() {
        fn check(error: PolicyError, expected: &str) {
            let text = error.to_string();
            assert!(text.contains(expected), "{text}");
        }
        let own = BTreeMap::from([("mine".to_owned(), Policy::default())]);
        check(network("best", &own).expect_err("unknown"), "hint: one of mine (of this file), balanced, soonest");
        check(
            queue("fgd").expect_err("nodes"),
            "policy `fgd` decides nodes and devices of a fleet, here one for the queue of one pool is needed\n\
             hint: one of default, fifo, easy, easy-sjbf, conservative, saf-guard",
        );
        check(nodes("easy").expect_err("a queue"), "hint: one of default, random, bestfit, dotprod, fgd");
        assert_eq!(network("mine", &own).map(|policy| policy.name), Ok("mine".to_owned()));
    }
}
