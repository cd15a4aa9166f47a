//! Where things are in a centre's folder.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use huisuan_model::AttemptId;

use crate::staging;

/// A centre's folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) dir: PathBuf,
}

/// Where one attempt's files are.
#[derive(Debug, Clone)]
pub(crate) struct AttemptPaths {
    pub(crate) dir: PathBuf,
    /// Shared by all attempts of the task; made for those that save their state.
    pub(crate) checkpoint: PathBuf,
    /// What is brought to it before it starts; the agent makes it where the job names data.
    pub(crate) data: PathBuf,
}

impl Paths {
    /// Makes the folders, readable by their owner only. The path is made canonical: the supervisor works
    /// from `/`, and processes are found again by the folder's name in their environment.
    pub(crate) fn make(dir: &Path) -> io::Result<Self> {
        Paths::make_with(dir, 0o700)
    }

    /// The same with this mode, which others may go through the folder by.
    pub(crate) fn make_with(dir: &Path, mode: u32) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(mode);
        builder.create(dir)?;
        builder.mode(0o700);
        close_to_others(dir, mode)?;
        let paths = Paths { dir: fs::canonicalize(dir)? };
        builder.create(paths.attempts())?;
        Ok(paths)
    }

    pub(crate) fn attempts(&self) -> PathBuf {
        self.dir.join("attempts")
    }

    /// What the agent brings to attempts and takes from them.
    pub(crate) fn staging(&self) -> PathBuf {
        self.dir.join("staging")
    }

    /// Where the attempts of one task keep what the next one goes on from.
    pub(crate) fn checkpoint(&self, attempt: AttemptId) -> PathBuf {
        self.dir.join("checkpoints").join(attempt.job.to_string()).join(attempt.task.to_string())
    }

    /// The folder of all attempts of a job.
    pub(crate) fn job(&self, attempt: AttemptId) -> PathBuf {
        self.attempts().join(attempt.job.to_string())
    }

    pub(crate) fn attempt(&self, attempt: AttemptId) -> AttemptPaths {
        AttemptPaths {
            dir: self.job(attempt).join(format!("{}.{}", attempt.task, attempt.attempt)),
            checkpoint: self.checkpoint(attempt),
            data: staging::data_folder(&self.staging(), attempt),
        }
    }
}

/// A folder that was there before must be this user's, and is closed to all others but for this mode: the scripts and
/// the output of everybody's jobs are in it.
fn close_to_others(dir: &Path, mode: u32) -> io::Result<()> {
    let metadata = fs::metadata(dir)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    // Not by way of another mode: who goes through it at this moment must not be kept out.
    if metadata.mode() & 0o077 != mode & 0o077 {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

impl AttemptPaths {
    /// Makes the attempt's folder and its job's, closed to others; false when it was there.
    pub(crate) fn make(&self) -> io::Result<bool> {
        let mut closed = fs::DirBuilder::new();
        closed.mode(0o700);
        match closed.create(&self.dir) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The first task of a job makes the job's folder; another thread may do it at the same moment.
        if let Some(job) = self.dir.parent()
            && let Err(error) = closed.create(job)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        match closed.create(&self.dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn claim(&self) -> PathBuf {
        self.dir.join("claim")
    }

    pub(crate) fn done(&self) -> PathBuf {
        self.dir.join("done.json")
    }

    pub(crate) fn done_temporary(&self) -> PathBuf {
        self.dir.join("done.new")
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.dir.join("stdout")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.dir.join("stderr")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.dir.join("script")
    }

    /// What the attempt's container sees as its own folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The variables of the attempt's container.
    pub(crate) fn variables(&self) -> PathBuf {
        self.dir.join("variables")
    }

    /// Which process is the container's first.
    pub(crate) fn container(&self) -> PathBuf {
        self.dir.join("container.pid")
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    #[test]
    fn the_folder_is_closed_to_others() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let mode = |dir: &Path| fs::metadata(dir).expect("it is there").mode() & 0o777;
        let (new, old) = (scratch.path().join("a/new"), scratch.path().join("old"));
        fs::create_dir(&old).expect("a folder");
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).expect("opened");
        for dir in [&new, &old] {
            let paths = Paths::make(dir).expect("made");
            assert_eq!((mode(&paths.dir), mode(&paths.attempts())), (0o700, 0o700));
        }
    }

    #[test]
    fn an_attempt_has_a_folder_once() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let paths = Paths::make(scratch.path()).expect("made");
        let attempt = paths.attempt(AttemptId { job: JobId(7), task: 3, attempt: 2 });
        assert!(attempt.dir.ends_with("attempts/7/3.2"));
        assert!(attempt.make().expect("made") && !attempt.make().expect("there already"));
    }
}
