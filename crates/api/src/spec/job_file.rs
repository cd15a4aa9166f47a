//! The job file: what a user writes as YAML or JSON, and the body of `POST /v1/jobs`.
//!
//! [`JobFile`] is the form on paper and in the OpenAPI document; [`read_job_file`] is its reader, and
//! [`JobFile::from_spec`] the way back: reading what it writes gives the same spec.

use std::collections::BTreeMap;

use huisuan_model::{
    Dependency, JobSpec, Place, RangeSet, When,
    spec::{JobKind, Need, Objective, Reading, Rerun, Work},
};
use serde::Serialize;
use serde_json::{Number, Value};
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Schema, SchemaType, Type},
};

use super::{
    problem::SpecProblem,
    quantity::{bytes_text, duration_text, money_text},
};
use crate::wire::Timestamp;

/// A job file. All fields but `command` or `script` may be left out; unknown fields are refused.
/// `kind` other than `batch` is read and refused as not supported yet.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobRequest)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// What people call it: 1 to 128 characters of A-Z a-z 0-9 . _ : -; from the command when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `batch` (default), `service` or `session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A program and its arguments; no shell reads them. Either this or `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples(json!(["/bin/sh", "-c", "echo hello"])))]
    pub command: Option<Vec<String>>,
    /// A whole script with its `#!` line, run as a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Arguments after the script's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Container image, `REGISTRY/NAME@sha256:DIGEST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Variables added to the task's environment.
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
    /// How many tasks (a number), or their indices (`1-10:2`, `0-3,7`). One task when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = number_or_text, examples(4, "1-10:2"))]
    pub tasks: Option<Value>,
    /// The most tasks that may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// All tasks start together at one centre, or none does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gang: bool,
    /// How near to each other the tasks of a gang must be: `preferred` (default), `{required: rack}`, `{required:
    /// pod}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::topology::schema, examples(json!({"required": "rack"})))]
    pub topology: Option<Value>,
    /// Cores of each task, as a number or `250m`; 1 when absent. Not together with `demand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = number_or_text, examples(0.5, "250m"))]
    pub cores: Option<Value>,
    /// Memory of each task with its unit; 256MiB when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("512MiB"))]
    pub memory: Option<String>,
    /// Accelerators of each task. Not together with `demand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<DevicesField>,
    /// A rate of each task instead of hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<DemandField>,
    /// After this long a task is ended, such as `1h30m` or `01:30:00`; 1h when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("1h30m"))]
    pub walltime: Option<String>,
    /// Only centres of this class: `ai`, `hpc` or `general`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Only these centres.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub centres: Vec<String>,
    /// -1000 to 1000, or `low` (-500), `normal` (0), `high` (500), `urgent` (1000); larger goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = number_or_text, examples(10, "high"))]
    pub priority: Option<Value>,
    /// How many more attempts a failed task may have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i32,
    /// Data brought to the task before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<DataField>,
    /// Data taken from the task after it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<DataField>,
    /// Data that each task reads by itself: where it lies and how much, so that places count the way to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ReadingField>,
    /// The longest network latency to where its users are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyField>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The most it may cost, in units of the network's currency, as a number or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = number_or_text, examples(12.5, "12.5"))]
    pub budget: Option<String>,
    /// `balanced` (default), `soonest`, `cheapest` or `greenest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// How it saves its state before it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointField>,
    /// Its tasks may be ended to make room for others, and then wait again; not for gangs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preemptible: bool,
    /// `never` (default) or `allowed`: whether it may run a second time elsewhere when its centre has been silent for
    /// so long that nobody knows what became of the first; not for gangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// Jobs that must have come so far before this one starts; one that never can ends this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<AfterField>,
    /// The number of the reservation in advance out of which its tasks run, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<u32>,
    /// The kind of work that it is, such as `llm-train`: quotes for the same kind learn from its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// Accelerators of each task.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobDevices)]
#[serde(deny_unknown_fields)]
pub struct DevicesField {
    /// How many.
    #[schema(schema_with = number_or_text)]
    pub count: Value,
    /// Part numbers that will do; any when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<String>,
    /// The least memory of one device, such as `40GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_min: Option<String>,
}

/// A rate in the unit of one class, turned into hardware by each pool's rating.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobDemand)]
#[serde(deny_unknown_fields)]
pub struct DemandField {
    /// The class whose unit counts: `ai`, `hpc` or `general`.
    pub class: String,
    /// Sustained rate of each task, such as `20 GFLOP/s` or `0.002 P`.
    pub rate: String,
    /// The least memory of one device, where devices serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_memory_min: Option<String>,
}

/// Data outside a task.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobData)]
#[serde(deny_unknown_fields)]
pub struct DataField {
    /// Where it is: `https://HOST/...`, `s3://STORE/KEY`, `file:///...`. `{job}` and `{task}` stand for numbers.
    pub url: String,
    /// A path inside the folder that `HUISUAN_DATA_DIR` names.
    pub path: String,
    /// Its size, when known, such as `2GiB`; of inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// SHA-256 of it in hexadecimal; of inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The centre next to it; of inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Data that lies at a centre.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobReading)]
#[serde(deny_unknown_fields)]
pub struct ReadingField {
    /// The centre.
    pub at: String,
    /// How much of it each task reads, such as `500GiB`.
    pub size: String,
}

/// The longest round trip to a centre or to a place: one of both.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobLatency)]
#[serde(deny_unknown_fields)]
pub struct LatencyField {
    /// Such as `10ms`.
    pub round_trip: String,
    /// The centre next to the users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where the users are: latitude and longitude in degrees, such as `34.75, 113.62`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// How a task saves its state before it is ended.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobCheckpoint)]
#[serde(deny_unknown_fields)]
pub struct CheckpointField {
    /// The signal it gets, such as `TERM`.
    pub signal: String,
    /// How long it then has, such as `2m`.
    pub grace: String,
}

/// A job that must have come so far.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobAfter)]
#[serde(deny_unknown_fields)]
pub struct AfterField {
    /// Its number; a job that was submitted before.
    pub job: u64,
    /// `ok` (default): it succeeded; `any`: it ended; `not-ok`: it failed or was cancelled; `start`: it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// Reads a job file, YAML or JSON, and checks every limit that does not depend on a network.
pub fn read_job_file(text: &str) -> Result<JobSpec, SpecProblem> {
    super::reader::read(text)
}

fn number_or_text() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Number, Type::String])).build())
}

fn is_zero(value: &i32) -> bool {
    *value == 0
}

impl JobFile {
    /// The job file that reads as `spec`. Defaults are left out where the file's default is the same.
    pub fn from_spec(spec: &JobSpec) -> Self {
        let (command, script, arguments) = match &spec.work {
            Work::Command(words) => (Some(words.clone()), None, Vec::new()),
            Work::Script { text, arguments } => (None, Some(text.clone()), arguments.clone()),
        };
        let (cores, devices, demand) = need_fields(&spec.need);
        JobFile {
            name: Some(spec.name.clone()),
            kind: match spec.kind {
                JobKind::Batch => None,
                JobKind::Service => Some("service".to_owned()),
                JobKind::Session => Some("session".to_owned()),
            },
            command,
            script,
            arguments,
            image: spec.image.clone(),
            environment: spec.environment.clone(),
            directory: spec.directory.clone(),
            output: spec.output.clone(),
            error: spec.error.clone(),
            tasks: tasks_field(&spec.tasks),
            parallel: spec.parallel_max,
            gang: spec.gang,
            topology: super::topology::written(spec.topology),
            cores,
            memory: Some(bytes_text(spec.memory)),
            devices,
            demand,
            walltime: Some(duration_text(spec.walltime)),
            class: spec.class.map(|class| class.to_string()),
            centres: spec.centres.iter().map(ToString::to_string).collect(),
            priority: (spec.priority != 0).then(|| Value::from(spec.priority)),
            retries: i32::try_from(spec.retries).unwrap_or(i32::MAX),
            inputs: data_fields(&spec.inputs),
            outputs: data_fields(&spec.outputs),
            reads: spec.reads.iter().map(reading_field).collect(),
            latency: spec.latency.as_ref().map(|bound| LatencyField {
                round_trip: duration_text(bound.round_trip_max),
                to: bound.to.as_ref().map(ToString::to_string),
                place: bound.place.as_ref().map(place_text),
            }),
            deadline: spec.deadline_at.map(Timestamp),
            budget: spec.budget.map(money_text),
            objective: match spec.objective {
                Objective::Balanced => None,
                Objective::Soonest => Some("soonest".to_owned()),
                Objective::Cheapest => Some("cheapest".to_owned()),
                Objective::Greenest => Some("greenest".to_owned()),
            },
            checkpoint: spec.checkpoint.as_ref().map(|checkpoint| CheckpointField {
                signal: checkpoint.signal.clone(),
                grace: duration_text(checkpoint.grace),
            }),
            preemptible: spec.preemptible,
            rerun: (spec.rerun == Rerun::Allowed).then(|| "allowed".to_owned()),
            after: spec.after.iter().map(after_field).collect(),
            reservation: spec.reservation.map(|id| id.0),
            application: spec.application.as_ref().map(ToString::to_string),
        }
    }
}

fn need_fields(need: &Need) -> (Option<Value>, Option<DevicesField>, Option<DemandField>) {
    match need {
        Need::Hardware { cores, devices } => {
            let devices = devices.as_ref().map(|devices| DevicesField {
                count: thousandths(devices.count.0),
                any_of: devices.any_of.iter().map(ToString::to_string).collect(),
                memory_min: (!devices.memory_min.is_zero()).then(|| bytes_text(devices.memory_min)),
            });
            (Some(thousandths(cores.0)), devices, None)
        }
        Need::Rate { class, rate, device_memory_min } => {
            let demand = DemandField {
                class: class.to_string(),
                rate: format!("{} GFLOP/s", rate.0),
                device_memory_min: (!device_memory_min.is_zero()).then(|| bytes_text(*device_memory_min)),
            };
            (None, None, Some(demand))
        }
    }
}

fn reading_field(reading: &Reading) -> ReadingField {
    ReadingField { at: reading.at.to_string(), size: bytes_text(reading.bytes) }
}

/// Degrees with all six digits: what is read again is the same place.
fn place_text(place: &Place) -> String {
    let degrees = |microdegrees: i32| f64::from(microdegrees) / 1e6;
    format!("{}, {}", degrees(place.latitude_microdegrees), degrees(place.longitude_microdegrees))
}

fn after_field(dependency: &Dependency) -> AfterField {
    let when = (dependency.when != When::default()).then(|| dependency.when.as_str().to_owned());
    AfterField { job: dependency.job.0, when }
}

fn data_fields(references: &[huisuan_model::spec::DataReference]) -> Vec<DataField> {
    let field = |reference: &huisuan_model::spec::DataReference| DataField {
        url: reference.url.clone(),
        path: reference.path.clone(),
        size: reference.bytes.map(bytes_text),
        sha256: reference.sha256.clone(),
        at: reference.at.as_ref().map(ToString::to_string),
    };
    references.iter().map(field).collect()
}

/// A number of thousandths as people write it: `2`, `0.5`.
fn thousandths(count: u64) -> Value {
    if count.is_multiple_of(1000) {
        return Value::from(count / 1000);
    }
    // The shortest decimal that reads back as this number; the reader takes its digits, not its value.
    Number::from_f64(count as f64 / 1000.0).map_or(Value::Null, Value::Number)
}

/// The indices as a job file writes them; nothing for the one task of a plain job.
fn tasks_field(tasks: &RangeSet) -> Option<Value> {
    let text = tasks.to_string();
    let count_from_zero = tasks.first() == Some(0) && tasks.last().map(|last| u64::from(last) + 1) == Some(tasks.len());
    if text == "0" {
        None
    } else if count_from_zero {
        Some(Value::from(tasks.len()))
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // One index: a bare number would be a count.
        Some(Value::from(format!("{text}-{text}")))
    } else {
        Some(Value::from(text))
    }
}
