//! One process for a folder.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::engine::EngineError;

/// How often the lock is tried, and the pause between: two seconds in all.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Makes sure that one engine uses the folder, as long as the file lives. A former one that was killed while it started a
/// program keeps its lock until that program has begun: a moment, which is waited for.
pub(crate) fn lock_folder(folder: &Path, name: &str) -> Result<File, EngineError> {
    let path = folder.join(name);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(EngineError::file("lock", &path))?;
    for _ in 0..TRIES {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(file);
        }
        // No descriptor tells of a lock.
        thread::park_timeout(PAUSE);
    }
    let folder = folder.display();
    Err(EngineError::Refused(format!("folder `{folder}` is used by another engine; hint: stop its agent")))
}
