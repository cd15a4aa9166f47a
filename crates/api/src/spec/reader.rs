//! From the text of a job file to a job spec.

use std::collections::BTreeMap;

use huisuan_model::{
    ApplicationId, CentreId, Class, Dependency, JobId, JobSpec, Place, PoolId, RangeSet, ReservationId, When,
    spec::{
        Checkpoint, DataReference, DeviceNeed, JobKind, LatencyBound, Need, Objective, Reading, Rerun, SpecError, Work,
        limits,
    },
};
use serde_json::Value;

use super::{distinct::Distinct, fields::Fields, problem::SpecProblem, quantity};
use crate::{problem::ErrorCode, wire::Timestamp};

/// The fields of a job file, in the order in which people write them.
pub(super) const FIELDS: [&str; 36] = [
    "name",
    "kind",
    "command",
    "script",
    "arguments",
    "image",
    "environment",
    "directory",
    "output",
    "error",
    "tasks",
    "parallel",
    "gang",
    "topology",
    "cores",
    "memory",
    "devices",
    "demand",
    "walltime",
    "class",
    "centres",
    "priority",
    "retries",
    "inputs",
    "outputs",
    "reads",
    "latency",
    "deadline",
    "budget",
    "objective",
    "checkpoint",
    "preemptible",
    "rerun",
    "after",
    "reservation",
    "application",
];

const APPLICATION: &str = "a name such as llm-train";
const CLASS: &str = "ai, hpc or general";
const COMMAND: &str = "a list: a program and its arguments";

/// Reads JSON where the text begins with a brace and is JSON, otherwise YAML, of which JSON is a part.
pub(super) fn read(text: &str) -> Result<JobSpec, SpecProblem> {
    let trimmed = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let json = trimmed.starts_with('{').then(|| serde_json::from_str::<Distinct>(trimmed));
    let value = match json {
        Some(Ok(Distinct(value))) => value,
        // What is JSON but for a key that is there twice is not read as YAML, which would say the same less clearly.
        Some(Err(error)) if error.is_data() => return Err(malformed(format!("the JSON text is malformed: {error}"))),
        Some(Err(error)) => yaml(text).map_err(|_| malformed(format!("the JSON text is malformed: {error}")))?,
        None => yaml(text).map_err(|error| malformed(format!("the YAML text is malformed: {error}")))?,
    };
    from_value(&value)
}

fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or("");
        // What follows is advice about the settings of the YAML library.
        let line = line.split([';']).next().unwrap_or("").split(", set ").next().unwrap_or("");
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    })
}

fn malformed(what: String) -> SpecProblem {
    SpecProblem::invalid("", "", what)
        .with_code(ErrorCode::BadRequest)
        .with_hint("a job file is YAML or JSON, such as `command: [\"/bin/true\"]`")
}

fn from_value(value: &Value) -> Result<JobSpec, SpecProblem> {
    let fields = Fields::new("", value, &FIELDS)?;
    let work = work(&fields)?;
    let name = match fields.text("name")? {
        Some(name) => name,
        None => default_name(&work),
    };
    let mut spec = JobSpec::command(&name, &[]);
    spec.work = work;
    spec.kind = choice(
        &fields,
        "kind",
        [("batch", JobKind::Batch), ("service", JobKind::Service), ("session", JobKind::Session)],
    )?;
    spec.image = fields.text("image")?;
    spec.environment = environment(&fields)?;
    spec.directory = fields.text("directory")?;
    spec.output = fields.text("output")?;
    spec.error = fields.text("error")?;
    if let Some(tasks) = tasks(&fields)? {
        spec.tasks = tasks;
    }
    spec.parallel_max = fields.count("parallel")?;
    spec.gang = fields.flag("gang")?;
    spec.topology = super::topology::read(&fields)?;
    spec.need = need(&fields)?;
    spec.memory = fields.quantity("memory", quantity::bytes)?.unwrap_or(spec.memory);
    spec.walltime = fields.quantity("walltime", quantity::duration)?.unwrap_or(spec.walltime);
    spec.class = fields.parsed("class", CLASS, str::parse::<Class>)?;
    spec.centres = names(&fields, "centres", CentreId::new)?;
    spec.priority = fields.quantity("priority", quantity::priority)?.unwrap_or(0);
    spec.retries = fields.count("retries")?.unwrap_or(0);
    spec.inputs = data(&fields, "inputs")?;
    spec.outputs = data(&fields, "outputs")?;
    spec.reads = reads(&fields)?;
    spec.latency = latency(&fields)?;
    let deadline = fields.parsed("deadline", "a time such as 2026-03-01T08:30:00Z", str::parse::<Timestamp>)?;
    spec.deadline_at = deadline.map(|time| time.0);
    spec.budget = fields.quantity("budget", quantity::money)?;
    spec.objective = choice(
        &fields,
        "objective",
        [
            ("balanced", Objective::Balanced),
            ("soonest", Objective::Soonest),
            ("cheapest", Objective::Cheapest),
            ("greenest", Objective::Greenest),
        ],
    )?;
    spec.checkpoint = checkpoint(&fields)?;
    spec.preemptible = fields.flag("preemptible")?;
    spec.rerun = choice(&fields, "rerun", [("never", Rerun::Never), ("allowed", Rerun::Allowed)])?;
    spec.after = after(&fields)?;
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok().filter(|&number| number > 0);
    spec.reservation = fields.number("reservation", "the number of a reservation", number)?.map(ReservationId);
    spec.application = fields.parsed("application", APPLICATION, ApplicationId::new)?;
    validate(&spec)?;
    Ok(spec)
}

/// Checks the limits of the model and names fields as the job file does.
pub(super) fn validate(spec: &JobSpec) -> Result<(), SpecProblem> {
    let rename = |mut error: SpecError| {
        if error.field == "parallel_max" {
            error.field = "parallel";
        }
        SpecProblem::from(error)
    };
    spec.validate().map_err(rename)
}

fn work(fields: &Fields<'_>) -> Result<Work, SpecProblem> {
    let script = fields.text("script")?;
    match (fields.value("command"), script) {
        (Some(Value::String(line)), _) => {
            let words: Vec<&str> = line.split_whitespace().collect();
            let list = serde_json::to_string(&words).expect("a list of texts");
            Err(SpecProblem::invalid("command", line, COMMAND).with_hint(format!(
                "no shell reads a command: write `command: {list}`, or put shell lines into `script` below a #!/bin/sh"
            )))
        }
        (Some(_), None) => {
            if let Some(given) = fields.value("arguments") {
                let problem = SpecProblem::invalid("arguments", given, "nothing beside `command`");
                return Err(problem.with_hint("put the arguments into `command`; `arguments` goes with `script`"));
            }
            fields.texts("command").map(Work::Command)
        }
        (None, Some(text)) => Ok(Work::Script { text, arguments: fields.texts("arguments")? }),
        (Some(_), Some(text)) => Err(SpecProblem::invalid("script", text, "either `command` or `script`, not both")),
        (None, None) => Err(SpecProblem::invalid("command", "", COMMAND)
            .with_hint("write `command: [\"/bin/echo\", \"hello\"]`, or a whole `script`")),
    }
}

/// The last part of the program's path, made into a name.
fn default_name(work: &Work) -> String {
    match work {
        Work::Command(words) => name_from(words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(""))),
        Work::Script { .. } => name_from(""),
    }
}

/// `text` in the alphabet of job names, others as `-`; `job` when nothing is left.
pub(super) fn name_from(text: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    let name: String = text.chars().map(|c| if good(c) { c } else { '-' }).take(limits::NAME_LENGTH_MAX).collect();
    if name.bytes().any(|byte| byte.is_ascii_alphanumeric()) { name } else { "job".to_owned() }
}

fn environment(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, SpecProblem> {
    match fields.value("environment") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(name, value)| Ok((name.clone(), fields.scalar_text(format!("environment.{name}"), value)?)))
            .collect(),
        Some(other) => Err(SpecProblem::invalid("environment", other, "names with values")),
    }
}

/// The longest list of indices read, in bytes.
const TASKS_LENGTH_MAX: usize = 1024 * 1024;

fn tasks(fields: &Fields<'_>) -> Result<Option<RangeSet>, SpecProblem> {
    const EXPECTED: &str = "a number of tasks, or indices such as 1-10:2";
    let text = match fields.value("tasks") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => return Err(SpecProblem::invalid("tasks", other, EXPECTED)),
    };
    read_tasks(&text).map(Some).ok_or_else(|| SpecProblem::invalid("tasks", text, EXPECTED))
}

/// A count, or indices where the text has `-`, `,` or `:`.
fn read_tasks(text: &str) -> Option<RangeSet> {
    if text.len() > TASKS_LENGTH_MAX {
        return None;
    }
    if text.contains(['-', ',', ':']) {
        return text.parse().ok();
    }
    match text.parse::<u32>().ok()? {
        0 => None,
        count => Some(RangeSet::from_range(0, count - 1)),
    }
}

fn need(fields: &Fields<'_>) -> Result<Need, SpecProblem> {
    let cores = fields.quantity("cores", quantity::cores)?;
    let devices = fields.value("devices").map(devices).transpose()?;
    let Some(demand) = fields.value("demand") else {
        let cores = cores.unwrap_or(huisuan_model::Millicores(1000));
        return Ok(Need::Hardware { cores, devices });
    };
    if cores.is_some() || devices.is_some() {
        let other = if cores.is_some() { "cores" } else { "devices" };
        let problem = SpecProblem::invalid("demand", demand, format!("either `demand` or `{other}`, not both"));
        return Err(problem.with_hint("a demand becomes hardware by the rating of each pool"));
    }
    let inner = Fields::new("demand", demand, &["class", "rate", "device_memory_min"])?;
    let class = inner.parsed("class", CLASS, str::parse::<Class>)?;
    let rate = inner.quantity("rate", quantity::rate)?;
    Ok(Need::Rate {
        class: inner.needed("class", class, CLASS)?,
        rate: inner.needed("rate", rate, quantity::RATE)?,
        device_memory_min: inner.quantity("device_memory_min", quantity::bytes)?.unwrap_or_default(),
    })
}

fn devices(value: &Value) -> Result<DeviceNeed, SpecProblem> {
    let fields = Fields::new("devices", value, &["count", "any_of", "memory_min"])?;
    let count = fields.quantity("count", quantity::devices)?;
    Ok(DeviceNeed {
        count: fields.needed("count", count, quantity::DEVICES)?,
        any_of: names(&fields, "any_of", PoolId::new)?,
        memory_min: fields.quantity("memory_min", quantity::bytes)?.unwrap_or_default(),
    })
}

/// Names, sorted and each once, so that their order does not change the hash.
fn names<T: Ord, E>(fields: &Fields<'_>, name: &str, read: fn(&str) -> Result<T, E>) -> Result<Vec<T>, SpecProblem> {
    const EXPECTED: &str = "a name of 1 to 64 characters of A-Z a-z 0-9 . _ : -";
    let problem = |text: &str| SpecProblem::invalid(fields.path(name), text, EXPECTED);
    let texts = fields.texts(name)?;
    let read: Result<Vec<T>, SpecProblem> = texts.iter().map(|text| read(text).map_err(|_| problem(text))).collect();
    let mut read = read?;
    read.sort();
    read.dedup();
    Ok(read)
}

fn data(fields: &Fields<'_>, name: &str) -> Result<Vec<DataReference>, SpecProblem> {
    let Some(value) = fields.value(name) else { return Ok(Vec::new()) };
    let Value::Array(items) = value else {
        return Err(SpecProblem::invalid(name, value, "a list"));
    };
    let item = |(at, item): (usize, &Value)| {
        let path = format!("{name}[{at}]");
        let inner = Fields::new(&path, item, &["url", "path", "size", "sha256", "at"])?;
        Ok(DataReference {
            url: inner.needed("url", inner.text("url")?, "a URL such as https://host/file")?,
            path: inner.needed("path", inner.text("path")?, "a path inside the task's folder")?,
            bytes: inner.quantity("size", quantity::bytes)?,
            sha256: inner.text("sha256")?.map(|digest| digest.to_ascii_lowercase()),
            at: inner.parsed("at", "the name of a centre", CentreId::new)?,
        })
    };
    items.iter().enumerate().map(item).collect()
}

fn latency(fields: &Fields<'_>) -> Result<Option<LatencyBound>, SpecProblem> {
    let Some(value) = fields.value("latency") else { return Ok(None) };
    let inner = Fields::new("latency", value, &["round_trip", "to", "place"])?;
    let round_trip = inner.quantity("round_trip", quantity::duration)?;
    let to = inner.parsed("to", "the name of a centre", CentreId::new)?;
    let place = inner.parsed("place", "latitude and longitude such as `34.75, 113.62`", place)?;
    let round_trip_max = inner.needed("round_trip", round_trip, quantity::DURATION)?;
    Ok(Some(LatencyBound { round_trip_max, to, place }))
}

/// `34.75, 113.62`: degrees north and east.
fn place(text: &str) -> Result<Place, String> {
    let degrees = |text: &str, most: f64| {
        let degrees = text.trim().parse::<f64>().ok().filter(|degrees| degrees.abs() <= most);
        degrees.map(|degrees| (degrees * 1e6).round() as i32)
    };
    let found = text.split_once(',').and_then(|(north, east)| degrees(north, 90.0).zip(degrees(east, 180.0)));
    let (latitude_microdegrees, longitude_microdegrees) = found.ok_or_else(|| "not a place".to_owned())?;
    Ok(Place { latitude_microdegrees, longitude_microdegrees })
}

/// By centre, so that their order does not change the hash.
fn reads(fields: &Fields<'_>) -> Result<Vec<Reading>, SpecProblem> {
    let Some(value) = fields.value("reads") else { return Ok(Vec::new()) };
    let Value::Array(items) = value else {
        let problem = SpecProblem::invalid("reads", value, "a list");
        return Err(problem.with_hint("write `reads: [{at: zhengzhou, size: 500GiB}]`"));
    };
    let mut reads = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("reads[{at}]");
        let inner = Fields::new(&path, item, &["at", "size"])?;
        let centre = inner.parsed("at", "the name of a centre", CentreId::new)?;
        let size = inner.quantity("size", quantity::bytes)?;
        reads.push(Reading {
            at: inner.needed("at", centre, "the name of a centre")?,
            bytes: inner.needed("size", size, quantity::BYTES)?,
        });
    }
    reads.sort();
    Ok(reads)
}

fn checkpoint(fields: &Fields<'_>) -> Result<Option<Checkpoint>, SpecProblem> {
    let Some(value) = fields.value("checkpoint") else { return Ok(None) };
    let inner = Fields::new("checkpoint", value, &["signal", "grace"])?;
    let grace = inner.quantity("grace", quantity::duration)?;
    Ok(Some(Checkpoint {
        signal: inner.needed("signal", inner.text("signal")?, "a signal such as TERM")?,
        grace: inner.needed("grace", grace, quantity::DURATION)?,
    }))
}

/// Jobs to wait for, by number, so that their order does not change the hash.
fn after(fields: &Fields<'_>) -> Result<Vec<Dependency>, SpecProblem> {
    const JOB: &str = "the number of a job";
    let Some(value) = fields.value("after") else { return Ok(Vec::new()) };
    let Value::Array(items) = value else {
        let problem = SpecProblem::invalid("after", value, "a list");
        return Err(problem.with_hint("write `after: [{job: 12, when: ok}]`"));
    };
    let mut after = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("after[{at}]");
        let inner = Fields::new(&path, item, &["job", "when"])?;
        let job = inner.number("job", JOB, |value| value.as_u64().filter(|&number| number > 0))?;
        let words = When::ALL.map(|when| (when.as_str(), when));
        after.push(Dependency { job: JobId(inner.needed("job", job, JOB)?), when: choice(&inner, "when", words)? });
    }
    after.sort();
    Ok(after)
}

/// One of a few words; the default of its type when absent.
fn choice<T: Copy + Default, const N: usize>(
    fields: &Fields<'_>,
    name: &str,
    words: [(&str, T); N],
) -> Result<T, SpecProblem> {
    let Some(text) = fields.text(name)? else { return Ok(T::default()) };
    let list = words.map(|(word, _)| word);
    match words.iter().find(|(word, _)| *word == text) {
        Some(&(_, value)) => Ok(value),
        None => {
            let problem = SpecProblem::invalid(fields.path(name), &text, format!("one of {}", list.join(", ")));
            Err(match super::nearest(&text, list) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            })
        }
    }
}
