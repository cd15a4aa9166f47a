//! What an attempt and its wrapper leave in the folder that agent and compute nodes share.
//!
//! | path | what |
//! |---|---|
//! | `wrapper.sh` | the script of every job |
//! | `instance` | a random word: job names of two engines in one cluster are never the same |
//! | `slurm.log` | orders, numbers of jobs, ends: the engine's memory, see `journal.rs` |
//! | `arrays/` | lists that say which attempt each element of an array is, see `lists.rs` |
//! | `news/` | empty files by which wrappers say that something happened; one listing shows all |
//! | `devices` | which device nodes a container needs for its accelerators, see `container/devices.txt` |
//! | `attempts/JOB/TASK.ATTEMPT/` | `start` what to run, `container` in what, see `start.rs`; `claim`, `used`, `alive`, `exit` by the wrapper; `done.json` by the engine; of a session `keys`, `words`, `tty`, see `session.rs` |

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use huisuan_model::{AttemptId, Bytes, DurationMs, StartOrder, TimeMs, spec::JobKind};

use super::{
    gang::Gang,
    job::SlurmJob,
    lists::Lists,
    session,
    start::{NO_IMAGES, Start},
};
use crate::local::{
    container::Containers,
    paths::{AttemptPaths, Paths},
};

/// The script of every job.
const WRAPPER: &str = include_str!("wrapper.sh");

/// The script of the job of a gang.
const GANG_SCRIPT: &str = include_str!("gang.sh");

/// Which device nodes a container needs.
const DEVICES: &str = include_str!("../container/devices.txt");

/// The file of an attempt in a container.
const CONTAINER: &str = "container";

/// The wrapper's exit code when another one claimed the attempt.
pub(super) const CLAIMED_ELSEWHERE: i32 = 113;
/// The wrapper's exit code when it cannot write into the attempt's folder.
pub(super) const FOLDER_UNUSABLE: i32 = 114;

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

/// Who may start an attempt, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// When it was made, as far as that could be written down.
    pub(super) at: Option<TimeMs>,
    /// What Slurm calls the job within itself, an element of an array too.
    pub(super) job: Option<u64>,
}

/// How a wrapper says that its attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) at: TimeMs,
    pub(super) how: ExitKind,
    pub(super) cpu: DurationMs,
}

/// The ways in which an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExitKind {
    /// It could not be started: a sentence for people.
    StartFailed(String),
    /// Its wrapper lost sight of it and ended what was left: a sentence for people.
    Lost { started_at: TimeMs, detail: String },
    /// It ran.
    Exited {
        started_at: TimeMs,
        exit_code: Option<i32>,
        signal: Option<i32>,
        /// It was asked to end by Slurm: a cancel, the walltime in Slurm, a preemption.
        outside: bool,
        /// Its walltime was over.
        walltime: bool,
    },
}

/// A sign of life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) wall: DurationMs,
    pub(super) cpu: DurationMs,
    pub(super) memory_peak: Bytes,
}

impl Files {
    /// Makes the folder and what belongs into it.
    pub(super) fn make(folder: &Path) -> io::Result<Files> {
        let paths = Paths::make(folder)?;
        fs::create_dir_all(paths.dir.join("news"))?;
        let instance = paths.dir.join("instance");
        if !instance.exists() {
            let mut random = [0; 5];
            fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
            let word: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            write_whole(&instance, word.as_bytes())?;
        }
        let word = fs::read_to_string(&instance)?;
        if word.len() != 10 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "file `instance` does not hold ten hexadecimal digits",
            ));
        }
        write_whole(&paths.dir.join("wrapper.sh"), WRAPPER.as_bytes())?;
        write_whole(&paths.dir.join("gang.sh"), GANG_SCRIPT.as_bytes())?;
        write_whole(&paths.dir.join("devices"), DEVICES.as_bytes())?;
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

    /// Writes down what to run. The error is a sentence for people: the attempt can never start.
    pub(super) fn prepare(&self, order: &StartOrder) -> Result<(), String> {
        let paths = self.attempt(order.attempt);
        let failed = |error: io::Error| format!("the attempt's folder cannot be written: {error}");
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
        write_whole(&paths.dir.join("start"), &start.text()).map_err(failed)
    }

    /// Where the outputs go: standard output, then standard error. `None` when it was never prepared.
    pub(super) fn outputs(&self, id: AttemptId) -> io::Result<Option<[PathBuf; 2]>> {
        let text = match fs::read(self.attempt(id).dir.join("start")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
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

    /// Who claimed it, if anybody did.
    pub(super) fn claim(&self, id: AttemptId) -> io::Result<Option<Claim>> {
        let Some(text) = read_optional(&self.attempt(id).claim())? else { return Ok(None) };
        let at = field(&text, "at").and_then(|at| at.parse().ok()).map(TimeMs);
        Ok(Some(Claim { at, job: field(&text, "job").and_then(|job| job.parse().ok()) }))
    }

    /// The done record, once it is whole.
    pub(super) fn exit(&self, id: AttemptId) -> io::Result<Option<Exit>> {
        Ok(read_optional(&self.attempt(id).dir.join("exit"))?.as_deref().and_then(read_exit))
    }

    /// What it used, by the wrapper's last look.
    pub(super) fn used(&self, id: AttemptId) -> Option<Used> {
        let text = read_optional(&self.attempt(id).dir.join("used")).ok()??;
        if !text.ends_with("complete\n") {
            return None;
        }
        let number = |name| field(&text, name)?.parse().ok();
        let wall = DurationMs(number("wall_ms")?);
        Some(Used { wall, cpu: DurationMs(number("cpu_ms")?), memory_peak: Bytes(number("memory_peak")?) })
    }

    /// How often it said that it lives.
    pub(super) fn beats(&self, id: AttemptId) -> u64 {
        fs::metadata(self.attempt(id).dir.join("alive")).map_or(0, |metadata| metadata.len())
    }
}

pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    fs::rename(&new, path)
}

pub(super) fn read_optional(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// `None` while it is being written, or when it cannot be understood.
fn read_exit(text: &str) -> Option<Exit> {
    let body = text.strip_suffix("complete\n")?;
    let number = |name| field(body, name)?.parse::<i64>().ok();
    let detail = || Some(field(body, "detail")?.chars().take(300).collect());
    let how = match field(body, "cause")? {
        "start-failed" => ExitKind::StartFailed(detail()?),
        "lost" => ExitKind::Lost { started_at: TimeMs(number("started_at")?), detail: detail()? },
        "exited" => {
            let status = i32::try_from(number("status")?).ok()?;
            let signal = number("signal").and_then(|signal| i32::try_from(signal).ok());
            ExitKind::Exited {
                started_at: TimeMs(number("started_at")?),
                exit_code: signal.is_none().then_some(status),
                signal,
                outside: number("outside")? > 0,
                walltime: number("walltime")? > 0,
            }
        }
        _ => return None,
    };
    // The last line of bash's `times`: processor time of all children, in and out of the kernel.
    let times = body.lines().next_back()?;
    let cpu = times.split_ascii_whitespace().map(read_minutes).sum::<Option<u64>>()?;
    Some(Exit { at: TimeMs(number("at")?), how, cpu: DurationMs(cpu) })
}

/// `1m2.345s` in milliseconds.
fn read_minutes(text: &str) -> Option<u64> {
    let (minutes, rest) = text.strip_suffix('s')?.split_once('m')?;
    let (seconds, part) = rest.split_once('.')?;
    let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some((minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?) * 1000 + thousandths)
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    #[test]
    fn a_record_is_read_when_it_is_whole() {
        // Recorded on bash 5.2.
        let text = "version=1\nat=9\ncause=exited\nstarted_at=4\nstatus=137\nsignal=9\noutside=0\nwalltime=1\n\
                    0m0.004s 0m0.000s\n1m2.345s 0m0.005s\ncomplete\n";
        let exit = read_exit(text).expect("whole");
        assert_eq!((exit.at, exit.cpu), (TimeMs(9), DurationMs(62_350)));
        let how = ExitKind::Exited {
            started_at: TimeMs(4),
            exit_code: None,
            signal: Some(9),
            outside: false,
            walltime: true,
        };
        assert_eq!(exit.how, how);
        for length in 0..text.len() {
            assert_eq!(read_exit(&text[..length]), None, "{length} bytes");
        }
        let failed =
            "version=1\nat=9\ncause=start-failed\ndetail=no cause=exited\n0m0.0s 0m0.0s\n0m0.0s 0m0.0s\ncomplete\n";
        assert_eq!(read_exit(failed).map(|exit| exit.how), Some(ExitKind::StartFailed("no cause=exited".into())));
    }

    #[test]
    fn a_claim_is_taken_once_by_either_side() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let files = Files::make(&folder.path().join("centre")).expect("made");
        let again = Files::make(&folder.path().join("centre")).expect("made");
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
