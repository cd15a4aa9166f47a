//! What an attempt and its wrapper leave in the folder that agent and compute nodes share.
//!
//! | path | what |
//! |---|---|
//! | `wrapper.sh` | the script of every job |
//! | `instance` | a random word: job names of two engines in one cluster are never the same |
//! | `nodes` | what the cluster has, as Slurm said it last, see `nodes.rs` |
//! | `slurm.log` | orders, numbers of jobs, ends: the engine's memory, see `journal.rs` |
//! | `arrays/` | lists that say which attempt each element of an array is, see `lists.rs` |
//! | `news/` | empty files by which wrappers say that something happened; one listing shows all |
//! | `devices` | which device nodes a container needs for its accelerators, see `container/devices.txt` |
//! | `news/UID/` | the same by a user that is not the agent's, see `share.rs` |
//! | `attempts/JOB/TASK.ATTEMPT.end/` | `done.json` of an attempt whose folder is open to such a user |
//! | `attempts/JOB/TASK.ATTEMPT/` | `start` what to run, `container` in what, see `start.rs`; `claim`, `used`, `alive`, `exit` by the wrapper; `done.json` by the engine; of a session `keys`, `words`, `tty`, see `session.rs` |

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use huisuan_model::{AttemptId, AttemptReport, StartOrder, spec::JobKind};

use super::{
    gang::Gang,
    job::SlurmJob,
    lists::Lists,
    record::{Claim, Exit, Used},
    session, share,
    start::{NO_IMAGES, Start},
    users::{User, Users},
};
use crate::{
    container::Containers,
    folder::{
        paths::{AttemptPaths, Paths},
        records::{read_done, write_done},
    },
};

/// The script of every job.
const WRAPPER: &str = include_str!("wrapper.sh");

/// The script of the job of a gang.
const GANG_SCRIPT: &str = include_str!("gang.sh");

/// Which device nodes a container needs.
const DEVICES: &str = include_str!("../container/devices.txt");

/// The file of an attempt in a container.
const CONTAINER: &str = "container";

/// The file by which an engine knows that other users were given something in its folder.
const GIVEN: &str = "users";

/// What names of arrays have where others have the attempt.
const ARRAY: &str = "array.";

/// The same for gangs.
const GANG: &str = "gang.";

/// Where the engine's own files are.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) paths: Paths,
    pub(super) lists: Lists,
    /// What names of jobs begin with.
    pub(super) prefix: String,
    /// How compute nodes run container images; they run none when absent.
    pub(super) containers: Option<Containers>,
}

/// What the name of a job stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Attempt(AttemptId),
    /// An array, by the number of its list.
    Array(u64),
    /// A gang.
    Gang(Gang),
}

impl Files {
    /// Makes the folder and what belongs into it.
    pub(super) fn make(folder: &Path, users: &Users) -> io::Result<Files> {
        // What users were given once stays within their reach: it may run still.
        let others = users.some() || fs::exists(folder.join(GIVEN))?;
        let paths = Paths::make_with(folder, if others { 0o711 } else { 0o700 })?;
        fs::create_dir_all(paths.dir.join("news"))?;
        if others {
            write_whole(&paths.dir.join(GIVEN), b"")?;
            share_folders(&paths, users)?;
        }
        let instance = paths.dir.join("instance");
        if !instance.exists() {
            write_whole(&instance, random_word::<5>()?.as_bytes())?;
        }
        let word = fs::read_to_string(&instance)?;
        if word.len() != 10 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "file `instance` does not hold ten hexadecimal digits",
            ));
        }
        write_whole(&paths.dir.join("devices"), DEVICES.as_bytes())?;
        // Whoever submits a job hands in its script. There is nothing to hide in them.
        for (name, script) in [("wrapper.sh", WRAPPER), ("gang.sh", GANG_SCRIPT)] {
            write_with(&paths.dir.join(name), script.as_bytes(), 0o644)?;
        }
        let lists = Lists::open(&paths.dir.join("arrays"))?;
        Ok(Files { paths, lists, prefix: format!("hs-{word}-"), containers: None })
    }

    pub(super) fn wrapper(&self) -> PathBuf {
        self.paths.dir.join("wrapper.sh")
    }

    pub(super) fn gang_script(&self) -> PathBuf {
        self.paths.dir.join("gang.sh")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.paths.dir.join("slurm.log")
    }

    pub(super) fn news(&self) -> PathBuf {
        self.paths.dir.join("news")
    }

    pub(super) fn attempt(&self, id: AttemptId) -> AttemptPaths {
        self.paths.attempt(id)
    }

    /// The name of the job of an attempt alone.
    pub(super) fn job_name(&self, id: AttemptId) -> String {
        format!("{}{id}", self.prefix)
    }

    /// What an array is called, by us and by the wrapper.
    pub(super) fn array_word(list: u64) -> String {
        format!("{ARRAY}{list}")
    }

    /// The name of an array, and so of each of its elements.
    pub(super) fn array_name(&self, list: u64) -> String {
        format!("{}{}", self.prefix, Files::array_word(list))
    }

    /// What a gang is called, by us and by its script.
    pub(super) fn gang_word(gang: Gang) -> String {
        format!("{GANG}{gang}")
    }

    /// The name of the job of a gang.
    pub(super) fn gang_name(&self, gang: Gang) -> String {
        format!("{}{}", self.prefix, Files::gang_word(gang))
    }

    /// The name that a job of this attempt must have.
    pub(super) fn name_of(&self, id: AttemptId, job: SlurmJob) -> String {
        match job {
            SlurmJob::Single(_) => self.job_name(id),
            SlurmJob::Element(_, _, list) => self.array_name(list),
            SlurmJob::Gang { .. } => self.gang_name(Gang::with(id)),
        }
    }

    /// What a job's name stands for, when it is one of this engine.
    pub(super) fn read_name(&self, name: &str) -> Option<Named> {
        let name = name.strip_prefix(&self.prefix)?;
        if let Some(gang) = name.strip_prefix(GANG) {
            return gang.parse().ok().map(Named::Gang);
        }
        match name.strip_prefix(ARRAY) {
            Some(list) => list.parse().ok().map(Named::Array),
            None => name.parse().ok().map(Named::Attempt),
        }
    }

    /// Writes down what to run, for the user that runs it. The error is a sentence for people: the attempt can never
    /// start.
    pub(super) fn prepare(&self, order: &StartOrder, user: Option<&User>) -> Result<(), String> {
        let paths = self.attempt(order.attempt);
        let failed = |error: io::Error| format!("the attempt's folder cannot be written: {error}");
        // It was prepared before, and what is in it now may be its user's.
        match (share::opened_to(&paths.dir), user) {
            (None, _) => {}
            (Some(group), Some(user)) if group == user.group => return Ok(()),
            (Some(_), _) => return Err("its folder is open to another local user than runs it now".to_owned()),
        }
        paths.make().map_err(failed)?;
        let start = match (&order.spec.image, &self.containers) {
            (None, _) => Start::of_process(order, &paths)?,
            (Some(_), Some(containers)) => Start::of_container(order, &paths, containers)?,
            (Some(_), None) => return Err(NO_IMAGES.to_owned()),
        };
        if order.spec.checkpoint.is_some() && order.spec.image.is_none() {
            let folder = &paths.checkpoint;
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| format!("checkpoint folder `{}` cannot be made: {error}", folder.display()))?;
        }
        if order.spec.kind == JobKind::Session {
            session::make_keys(&paths.dir).map_err(failed)?;
        }
        if let Some(container) = &start.container {
            write_whole(&paths.dir.join(CONTAINER), &container.text()).map_err(failed)?;
        }
        write_whole(&paths.dir.join("start"), &start.text()).map_err(failed)?;
        user.map_or(Ok(()), |user| share_attempt(order, &paths, user.group).map_err(failed))
    }

    /// Where the engine keeps how an attempt ended: where its task cannot write.
    fn ended(&self, id: AttemptId) -> AttemptPaths {
        let mut paths = self.attempt(id);
        if share::opened_to(&paths.dir).is_some() {
            paths.dir.set_extension(format!("{}.end", id.attempt));
        }
        paths
    }

    /// Keeps how an attempt ended.
    pub(super) fn write_end(&self, report: &AttemptReport) -> io::Result<()> {
        let paths = self.ended(report.attempt);
        paths.make()?;
        write_done(&paths, report)
    }

    /// How an attempt ended, if that was kept.
    pub(super) fn end(&self, id: AttemptId) -> Option<AttemptReport> {
        read_done(&self.ended(id)).filter(|report| report.attempt == id)
    }

    /// Where the outputs go: standard output, then standard error. `None` when it was never prepared.
    pub(super) fn outputs(&self, id: AttemptId) -> io::Result<Option<[PathBuf; 2]>> {
        let Some(text) = share::read(&self.attempt(id).dir.join("start"))? else { return Ok(None) };
        let mut words =
            text.split(|&byte| byte == 0).skip(1).map(|word| PathBuf::from(std::ffi::OsStr::from_bytes(word)));
        Ok(words.next().zip(words.next()).map(|(stdout, stderr)| [stdout, stderr]))
    }

    /// Takes the claim so that nobody will ever start the attempt; false when somebody did.
    pub(super) fn claim_against_start(&self, id: AttemptId) -> io::Result<bool> {
        let paths = self.attempt(id);
        paths.make()?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(paths.claim()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it was claimed, by whomever.
    pub(super) fn claimed(&self, id: AttemptId) -> bool {
        fs::symlink_metadata(self.attempt(id).claim()).is_ok()
    }

    /// Who claimed it, if anybody did.
    pub(super) fn claim(&self, id: AttemptId) -> io::Result<Option<Claim>> {
        Ok(read_optional(&self.attempt(id).claim())?.as_deref().map(Claim::read))
    }

    /// The done record, once it is whole.
    pub(super) fn exit(&self, id: AttemptId) -> io::Result<Option<Exit>> {
        Ok(read_optional(&self.attempt(id).dir.join("exit"))?.as_deref().and_then(Exit::read))
    }

    /// What it used, by the wrapper's last look.
    pub(super) fn used(&self, id: AttemptId) -> Option<Used> {
        Used::read(&read_optional(&self.attempt(id).dir.join("used")).ok()??)
    }

    /// How often it said that it lives.
    pub(super) fn beats(&self, id: AttemptId) -> u64 {
        fs::symlink_metadata(self.attempt(id).dir.join("alive")).map_or(0, |metadata| metadata.len())
    }
}

/// Lets users through the folders that something of theirs is in, and gives each a place for its news.
fn share_folders(paths: &Paths, users: &Users) -> io::Result<()> {
    for name in ["attempts", "arrays", "checkpoints", "staging", "news"] {
        let folder = paths.dir.join(name);
        share::close_within(&folder)?;
        share::through(&folder)?;
    }
    for (uid, user) in users.all() {
        let folder = paths.dir.join("news").join(uid.to_string());
        fs::create_dir_all(&folder)?;
        share::open(&folder, user.group)?;
    }
    Ok(())
}

/// Gives an attempt to the group of its user, its own folder last: nothing of the agent's comes into it any more.
fn share_attempt(order: &StartOrder, paths: &AttemptPaths, group: u32) -> io::Result<()> {
    let above = |folder: &Path| folder.parent().map_or(Ok(()), |folder| share::pass(folder, group));
    if order.spec.checkpoint.is_some() {
        above(&paths.checkpoint)?;
        share::open(&paths.checkpoint, group)?;
    }
    if order.spec.staged() && share::opened_to(&paths.data).is_none() {
        let folder = paths.data.parent().unwrap_or(&paths.data);
        above(folder)?;
        share::pass(folder, group)?;
        share::open_tree(&paths.data, group)?;
    }
    above(&paths.dir)?;
    share::open_tree(&paths.dir, group)
}

/// So many random bytes in hexadecimal digits.
pub(super) fn random_word<const BYTES: usize>() -> io::Result<String> {
    let mut random = [0; BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    write_with(path, text, 0o600)
}

fn write_with(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.write_all(text)?;
    // Whatever this process may leave out of the modes of its files.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    fs::rename(&new, path)
}

pub(super) fn read_optional(path: &Path) -> io::Result<Option<String>> {
    Ok(share::read(path)?.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use huisuan_model::{JobId, TimeMs};

    use super::*;

    #[test]
    fn a_claim_is_taken_once_by_either_side() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let made = || Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
        let (files, again) = (made(), made());
        assert_eq!(files.prefix, again.prefix, "names of jobs outlive a restart");
        let id = AttemptId { job: JobId(7), task: 3, attempt: 2 };
        assert_eq!(files.read_name(&files.job_name(id)), Some(Named::Attempt(id)));
        assert_eq!(files.read_name(&files.name_of(id, SlurmJob::Element(9, 1, 4))), Some(Named::Array(4)));
        let gang = files.name_of(id, SlurmJob::Gang { gang: 9 });
        assert_eq!((files.read_name(&gang), gang.ends_with("-gang.7.2")), (Some(Named::Gang(Gang::with(id))), true));
        assert_eq!(files.read_name("hs-0000000000-7.3.2"), None);
        assert_eq!(files.read_name(&files.array_name(4).replace('4', "x")), None);
        assert_eq!(files.claim(id).expect("readable"), None);
        assert!(files.claim_against_start(id).expect("taken"));
        assert!(!again.claim_against_start(id).expect("asked"));
        assert_eq!(files.claim(id).expect("readable"), Some(Claim { at: None, job: None }));
        let text = "version=1\nat=5\njob=9\nnode=n1\ncomplete\n";
        fs::write(files.attempt(id).claim(), text).expect("written");
        assert_eq!(files.claim(id).expect("readable"), Some(Claim { at: Some(TimeMs(5)), job: Some(9) }));
    }
}
