//! What a task finds in a container, the same with every engine that runs images: its folders, its words, its
//! variables.

use std::collections::BTreeMap;

use huisuan_model::{StartOrder, spec::Work};

/// Where the script is in the container.
pub(crate) const SCRIPT_FOLDER: &str = "/huisuan/script";
/// Where a task runs when it names no folder: empty, and its own.
pub(crate) const ATTEMPT_FOLDER: &str = "/huisuan/attempt";

/// The highest number of a signal: what exits with 128 and more than this above it exited by itself.
const SIGNAL_MAX: i32 = 64;

/// Variables by which vendors' runtimes choose devices: with one of these a task could see all devices of a node,
/// whatever it was given.
const DEVICE_CHOICES: [&str; 3] = ["NVIDIA_VISIBLE_DEVICES", "ASCEND_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"];

/// Those by which hooks of vendors add devices to a container that podman starts.
pub(crate) const HOOK_CHOICES: [&str; 2] = ["NVIDIA_VISIBLE_DEVICES", "ASCEND_VISIBLE_DEVICES"];

/// Splits what a container ended with into an exit code and a signal: both come as one number.
pub(crate) fn code_and_signal(code: i32) -> (Option<i32>, Option<i32>) {
    match code - 128 {
        signal @ 1..=SIGNAL_MAX => (None, Some(signal)),
        _ => (Some(code), None),
    }
}

/// Why no container can do what an order asks for, whatever the engine; `None` when it can.
pub(crate) fn refusal(order: &StartOrder) -> Option<String> {
    let spec = &order.spec;
    if spec.output.iter().chain(&spec.error).any(|path| path.starts_with('/') && path != "/dev/null") {
        return Some(
            "its output is to go to a file of the node; hint: leave `output` out and read `huisuan logs`".into(),
        );
    }
    let directory = spec.directory.as_ref().filter(|path| !path.starts_with('/'))?;
    Some(format!("directory `{directory}` is not absolute"))
}

/// The program and its arguments. A script is read by the interpreter that its first line names.
pub(crate) fn words(order: &StartOrder) -> Result<Vec<String>, String> {
    let (text, arguments) = match &order.spec.work {
        Work::Command(words) if words.is_empty() => return Err("the command has no words".to_owned()),
        Work::Command(words) => return Ok(words.clone()),
        Work::Script { text, arguments } => (text, arguments),
    };
    let first = text.split('\n').next().unwrap_or_default();
    let line = first.strip_prefix("#!").ok_or("the script does not begin with `#!`; hint: begin it with #!/bin/sh")?;
    if line.ends_with('\r') {
        return Err("the script has Windows line ends; hint: save it with LF line ends".into());
    }
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, option) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return Err("the first line of the script names no interpreter; hint: #!/bin/sh".into());
    }
    let option = option.trim_matches([' ', '\t']);
    let mut words = vec![interpreter.to_owned()];
    words.extend((!option.is_empty()).then(|| option.to_owned()));
    words.push(format!("{SCRIPT_FOLDER}/script"));
    words.extend_from_slice(arguments);
    Ok(words)
}

/// The variables of an order that runs in `folder`, in the order in which the container is given them.
pub(crate) fn variables(order: &StartOrder, folder: &str) -> BTreeMap<String, String> {
    let spec = &order.spec;
    let id = order.attempt;
    let mut all = spec.environment.clone();
    all.retain(|name, _| !DEVICE_CHOICES.contains(&name.as_str()));
    let mut set = |name: &str, value: String| {
        all.insert(name.to_owned(), value);
    };
    let cores = format!("{}.{:03}", order.cores.0 / 1000, order.cores.0 % 1000);
    set("HUISUAN_JOB_ID", id.job.to_string());
    set("HUISUAN_TASK", id.task.to_string());
    set("HUISUAN_ATTEMPT", id.to_string());
    set("HUISUAN_CENTRE", order.centre.to_string());
    set("HUISUAN_CORES", cores.trim_end_matches('0').trim_end_matches('.').to_owned());
    set("HUISUAN_ATTEMPT_DIR", ATTEMPT_FOLDER.to_owned());
    set("SLURM_JOB_ID", id.job.to_string());
    set("SLURM_JOB_NAME", spec.name.clone());
    set("SLURM_CPUS_PER_TASK", order.cores.cores_up().max(1).to_string());
    set("SLURM_MEM_PER_NODE", spec.memory.0.div_ceil(1 << 20).to_string());
    let (tasks, rank) = match spec.gang {
        true => (spec.tasks.len(), spec.tasks.iter().take_while(|&task| task != id.task).count()),
        false => (1, 0),
    };
    set("SLURM_NTASKS", tasks.to_string());
    set("SLURM_PROCID", rank.to_string());
    if !spec.gang && (spec.tasks.len() > 1 || id.task != 0) {
        set("SLURM_ARRAY_JOB_ID", id.job.to_string());
        set("SLURM_ARRAY_TASK_ID", id.task.to_string());
        set("SLURM_ARRAY_TASK_COUNT", spec.tasks.len().to_string());
        set("SLURM_ARRAY_TASK_MIN", spec.tasks.first().unwrap_or(0).to_string());
        set("SLURM_ARRAY_TASK_MAX", spec.tasks.last().unwrap_or(0).to_string());
    }
    if order.devices.is_zero() {
        // Images of vendors say `all` in their own environment.
        set("CUDA_VISIBLE_DEVICES", String::new());
        DEVICE_CHOICES.iter().for_each(|name| set(name, "void".to_owned()));
    }
    all.entry("SLURM_SUBMIT_DIR".to_owned()).or_insert_with(|| folder.to_owned());
    all
}
