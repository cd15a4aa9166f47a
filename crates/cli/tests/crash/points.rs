//! The table of all failpoints, and the proof that it is one.

use std::{collections::BTreeSet, fs, path::Path};

/// Which process ends at a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Server and agents, which are one process in the demo.
    Network,
    /// A supervisor. What it ran is lost and told to be.
    Supervisor,
    /// A supervisor that has not begun to serve: its agent cannot start.
    Successor,
}

/// A named place at which a process may end.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) victim: Victim,
    /// The hits at which it is tried: the first, and where there are more, one in the middle of the work.
    pub(crate) hits: &'static [u32],
}

const fn point(name: &'static str, victim: Victim, hits: &'static [u32]) -> Point {
    Point { name, victim, hits }
}

/// In the order of what happens to a job. The writer's first commits open the books and make the centres known.
pub(crate) const POINTS: [Point; 14] = [
    point("writer-before-commit", Victim::Network, &[1, 5, 17]),
    point("writer-after-commit", Victim::Network, &[1, 5, 17]),
    point("planner-before-plan", Victim::Network, &[1, 3]),
    point("server-before-orders", Victim::Network, &[1, 4]),
    point("server-after-report", Victim::Network, &[1, 4]),
    point("agent-before-submit", Victim::Network, &[1, 3]),
    point("agent-after-submit", Victim::Network, &[1, 3]),
    point("agent-before-report", Victim::Network, &[1, 4, 9]),
    point("agent-after-report", Victim::Network, &[1, 4, 9]),
    point("supervisor-after-accept", Victim::Supervisor, &[1, 2]),
    point("supervisor-after-claim", Victim::Supervisor, &[1, 3]),
    point("supervisor-after-spawn", Victim::Supervisor, &[1, 3]),
    point("supervisor-after-done", Victim::Supervisor, &[1, 3]),
    point("supervisor-between-logs", Victim::Successor, &[1]),
];

/// Those of an agent whose engine is Slurm, in the order of what happens to an attempt: each of them is reached alone in
/// the tests of the engine, too.
pub(crate) const SLURM_POINTS: [Point; 9] = [
    point("slurm-after-accepted", Victim::Network, &[1, 3]),
    point("slurm-after-list", Victim::Network, &[1, 2]),
    point("slurm-before-sbatch", Victim::Network, &[1, 3]),
    point("slurm-after-sbatch", Victim::Network, &[1, 3]),
    point("slurm-after-record", Victim::Network, &[1, 3]),
    point("slurm-before-release", Victim::Network, &[1, 3]),
    point("slurm-after-release", Victim::Network, &[1, 3]),
    point("slurm-before-end", Victim::Network, &[1, 4]),
    point("slurm-after-end", Victim::Network, &[1, 4]),
];

/// Names in calls such as `failpoint!("name")` and `failpoint::reach("name")`.
fn names_in(text: &str, names: &mut BTreeSet<String>) {
    for call in ["failpoint!(\"", "failpoint::reach(\"", "fail_point!(\""] {
        for (at, _) in text.match_indices(call) {
            let name = text[at + call.len()..].split('"').next().unwrap_or_default();
            names.insert(name.to_owned());
        }
    }
}

fn names_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            names_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names_in(&fs::read_to_string(&path).expect("a source file"), names);
        }
    }
}

#[test]
fn the_table_names_every_failpoint_of_the_sources() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(crates).expect("the folder of crates").flatten() {
        names_below(&entry.path().join("src"), &mut names);
    }
    let on_slurm = fs::read_to_string(crates.join("drivers/tests/contract/faults.rs")).expect("a source file");
    let alone = |point: &Point| on_slurm.contains(&format!("\"{}\"", point.name));
    assert!(SLURM_POINTS.iter().all(alone), "a point of Slurm has no test of its own");
    let points = POINTS.iter().chain(&SLURM_POINTS);
    let table: BTreeSet<String> = points.map(|point| point.name.to_owned()).collect();
    assert_eq!(names, table);
    assert_eq!(table.len(), POINTS.len() + SLURM_POINTS.len(), "a point is named once");
}
