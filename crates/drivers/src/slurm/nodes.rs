//! What the cluster has: asked of Slurm, and kept for an agent that starts while nobody answers.

use std::{fs, io, path::PathBuf};

use super::{
    answers::{NODE_FORMAT, read_nodes},
    config::SlurmConfig,
    files::{Files, write_whole},
    inventory::Inventory,
    shared::Shared,
    site::{self, Site},
    state::State,
};
use crate::{clock::now, engine::EngineError};

/// The subject of the alarm while what is told is only remembered.
const REMEMBERED: &str = "inventory";

/// Asks for the nodes of the engine's partitions, and works by the answer from now on.
pub(super) fn refresh(shared: &Shared) -> Result<Inventory, EngineError> {
    site::refresh_when_due(shared);
    let partitions = format!("--partition={}", shared.config.partitions.join(","));
    let text = shared.client.ask("sinfo", &["--noheader", "--Node", &partitions, "--format", NODE_FORMAT])?;
    let nodes = read_nodes(&text).map_err(|what| EngineError::Program { program: "sinfo", what })?;
    if nodes.is_empty() {
        let what = format!("knows no nodes of partition {}", shared.config.partitions.join(","));
        return Err(EngineError::Program { program: "sinfo", what });
    }
    if let Err(error) = remember(&shared.files, &shared.config, &text) {
        tracing::warn!(%error, "what the cluster has cannot be written down");
    }
    let mut state = shared.lock();
    let inventory = Inventory::of(&nodes, &shared.config, &state.site, now());
    state.inventory = inventory.clone();
    state.alarms.remove(REMEMBERED);
    drop(state);
    shared.work.notify_all();
    Ok(inventory)
}

/// What Slurm said last, where it is known: better than nothing, and marked by an alarm until Slurm answers.
pub(super) fn recall(state: &mut State, files: &Files, config: &SlurmConfig) {
    let Ok(text) = fs::read_to_string(path(files)) else { return };
    // Of other partitions than those that are used now it says nothing.
    let nodes = text.strip_prefix(&head(config)).and_then(|text| read_nodes(text).ok());
    if let Some(nodes) = nodes {
        state.inventory = Inventory::of(&nodes, config, &Site::default(), now());
        let what = "what is told of this centre is what it had when Slurm answered last; hint: scontrol ping";
        state.alarms.insert(REMEMBERED.to_owned(), what.to_owned());
    }
}

fn remember(files: &Files, config: &SlurmConfig, text: &str) -> io::Result<()> {
    let text = head(config) + text;
    match fs::read_to_string(path(files)) {
        Ok(old) if old == text => Ok(()),
        _ => write_whole(&path(files), text.as_bytes()),
    }
}

fn path(files: &Files) -> PathBuf {
    files.paths.dir.join("nodes")
}

fn head(config: &SlurmConfig) -> String {
    format!("version=2 partitions={}\n", config.partitions.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::{config::example, journal::Journal, users::Users};

    #[test]
    fn what_was_said_last_counts_for_the_same_partitions_until_slurm_answers() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
        let check = |config: &SlurmConfig, pools: usize| {
            let (journal, known) = Journal::open(&files).expect("a log");
            let mut state = State::recover(journal, known);
            recall(&mut state, &files, config);
            assert_eq!((state.inventory.pools().len(), state.alarms().len()), (pools, pools));
        };
        let config = example(folder.path());
        check(&config, 0);
        for text in ["n1|4|1000|(null)|idle|1:00:00|(null)|none\n", "n1|8|1000|(null)|idle|1:00:00|(null)|none\n"] {
            remember(&files, &config, text).expect("written");
            remember(&files, &config, text).expect("nothing to write");
            check(&config, 1);
        }
        check(&SlurmConfig { partitions: vec!["other".to_owned()], ..config.clone() }, 0);
        fs::write(path(&files), head(&config) + "nonsense\n").expect("written");
        check(&config, 0);
    }
}
