//! How a client finds the server of the same user on the same machine: one small file.
//!
//! The file holds a token, so its folder must belong to this user and be closed to others; anything
//! else is refused, because another user could have put it there.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The file's name within its folder.
const FILE_NAME: &str = "server.json";

/// Where a server listens and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its base URL, such as `http://127.0.0.1:7878`.
    pub url: String,
    /// The token of this user.
    pub token: String,
    /// Its process.
    pub pid: u32,
    /// Its data folder.
    pub data: PathBuf,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The folder or file is not this user's alone.
    #[error("server file: `{path}` is not safe: {what}")]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be read or written.
    #[error("server file: cannot {doing} `{path}`: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not what a server writes.
    #[error("server file: `{path}` cannot be read: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl DiscoveryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            DiscoveryError::Unsafe { path, .. } => {
                format!("remove `{}` if it is yours, or name the server with --server and --token", path.display())
            }
            DiscoveryError::Io { .. } => "name the server with --server and --token".to_owned(),
            DiscoveryError::Malformed { path, .. } => format!("remove `{}` and start the server again", path.display()),
        }
    }
}

/// The folder that holds the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of this user: `$XDG_RUNTIME_DIR/huisuan`, or `/tmp/huisuan-UID` where there is none.
    pub fn of_user() -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        match runtime {
            Some(runtime) if runtime.is_dir() => Folder(runtime.join("huisuan")),
            _ => Folder(PathBuf::from(format!("/tmp/huisuan-{}", user()))),
        }
    }

    /// A folder of the caller's choice.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Folder(path.into())
    }

    /// Where the file is.
    pub fn file(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }

    /// Says where this process listens; takes the place of what another server said.
    pub fn write(&self, running: &Running) -> Result<(), DiscoveryError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error("create", &self.0)(error));
            }
            _ => check_private(&self.0, Kind::Folder)?,
        }
        let text = serde_json::to_vec_pretty(running).expect("the record has string keys only");
        // Written beside and renamed, so that a reader sees the old file or the new one, never half of it.
        let beside = self.0.join(format!("{FILE_NAME}.{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&text))
            .map_err(io_error("write", &beside))?;
        fs::rename(&beside, self.file()).map_err(io_error("rename", &beside))
    }

    /// What the last server said, or `None` when there is nothing. The server may be gone since:
    /// see [`Running::alive`].
    pub fn read(&self) -> Result<Option<Running>, DiscoveryError> {
        let file = self.file();
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => check_private(&self.0, Kind::Folder)?,
        }
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io_error("read", &file))?,
        };
        check_private(&file, Kind::File)?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| DiscoveryError::Malformed { path: file, what: error.to_string() })
    }

    /// Takes the file away when it is about process `pid`; another server's file stays.
    pub fn remove(&self, pid: u32) -> Result<(), DiscoveryError> {
        let file = self.file();
        match self.read()? {
            Some(running) if running.pid == pid => match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &file)(error)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Running {
    /// Whether its process exists. A reused process number can make this true for a dead server; a
    /// connection tells for certain.
    pub fn alive(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
}

fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Checks owner, kind and mode without following a link.
fn check_private(path: &Path, kind: Kind) -> Result<(), DiscoveryError> {
    let metadata = fs::symlink_metadata(path).map_err(io_error("look at", path))?;
    let right_kind = match kind {
        Kind::Folder => metadata.is_dir(),
        Kind::File => metadata.is_file(),
    };
    let what = if !right_kind {
        let wanted = if kind == Kind::Folder { "folder" } else { "file" };
        format!("it is not a plain {wanted}")
    } else if metadata.uid() != user() {
        format!("it belongs to user {}, not to user {}", metadata.uid(), user())
    } else if metadata.mode() & 0o077 != 0 {
        format!("its mode {:04o} lets others in", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(DiscoveryError::Unsafe { path: path.to_owned(), what })
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiscoveryError {
    move |error| DiscoveryError::Io { doing, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn running(pid: u32) -> Running {
        Running { url: "http://127.0.0.1:1".into(), token: "secret".into(), pid, data: "/data".into() }
    }

    fn folder(scratch: &tempfile::TempDir) -> Folder {
        Folder::at(scratch.path().join("huisuan"))
    }

    #[test]
    fn what_is_written_is_read_and_removed_by_its_process_only() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = folder(&scratch);
        assert_eq!(folder.read().expect("no folder"), None);
        folder.remove(1).expect("nothing to remove");
        folder.write(&running(1)).expect("written");
        folder.write(&running(2)).expect("written again");
        assert_eq!(folder.read().expect("readable"), Some(running(2)));
        folder.remove(1).expect("another's file stays");
        assert_eq!(folder.read().expect("readable"), Some(running(2)));
        folder.remove(2).expect("removed");
        assert_eq!(folder.read().expect("no file"), None);
        let left: Vec<_> = fs::read_dir(scratch.path().join("huisuan")).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn what_others_can_write_is_refused() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = folder(&scratch);
        folder.write(&running(1)).expect("written");
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
        mode(&folder.file(), 0o644);
        assert!(matches!(folder.read(), Err(DiscoveryError::Unsafe { .. })));
        mode(&folder.file(), 0o600);
        mode(&folder.0, 0o755);
        assert!(matches!(folder.read(), Err(DiscoveryError::Unsafe { .. })));
        assert!(matches!(folder.write(&running(1)), Err(DiscoveryError::Unsafe { .. })));
        mode(&folder.0, 0o700);
        let elsewhere = scratch.path().join("link");
        std::os::unix::fs::symlink(&folder.0, &elsewhere).expect("a link");
        let error = Folder::at(elsewhere).read().expect_err("a link is refused");
        assert!(error.to_string().contains("not a plain folder"), "{error}");
        fs::write(folder.file(), "{").expect("overwritten");
        assert!(matches!(folder.read(), Err(DiscoveryError::Malformed { .. })));
    }

    #[test]
    fn a_process_is_alive_or_not() {
        assert!(running(std::process::id()).alive());
        assert!(!running(u32::MAX).alive());
        assert!(!running(0).alive());
    }
}
