//! What the cluster cannot be the record of, on disk before it counts: one JSON line each in `kubernetes.log`.
//!
//! The cluster itself records attempts and, by their finalizer, their ends. It forgets a pod whose finalizer is gone,
//! and it never heard of an attempt that was cancelled before it came.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use huisuan_model::{AttemptId, AttemptReport, TimeMs};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// What the file is for, in errors.
const WHAT: &str = "journal of a kubernetes centre";

/// The version of the lines; the first line says it.
const VERSION: u32 = 1;
/// How often the folder's lock is tried, and the pause between.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// One thing to remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Entry {
    /// Always the first.
    Version(u32),
    /// Their pods were made: one that is in the cluster no more was removed by somebody else.
    Accepted(Vec<AttemptId>),
    /// Somebody asked for their end while they were alive.
    Cancelled(Vec<AttemptId>),
    /// They were cancelled before they were heard of: they have ended, and orders for them do nothing.
    Buried {
        /// Which.
        attempts: Vec<AttemptId>,
        /// When.
        at: TimeMs,
    },
    /// The network asked for them, and neither journal nor cluster know of them: they are lost, and stay so.
    Unknown {
        /// Which.
        attempts: Vec<AttemptId>,
        /// When.
        at: TimeMs,
    },
    /// These ends are committed elsewhere; kept for who asks again.
    Acknowledged(Vec<AttemptReport>),
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal of a folder, and gives back what it holds. A last line that was cut off is dropped: nobody
    /// was told that it counts.
    pub(super) fn open(folder: &Path) -> Result<(Journal, Vec<Entry>), EngineError> {
        let path = folder.join("kubernetes.log");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(EngineError::file(WHAT, &path)(error)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut entries = Vec::new();
        for (at, line) in whole.lines().enumerate() {
            let damaged = |detail: String| EngineError::Damaged { path: path.clone(), line: at + 1, detail };
            let entry = serde_json::from_str(line).map_err(|error| damaged(error.to_string()))?;
            match entry {
                Entry::Version(VERSION) if at == 0 => {}
                Entry::Version(other) => return Err(damaged(format!("version {other} is not {VERSION}"))),
                entry => entries.push(entry),
            }
        }
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(whole.len() as u64)?;
            Ok(file)
        };
        let file = open().map_err(EngineError::file(WHAT, &path))?;
        let mut journal = Journal { path, file };
        if whole.is_empty() {
            journal.write(&Entry::Version(VERSION))?;
        }
        Ok((journal, entries))
    }

    /// Adds an entry, on disk when this returns.
    pub(super) fn write(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let mut bytes = serde_json::to_vec(entry).expect("entries have string keys and finite numbers only");
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        written.map_err(EngineError::file(WHAT, &self.path))
    }
}

/// One process for a folder. A process that was just started by the one before may hold its lock until it runs a
/// program of its own, so a lock that is taken is looked at again for two seconds.
pub(super) fn lock(dir: &Path) -> Result<File, EngineError> {
    let path = dir.join("engine.lock");
    let file = File::create(&path).map_err(EngineError::file("lock", &path))?;
    for _ in 0..LOCK_TRIES {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(file);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "no descriptor tells of a lock: this is a pause between two looks"
        )]
        thread::sleep(LOCK_PAUSE);
    }
    Err(EngineError::Refused(format!("folder `{}` is used by another agent; hint: stop that one first", dir.display())))
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    #[test]
    fn a_journal_may_end_in_a_cut_line_but_not_lie() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let attempt = AttemptId { job: JobId(1), task: 0, attempt: 1 };
        let entries = [Entry::Accepted(vec![attempt]), Entry::Buried { attempts: vec![attempt], at: TimeMs(5) }];
        let (mut journal, none) = Journal::open(folder.path()).expect("a new journal");
        assert!(none.is_empty());
        entries.iter().for_each(|entry| journal.write(entry).expect("written"));
        let path = folder.path().join("kubernetes.log");
        let whole = fs::read_to_string(&path).expect("a journal");
        fs::write(&path, format!("{whole}{{\"acc")).expect("written");
        assert_eq!(Journal::open(folder.path()).expect("readable").1, entries);
        assert_eq!(fs::read_to_string(&path).expect("a journal"), whole, "the cut line is gone");
        fs::write(&path, format!("{whole}nonsense\n")).expect("written");
        let error = Journal::open(folder.path()).expect_err("damaged");
        assert!(matches!(error, EngineError::Damaged { line: 4, .. }), "{error}");
        fs::write(&path, "{\"version\":2}\n").expect("written");
        let error = Journal::open(folder.path()).expect_err("of another version");
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
