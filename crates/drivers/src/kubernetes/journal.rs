//! What the cluster cannot be the record of, on disk before it counts: one JSON line each in `kubernetes.log`.
//!
//! The cluster itself records attempts and, by their finalizer, their ends. It forgets a pod whose finalizer is gone,
//! and it never heard of an attempt that was cancelled before it came.

use std::path::Path;

use huisuan_model::{AttemptId, AttemptReport, TimeMs};
use serde::{Deserialize, Serialize};

use crate::{
    EngineError,
    folder::log::{Log, append_line},
};

/// The version of the lines; the first line says it.
const VERSION: u32 = 1;

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
pub(super) struct Journal(Log);

impl Journal {
    /// Opens the journal of a folder, and gives back what it holds. A last line that was cut off is dropped: nobody
    /// was told that it counts.
    pub(super) fn open(folder: &Path) -> Result<(Journal, Vec<Entry>), EngineError> {
        let path = folder.join("kubernetes.log");
        let (log, mut entries) = Log::resume(&path)?;
        let mut journal = Journal(log);
        if entries.is_empty() {
            journal.write(&Entry::Version(VERSION))?;
            return Ok((journal, entries));
        }
        if entries[0] != Entry::Version(VERSION) {
            let detail = format!("its first line does not say version {VERSION}, but {:?}", entries[0]);
            return Err(EngineError::Damaged { path, line: 1, detail });
        }
        entries.remove(0);
        Ok((journal, entries))
    }

    /// Adds an entry, on disk when this returns.
    pub(super) fn write(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let mut line = Vec::new();
        let written = append_line(&mut line, entry).and_then(|()| self.0.append(&line, true));
        written.map_err(EngineError::file("log", self.0.path()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        assert!(error.to_string().contains("Version(2)"), "{error}");
    }
}
