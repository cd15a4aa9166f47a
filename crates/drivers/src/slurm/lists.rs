//! Lists that say which attempt each element of an array is: element `i` is line `i`, counted from 0.
//!
//! A list is on disk before its array exists and never changes, so that the wrapper and whoever finds the array in the
//! queue read the same. A number is never given twice.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use huisuan_model::AttemptId;

use super::{share, users::User};

/// The lists of one engine.
#[derive(Debug)]
pub(super) struct Lists {
    folder: PathBuf,
    next: AtomicU64,
}

impl Lists {
    /// Makes the folder and counts on after the last list.
    pub(super) fn open(folder: &Path) -> io::Result<Lists> {
        fs::create_dir_all(folder)?;
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(Lists { folder: folder.to_owned(), next: AtomicU64::new(last + 1) })
    }

    /// Writes a list down, synced with its folder, and gives back its number. The user that runs its attempts reads it,
    /// and Slurm writes its messages as that user.
    pub(super) fn write(&self, attempts: &[AttemptId], user: Option<&User>) -> io::Result<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text: String = attempts.iter().map(|id| format!("{id}\n")).collect();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(number))?;
        file.write_all(text.as_bytes())?;
        if let Some(user) = user {
            share::give(&self.path(number), user.group, 0o640)?;
            File::create(self.messages(number))?;
            share::give(&self.messages(number), user.group, 0o660)?;
        }
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok(number)
    }

    /// The attempts of a list; empty when there is none.
    pub(super) fn read(&self, number: u64) -> io::Result<Vec<AttemptId>> {
        match fs::read_to_string(self.path(number)) {
            Ok(text) => Ok(text.lines().map_while(|line| line.parse().ok()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Where the messages of Slurm about the jobs of an array go.
    pub(super) fn messages(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.out"))
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    #[test]
    fn a_list_is_read_as_written_and_numbers_go_on_after_a_restart() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let lists = Lists::open(folder.path()).expect("opened");
        let attempts = |job| (0..3).map(|task| AttemptId { job: JobId(job), task, attempt: 2 }).collect::<Vec<_>>();
        let write = |lists: &Lists, job| lists.write(&attempts(job), None).expect("written");
        assert_eq!((write(&lists, 7), write(&lists, 8)), (1, 2));
        fs::write(lists.messages(9), "x").expect("written");
        let again = Lists::open(folder.path()).expect("opened");
        assert_eq!(write(&again, 9), 3);
        assert_eq!(again.read(1).expect("read"), attempts(7));
        assert_eq!(again.read(4).expect("there is none"), []);
    }
}
