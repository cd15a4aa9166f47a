//! Replays a journal: the plans that a live network made, made again.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use huisuan_model::Entry;
use huisuan_schedule::Policy;
use huisuan_twin::replay::{Replay, Replayed};
use serde::Serialize;

use crate::read::{ReadError, Text};

/// One side of a comparison in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideReport {
    /// Tasks placed, by centre.
    pub tasks: std::collections::BTreeMap<String, u64>,
    /// What would be held for them, in millionths of the currency.
    pub held: i64,
}

/// What a replay says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Entries folded.
    pub entries: u64,
    /// Plans made again.
    pub plans: u64,
    /// Plans that came out the same.
    pub identical: u64,
    /// Plans that came out otherwise under the very policy that they name.
    pub broken: u64,
    /// Plans of which the journal does not say what they were made with.
    pub without_basis: u64,
    /// Plans made under a policy that is not known by its name: the default one stood in.
    pub without_policy: u64,
    /// Under which policy they were made again; absent for that of each plan of the journal.
    pub policy: Option<String>,
    /// Entries of the first plans that came out otherwise.
    pub differing: Vec<u64>,
    /// What the journal's plans placed.
    pub before: SideReport,
    /// What the new plans placed.
    pub after: SideReport,
}

/// Replays the entries that `read` gives; it is called twice and must give the same ones both times.
///
/// # Errors
/// Those of `read`.
///
/// # Panics
/// When an entry contradicts those before it.
pub fn replay<E>(
    policy: Option<Policy>,
    mut read: impl FnMut(&mut dyn FnMut(&Entry)) -> Result<(), E>,
) -> Result<ReplayReport, E> {
    let name = policy.as_ref().map(|policy| policy.name.clone());
    let mut replay = Replay::new(policy).knowing(crate::policies::built_in);
    read(&mut |entry| replay.expect(entry))?;
    read(&mut |entry| replay.take(entry))?;
    Ok(of(replay.found(), name))
}

/// Gives every entry of a journal in a file, one JSON object on each line.
///
/// # Errors
/// When the file cannot be read, or a line holds no entry; it is named.
pub fn read_journal_file(path: &Path, each: &mut dyn FnMut(&Entry)) -> Result<(), ReadError> {
    let unreadable = |error| ReadError::Unreadable { file: path.to_owned(), error };
    let file = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let mut last = 0;
    for (number, line) in file.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let form = |problem: String| {
            Text::new(path, "").form(number as u64 + 1, problem, "a journal has one entry on each line, counted from 1")
        };
        let entry: Entry = serde_json::from_str(&line).map_err(|error| form(format!("no entry: {error}")))?;
        if entry.seq != last + 1 {
            return Err(form(format!("entry {} follows entry {last}", entry.seq)));
        }
        last = entry.seq;
        each(&entry);
    }
    Ok(())
}

fn of(found: &Replayed, policy: Option<String>) -> ReplayReport {
    let side = |side: &huisuan_twin::replay::Side| SideReport {
        tasks: side.tasks.iter().map(|(centre, tasks)| (centre.to_string(), *tasks)).collect(),
        held: i64::try_from(side.held).unwrap_or(i64::MAX),
    };
    ReplayReport {
        entries: found.entries,
        plans: found.plans,
        identical: found.identical,
        broken: found.broken,
        without_basis: found.without_basis,
        without_policy: found.without_policy,
        policy,
        differing: found.differences.iter().map(|difference| difference.seq).collect(),
        before: side(&found.before),
        after: side(&found.after),
    }
}
