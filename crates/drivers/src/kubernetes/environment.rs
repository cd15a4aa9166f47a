//! The variables of a task, in the order in which the container is given them.

use std::collections::BTreeMap;

use huisuan_model::StartOrder;

/// Variables by which vendors' runtimes choose devices: with one of these a task could see all devices of a node,
/// whatever it was given.
const DEVICE_CHOICES: [&str; 3] = ["NVIDIA_VISIBLE_DEVICES", "ASCEND_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"];

/// The variables of an order that runs in `folder`.
pub(super) fn variables(order: &StartOrder, folder: &str) -> BTreeMap<String, String> {
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
    set("HUISUAN_ATTEMPT_DIR", super::pod::ATTEMPT_FOLDER.to_owned());
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
