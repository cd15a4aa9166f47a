//! From a start order to a process: environment, files, command. No shell reads anything of it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use huisuan_model::{StartOrder, spec::Work};

use crate::{local::paths::AttemptPaths, staging::DATA_VARIABLE};

/// The variable that names the attempt's folder; also how processes of an attempt are found again.
pub(crate) const DIR_VARIABLE: &str = "HUISUAN_ATTEMPT_DIR";

/// The variable that names the folder from which a task goes on where its last attempt was ended.
pub(crate) const CHECKPOINT_VARIABLE: &str = "HUISUAN_CHECKPOINT_DIR";

/// Variables of the supervisor that every attempt gets.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "USER", "TMPDIR"];

/// Where all tasks of a gang find each other at a local centre.
const HERE: &str = "127.0.0.1";

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What attempts get of the supervisor's own environment, read once.
pub(crate) fn inherited_environment() -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<_> =
        INHERITED.iter().filter_map(|&name| std::env::var_os(name).map(|value| (name, value))).collect();
    if !variables.iter().any(|(name, _)| *name == "PATH") {
        variables.push(("PATH", DEFAULT_PATH.into()));
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

/// Starts the attempt's process in a process group of its own. The error is a sentence for people.
pub(crate) fn start(
    order: &StartOrder,
    paths: &AttemptPaths,
    outputs: &Outputs,
    inherited: &[(&'static str, OsString)],
) -> Result<Child, String> {
    let directory = working_directory(order, paths)?;
    let (program, arguments) = program(order, paths)?;
    let mut command = Command::new(find_program(&program, order, inherited)?);
    // `arg0` is what the user wrote: some programs do different things under different names.
    command.arg0(&program).args(&arguments).current_dir(directory).process_group(0);
    set_environment(&mut command, order, paths, inherited);
    if order.spec.checkpoint.is_some() {
        let folder = &paths.checkpoint;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| format!("checkpoint folder `{}` cannot be made: {error}", folder.display()))?;
        command.env(CHECKPOINT_VARIABLE, folder);
    }
    if order.spec.staged() {
        command.env(DATA_VARIABLE, &paths.data);
    }
    let (stdout, stderr) = open_outputs(paths, outputs)?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.spawn().map_err(|error| explain(&error, &program, directory))
}

/// Where the attempt's process begins.
pub(super) fn working_directory<'a>(order: &'a StartOrder, paths: &'a AttemptPaths) -> Result<&'a Path, String> {
    let directory = order.spec.directory.as_deref().map_or(paths.dir.as_path(), Path::new);
    match directory.is_absolute() {
        true => Ok(directory),
        false => Err(format!("directory `{}` is not absolute", directory.display())),
    }
}

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

/// Looks a bare program name up in the attempt's own PATH. With a path instead of a name the standard
/// library can use `posix_spawn`, which does not copy the supervisor's page tables.
pub(super) fn find_program(
    program: &str,
    order: &StartOrder,
    inherited: &[(&'static str, OsString)],
) -> Result<PathBuf, String> {
    if program.contains('/') {
        return Ok(program.into());
    }
    let own = order.spec.environment.get("PATH").map(OsString::from);
    let path = own.or_else(|| inherited.iter().find(|(name, _)| *name == "PATH").map(|(_, value)| value.clone()));
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let runnable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(runnable)
        .ok_or_else(|| format!("program `{program}` is not in PATH ({})", path.display()))
}

pub(super) fn set_environment(
    command: &mut Command,
    order: &StartOrder,
    paths: &AttemptPaths,
    inherited: &[(&'static str, OsString)],
) {
    command.env_clear();
    command.envs(inherited.iter().map(|(name, value)| (name, value)));
    command.envs(&order.spec.environment);
    command.envs(variables(order, &paths.dir));
    if order.spec.gang {
        // All of it is here.
        command.env("HUISUAN_GANG_FIRST", HERE).env("HUISUAN_GANG_HOSTS", format!("{HERE}:{}", order.spec.tasks.len()));
    }
    if order.devices.is_zero() {
        command.env("CUDA_VISIBLE_DEVICES", "");
    }
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

fn open_outputs(paths: &AttemptPaths, outputs: &Outputs) -> Result<(File, File), String> {
    let stdout = match &outputs.stdout {
        Some(path) => open_named(Path::new(path))?,
        None => open_own(&paths.stdout())?,
    };
    let stderr = match &outputs.stderr {
        // One description for both, so that neither overwrites the other.
        Some(path) if outputs.stdout.as_ref() == Some(path) => {
            stdout.try_clone().map_err(|error| format!("output `{path}` cannot be shared: {error}"))?
        }
        Some(path) => open_named(Path::new(path))?,
        None => open_own(&paths.stderr())?,
    };
    Ok((stdout, stderr))
}

fn open_own(path: &Path) -> Result<File, String> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.map_err(|error| format!("output `{}` cannot be created: {error}", path.display()))
}

/// Opens a file that the user named. A named pipe would hold the supervisor's thread until somebody reads
/// from it, so it is opened without waiting and refused.
fn open_named(path: &Path) -> Result<File, String> {
    use rustix::fs::{OFlags, fcntl_setfl};
    let failed = |error: io::Error| {
        let parent = path.parent().unwrap_or(path);
        match error.kind() {
            io::ErrorKind::NotFound => format!(
                "output `{}` cannot be created: folder `{}` does not exist; hint: make it first",
                path.display(),
                parent.display()
            ),
            _ => format!("output `{}` cannot be created: {error}", path.display()),
        }
    };
    let nonblock = i32::try_from(OFlags::NONBLOCK.union(OFlags::NOCTTY).bits()).unwrap_or(0);
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o666).custom_flags(nonblock).open(path);
    let file = open.map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.mode() & 0o170_000;
    if kind != 0o100_000 && kind != 0o020_000 {
        return Err(format!("output `{}` is neither a file nor a device", path.display()));
    }
    fcntl_setfl(&file, OFlags::empty()).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Why a process could not be started: the system only says "not found", of the program, its
/// interpreter or the folder alike.
pub(super) fn explain(error: &io::Error, program: &str, directory: &Path) -> String {
    if !directory.is_dir() {
        return format!("directory `{}` does not exist at this centre", directory.display());
    }
    let file = directory.join(program);
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') && file.is_file() => {
            format!("program `{program}` exists but its interpreter does not: {error}")
        }
        io::ErrorKind::NotFound => format!("program `{program}` does not exist: {error}"),
        io::ErrorKind::PermissionDenied => format!("program `{program}` may not be run: {error}; hint: chmod +x"),
        _ => format!("program `{program}` cannot be started: {error}"),
    }
}
