//! What the options of a script ask for, one by one. What follows from several together is for
//! [`super::job`].

use std::collections::BTreeMap;

use huisuan_model::{
    Bytes, CentreId, Class, Dependency, DurationMs, PoolId, RangeSet, When,
    spec::{Checkpoint, checkpoint::SIGNALS, limits},
};

use super::{Context, Treatment, options::Wish};
use crate::spec::{quantity, reader::name_from};

/// What became of one option, and a note for people.
pub(super) type Taken = (Treatment, String);

/// Memory as Slurm's three options name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryPer {
    Node(Bytes),
    Cpu(Bytes),
    Gpu(Bytes),
}

/// What a count of devices is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Job,
    Node,
    Task,
}

/// Devices as Slurm's options name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gpus {
    pub(super) kind: Option<PoolId>,
    pub(super) count: u32,
    pub(super) per: Per,
}

/// Everything asked for so far; a later option takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    pub(super) name: Option<String>,
    pub(super) array: Option<RangeSet>,
    pub(super) array_step: Option<u32>,
    pub(super) parallel_max: Option<u32>,
    pub(super) cpus_per_task: Option<u32>,
    pub(super) cpus_per_gpu: Option<u32>,
    pub(super) ntasks: Option<u32>,
    pub(super) ntasks_per_node: Option<u32>,
    /// `None` where a range leaves the number open.
    pub(super) nodes: Option<u32>,
    pub(super) memory: Option<MemoryPer>,
    pub(super) walltime: Option<DurationMs>,
    pub(super) output: Option<String>,
    pub(super) error: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) gpus: Option<Gpus>,
    pub(super) class: Option<Class>,
    pub(super) centres: Vec<CentreId>,
    pub(super) priority: i32,
    pub(super) after: Vec<Dependency>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// All tasks under one leaf switch.
    pub(super) one_switch: bool,
}

impl Wishes {
    /// Takes one option. The error says what would be accepted.
    pub(super) fn take(&mut self, wish: Wish, value: &str, context: &Context) -> Result<Taken, String> {
        match wish {
            Wish::JobName => Ok(self.take_name(value)),
            Wish::Array => self.take_array(value),
            Wish::CpusPerTask => {
                let cpus = count(value)?;
                self.cpus_per_task = Some(cpus);
                honoured(format!("{} for each task", plural(cpus, "core")))
            }
            Wish::CpusPerGpu => {
                let cpus = count(value)?;
                self.cpus_per_gpu = Some(cpus);
                honoured(format!("{} for each device", plural(cpus, "core")))
            }
            Wish::Ntasks => {
                let tasks = count(value)?;
                self.ntasks = Some(tasks);
                honoured(plural(tasks, "task"))
            }
            Wish::NtasksPerNode => {
                self.ntasks_per_node = Some(count(value)?);
                honoured("counts the tasks together with --nodes".to_owned())
            }
            Wish::Nodes => self.take_nodes(value),
            Wish::Mem => self.take_memory(value, MemoryPer::Node),
            Wish::MemPerCpu => self.take_memory(value, MemoryPer::Cpu),
            Wish::MemPerGpu => self.take_memory(value, MemoryPer::Gpu),
            Wish::Time => self.take_time(value),
            Wish::Output => {
                self.output = Some(path(value)?);
                honoured("a copy of standard output".to_owned())
            }
            Wish::Error => {
                self.error = Some(path(value)?);
                honoured("a copy of standard error".to_owned())
            }
            Wish::Chdir => {
                let value = path(value)?;
                let directory = if value.starts_with('/') { value } else { format!("{}/{value}", context.directory) };
                self.directory = Some(directory.clone());
                honoured(format!("runs in {directory}"))
            }
            Wish::Export => self.take_export(value, context),
            Wish::Gres => self.take_gres(value),
            Wish::Gpus => self.take_gpus(value, Per::Job),
            Wish::GpusPerNode => self.take_gpus(value, Per::Node),
            Wish::GpusPerTask => self.take_gpus(value, Per::Task),
            Wish::Partition => Ok(self.take_partition(value, context)),
            Wish::Nice => self.take_nice(value),
            Wish::Dependency => self.take_dependency(value),
            Wish::Signal => self.take_signal(value),
            Wish::Switches => super::switches::take(self, value),
            Wish::Input => match value {
                "/dev/null" | "none" => honoured("standard input is empty".to_owned()),
                _ => Err("/dev/null: redirect the input within the script".to_owned()),
            },
            Wish::Begin => match value {
                "now" => honoured("begins as soon as there is room".to_owned()),
                _ => Err("now: later beginnings are not supported yet".to_owned()),
            },
        }
    }

    fn take_name(&mut self, value: &str) -> Taken {
        let name = name_from(value);
        self.name = Some(name.clone());
        if name == value {
            (Treatment::Honoured, format!("the job is called {name}"))
        } else {
            (Treatment::Approximated, format!("the job is called {name}: names have only A-Z a-z 0-9 . _ : -"))
        }
    }

    fn take_array(&mut self, value: &str) -> Result<Taken, String> {
        let expected = || "indices such as 1-10, 0-9:3 or 1,3,5, with %N for the most at once".to_owned();
        let (indices, limit) = match value.split_once('%') {
            Some((indices, limit)) => (indices, Some(limit.parse::<u32>().map_err(|_| expected())?)),
            None => (value, None),
        };
        let set: RangeSet = indices.parse().map_err(|_| expected())?;
        if set.is_empty() {
            return Err(expected());
        }
        let mut note = match set.len() {
            1 => format!("1 task, index {set}"),
            tasks => format!("{tasks} tasks"),
        };
        // Slurm reads a limit of 0 as no limit.
        self.parallel_max = limit.filter(|&limit| limit > 0);
        if let Some(limit) = self.parallel_max {
            note.push_str(&format!(", at most {limit} at once"));
        }
        self.array_step = indices.split_once(':').and_then(|(_, step)| step.parse().ok());
        self.array = Some(set);
        honoured(note)
    }

    fn take_nodes(&mut self, value: &str) -> Result<Taken, String> {
        let expected = || "a number of nodes, or MIN-MAX".to_owned();
        let (least, most) = match value.split_once('-') {
            Some((least, most)) => (count(least).map_err(|_| expected())?, count(most).map_err(|_| expected())?),
            None => {
                let nodes = count(value).map_err(|_| expected())?;
                (nodes, nodes)
            }
        };
        self.nodes = (least == most).then_some(least);
        if least == most {
            honoured(plural(least, "node"))
        } else {
            let note = "how many nodes are used is left to the centre".to_owned();
            Ok((Treatment::Approximated, note))
        }
    }

    fn take_memory(&mut self, value: &str, form: fn(Bytes) -> MemoryPer) -> Result<Taken, String> {
        let bytes = quantity::slurm_bytes(value).map_err(|error| error.expected.to_owned())?;
        if bytes.is_zero() {
            let note = "all memory of a node cannot be asked for; the task gets 256 MiB, say how much it needs";
            return Ok((Treatment::Ignored, note.to_owned()));
        }
        self.memory = Some(form(bytes));
        honoured(quantity::bytes_text(bytes))
    }

    fn take_time(&mut self, value: &str) -> Result<Taken, String> {
        let walltime = match value.to_ascii_lowercase().as_str() {
            "unlimited" | "infinite" => DurationMs::ZERO,
            _ => quantity::slurm_duration(value).map_err(|error| error.expected.to_owned())?,
        };
        if walltime.is_zero() {
            self.walltime = Some(DurationMs(limits::WALLTIME_MS_MAX));
            let note = "366 days, the longest walltime; money is held for all of it".to_owned();
            return Ok((Treatment::Approximated, note));
        }
        self.walltime = Some(walltime);
        honoured(format!("ends after {}", quantity::duration_text(walltime)))
    }

    fn take_export(&mut self, value: &str, context: &Context) -> Result<Taken, String> {
        let mut environment = BTreeMap::new();
        let mut notes = Vec::new();
        for item in value.split(',').filter(|item| !item.is_empty()) {
            match (item, item.split_once('=')) {
                ("NONE" | "NIL", _) => environment.clear(),
                ("ALL", _) => {
                    notes.push("your shell's other variables stay here: name those that the job needs".to_owned())
                }
                (_, Some((name, value))) => {
                    environment.insert(name.to_owned(), value.to_owned());
                }
                (name, None) => match context.environment.get(name) {
                    Some(value) => {
                        environment.insert(name.to_owned(), value.clone());
                    }
                    None => notes.push(format!("{name} is not set")),
                },
            }
        }
        let good = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !environment.keys().all(good) {
            return Err("ALL, NONE, or names and NAME=VALUE with commas between".to_owned());
        }
        let names: Vec<&str> = environment.keys().map(String::as_str).collect();
        let given = if names.is_empty() { "no variables".to_owned() } else { names.join(", ") };
        self.environment = environment;
        if notes.is_empty() {
            return honoured(format!("the job gets {given}"));
        }
        Ok((Treatment::Approximated, format!("the job gets {given}; {}", notes.join("; "))))
    }

    fn take_gres(&mut self, value: &str) -> Result<Taken, String> {
        if value == "none" {
            self.gpus = None;
            return honoured("no devices".to_owned());
        }
        match value.split_once(':') {
            Some(("gpu", rest)) => self.take_gpus(rest, Per::Node),
            None if value == "gpu" => self.take_gpus("1", Per::Node),
            _ => Err("gpu, gpu:N or gpu:TYPE:N: other resources of a Slurm site are not known here".to_owned()),
        }
    }

    fn take_gpus(&mut self, value: &str, per: Per) -> Result<Taken, String> {
        let expected = || "N or TYPE:N, of one type".to_owned();
        let (kind, number) = match value.rsplit_once(':') {
            Some((kind, number)) => (Some(kind), number),
            None if value.starts_with(|c: char| c.is_ascii_digit()) => (None, value),
            None => (Some(value), "1"),
        };
        let kind = kind.map(PoolId::new).transpose().map_err(|_| expected())?;
        let count = count(number).map_err(|_| expected())?;
        let each = match per {
            Per::Job => "for the job",
            Per::Node => "for each node",
            Per::Task => "for each task",
        };
        let note = match &kind {
            Some(kind) => format!("{} {each}, of a pool named {kind}", plural(count, "device")),
            None => format!("{} {each}", plural(count, "device")),
        };
        self.gpus = Some(Gpus { kind, count, per });
        honoured(note)
    }

    fn take_partition(&mut self, value: &str, context: &Context) -> Taken {
        if let Ok(class) = value.parse::<Class>() {
            self.class = Some(class);
            self.centres.clear();
            return (Treatment::Honoured, format!("only centres of class {class}"));
        }
        let names: Vec<&str> = value.split(',').collect();
        let mut known: Vec<CentreId> =
            context.centres.iter().filter(|centre| names.contains(&centre.as_str())).cloned().collect();
        known.sort();
        known.dedup();
        if known.is_empty() {
            let note = format!("no centre or class is called {value}; any centre may take the job");
            return (Treatment::Ignored, note);
        }
        let list: Vec<&str> = known.iter().map(CentreId::as_str).collect();
        let note = format!("only at {}", list.join(", "));
        let treatment = if known.len() == names.len() { Treatment::Honoured } else { Treatment::Approximated };
        self.class = None;
        self.centres = known;
        (treatment, note)
    }

    fn take_dependency(&mut self, value: &str) -> Result<Taken, String> {
        self.after = dependencies(value)?;
        let note = |dependency: &Dependency| format!("{} {}", dependency.job, dependency.when.as_str());
        let notes: Vec<String> = self.after.iter().map(note).collect();
        honoured(format!("starts after job {}", notes.join(", ")))
    }

    fn take_signal(&mut self, value: &str) -> Result<Taken, String> {
        let expected = || "SIGNAL or SIGNAL@SECONDS, with TERM, INT, HUP, USR1 or USR2 or their numbers".to_owned();
        let asked = value.trim_start_matches("B:");
        let (name, seconds) = match asked.split_once('@') {
            Some((name, seconds)) => (name, seconds.parse::<u32>().map_err(|_| expected())?),
            None => (asked, SIGNAL_SECONDS),
        };
        let signal = match name.strip_prefix("SIG").unwrap_or(name) {
            "1" => "HUP",
            "2" => "INT",
            "10" => "USR1",
            "12" => "USR2",
            "15" => "TERM",
            name => SIGNALS.into_iter().find(|&signal| signal == name).ok_or_else(expected)?,
        };
        let grace = DurationMs(u64::from(seconds) * 1000);
        self.checkpoint = Some(Checkpoint { signal: signal.to_owned(), grace });
        let note = format!("all of its processes get SIG{signal} {} before the end", quantity::duration_text(grace));
        Ok((if asked == value { Treatment::Approximated } else { Treatment::Honoured }, note))
    }

    fn take_nice(&mut self, value: &str) -> Result<Taken, String> {
        let nice: i32 = match value {
            "" => 100,
            _ => value.parse().map_err(|_| "a whole number".to_owned())?,
        };
        self.priority = nice.saturating_neg().clamp(-limits::PRIORITY_MAX, limits::PRIORITY_MAX);
        Ok((Treatment::Approximated, format!("priority {}", self.priority)))
    }
}

/// How long before the end a signal comes for which no time is said, as in Slurm.
const SIGNAL_SECONDS: u32 = 60;

/// `afterok:1:2,afterany:3` as Slurm writes it: all of them must hold.
fn dependencies(value: &str) -> Result<Vec<Dependency>, String> {
    const FORM: &str = "afterok, afterany, afternotok or after with numbers of jobs, such as afterok:12:13,afterany:14";
    if value.contains('?') {
        return Err(format!("{FORM}; all of them must hold, `?` for any of them is not supported"));
    }
    let mut after = Vec::new();
    for item in value.split(',') {
        let mut words = item.split(':');
        let when = match words.next().unwrap_or_default() {
            "afterok" => When::Ok,
            "afterany" => When::Any,
            "afternotok" => When::NotOk,
            "after" => When::Start,
            word @ ("aftercorr" | "afterburstbuffer" | "singleton" | "expand") => {
                return Err(format!("{FORM}; {word} is not supported"));
            }
            _ => return Err(FORM.to_owned()),
        };
        let before = after.len();
        for job in words {
            let job = job.parse().map_err(|_| format!("{FORM}; whole jobs, without delays"))?;
            after.push(Dependency { job, when });
        }
        if after.len() == before {
            return Err(FORM.to_owned());
        }
    }
    after.sort();
    after.dedup();
    match after.windows(2).find(|pair| pair[0].job == pair[1].job) {
        Some(pair) => Err(format!("one condition for each job, and job {} has two", pair[0].job)),
        None => Ok(after),
    }
}

fn honoured(note: String) -> Result<Taken, String> {
    Ok((Treatment::Honoured, note))
}

/// `1 task`, `2 tasks`.
fn plural(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "a whole number from 1".to_owned())
}

fn path(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a path".to_owned()) } else { Ok(text.to_owned()) }
}
