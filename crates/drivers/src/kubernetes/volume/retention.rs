//! What tasks saved and nobody comes back for: a site may say for how many days it is kept.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::{Duration, SystemTime},
};

use huisuan_model::{JobId, TimeMs};
use tracing::warn;

use super::{Volume, WHICH};

/// What ends the name of a folder that is being removed: nobody is given it any more.
const ASIDE: &str = ".removed";

impl Volume {
    /// Removes what was saved by tasks that nobody needed since `before`. `needed` says until when a task was, as far as
    /// is known; of others the age of their folder counts. Gives back how many were removed. What cannot be removed,
    /// for a task left it so, stays and holds up nothing else; each pass tries again.
    ///
    /// # Errors
    /// When the centre's own folders cannot be read, or it is not the volume that it was.
    pub(in super::super) fn forget(
        &self,
        before: TimeMs,
        needed: impl Fn(JobId, u32) -> Option<TimeMs>,
    ) -> io::Result<u64> {
        if fs::read_to_string(self.root.join(WHICH))? != self.which {
            return Err(io::Error::other("it is not the volume that was there before; hint: mount that one"));
        }
        let before_time = SystemTime::UNIX_EPOCH + Duration::from_millis(before.0.max(0).cast_unsigned());
        let mut removed = 0;
        for (job, of_job) in numbered(&self.root.join("checkpoints"))? {
            for (task, folder) in numbered(&of_job)? {
                let Ok(task) = u32::try_from(task) else { continue };
                let unneeded = || needed(JobId(job), task).is_none_or(|until| until < before);
                if let Err(error) = self.set_aside(&folder, before_time, unneeded) {
                    warn!(folder = %folder.display(), %error, "what a task saved cannot be removed");
                }
            }
            // Large trees take long: nobody waits for them. Those of a removal that was interrupted are among them.
            for folder in aside_in(&of_job)? {
                // Follows no link, whatever a task left there.
                match fs::remove_dir_all(&folder) {
                    Ok(()) => removed += 1,
                    Err(error) => {
                        warn!(folder = %folder.display(), %error, "what a task saved cannot be removed yet");
                    }
                }
            }
            // Only when it is empty.
            let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = fs::remove_dir(&of_job);
        }
        Ok(removed)
    }

    /// Gives a folder that is old and that nobody needs a name by which nobody is given it.
    fn set_aside(&self, folder: &Path, before: SystemTime, unneeded: impl Fn() -> bool) -> io::Result<()> {
        // Nobody is given the folder between the look at it and its new name.
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        if fs::symlink_metadata(folder)?.modified()? < before && unneeded() {
            let mut aside = folder.as_os_str().to_owned();
            aside.push(ASIDE);
            fs::rename(folder, aside)?;
        }
        Ok(())
    }
}

/// A folder that somebody is given is as new as one that was made.
pub(super) fn renew(folder: &Path) -> io::Result<()> {
    File::open(folder)?.set_modified(SystemTime::now())
}

/// The folders in a folder whose names are numbers, in their order.
fn numbered(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(number.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|n| (n, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// The folders in a folder that are being removed.
fn aside_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        found.extend(path.to_str().is_some_and(|text| text.ends_with(ASIDE)).then_some(path));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt as _, symlink},
        sync::Mutex,
        thread,
        time::Instant,
    };

    use super::*;

    #[test]
    fn only_what_is_old_and_not_needed_goes() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let root = scratch.path().join("root");
        let outside = scratch.path().join("outside");
        fs::create_dir_all(&outside).expect("made");
        fs::write(outside.join("file"), "").expect("written");
        let day = TimeMs(86_400_000);
        // Job, task, age in days of the folder, until when it was needed in days.
        let all = [(1, 0, 1, None), (1, 1, 9, None), (2, 0, 1, Some(1)), (3, 0, 1, Some(9)), (4, 0, 1, Some(i64::MAX))];
        for (job, task, modified, _) in all {
            let folder = root.join(format!("checkpoints/{job}/{task}"));
            fs::create_dir_all(&folder).expect("made");
            symlink(&outside, folder.join("link")).expect("linked");
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(modified * 86_400);
            File::open(&folder).and_then(|folder| folder.set_modified(at)).expect("set");
        }
        fs::create_dir_all(root.join("checkpoints/not-ours")).expect("made");
        fs::write(root.join(WHICH), "this").expect("written");
        let mut volume = Volume { root, which: "this".to_owned(), owner: None, preparing: Mutex::default() };
        let needed = |job: JobId, task| {
            let known = all.iter().find(|one| (one.0, one.1) == (job.0, task)).expect("one of them");
            known.3.map(|days| TimeMs(days.saturating_mul(day.0)))
        };
        assert_eq!(volume.forget(TimeMs(5 * day.0), needed).expect("forgotten"), 2);
        let left = |path: &str| volume.root.join("checkpoints").join(path).exists();
        let kept: Vec<&str> =
            ["1/0", "1/1", "2", "3/0", "4/0", "not-ours"].into_iter().filter(|path| left(path)).collect();
        assert_eq!(kept, ["1/1", "3/0", "4/0", "not-ours"]);
        assert!(outside.join("file").exists(), "no link is followed");
        volume.which = "another".to_owned();
        volume.forget(TimeMs(i64::MAX), needed).expect_err("another volume is there");
    }

    fn volume_in(scratch: &Path) -> Volume {
        let root = scratch.join("root");
        fs::create_dir_all(root.join("checkpoints")).expect("made");
        fs::write(root.join(WHICH), "this").expect("written");
        Volume { root, which: "this".to_owned(), owner: None, preparing: Mutex::default() }
    }

    #[test]
    fn what_cannot_be_removed_holds_up_nothing_else() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let volume = volume_in(scratch.path());
        let of = |path: &str| volume.root.join("checkpoints").join(path);
        for path in ["1/0", "1/1/closed/inside", "1/2", "2/0"] {
            fs::create_dir_all(of(path)).expect("made");
        }
        // A file in the way stops even root; a closed folder stops all others.
        fs::write(of("1/0.removed"), "").expect("written");
        let mode = |mode| fs::set_permissions(of("1/1/closed"), fs::Permissions::from_mode(mode));
        mode(0).expect("closed");
        let all = TimeMs(i64::MAX / 2);
        assert!(volume.forget(all, |_, _| None).expect("forgotten") >= 2);
        assert!(of("1/0").exists() && !of("1/1").exists() && !of("1/2").exists() && !of("2").exists());
        // Whatever was in the way is away: the next pass makes it good.
        fs::remove_file(of("1/0.removed")).expect("removed");
        if of("1/1.removed").exists() {
            fs::set_permissions(of("1/1.removed/closed"), fs::Permissions::from_mode(0o700)).expect("opened");
        }
        volume.forget(all, |_, _| None).expect("forgotten");
        assert!(!of("1").exists(), "nothing is left");
    }

    #[test]
    fn a_removal_that_was_interrupted_goes_on_while_folders_are_given() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let volume = volume_in(scratch.path());
        let left = volume.root.join("checkpoints/1/0.removed");
        fs::create_dir_all(left.join("deep")).expect("made");
        thread::scope(|scope| {
            let preparing = volume.preparing.lock().expect("no panic");
            scope.spawn(|| volume.forget(TimeMs(0), |_, _| None).expect("forgotten"));
            let deadline = Instant::now() + Duration::from_secs(60);
            while left.exists() && Instant::now() < deadline {
                thread::yield_now();
            }
            drop(preparing);
        });
        assert!(!left.exists(), "it waits for nobody");
    }
}
