//! What a user asks for, in canonical form. Doors (YAML, `#SBATCH`, REST) translate into it and reach
//! the same hash for the same job.

pub mod checkpoint;
pub mod data;
mod hash;
mod image;
mod kind;
pub mod limits;
mod reach;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    advance::ReservationId,
    centre::Class,
    dependency::Dependency,
    ids::{ApplicationId, CentreId, JobId, PoolId},
    quantity::{Bytes, DurationMs, GflopPerS, MilliDevices, Millicores, Money, TimeMs},
    ranges::RangeSet,
    topology::{Level, Together},
};
pub use checkpoint::Checkpoint;
pub use data::DataReference;
pub use hash::SpecHash;
pub use kind::{JobKind, Rerun};
pub use reach::{LatencyBound, Objective, Reading};

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
    /// Container image: its registry, its name there and its digest.
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
    /// How near to each other the tasks of a gang must be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub topology: Together,
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
    /// Data taken from the task after it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<DataReference>,
    /// Data that each task reads by itself, where it lies and how much: places count the way to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Reading>,
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
    /// Whether it may run a second time while nobody knows what became of the first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rerun: Rerun,
    /// Jobs that must have come so far before a task of this one is placed. By number, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Dependency>,
    /// Its tasks run out of what this reservation in advance keeps, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// The kind of work that it is: quotes for the same kind learn from its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
            topology: Together::Preferred,
            need: Need::Hardware { cores: Millicores(1000), devices: None },
            memory: Bytes(256 << 20),
            walltime: DurationMs(3_600_000),
            class: None,
            centres: Vec::new(),
            priority: 0,
            retries: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            reads: Vec::new(),
            latency: None,
            deadline_at: None,
            budget: None,
            objective: Objective::Balanced,
            checkpoint: None,
            preemptible: false,
            rerun: Rerun::Never,
            after: Vec::new(),
            reservation: None,
            application: None,
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
        check(bytes <= limits::WORK_BYTES_MAX, field, format_args!("{bytes} bytes"), "at most 256 KiB")?;
        check(!nul, field, "text with a NUL character", "text without NUL")?;
        let variables = &self.environment;
        let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        check(
            variables.len() <= limits::ENVIRONMENT_MAX && bytes <= limits::ENVIRONMENT_BYTES_MAX,
            "environment",
            format_args!("{} variables, {bytes} bytes", variables.len()),
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
        self.image.as_deref().map_or(Ok(()), image::validate)
    }

    fn validate_amounts(&self) -> Result<(), SpecError> {
        let tasks = self.tasks.len();
        check((1..=limits::TASKS_MAX).contains(&tasks), "tasks", tasks, "1 to 10,000,000 tasks")?;
        check(!self.gang || tasks <= limits::GANG_MAX, "tasks", tasks, "at most 100,000 tasks in a gang")?;
        let alone = self.topology.required().filter(|_| !self.gang);
        let level = alone.map_or("", Level::as_str);
        check(alone.is_none(), "topology", level, "`gang: true` with it: other tasks start one by one")?;
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
            format_args!("{walltime} ms"),
            "1 ms to 366 days",
        )?;
        check(
            (1..=limits::MEMORY_MAX).contains(&self.memory.0),
            "memory",
            format_args!("{} bytes", self.memory.0),
            "1 byte to 1 PiB",
        )?;
        self.checkpoint.iter().try_for_each(|checkpoint| checkpoint.validate(self.walltime))?;
        match &self.need {
            Need::Hardware { cores, devices } => {
                let range = 1..=limits::CORES_MAX * 1000;
                check(
                    range.contains(&cores.0),
                    "cores",
                    format_args!("{} millicores", cores.0),
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
        check(!(self.rerun == Rerun::Allowed && self.gang), "rerun", "allowed", "no gang: its tasks go together")?;
        check(!(self.preemptible && self.gang), "preemptible", true, "no gang: all of it would be lost with one task")?;
        let urgent = self.priority == limits::PRIORITY_MAX;
        check(!(self.preemptible && urgent), "preemptible", true, "a priority below urgent (1000)")?;
        reach::validate(self)?;
        data::validate(self)?;
        kind::validate(self)?;
        let jobs = self.after.len();
        check(jobs <= limits::AFTER_MAX, "after", format_args!("{jobs} jobs"), "at most 1,000 jobs")?;
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
