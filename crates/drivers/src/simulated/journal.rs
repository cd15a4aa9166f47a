//! The entries of a virtual centre on disk, one JSON line each.
//!
//! Lines are not synced: an order survives a kill of the process, as the trait asks. After a power failure the last
//! lines may be missing, which does no harm here, because nothing ran.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::timeline::Entry;
use crate::EngineError;

/// What the file is for, in errors.
const WHAT: &str = "journal of a simulated centre";

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal of a folder, and gives back what it holds. A last line that was cut off is dropped.
    pub(super) fn open(folder: &Path) -> Result<(Journal, Vec<Entry>), EngineError> {
        fs::create_dir_all(folder).map_err(EngineError::file(WHAT, folder))?;
        let path = folder.join("simulated.log");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(EngineError::file(WHAT, &path)(error)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut entries = Vec::new();
        for (at, line) in whole.lines().enumerate() {
            let damaged = |error: serde_json::Error| EngineError::Damaged {
                path: path.clone(),
                line: at + 1,
                detail: error.to_string(),
            };
            entries.push(serde_json::from_str(line).map_err(damaged)?);
        }
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(whole.len() as u64)?;
            Ok(file)
        };
        let file = open().map_err(EngineError::file(WHAT, &path))?;
        Ok((Journal { path, file }, entries))
    }

    /// Adds entries at the end.
    pub(super) fn write(&mut self, entries: &[Entry]) -> Result<(), EngineError> {
        let mut bytes = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut bytes, entry).expect("entries have string keys and finite numbers only");
            bytes.push(b'\n');
        }
        self.file.write_all(&bytes).map_err(EngineError::file(WHAT, &self.path))
    }
}
