//! Where the supervisor's own files are in a centre's folder.

use std::path::PathBuf;

use crate::folder::paths::Paths;

impl Paths {
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("supervisor.json")
    }

    /// The socket's name within the folder.
    pub(crate) const SOCKET: &'static str = "supervisor.sock";

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    pub(crate) fn start_lock(&self) -> PathBuf {
        self.dir.join("start.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    pub(crate) fn accepted(&self) -> PathBuf {
        self.dir.join("accepted.log")
    }

    pub(crate) fn done(&self) -> PathBuf {
        self.dir.join("done.log")
    }
}
