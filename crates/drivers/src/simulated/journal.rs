//! The entries of a virtual centre on disk, one JSON line each.
//!
//! Lines are not synced: an order survives a kill of the process, as the trait asks. After a power failure the last
//! lines may be missing, which does no harm here, because nothing ran.

use std::{fs, path::Path};

use super::timeline::Entry;
use crate::{
    EngineError,
    folder::log::{Log, append_line},
};

#[derive(Debug)]
pub(super) struct Journal(Log);

impl Journal {
    /// Opens the journal of a folder, and gives back what it holds. A last line that was cut off is dropped.
    pub(super) fn open(folder: &Path) -> Result<(Journal, Vec<Entry>), EngineError> {
        fs::create_dir_all(folder).map_err(EngineError::file("folder of a simulated centre", folder))?;
        let (log, entries) = Log::resume(&folder.join("simulated.log"))?;
        Ok((Journal(log), entries))
    }

    /// Adds entries at the end.
    pub(super) fn write(&mut self, entries: &[Entry]) -> Result<(), EngineError> {
        let mut text = Vec::new();
        let lines = entries.iter().try_for_each(|entry| append_line(&mut text, entry));
        let written = lines.and_then(|()| self.0.append(&text, false));
        written.map_err(EngineError::file("log", self.0.path()))
    }
}
