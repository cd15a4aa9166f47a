//! From a start order to `podman run`. No shell reads anything of it; what a tenant wrote is a word of its own after an
//! `=`, or after the image, where podman reads no options.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, OpenOptionsExt as _, chown, fchown, lchown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, Stdio},
};

use huisuan_model::{StartOrder, spec::Work};
use rustix::process::{Resource, getrlimit};

use super::{
    config::Containers,
    end,
    inside::{ATTEMPT_FOLDER, HOOK_CHOICES, SCRIPT_FOLDER, variables, words},
};
use crate::{
    folder::{paths::AttemptPaths, program::DIR_VARIABLE},
    staging::DATA_VARIABLE,
};

/// Where the task finds what it saved.
const CHECKPOINT_FOLDER: &str = "/huisuan/checkpoint";

/// Where the task finds what is brought to it.
const DATA_FOLDER: &str = "/huisuan/data";

/// What every container is bounded by on every machine: so many processes and threads, so that one task cannot take all
/// of the machine's, and nothing of the machine's own environment.
pub(crate) const BOUNDS: [&str; 2] = ["--pids-limit=4096", "--http-proxy=false"];

/// The kernel's own limit of memory lies so much above what was asked for: the supervisor looks every 100 ms and says
/// which task had too much; this ends what grows faster than it looks.
const MEMORY_BEYOND: u64 = 64 << 20;

/// Starts the client of an attempt's container, in a process group of its own. The error is a sentence for people.
pub(crate) fn start(
    containers: &Containers,
    order: &StartOrder,
    paths: &AttemptPaths,
    cpus: &[usize],
) -> Result<Child, String> {
    let (stdout, stderr) = prepare(containers, order, paths)?;
    let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let here = limits().into_iter().chain([format!("--cpuset-cpus={}", cpus.join(","))]);
    let mut command = containers.command();
    command.arg("run").args(here).args(arguments(containers, order, paths)?);
    // By this the client is found again when the supervisor died before it wrote down which it is.
    command.env(DIR_VARIABLE, &paths.dir).current_dir(&paths.dir).process_group(0);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.spawn().map_err(|error| format!("podman cannot be started: {error}"))
}

/// Makes what a container finds of the machine, and the files for its outputs. May be repeated while it runs.
pub(crate) fn prepare(
    containers: &Containers,
    order: &StartOrder,
    paths: &AttemptPaths,
) -> Result<(File, File), String> {
    let owner = containers.owner();
    let failed =
        |what: &str, path: &Path, error: &io::Error| format!("{what} `{}` cannot be made: {error}", path.display());
    let mut folders = vec![("folder", paths.work())];
    folders.extend(order.spec.checkpoint.iter().map(|_| ("checkpoint folder", paths.checkpoint.clone())));
    if order.spec.staged() {
        let given = |error: io::Error| format!("data `{}` cannot be given to the task: {error}", paths.data.display());
        give_all(&paths.data, owner).map_err(given)?;
    }
    for (what, folder) in &folders {
        make_folder(folder, owner).map_err(|error| failed(what, folder, &error))?;
    }
    if let Work::Script { text, .. } = &order.spec.work {
        let script = paths.script();
        write_new(&script, text, 0o555).map_err(|error| failed("script", &script, &error))?;
    }
    let text: String = listed(order).map(|(name, value)| format!("{name}={value}\n")).collect();
    let list = paths.variables();
    write_new(&list, &text, 0o400).map_err(|error| failed("list of variables", &list, &error))?;
    let output = |path: &Path| make_output(path, owner).map_err(|error| failed("output", path, &error));
    Ok((output(&paths.stdout())?, output(&paths.stderr())?))
}

/// All words after `podman run` but those that only the machine can say on which it runs: [`limits`] and its processors.
pub(crate) fn arguments(
    containers: &Containers,
    order: &StartOrder,
    paths: &AttemptPaths,
) -> Result<Vec<String>, String> {
    let spec = &order.spec;
    let image = spec.image.as_ref().ok_or("the job names no image")?;
    let words = words(order)?;
    let (program, rest) = words.split_first().ok_or("the command has no words")?;
    let memory = spec.memory.0.saturating_add(MEMORY_BEYOND);
    let mut all: Vec<String> = BOUNDS.map(str::to_owned).into();
    let mut add = |word: String| all.push(word);
    add(format!("--name={}", end::name(paths, order.attempt)));
    add(format!("--pull={}", if containers.pulls(image) { "missing" } else { "never" }));
    for word in ["--network=none", "--log-driver=passthrough", "--cap-drop=all", "--security-opt=no-new-privileges"] {
        add(word.to_owned());
    }
    // No swap beyond the memory: the share of one task is not another's disk.
    add(format!("--memory={memory}b"));
    add(format!("--memory-swap={memory}b"));
    add(format!("--shm-size={}b", spec.memory.0));
    add(match containers.owner() {
        Some(user) => format!("--user={user}:{user}"),
        None => "--userns=keep-id".to_owned(),
    });
    // By these an administrator finds them: `podman ps --filter label=huisuan.attempt`.
    add(format!("--label=huisuan.attempt={}", order.attempt));
    add(format!("--label=huisuan.folder={}", plain(&paths.dir)?));
    add(format!("--pidfile={}", plain(&paths.container())?));
    add(mount(&paths.work(), ATTEMPT_FOLDER, false)?);
    if matches!(spec.work, Work::Script { .. }) {
        add(mount(&paths.script(), &format!("{SCRIPT_FOLDER}/script"), true)?);
    }
    if spec.checkpoint.is_some() {
        add(mount(&paths.checkpoint, CHECKPOINT_FOLDER, false)?);
        add(format!("--env=HUISUAN_CHECKPOINT_DIR={CHECKPOINT_FOLDER}"));
    }
    if spec.staged() {
        add(mount(&paths.data, DATA_FOLDER, false)?);
        add(format!("--env={DATA_VARIABLE}={DATA_FOLDER}"));
    }
    add(format!("--env-file={}", plain(&paths.variables())?));
    let unlisted = variables(order, directory(order)).into_iter().filter(|(_, value)| !can_be_listed(value));
    unlisted.for_each(|(name, value)| add(format!("--env={name}={value}")));
    if !order.devices.is_zero() {
        // Vendors' hooks would add what an image or they themselves wish: what was given is named to podman instead.
        HOOK_CHOICES.iter().for_each(|name| add(format!("--env={name}=void")));
    }
    add(format!("--workdir={}", directory(order)));
    // As a list of one word it is no text to split, and what the image would run by itself is not added to it.
    add(format!("--entrypoint={}", serde_json::json!([program])));
    add(image.clone());
    rest.iter().cloned().for_each(add);
    Ok(all)
}

/// Where the task begins.
fn directory(order: &StartOrder) -> &str {
    order.spec.directory.as_deref().unwrap_or(ATTEMPT_FOLDER)
}

/// The variables that podman reads from a file: whoever may list the processes of a machine reads command lines, too.
fn listed(order: &StartOrder) -> impl Iterator<Item = (String, String)> {
    variables(order, directory(order)).into_iter().filter(|(_, value)| can_be_listed(value))
}

/// Podman reads a list by lines of at most 64 KiB.
fn can_be_listed(value: &str) -> bool {
    value.len() < 1 << 15 && !value.contains(['\n', '\r'])
}

/// What every container is bounded by. Numbers of this process: above them a runtime has no right to set any, and
/// podman would without being told.
pub(super) fn limits() -> Vec<String> {
    let most = |resource, most| {
        let most = getrlimit(resource).maximum.unwrap_or(most).min(most);
        format!("{most}:{most}")
    };
    vec![
        format!("--ulimit=nofile={}", most(Resource::Nofile, 1 << 20)),
        // Podman bounds itself by the usual number of process ids. All containers of one user share it.
        format!("--ulimit=nproc={}", most(Resource::Nproc, 1 << 15)),
    ]
}

fn mount(source: &Path, target: &str, read_only: bool) -> Result<String, String> {
    let mode = if read_only { ",readonly" } else { "" };
    // The label lets the container in where SELinux is in force, and is nothing elsewhere.
    Ok(format!("--mount=type=bind,source={},target={target},relabel=private{mode}", plain(source)?))
}

/// A path that podman reads as one: it splits mounts at commas.
fn plain(path: &Path) -> Result<&str, String> {
    path.to_str().filter(|text| !text.contains([',', '"', '\n', '\\'])).ok_or_else(|| {
        let path = path.display();
        format!("folder `{path}` has a comma, quote or worse in its name; hint: give the centre another with --data")
    })
}

fn make_folder(folder: &Path, owner: Option<u32>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    chown(folder, owner, owner)
}

/// Gives a folder that only the agent has written to, and all that is in it, to the container's user.
fn give_all(folder: &Path, owner: Option<u32>) -> io::Result<()> {
    lchown(folder, owner, owner)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => give_all(&entry.path(), owner)?,
            false => lchown(entry.path(), owner, owner)?,
        }
    }
    Ok(())
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // A container that runs keeps the file that it began with.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

/// Given to the container's user, which could not open `/dev/stdout` again otherwise. Its folder stays closed.
fn make_output(path: &Path, owner: Option<u32>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    fchown(&file, owner, owner)?;
    Ok(file)
}

/// The process that is a container's first, as the runtime wrote it down; `None` before it runs.
pub(super) fn first_process(paths: &AttemptPaths) -> Option<i32> {
    fs::read_to_string(paths.container()).ok()?.trim().parse().ok().filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use huisuan_model::{AttemptId, CentreId, JobId, JobSpec, MilliDevices, Millicores, ProjectId, TenantId};

    use super::*;
    use crate::folder::paths::Paths;

    fn order(words: &[&str]) -> StartOrder {
        let image = format!("localhost/x@sha256:{}", "0a".repeat(32));
        StartOrder {
            attempt: AttemptId { job: JobId(7), task: 3, attempt: 2 },
            centre: CentreId::new("here").expect("a name"),
            tenant: TenantId::new("t").expect("a name"),
            project: ProjectId::new("p").expect("a name"),
            spec: Arc::new(JobSpec { image: Some(image), ..JobSpec::command("x", words) }),
            cores: Millicores(1000),
            devices: MilliDevices::ZERO,
            pool: None,
            account: None,
        }
    }

    fn containers(registries: &[&str]) -> Containers {
        let registries = registries.iter().map(|&registry| registry.to_owned()).collect();
        let podman = "/usr/bin/podman".into();
        Containers { podman, runtime: None, user: 65_534, registries, device_root: None }
    }

    fn line(containers: &Containers, order: &StartOrder) -> Vec<String> {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let paths = Paths::make(scratch.path()).expect("made").attempt(order.attempt);
        arguments(containers, order, &paths).expect("a command line")
    }

    #[test]
    fn nothing_a_tenant_wrote_is_an_option() {
        let mut order = order(&["--privileged", "--volume=/:/host", "$(id)"]);
        let spec = Arc::make_mut(&mut order.spec);
        spec.environment = [("A", "--privileged\n b"), ("SECRET", "$(id) 汇算 ")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        spec.directory = Some("/x --volume=/:/y".into());
        let line = line(&containers(&[]), &order);
        let image = line.iter().position(|word| word == order.spec.image.as_ref().expect("it has one")).expect("named");
        assert_eq!(line[image + 1..], ["--volume=/:/host", "$(id)"]);
        assert!(line[..image].iter().all(|word| word.starts_with("--") && word.contains('=')), "{line:?}");
        for word in [
            "--entrypoint=[\"--privileged\"]",
            "--env=A=--privileged\n b",
            "--workdir=/x --volume=/:/y",
            "--network=none",
            "--pull=never",
            "--cap-drop=all",
        ] {
            assert!(line.contains(&word.to_owned()), "no {word} in {line:?}");
        }
        assert!(line.iter().all(|word| !word.contains("SECRET")), "others may read it: {line:?}");
        let listed: Vec<(String, String)> = listed(&order).collect();
        for (name, value) in [("SECRET", "$(id) 汇算 "), ("HUISUAN_ATTEMPT_DIR", "/huisuan/attempt")] {
            assert!(listed.contains(&(name.to_owned(), value.to_owned())), "no {name} in {listed:?}");
        }
        let mounts: Vec<&String> =
            line.iter().filter(|word| word.starts_with("--mount") || word.starts_with("--volume=")).collect();
        assert_eq!(mounts.len(), 2, "its folder alone, and the word after the image: {mounts:?}");
    }

    #[test]
    fn only_a_registry_of_the_site_is_pulled_from() {
        let order = order(&["true"]);
        let has = |registries: &[&str], word: &str| line(&containers(registries), &order).contains(&word.to_owned());
        assert!(has(&["docker.io/"], "--pull=never"));
        assert!(has(&["docker.io/", "localhost/"], "--pull=missing"));
        // Whoever runs the tests: never root.
        let root = rustix::process::geteuid().is_root();
        assert!(has(&[], if root { "--user=65534:65534" } else { "--userns=keep-id" }));
    }

    #[test]
    fn a_folder_that_podman_would_split_is_refused() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let order = order(&["true"]);
        let paths = Paths::make(&scratch.path().join("a,target=")).expect("made").attempt(order.attempt);
        let error = arguments(&containers(&[]), &order, &paths).expect_err("refused");
        assert!(error.contains("comma"), "{error}");
    }
}
