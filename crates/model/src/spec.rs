//! What a user asks for, in canonical form. Doors (YAML, `#SBATCH`, REST) translate into it and reach
//! the same hash for the same job.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{
    centre::Class,
    dependency::Dependency,
    hex,
    ids::{CentreId, JobId, PoolId},
    quantity::{Bytes, DurationMs, GflopPerS, MilliDevices, Millicores, Money, TimeMs},
    ranges::RangeSet,
};

/// The job spec of this version of the stored format. New fields are optional and left out of the
/// canonical form while they hold their default, so that hashes of old specs stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What people call it; the alphabet of ids, so that engines accept it.
    pub name: String,
    /// Batch, service or session.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: JobKind,
    /// What is run.
    pub work: Work,
    /// Container image pinned by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Environment added to the task's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Where it runs; the attempt's own folder when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The file that standard output goes to, relative to `directory`; `%j %A %a %x` as in Slurm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The same for standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The indices of its tasks; `0` alone for a plain job.
    pub tasks: RangeSet,
    /// The most tasks of it that may run at once; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_max: Option<u32>,
    /// All tasks start together at one centre, or none does; when one fails, all end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gang: bool,
    /// What each task needs.
    pub need: Need,
    /// Memory of each task.
    pub memory: Bytes,
    /// After this long a task is ended.
    pub walltime: DurationMs,
    /// Only centres of this class; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Only these centres; any when empty. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub centres: Vec<CentreId>,
    /// -1000 to 1000; larger goes first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// How many more attempts a failed task may have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: u32,
    /// Data brought to the task before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<DataReference>,
    /// Data taken from the task after it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<DataReference>,
    /// The longest network latency to where its users are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyBound>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<TimeMs>,
    /// The most it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// What to prefer among feasible places.
    #[serde(default, skip_serializing_if = "is_default")]
    pub objective: Objective,
    /// How it saves its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Its tasks may be ended to make room for others, and then wait again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preemptible: bool,
    /// Jobs that must have come so far before a task of this one is placed. By number, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Dependency>,
}

/// The kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Runs to its end.
    #[default]
    Batch,
    /// An endpoint with replicas, kept up.
    Service,
    /// Interactive: a terminal or a notebook.
    Session,
}

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A program and its arguments; no shell reads them.
    Command(Vec<String>),
    /// A whole script with its `#!` line, run as a file.
    Script {
        /// The text.
        text: String,
        /// Arguments after the script's name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
    },
}

/// What each task needs of the hardware.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Named hardware.
    Hardware {
        /// Processor cores.
        cores: Millicores,
        /// Accelerators, where any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        devices: Option<DeviceNeed>,
    },
    /// A rate in units of one class, turned into hardware by each pool's rating.
    Rate {
        /// The class whose unit counts; only pools rated in it fit.
        class: Class,
        /// Sustained rate of each task.
        rate: GflopPerS,
        /// The least memory of one device, where devices serve it.
        #[serde(default, skip_serializing_if = "is_default")]
        device_memory_min: Bytes,
    },
}

/// Accelerators of each task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceNeed {
    /// How many, in thousandths.
    pub count: MilliDevices,
    /// Part numbers that will do; any when empty. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<PoolId>,
    /// The least memory of one device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_min: Bytes,
}

/// Data outside a task: where it is and where the task sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataReference {
    /// Where it is: `s3://`, `https://`, `file://`.
    pub url: String,
    /// A path inside the task's folder.
    pub path: String,
    /// Its size, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
}

/// The longest round trip to a centre or place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBound {
    /// Milliseconds of round trip.
    pub round_trip_max: DurationMs,
    /// The centre next to the users.
    pub to: CentreId,
}

/// What to prefer among feasible places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// A compromise of all.
    #[default]
    Balanced,
    /// The earliest end.
    Soonest,
    /// The lowest cost.
    Cheapest,
    /// The least carbon.
    Greenest,
}

/// How a task saves its state before it is ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The signal it gets.
    pub signal: String,
    /// How long it then has.
    pub grace: DurationMs,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// SHA-256 of a spec's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecHash(pub [u8; 32]);

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for SpecHash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        hex::decode(text).map(SpecHash).ok_or_else(|| "a spec hash is 64 hexadecimal characters".to_owned())
    }
}

impl Serialize for SpecHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpecHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Limits of a spec, so that no tenant can fill the network's memory with one request.
pub mod limits {
    /// Longest job name.
    pub const NAME_LENGTH_MAX: usize = 128;
    /// Longest script or sum of a command's arguments, in bytes.
    pub const WORK_BYTES_MAX: usize = 256 * 1024;
    /// Most variables in the environment.
    pub const ENVIRONMENT_MAX: usize = 256;
    /// Most bytes of all variables and their names.
    pub const ENVIRONMENT_BYTES_MAX: usize = 64 * 1024;
    /// Most tasks of a job.
    pub const TASKS_MAX: u64 = 10_000_000;
    /// Most tasks of a gang.
    pub const GANG_MAX: u64 = 100_000;
    /// Longest walltime: 366 days.
    pub const WALLTIME_MS_MAX: u64 = 366 * 24 * 3600 * 1000;
    /// Most cores of one task.
    pub const CORES_MAX: u64 = 1_000_000;
    /// Most memory of one task: 1 PiB.
    pub const MEMORY_MAX: u64 = 1 << 50;
    /// Most attempts beyond the first.
    pub const RETRIES_MAX: u32 = 100;
    /// Priorities go from minus this to this.
    pub const PRIORITY_MAX: i32 = 1000;
    /// Most jobs that one job waits for.
    pub const AFTER_MAX: usize = 1000;
}

/// What is wrong with a spec: the field, its value, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job spec: `{field}` is {value}: {expected}")]
pub struct SpecError {
    /// Dotted path of the field.
    pub field: &'static str,
    /// What was found, cut to a readable length.
    pub value: String,
    /// What would be accepted.
    pub expected: String,
}

impl JobSpec {
    /// A one-task batch job with defaults: one core, 256 MiB, one hour.
    pub fn command(name: &str, arguments: &[&str]) -> Self {
        JobSpec {
            name: name.to_owned(),
            kind: JobKind::Batch,
            work: Work::Command(arguments.iter().map(|&a| a.to_owned()).collect()),
            image: None,
            environment: BTreeMap::new(),
            directory: None,
            output: None,
            error: None,
            tasks: RangeSet::from_range(0, 0),
            parallel_max: None,
            gang: false,
            need: Need::Hardware { cores: Millicores(1000), devices: None },
            memory: Bytes(256 << 20),
            walltime: DurationMs(3_600_000),
            class: None,
            centres: Vec::new(),
            priority: 0,
            retries: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            latency: None,
            deadline_at: None,
            budget: None,
            objective: Objective::Balanced,
            checkpoint: None,
            preemptible: false,
            after: Vec::new(),
        }
    }

    /// The bytes that are hashed and stored: JSON with a fixed field order, defaults left out.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a spec has string keys and finite numbers only")
    }

    /// SHA-256 of the canonical form.
    pub fn hash(&self) -> SpecHash {
        SpecHash(Sha256::digest(self.canonical()).into())
    }

    /// Checks every limit that does not depend on a network. What is legal here may still be refused
    /// by a network that has no such hardware.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.validate_text()?;
        self.validate_amounts()
    }

    fn validate_text(&self) -> Result<(), SpecError> {
        let length = self.name.len();
        check(
            (1..=limits::NAME_LENGTH_MAX).contains(&length)
                && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)),
            "name",
            &self.name,
            "1 to 128 characters of A-Z a-z 0-9 . _ : -",
        )?;
        let (field, bytes, nul) = match &self.work {
            Work::Command(words) => {
                check(!words.is_empty() && !words[0].is_empty(), "command", "empty", "a program and its arguments")?;
                ("command", words.iter().map(String::len).sum::<usize>(), words.iter().any(|w| w.contains('\0')))
            }
            Work::Script { text, arguments } => {
                check(text.starts_with("#!"), "script", first_line(text), "a first line such as #!/bin/sh")?;
                let nul = text.contains('\0') || arguments.iter().any(|w| w.contains('\0'));
                ("script", text.len() + arguments.iter().map(String::len).sum::<usize>(), nul)
            }
        };
        check(bytes <= limits::WORK_BYTES_MAX, field, format!("{bytes} bytes"), "at most 256 KiB")?;
        check(!nul, field, "text with a NUL character", "text without NUL")?;
        let variables = &self.environment;
        let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        check(
            variables.len() <= limits::ENVIRONMENT_MAX && bytes <= limits::ENVIRONMENT_BYTES_MAX,
            "environment",
            format!("{} variables, {bytes} bytes", variables.len()),
            "at most 256 variables and 64 KiB",
        )?;
        for (name, value) in variables {
            let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            check(good, "environment", name, "names of letters, digits and _")?;
            check(!value.contains('\0'), "environment", name, "values without NUL")?;
        }
        for (field, path) in [("output", &self.output), ("error", &self.error), ("directory", &self.directory)] {
            let good = path.as_ref().is_none_or(|p| !p.is_empty() && p.len() <= 4096 && !p.contains(['\0', '\n']));
            check(good, field, path.as_deref().unwrap_or(""), "a path of 1 to 4096 characters on one line")?;
        }
        Ok(())
    }

    fn validate_amounts(&self) -> Result<(), SpecError> {
        let tasks = self.tasks.len();
        check((1..=limits::TASKS_MAX).contains(&tasks), "tasks", tasks, "1 to 10,000,000 tasks")?;
        check(!self.gang || tasks <= limits::GANG_MAX, "tasks", tasks, "at most 100,000 tasks in a gang")?;
        check(self.parallel_max != Some(0), "parallel_max", 0, "at least 1")?;
        check(
            !self.gang || self.parallel_max.is_none_or(|most| u64::from(most) >= tasks),
            "parallel_max",
            self.parallel_max.unwrap_or(0),
            "no limit below the size of a gang, whose tasks start together",
        )?;
        let walltime = self.walltime.0;
        check(
            (1..=limits::WALLTIME_MS_MAX).contains(&walltime),
            "walltime",
            format!("{walltime} ms"),
            "1 ms to 366 days",
        )?;
        check(
            (1..=limits::MEMORY_MAX).contains(&self.memory.0),
            "memory",
            format!("{} bytes", self.memory.0),
            "1 byte to 1 PiB",
        )?;
        match &self.need {
            Need::Hardware { cores, devices } => {
                let range = 1..=limits::CORES_MAX * 1000;
                check(
                    range.contains(&cores.0),
                    "cores",
                    format!("{} millicores", cores.0),
                    "0.001 to 1,000,000 cores",
                )?;
                if let Some(devices) = devices {
                    let count = devices.count.0;
                    check((1..=limits::CORES_MAX * 1000).contains(&count), "devices.count", count, "more than none")?;
                }
            }
            Need::Rate { rate, .. } => check(rate.0 > 0, "demand.rate", rate, "at least 1 GFLOP/s")?,
        }
        let priority = self.priority;
        let range = -limits::PRIORITY_MAX..=limits::PRIORITY_MAX;
        check(range.contains(&priority), "priority", priority, "-1000 to 1000")?;
        check(self.retries <= limits::RETRIES_MAX, "retries", self.retries, "at most 100")?;
        check(
            self.budget.is_none_or(|budget| budget.0 >= 0),
            "budget",
            self.budget.unwrap_or_default(),
            "not negative",
        )?;
        check(!(self.preemptible && self.gang), "preemptible", true, "no gang: all of it would be lost with one task")?;
        let urgent = self.priority == limits::PRIORITY_MAX;
        check(!(self.preemptible && urgent), "preemptible", true, "a priority below urgent (1000)")?;
        let jobs = self.after.len();
        check(jobs <= limits::AFTER_MAX, "after", format!("{jobs} jobs"), "at most 1,000 jobs")?;
        let twice = self.after.windows(2).find(|pair| pair[0].job >= pair[1].job).map(|pair| pair[1].job);
        check(twice.is_none(), "after", twice.unwrap_or(JobId(0)), "each job once, in the order of numbers")
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

fn check(good: bool, field: &'static str, value: impl fmt::Display, expected: &str) -> Result<(), SpecError> {
    if good {
        return Ok(());
    }
    let value: String = value.to_string().chars().take(80).collect();
    Err(SpecError { field, value: format!("`{value}`"), expected: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_and_hash_are_pinned() {
        let spec = JobSpec::command("hello", &["/bin/true"]);
        assert_eq!(
            String::from_utf8_lossy(&spec.canonical()),
            concat!(
                r#"{"name":"hello","work":{"command":["/bin/true"]},"tasks":"0","#,
                r#""need":{"hardware":{"cores":1000}},"memory":268435456,"walltime":3600000}"#
            )
        );
        let read: JobSpec = serde_json::from_slice(&spec.canonical()).expect("canonical form is read back");
        assert_eq!(read, spec);
        assert_eq!(spec.hash().to_string().parse(), Ok(spec.hash()));
    }

    #[test]
    fn limits_name_the_field() {
        let good = JobSpec::command("x", &["true"]);
        assert_eq!(good.validate(), Ok(()));
        let bad = |field: &str, change: fn(&mut JobSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            assert_eq!(spec.validate().map_err(|error| error.field.to_owned()), Err(field.to_owned()));
        };
        bad("name", |s| s.name = "a b".into());
        bad("name", |s| s.name.clear());
        bad("command", |s| s.work = Work::Command(vec![]));
        bad("script", |s| s.work = Work::Script { text: "echo".into(), arguments: vec![] });
        bad("command", |s| s.work = Work::Command(vec!["x".repeat(300_000)]));
        bad("command", |s| s.work = Work::Command(vec!["a\0".into()]));
        let script = |text: &str| Work::Script { text: format!("#!/bin/sh\n{text}"), arguments: vec![] };
        let with = |text: &str| JobSpec { work: script(text), ..good.clone() }.validate().map_err(|error| error.field);
        assert_eq!((with("echo"), with("\0"), with(&"x".repeat(300_000))), (Ok(()), Err("script"), Err("script")));
        bad("environment", |s| drop(s.environment.insert("A-B".into(), String::new())));
        bad("tasks", |s| s.tasks = RangeSet::new());
        bad("tasks", |s| s.tasks = RangeSet::from_range(0, u32::MAX));
        bad("parallel_max", |s| s.parallel_max = Some(0));
        bad("walltime", |s| s.walltime = DurationMs(0));
        bad("walltime", |s| s.walltime = DurationMs(u64::MAX));
        bad("memory", |s| s.memory = Bytes(0));
        bad("cores", |s| s.need = Need::Hardware { cores: Millicores(0), devices: None });
        bad("priority", |s| s.priority = 1001);
        bad("budget", |s| s.budget = Some(Money(-1)));
        bad("preemptible", |s| (s.preemptible, s.gang) = (true, true));
        bad("preemptible", |s| (s.preemptible, s.priority) = (true, 1000));
        let after = |job| Dependency { job: JobId(job), when: crate::dependency::When::Ok };
        assert_eq!(JobSpec { after: vec![after(1), after(3)], ..good.clone() }.validate(), Ok(()));
        for jobs in [vec![3, 1], vec![2, 2], (1..=1001).collect()] {
            let spec = JobSpec { after: jobs.into_iter().map(after).collect(), ..good.clone() };
            assert_eq!(spec.validate().map_err(|error| error.field), Err("after"));
        }
    }
}
