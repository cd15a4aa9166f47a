//! The data directory: made private, locked for one process.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::StoreError;

/// A server that was killed with a large state takes a moment to leave its lock behind.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// Takes the lock, waiting a little for one who is just leaving; false when it stays taken.
fn hold(lock: &File) -> io::Result<bool> {
    match lock.try_lock() {
        Ok(()) => return Ok(true),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let waiting = lock.try_clone()?;
    let (sender, receiver) = mpsc::channel();
    // The thread outlives a wait in vain; its copy of the file is the same lock, which then belongs to nobody else.
    thread::spawn(move || _ = sender.send(waiting.lock()));
    match receiver.recv_timeout(LOCK_WAIT) {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// A data directory that this process holds; the lock goes with the value.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// The database's file within the directory.
const DATABASE: &str = "huisuan.db";

impl DataDirectory {
    /// Whether there is a database in the directory.
    pub fn has_database(path: &Path) -> bool {
        path.join(DATABASE).is_file()
    }

    /// Makes the directory where it is missing (for the owner alone) and locks it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let not_writable = |cause: io::Error| match cause.kind() {
            io::ErrorKind::StorageFull => StoreError::Full(path.to_owned()),
            _ => StoreError::NotWritable { path: path.to_owned(), cause },
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(not_writable)?;
        // Scripts and environments of jobs are in there: nobody else reads them, whoever made the folder.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(not_writable)?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock_path)
            .map_err(not_writable)?;
        match hold(&lock) {
            Ok(true) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Ok(false) => Err(StoreError::InUse(path.to_owned())),
            Err(error) => Err(not_writable(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}
