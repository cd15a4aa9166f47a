//! The little that an agent must remember when it is killed: `agent.json` in the centre's folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The version of the stored form.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// The highest server run that ever gave orders. Orders of an earlier one are refused: they come from
    /// a server that has been replaced and does not know it.
    epoch_max: u64,
    /// Counts the runs of this agent.
    run: u64,
}

/// What is remembered, and the right to be the centre's only agent.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    stored: Stored,
    _lock: File,
}

/// Why there is no memory.
#[derive(Debug)]
pub(crate) enum MemoryError {
    /// Another agent of this folder runs.
    Taken,
    /// The file cannot be read or written.
    File(PathBuf, io::Error),
}

impl Memory {
    /// Reads what an earlier agent remembered and counts this run.
    pub(crate) fn open(dir: &Path) -> Result<Self, MemoryError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| MemoryError::File(path, error)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
        let lock_path = dir.join("agent.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(MemoryError::Taken),
            Err(error) => return Err(failed(&lock_path)(error.into())),
        }
        let path = dir.join("agent.json");
        let stored = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(&path)(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored { version: VERSION, epoch_max: 0, run: 0 },
            Err(error) => return Err(failed(&path)(error)),
        };
        let mut memory = Memory { path, stored, _lock: lock };
        memory.store(Stored { run: stored.run + 1, ..stored })?;
        Ok(memory)
    }

    /// Counts the runs of this agent, from 1.
    pub(crate) fn run(&self) -> u64 {
        self.stored.run
    }

    /// The highest server run seen.
    pub(crate) fn epoch_max(&self) -> u64 {
        self.stored.epoch_max
    }

    /// Remembers a higher server run; on disk when this returns.
    pub(crate) fn raise_epoch(&mut self, epoch: u64) -> Result<(), MemoryError> {
        if epoch <= self.stored.epoch_max {
            return Ok(());
        }
        self.store(Stored { epoch_max: epoch, ..self.stored })
    }

    fn store(&mut self, stored: Stored) -> Result<(), MemoryError> {
        let write = || -> io::Result<()> {
            let new = self.path.with_extension("json.new");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec(&stored)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            match self.path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|error| MemoryError::File(self.path.clone(), error))?;
        self.stored = stored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_and_the_epoch_never_falls() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let dir = folder.path().join("centre");
        let mut memory = Memory::open(&dir).expect("opened");
        assert_eq!((memory.run(), memory.epoch_max()), (1, 0));
        memory.raise_epoch(7).expect("stored");
        memory.raise_epoch(3).expect("nothing to store");
        assert!(matches!(Memory::open(&dir), Err(MemoryError::Taken)));
        drop(memory);
        let memory = Memory::open(&dir).expect("opened");
        assert_eq!((memory.run(), memory.epoch_max()), (2, 7));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        fs::write(folder.path().join("agent.json"), "{").expect("written");
        assert!(matches!(Memory::open(folder.path()), Err(MemoryError::File(..))));
        assert_eq!(fs::read_to_string(folder.path().join("agent.json")).expect("readable"), "{");
    }
}
