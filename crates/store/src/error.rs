//! What can go wrong with a data directory, by situation.

use std::path::PathBuf;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("data directory `{}` is in use by another huisuan process", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be made or written.
    #[error("data directory `{}` cannot be written: {cause}", path.display())]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The disk has no room left.
    #[error("data directory `{}` is on a full disk", .0.display())]
    Full(PathBuf),
    /// A newer version wrote it.
    #[error("data directory has format {found}; this program reads up to {known}")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// A stored row cannot be read.
    #[error("table `{table}`, row {row}: {detail}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which.
        row: String,
        /// What is wrong.
        detail: String,
    },
    /// The log of the database cannot be believed.
    #[error("the log of the database (`huisuan.db-wal`) {0}")]
    Log(String),
    /// The system gives no more threads.
    #[error("checkpoints get no thread: {0}")]
    NoThread(std::io::Error),
    /// The database said no.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
}

impl StoreError {
    /// What to do about it, for people.
    pub fn hint(&self) -> &'static str {
        match self {
            StoreError::InUse(_) => "stop the other process, or give another directory with --data",
            StoreError::NotWritable { .. } => "give a directory that you may write with --data",
            StoreError::Full(_) => "free some space, then start again: nothing acknowledged is lost",
            StoreError::NewerFormat { .. } => "use the version of huisuan that wrote it, or a newer one",
            StoreError::NoThread(_) => "raise the limit of processes of this user (`ulimit -u`)",
            StoreError::Log(_) => {
                "keep a copy of the directory, then restore a backup: what is in the log cannot be told"
            }
            StoreError::Corrupt { .. } | StoreError::Database(_) => {
                "keep a copy of the directory, then check the disk and `PRAGMA integrity_check`"
            }
        }
    }

    /// Names the situation behind an error of SQLite where it has one of its own.
    pub(crate) fn of(error: rusqlite::Error, path: &std::path::Path) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(path.to_owned()),
            Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
                StoreError::NotWritable { path: path.to_owned(), cause: std::io::Error::other(error.to_string()) }
            }
            _ => StoreError::Database(error),
        }
    }
}
