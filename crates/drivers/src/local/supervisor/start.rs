//! From a start order to a process: environment, files, command. No shell reads anything of it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use huisuan_model::StartOrder;

use crate::{
    folder::{
        paths::AttemptPaths,
        program::{CHECKPOINT_VARIABLE, Outputs, program, variables},
    },
    staging::DATA_VARIABLE,
};

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
