//! From all wishes together to a job.

use huisuan_model::{
    Bytes, JobSpec, MilliDevices, Millicores, RangeSet,
    spec::{DeviceNeed, Need, Work},
};

use super::{
    Context, Treatment,
    options::Wish,
    switches,
    wishes::{Gpus, MemoryPer, Per, Taken, Wishes},
};
use crate::problem::ErrorCode;
use crate::spec::{
    problem::SpecProblem,
    quantity,
    reader::{name_from, validate},
};

/// Corrections to the report: what several options mean together.
pub(super) type Amendments = Vec<(Wish, Taken)>;

/// The sizes that options name in different ways.
struct Sizes {
    tasks: u32,
    /// Tasks that share one node, at most.
    tasks_per_node: u32,
    cores: u32,
    /// Thousandths of devices of each task.
    devices: u64,
}

/// The job that the wishes make.
pub(super) fn job(
    script: &str,
    arguments: &[String],
    wishes: &Wishes,
    context: &Context,
    amendments: &mut Amendments,
) -> Result<JobSpec, SpecProblem> {
    let sizes = sizes(wishes, amendments)?;
    let gang = sizes.tasks > 1;
    let name = wishes.name.clone().unwrap_or_else(|| {
        let file = context.script_name.rsplit('/').next().unwrap_or("");
        name_from(if file.is_empty() || file == "-" { "sbatch" } else { file })
    });
    let mut spec = JobSpec::command(&name, &[]);
    spec.work = Work::Script { text: script.to_owned(), arguments: arguments.to_vec() };
    spec.directory = Some(wishes.directory.clone().unwrap_or_else(|| context.directory.clone()));
    spec.environment = wishes.environment.clone();
    spec.environment.insert("SLURM_SUBMIT_DIR".to_owned(), context.directory.clone());
    spec.tasks = match &wishes.array {
        Some(array) => array.clone(),
        None => RangeSet::from_range(0, sizes.tasks - 1),
    };
    if let Some(array) = &wishes.array {
        array_environment(&mut spec, array, wishes);
    }
    spec.parallel_max = wishes.parallel_max;
    spec.gang = gang;
    spec.memory = memory(wishes, &sizes, amendments).unwrap_or(spec.memory);
    let devices = (sizes.devices > 0).then(|| DeviceNeed {
        count: MilliDevices(sizes.devices),
        any_of: wishes.gpus.iter().filter_map(|gpus| gpus.kind.clone()).collect(),
        memory_min: Bytes::ZERO,
    });
    spec.need = Need::Hardware { cores: Millicores(u64::from(sizes.cores) * 1000), devices };
    spec.walltime = wishes.walltime.unwrap_or(spec.walltime);
    let default = if wishes.array.is_some() { "slurm-%A_%a.out" } else { "slurm-%j.out" };
    let output = wishes.output.as_deref().unwrap_or(default);
    spec.output = Some(pattern(Wish::Output, output, gang, context, amendments));
    spec.error = wishes.error.as_deref().map(|error| pattern(Wish::Error, error, gang, context, amendments));
    spec.class = wishes.class;
    spec.centres = wishes.centres.clone();
    spec.priority = wishes.priority;
    spec.after = wishes.after.clone();
    spec.checkpoint = wishes.checkpoint.clone();
    switches::settle(&mut spec, wishes, amendments);
    validate(&spec)?;
    Ok(spec)
}

/// Array variables that only the script's own words tell.
fn array_environment(spec: &mut JobSpec, array: &RangeSet, wishes: &Wishes) {
    let mut set = |name: &str, value: String| spec.environment.insert(name.to_owned(), value);
    if let Some(step) = wishes.array_step {
        set("SLURM_ARRAY_TASK_STEP", step.to_string());
    }
    // An array of index 0 alone has the same tasks as a plain job, whose tasks get no array variables.
    if array.len() == 1 && array.contains(0) {
        set("SLURM_ARRAY_TASK_COUNT", "1".to_owned());
        for name in ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"] {
            set(name, "0".to_owned());
        }
    }
}

fn sizes(wishes: &Wishes, amendments: &mut Amendments) -> Result<Sizes, SpecProblem> {
    let nodes = wishes.nodes.unwrap_or(1);
    let by_nodes = nodes.saturating_mul(wishes.ntasks_per_node.unwrap_or(1));
    let tasks = wishes.ntasks.unwrap_or(by_nodes);
    let asked_by = match (wishes.ntasks, wishes.ntasks_per_node) {
        (Some(_), _) => Wish::Ntasks,
        (None, Some(_)) => Wish::NtasksPerNode,
        (None, None) => Wish::Nodes,
    };
    if tasks > 1 && wishes.array.is_some() {
        let note = "an array whose elements have several tasks each is not supported";
        amendments.push((asked_by, (Treatment::Refused, note.to_owned())));
        return Err(SpecProblem::invalid("--array", format!("elements of {tasks} tasks"), "one task for each element")
            .with_code(ErrorCode::NotSupported)
            .with_hint("use --cpus-per-task for threads, or submit each element as a job of its own"));
    }
    if tasks > 1 {
        let note = format!(
            "{tasks} tasks start together at one centre, and each runs the whole script, told apart by SLURM_PROCID"
        );
        amendments.push((asked_by, (Treatment::Approximated, note)));
        if wishes.nodes.is_some_and(|nodes| nodes != 1 && nodes != tasks) && asked_by != Wish::Nodes {
            let note = "all tasks run at one centre; how they lie on its nodes is left to it".to_owned();
            amendments.push((Wish::Nodes, (Treatment::Approximated, note)));
        }
    }
    let devices = wishes.gpus.as_ref().map_or(0, |gpus| devices_of_task(gpus, tasks, nodes));
    let cores = match (wishes.cpus_per_task, wishes.cpus_per_gpu) {
        (Some(cores), _) => cores,
        (None, Some(cores)) => {
            let all = u64::from(cores).saturating_mul(devices).div_ceil(1000);
            u32::try_from(all).unwrap_or(u32::MAX).max(1)
        }
        (None, None) => 1,
    };
    let tasks_per_node = wishes.ntasks_per_node.unwrap_or_else(|| tasks.div_ceil(nodes)).clamp(1, tasks);
    Ok(Sizes { tasks, tasks_per_node, cores, devices })
}

/// Thousandths of devices, shared evenly by the tasks and rounded up.
fn devices_of_task(gpus: &Gpus, tasks: u32, nodes: u32) -> u64 {
    let count = u64::from(gpus.count) * 1000;
    match gpus.per {
        Per::Task => count,
        Per::Job => count.div_ceil(u64::from(tasks)),
        Per::Node => count.saturating_mul(u64::from(nodes)).div_ceil(u64::from(tasks)),
    }
}

/// Memory of one task.
fn memory(wishes: &Wishes, sizes: &Sizes, amendments: &mut Amendments) -> Option<Bytes> {
    match wishes.memory? {
        MemoryPer::Node(bytes) if sizes.tasks_per_node > 1 => {
            let each = Bytes(bytes.0.div_ceil(u64::from(sizes.tasks_per_node)));
            let note = format!(
                "{} for each task: a node's memory shared by {} tasks",
                quantity::bytes_text(each),
                sizes.tasks_per_node
            );
            amendments.push((Wish::Mem, (Treatment::Approximated, note)));
            Some(each)
        }
        MemoryPer::Node(bytes) => Some(bytes),
        MemoryPer::Cpu(bytes) => Some(Bytes(bytes.0.saturating_mul(u64::from(sizes.cores)))),
        MemoryPer::Gpu(bytes) if sizes.devices == 0 => {
            amendments.push((Wish::MemPerGpu, (Treatment::Ignored, "the job asks for no devices".to_owned())));
            Some(bytes)
        }
        MemoryPer::Gpu(bytes) => {
            let all = u128::from(bytes.0) * u128::from(sizes.devices) / 1000;
            Some(Bytes(u64::try_from(all).unwrap_or(u64::MAX)))
        }
    }
}

/// A file name pattern with what only Slurm knows taken out. Tasks of a gang get a file each: they all
/// run the script, and would overwrite each other.
fn pattern(wish: Wish, text: &str, gang: bool, context: &Context, amendments: &mut Amendments) -> String {
    let mut pattern = String::with_capacity(text.len() + 4);
    let mut unknown = Vec::new();
    let mut by_task = false;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        pattern.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let letter = after[digits..].chars().next();
        let whole = &after[..digits + letter.map_or(0, char::len_utf8)];
        match letter {
            Some('j' | 'A' | 'x' | '%') => pattern.push_str(&format!("%{whole}")),
            Some('a' | 't') if gang || letter == Some('a') => {
                by_task = true;
                pattern.push_str(&format!("%{}a", &after[..digits]));
            }
            Some('t') => pattern.push('0'),
            Some('u') => pattern.push_str(context.environment.get("USER").map_or("user", String::as_str)),
            _ => {
                unknown.push(format!("%{whole}"));
                pattern.push_str(&format!("%%{whole}"));
            }
        }
        rest = &after[whole.len()..];
    }
    pattern.push_str(rest);
    if gang && !by_task && !text.starts_with("/dev/") {
        let name = pattern.rfind('/').map_or(0, |slash| slash + 1);
        let dot = pattern[name..].rfind('.').map_or(pattern.len(), |dot| name + dot);
        pattern.insert_str(dot, "_%a");
        let note = format!("each task writes its own file: {pattern}");
        amendments.push((wish, (Treatment::Approximated, note)));
    }
    if !unknown.is_empty() {
        let note = format!("{} has no meaning here and stays as it is", unknown.join(" "));
        amendments.push((wish, (Treatment::Approximated, note)));
    }
    pattern
}
