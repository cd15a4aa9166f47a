//! Logs on disk, one JSON value a line: appended and synced in groups, rewritten when they are mostly history.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::engine::EngineError;

/// A log is rewritten when it has grown to this many times its size after the last rewrite...
const GROWTH_MAX: u64 = 4;
/// ...and to at least this many bytes.
const REWRITE_BYTES_MIN: u64 = 16 << 20;

/// An append-only file of JSON lines.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_after_rewrite: u64,
}

impl Log {
    /// Opens the log at `path`, new or as it was left, and gives back what it holds. A cut last line is taken away.
    pub(crate) fn resume<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), EngineError> {
        let (lines, bytes) = read(path)?;
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.set_len(bytes)?;
            Ok(file)
        };
        let file = open().map_err(EngineError::file("log", path))?;
        Ok((Log { path: path.to_owned(), file, bytes, bytes_after_rewrite: bytes }, lines))
    }

    /// Replaces the log at `path` by one with these lines, whole or not at all, and opens it.
    pub(crate) fn rewrite<T: Serialize>(path: &Path, lines: impl IntoIterator<Item = T>) -> io::Result<Self> {
        let mut text = Vec::new();
        for line in lines {
            append_line(&mut text, &line)?;
        }
        let new = path.with_extension("log.new");
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&new)?;
        // A rewrite that was cut off may have left something there.
        file.set_len(0)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let bytes = text.len() as u64;
        Ok(Log { path: path.to_owned(), file, bytes, bytes_after_rewrite: bytes })
    }

    /// Appends whole lines and, when asked, waits until they are on disk.
    ///
    /// After an error of the write the log is as it was before. After an error of the sync nobody can
    /// know what is on disk: the process ends, and its successor reads what is there.
    pub(crate) fn append(&mut self, text: &[u8], sync: bool) -> io::Result<()> {
        if let Err(error) = self.file.write_all(text) {
            if let Err(undo) = self.file.set_len(self.bytes) {
                tracing::error!(path = %self.path.display(), %undo, "log cannot be cut back, ending");
                std::process::abort();
            }
            return Err(error);
        }
        self.bytes += text.len() as u64;
        if sync && let Err(error) = self.file.sync_data() {
            tracing::error!(path = %self.path.display(), %error, "log cannot be synced, ending");
            std::process::abort();
        }
        Ok(())
    }

    /// Whether most of it is probably history.
    pub(crate) fn worth_rewriting(&self) -> bool {
        self.bytes > REWRITE_BYTES_MIN && self.bytes / GROWTH_MAX > self.bytes_after_rewrite
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Adds a value as a line.
pub(crate) fn append_line<T: Serialize>(text: &mut Vec<u8>, line: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}

/// Reads a log. A last line without its end was being written when the power went: it was never answered or reported,
/// so it is left out. Any other line that cannot be read is damage.
pub(crate) fn read_log<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, EngineError> {
    Ok(read(path)?.0)
}

/// The lines, and how many bytes the whole ones have.
fn read<T: DeserializeOwned>(path: &Path) -> Result<(Vec<T>, u64), EngineError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(EngineError::file("log", path)(error)),
    };
    let mut reader = BufReader::new(file);
    let (mut lines, mut line, mut bytes) = (Vec::new(), Vec::new(), 0);
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(EngineError::file("log", path))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let damaged = |error: serde_json::Error| EngineError::Damaged {
            path: path.to_owned(),
            line: number,
            detail: error.to_string(),
        };
        lines.push(serde_json::from_slice(&line).map_err(damaged)?);
        bytes += read as u64;
    }
    Ok((lines, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_drops_a_cut_last_line_and_names_a_damaged_one() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("x.log");
        assert!(read_log::<Vec<u32>>(&path).expect("no log is an empty log").is_empty());
        fs::write(&path, "[1]\n[2]\n[3").expect("written");
        assert_eq!(read_log::<Vec<u32>>(&path).expect("readable"), [[1], [2]]);
        fs::write(&path, "[1]\n[2\n[3]\n").expect("written");
        let error = read_log::<Vec<u32>>(&path).expect_err("damaged");
        assert!(matches!(error, EngineError::Damaged { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_log_goes_on_after_its_last_whole_line() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("x.log");
        fs::write(&path, "[1]\n[2").expect("written");
        let (mut log, lines) = Log::resume::<Vec<u32>>(&path).expect("readable");
        assert_eq!(lines, [[1]]);
        log.append(b"[3]\n", true).expect("appended");
        assert_eq!(fs::read_to_string(&path).expect("readable"), "[1]\n[3]\n");
    }

    #[test]
    fn lines_are_added_and_a_rewrite_replaces_them() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("x.log");
        fs::write(path.with_extension("log.new"), "left over").expect("written");
        let mut log = Log::rewrite(&path, [1, 2]).expect("written");
        log.append(b"3\n", true).expect("appended");
        assert_eq!(fs::read_to_string(&path).expect("readable"), "1\n2\n3\n");
        assert!(!log.worth_rewriting());
        log.append(&vec![b'\n'; 17 << 20], false).expect("appended");
        assert!(log.worth_rewriting());
        let log = Log::rewrite(&path, [4]).expect("rewritten");
        assert!(!log.worth_rewriting());
        assert_eq!(fs::read_to_string(&path).expect("readable"), "4\n");
    }
}
