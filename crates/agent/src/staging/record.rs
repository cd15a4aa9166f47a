//! What an attempt's folder says: the agent remembers nothing else of its data, so that a killed one goes on from here.
//!
//! | in `JOB/TASK.ATTEMPT/` | is |
//! |---|---|
//! | `record.json` | what is to be moved, and how far that is |
//! | `parts/N`, `parts/N.json` | the beginning of input N, and which version of it that is |
//! | `data/` | what the task sees: whole inputs, and what it leaves |

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use huisuan_drivers::staging::attempt_folder;
use huisuan_model::{AttemptId, Bytes, JobId, ProjectId, Staged, StartOrder, TenantId, spec::DataReference};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version of the stored form.
const VERSION: u32 = 1;

/// What is to be moved for one attempt, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    pub(super) tenant: TenantId,
    pub(super) project: ProjectId,
    pub(super) inputs: Vec<Item>,
    pub(super) outputs: Vec<Item>,
    /// All inputs are in their place.
    #[serde(default)]
    pub(super) brought: bool,
    /// All outputs are in theirs.
    #[serde(default)]
    pub(super) taken: bool,
    /// What went through.
    #[serde(default)]
    pub(super) staged: Staged,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    pub(super) url: String,
    pub(super) path: String,
    pub(super) bytes: Option<Bytes>,
    pub(super) sha256: Option<String>,
}

/// Which version of an input its part is the beginning of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) version: Option<String>,
    pub(super) total: Option<u64>,
    /// A part is believed within one boot: what was not synced may be lost with the power.
    pub(super) boot: String,
}

/// An attempt's folder.
#[derive(Debug, Clone)]
pub(super) struct Home(pub(super) PathBuf);

impl Record {
    /// Of an order that was not seen before.
    pub(super) fn new(order: &StartOrder) -> Record {
        let item = |reference: &DataReference| Item {
            url: reference.url_of(order.attempt),
            path: reference.path.clone(),
            bytes: reference.bytes,
            sha256: reference.sha256.clone(),
        };
        Record {
            version: VERSION,
            tenant: order.tenant.clone(),
            project: order.project.clone(),
            inputs: order.spec.inputs.iter().map(item).collect(),
            outputs: order.spec.outputs.iter().map(item).collect(),
            brought: false,
            taken: false,
            staged: Staged::default(),
        }
    }
}

impl Home {
    pub(super) fn of(root: &Path, attempt: AttemptId) -> Home {
        Home(attempt_folder(root, attempt))
    }

    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(super) fn parts(&self) -> PathBuf {
        self.0.join("parts")
    }

    fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// Makes the folders and writes the record down, unless that was done before; gives back what it says.
    pub(super) fn open(&self, order: &StartOrder) -> io::Result<Record> {
        for folder in [self.data(), self.parts()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        match self.read()? {
            Some(record) => Ok(record),
            None => {
                let record = Record::new(order);
                self.write(&record)?;
                Ok(record)
            }
        }
    }

    /// What was written down, if anything was.
    pub(super) fn read(&self) -> io::Result<Option<Record>> {
        read_json(&self.record())
    }

    /// Writes down how far it is; on disk when this returns.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        write_json(&self.record(), record)
    }

    /// What was noted of a part; nothing of what another boot left.
    pub(super) fn part(&self, index: usize) -> io::Result<Part> {
        let part: Option<Part> = read_json(&self.parts().join(format!("{index}.json")))?;
        Ok(part.filter(|part| part.boot == boot()).unwrap_or_default())
    }

    /// Notes which version a part is of.
    pub(super) fn note_part(&self, index: usize, part: &Part) -> io::Result<()> {
        write_json(&self.parts().join(format!("{index}.json")), &Part { boot: boot(), ..part.clone() })
    }
}

/// The attempts that have a folder below `root`.
pub(super) fn known(root: &Path) -> impl Iterator<Item = AttemptId> {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    let root = root.to_owned();
    names(&root).filter_map(|job| job.parse().ok().map(|number| (job, JobId(number)))).flat_map(move |(name, job)| {
        let attempts = names(&root.join(name)).filter_map(|name| {
            let (task, attempt) = name.split_once('.')?;
            Some((task.parse().ok()?, attempt.parse().ok()?))
        });
        attempts.map(move |(task, attempt)| AttemptId { job, task, attempt })
    })
}

/// Which boot of this machine it is.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
