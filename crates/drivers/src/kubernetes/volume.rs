//! The volume that agent and pods share: what tasks save for their next attempt, and the data that is brought to them.
//!
//! `MARK/checkpoints/JOB/TASK` and `MARK/staging/JOB/TASK.ATTEMPT/data` below the place where the agent sees it, `MARK`
//! being the centre's. A pod gets those folders that are its own, each by `subPath`, and can see nothing beside them.
//!
//! A node makes a folder that is not there, so a task would find nothing in the place of its data when the volume that
//! the agent sees is not the one that the cluster has, or is not mounted. So a file in the volume says which one it is;
//! the agent's own folder has a copy, and both are compared before each pod that uses it.

mod retention;

use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use huisuan_model::{AttemptId, CentreId, StartOrder};
use rustix::{
    fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, Uid, chownat, fchown, openat},
    io::Errno,
    process::geteuid,
};

use super::{config::KubernetesConfig, pod::mark};
use crate::{EngineError, clock::now, folder::program::CHECKPOINT_VARIABLE, staging};

/// The file that says which volume it is.
const WHICH: &str = "volume";
/// The name of the volume in pods.
pub(super) const NAME: &str = "shared";

/// A folder of the volume as a pod has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// The variable that names it to the task.
    pub(super) variable: &'static str,
    /// Where the task finds it.
    pub(super) folder: &'static str,
    /// Where it is in the volume.
    pub(super) sub_path: String,
}

/// What an order needs of the volume. Pure: nothing of it is a tenant's to name.
pub(super) fn mounts(order: &StartOrder) -> Vec<Mount> {
    let (id, centre) = (order.attempt, mark(&order.centre));
    let mut mounts = Vec::new();
    if order.spec.checkpoint.is_some() {
        let sub_path = format!("{centre}/{}", checkpoint_path(id));
        mounts.push(Mount { variable: CHECKPOINT_VARIABLE, folder: "/huisuan/checkpoint", sub_path });
    }
    if order.spec.staged() {
        let data = staging::data_folder(Path::new("staging"), id);
        let sub_path = format!("{centre}/{}", data.display());
        mounts.push(Mount { variable: staging::DATA_VARIABLE, folder: "/huisuan/data", sub_path });
    }
    mounts
}

fn checkpoint_path(id: AttemptId) -> String {
    format!("checkpoints/{}/{}", id.job, id.task)
}

/// Why an order becomes no pod.
#[derive(Debug)]
pub(super) enum NoPod {
    /// It never will here; a sentence for people.
    Refused(String),
    /// It may when it is asked for again.
    Later(EngineError),
}

impl From<String> for NoPod {
    fn from(why: String) -> NoPod {
        NoPod::Refused(why)
    }
}

/// The volume as the agent sees it.
#[derive(Debug)]
pub(super) struct Volume {
    /// The centre's own folder in it.
    root: PathBuf,
    /// What its file says.
    which: String,
    /// Whom folders are given to; nobody when the agent has the user of pods itself.
    owner: Option<(Uid, Gid)>,
    /// Held while folders are given to somebody.
    preparing: Mutex<()>,
}

impl Volume {
    /// Makes the centre's folder in the volume of a configuration, and sees that it is the volume that it was before;
    /// `None` where there is no volume.
    pub(super) fn open(config: &KubernetesConfig, centre: &CentreId) -> Result<Option<Volume>, EngineError> {
        let Some(shared) = &config.volume else { return Ok(None) };
        let own = geteuid();
        if !own.is_root() && own.as_raw() != config.user {
            return Err(EngineError::Refused(format!(
                "kubernetes: pods run as user {}, whom user {} of this agent can give no files; hint: set `user` to {1}, \
                 or run the agent as {0}",
                config.user,
                own.as_raw()
            )));
        }
        let owner = own.is_root().then(|| (Uid::from_raw(config.user), Gid::from_raw(config.user)));
        let unusable = |error| EngineError::file("volume", &shared.path)(error);
        // The place itself is the site's: an agent that made it would hide that nothing is mounted there.
        fs::metadata(&shared.path).map_err(unusable)?;
        let root = shared.path.join(mark(centre));
        let made = ["checkpoints", "staging"].iter().try_for_each(|name| make(&root.join(name), 0o711));
        let which = made.and_then(|()| identify(&root.join(WHICH), &config.dir.join(WHICH))).map_err(unusable)?;
        Ok(Some(Volume { root, which, owner, preparing: Mutex::default() }))
    }

    /// The folder below which the agent brings data.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Makes what an order's pod will be given, and gives it to the user of pods. A volume that fails is no refusal:
    /// the pod may be there already, by a creation that nobody answered.
    pub(super) fn prepare(&self, order: &StartOrder) -> Result<(), NoPod> {
        let later = |error| NoPod::Later(EngineError::file("volume", &self.root)(error));
        if mounts(order).is_empty() {
            return Ok(());
        }
        match fs::read_to_string(self.root.join(WHICH)) {
            Ok(which) if which == self.which => {}
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
                return Err(later(error));
            }
            _ => {
                let why = format!("the volume is not at `{}` any more; hint: mount it", self.root.display());
                return Err(NoPod::Refused(why));
            }
        }
        self.make_folders(order).map_err(later)
    }

    fn make_folders(&self, order: &StartOrder) -> io::Result<()> {
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        if order.spec.checkpoint.is_some() {
            let folder = self.root.join(checkpoint_path(order.attempt));
            make(folder.parent().expect("it is below the root"), 0o711)?;
            make(&folder, 0o700)?;
            retention::renew(&folder)?;
            self.give(&folder, false)?;
        }
        if order.spec.staged() {
            let folder = staging::data_folder(&self.staging(), order.attempt);
            make(&folder, 0o700)?;
            self.give(&folder, true)?;
        }
        Ok(())
    }

    fn give(&self, folder: &Path, all: bool) -> io::Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        let folder = openat(CWD, folder, STEP, Mode::empty())?;
        give(folder.as_fd(), owner, all)
    }
}

const STEP: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Gives a folder, and `all` that is in it, to somebody. No link is followed: the task of an order that comes twice may
/// be at work in it.
fn give(folder: BorrowedFd<'_>, (user, group): (Uid, Gid), all: bool) -> io::Result<()> {
    fchown(folder, Some(user), Some(group))?;
    for entry in Dir::read_from(folder)?.filter(|_| all) {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match openat(folder, name, STEP, Mode::empty()) {
            Ok(child) => give(child.as_fd(), (user, group), all)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                chownat(folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(folder)
}

/// What the volume says it is. A centre without a copy believes the volume that it finds, and marks a new one.
fn identify(in_volume: &Path, copy: &Path) -> io::Result<String> {
    let read = |path: &Path| match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    match (read(in_volume)?, read(copy)?) {
        (Some(which), Some(known)) if which == known => Ok(which),
        (_, Some(_)) => Err(io::Error::other(format!(
            "it is not the volume that was there before; hint: mount that one, or remove `{}` if it is gone for good",
            copy.display()
        ))),
        (found, None) => {
            let which = match found {
                Some(which) => which,
                None => {
                    let which = format!("made at {} ms\n", now().0);
                    fs::write(in_volume, &which)?;
                    which
                }
            };
            fs::write(copy, &which)?;
            Ok(which)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn another_volume_in_its_place_is_noticed() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let [volume, copy] = ["in-volume", "copy"].map(|name| scratch.path().join(name));
        let which = identify(&volume, &copy).expect("a new volume");
        assert_eq!(identify(&volume, &copy).expect("the same"), which);
        fs::remove_file(&copy).expect("removed");
        assert_eq!(identify(&volume, &copy).expect("an agent whose folder is new"), which);
        fs::write(&volume, "another").expect("written");
        let error = identify(&volume, &copy).expect_err("another").to_string();
        assert!(error.contains("not the volume") && error.contains("hint:"), "{error}");
        fs::remove_file(&volume).expect("removed");
        identify(&volume, &copy).expect_err("nothing is mounted there");
    }

    /// Only root can give to somebody else; for others nothing changes, links included.
    #[test]
    fn what_is_given_is_what_lies_there_and_nothing_that_it_leads_to() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (inside, outside) = (scratch.path().join("data"), scratch.path().join("outside"));
        fs::create_dir_all(inside.join("a/b")).expect("made");
        fs::create_dir_all(&outside).expect("made");
        fs::write(inside.join("a/b/file"), "").expect("written");
        symlink(&outside, inside.join("a/link")).expect("linked");
        let own = geteuid();
        let to = if own.is_root() { 65_534 } else { own.as_raw() };
        let group = if own.is_root() { 65_534 } else { fs::metadata(&inside).expect("there").gid() };
        let folder = openat(CWD, &inside, STEP, Mode::empty()).expect("opened");
        give(folder.as_fd(), (Uid::from_raw(to), Gid::from_raw(group)), true).expect("given");
        let owner = |path: &Path| fs::symlink_metadata(path).expect("there").uid();
        for name in ["", "a", "a/b", "a/b/file", "a/link"] {
            assert_eq!(owner(&inside.join(name)), to, "{name}");
        }
        assert_eq!(owner(&outside), own.as_raw());
    }
}
