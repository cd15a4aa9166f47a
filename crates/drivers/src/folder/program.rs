//! From a start order to what a process is given: its words, its variables, its outputs. No shell reads anything of it.

use std::{ffi::OsString, fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use huisuan_model::{StartOrder, spec::Work};

use super::paths::AttemptPaths;

/// The variable that names the attempt's folder; also how processes of an attempt are found again.
pub(crate) const DIR_VARIABLE: &str = "HUISUAN_ATTEMPT_DIR";

/// The variable that names the folder from which a task goes on where its last attempt was ended.
pub(crate) const CHECKPOINT_VARIABLE: &str = "HUISUAN_CHECKPOINT_DIR";

/// The program and its arguments. A script is read by the interpreter that its first line names, called
/// here as the kernel would: executing the file itself fails at random with "text file busy" while
/// another thread is starting a process and still holds the file open for writing.
pub(crate) fn program(order: &StartOrder, paths: &AttemptPaths) -> Result<(String, Vec<String>), String> {
    let (text, arguments) = match &order.spec.work {
        Work::Command(words) => {
            let (program, arguments) = words.split_first().ok_or("the command has no words")?;
            return Ok((program.clone(), arguments.to_vec()));
        }
        Work::Script { text, arguments } => (text, arguments),
    };
    let first = text.lines().next().unwrap_or_default();
    let line = first.strip_prefix("#!").ok_or("the script does not begin with `#!`; hint: begin it with #!/bin/sh")?;
    if text.split('\n').next().is_some_and(|line| line.ends_with('\r')) {
        return Err("the script has Windows line ends; hint: save it with LF line ends".into());
    }
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, option) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return Err("the first line of the script names no interpreter; hint: #!/bin/sh".into());
    }
    let path = paths.script();
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(&path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| format!("the script cannot be written to `{}`: {error}", path.display()))?;
    let script = path.into_os_string().into_string().map_err(|path| format!("path {path:?} is not UTF-8"))?;
    let mut words = Vec::with_capacity(arguments.len() + 2);
    let option = option.trim_matches([' ', '\t']);
    if !option.is_empty() {
        words.push(option.to_owned());
    }
    words.push(script);
    words.extend_from_slice(arguments);
    Ok((interpreter.to_owned(), words))
}

/// What every attempt is told of itself, under the names that Slurm's scripts know.
pub(crate) fn variables(order: &StartOrder, attempt_dir: &Path) -> Vec<(&'static str, OsString)> {
    let spec = &order.spec;
    let id = order.attempt;
    let job = id.job.to_string();
    let cores = format!("{}.{:03}", order.cores.0 / 1000, order.cores.0 % 1000);
    let cores = cores.trim_end_matches('0').trim_end_matches('.');
    let (ntasks, rank) = match spec.gang {
        true => (spec.tasks.len(), spec.tasks.iter().take_while(|&task| task != id.task).count()),
        false => (1, 0),
    };
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("HUISUAN_JOB_ID", job.clone().into()),
        ("HUISUAN_TASK", id.task.to_string().into()),
        ("HUISUAN_ATTEMPT", id.to_string().into()),
        ("HUISUAN_CENTRE", order.centre.as_str().into()),
        ("HUISUAN_CORES", cores.into()),
        (DIR_VARIABLE, attempt_dir.into()),
        ("SLURM_JOB_ID", job.clone().into()),
        ("SLURM_JOB_NAME", spec.name.clone().into()),
        ("SLURM_CPUS_PER_TASK", order.cores.cores_up().max(1).to_string().into()),
        ("SLURM_MEM_PER_NODE", spec.memory.0.div_ceil(1 << 20).to_string().into()),
        ("SLURM_NTASKS", ntasks.to_string().into()),
        ("SLURM_PROCID", rank.to_string().into()),
    ];
    if !spec.gang && (spec.tasks.len() > 1 || id.task != 0) {
        variables.extend([
            ("SLURM_ARRAY_JOB_ID", job.into()),
            ("SLURM_ARRAY_TASK_ID", id.task.to_string().into()),
            ("SLURM_ARRAY_TASK_COUNT", spec.tasks.len().to_string().into()),
            ("SLURM_ARRAY_TASK_MIN", spec.tasks.first().unwrap_or(0).to_string().into()),
            ("SLURM_ARRAY_TASK_MAX", spec.tasks.last().unwrap_or(0).to_string().into()),
        ]);
    }
    // The door that knows where a script was submitted from says so in the environment of the spec.
    if !spec.environment.contains_key("SLURM_SUBMIT_DIR") {
        let directory = spec.directory.as_deref().map_or(attempt_dir, Path::new);
        variables.push(("SLURM_SUBMIT_DIR", directory.into()));
    }
    variables
}

/// Where the two outputs go when the job names files for them: absolute paths as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    pub(crate) stdout: Option<String>,
    /// Follows `stdout` when the job names a file for that one only, as in Slurm.
    pub(crate) stderr: Option<String>,
}

impl Outputs {
    pub(crate) fn of(order: &StartOrder, attempt_dir: &Path) -> Self {
        let spec = &order.spec;
        // Files that a container names are its own: what it says goes to the attempt's folder.
        if spec.image.is_some() {
            return Outputs::default();
        }
        let directory = spec.directory.as_deref().map_or(attempt_dir, Path::new);
        let place = |pattern: &String| {
            let path = directory.join(expand(pattern, order));
            path.into_os_string().into_string().ok()
        };
        let stdout = spec.output.as_ref().and_then(place);
        let stderr = spec.error.as_ref().and_then(place).or_else(|| stdout.clone());
        Outputs { stdout, stderr }
    }
}

/// Fills in `%j %A %a %x %%` as Slurm does, with a width as in `%4a`; anything else stays as it is.
pub(crate) fn expand(pattern: &str, order: &StartOrder) -> String {
    let mut text = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let width = after[..digits].parse().unwrap_or(0).min(20);
        let Some(letter) = after[digits..].chars().next() else {
            text.push_str(&rest[at..]);
            return text;
        };
        match letter {
            'j' | 'A' => text.push_str(&format!("{:0width$}", order.attempt.job.0)),
            'a' => text.push_str(&format!("{:0width$}", order.attempt.task)),
            'x' => text.push_str(&order.spec.name),
            '%' => text.push('%'),
            other => text.push_str(&format!("%{}{other}", &after[..digits])),
        }
        rest = &after[digits + letter.len_utf8()..];
    }
    text.push_str(rest);
    text
}
