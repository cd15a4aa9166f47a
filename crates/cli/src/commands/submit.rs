//! `run`, and what `sbatch` shares with it: from a file or a command to an acknowledged job.

use std::{
    env,
    ffi::OsString,
    io::{self, Read},
    path::{Path, PathBuf},
};

use huisuan_api::{
    jobs::{JobCreated, JobRequest},
    routes::SubmitQuery,
    spec::{SpecProblem, read_job_file},
};
use huisuan_model::{JobSpec, spec::Need};

use crate::{
    args::{RunArgs, SpecArgs, SubmitArgs},
    commands::wait,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
};

/// The largest job file or script read: a longer one would be refused by the server anyway.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Submits a job file or a command.
pub(crate) fn run(session: &Session, args: &RunArgs) -> Result<(), Failure> {
    let spec = spec_of_args(session, args.file.as_deref(), &args.command, &args.spec)?;
    send(session, spec, &args.submit)
}

/// The job of a file or a command, with what flags replace. A file that ends in `.sbatch` is a Slurm script.
pub(super) fn spec_of_args(
    session: &Session,
    file: Option<&Path>,
    command: &[OsString],
    args: &SpecArgs,
) -> Result<JobSpec, Failure> {
    let here = current_directory()?;
    let mut spec = match file {
        Some(file) => spec_of_file(file, &here)?,
        None => {
            let mut spec = command_of(command)?;
            // An image has folders of its own.
            spec.directory = args.image.is_none().then(|| text_of(&here)).transpose()?;
            spec
        }
    };
    replace(&mut spec, args, &here)?;
    spec.deadline_at = args.deadline.map(|deadline| deadline.at(session.now()).0).or(spec.deadline_at);
    spec.preemptible |= args.preemptible;
    spec.reservation = args.reservation.or(spec.reservation);
    spec.validate().map_err(SpecProblem::from)?;
    Ok(spec)
}

/// Reads a job file. A relative `directory` is taken from `folder`, where the file is: the server could
/// not know what it is relative to.
fn job_of(text: &str, folder: PathBuf) -> Result<JobSpec, Failure> {
    let mut spec = read_job_file(text)?;
    if let Some(directory) = &spec.directory
        && Path::new(directory).is_relative()
    {
        spec.directory = Some(text_of(&plain(&folder.join(directory)))?);
    }
    Ok(spec)
}

/// The job of a command line, through the reader of job files, so that both have the same defaults.
fn command_of(command: &[OsString]) -> Result<JobSpec, Failure> {
    let mut words = Vec::new();
    for word in command {
        let word = word.to_str().ok_or_else(|| {
            Failure::new(Exit::Usage, "the command has a word that is not UTF-8").hint("put it into a script")
        })?;
        words.push(word);
    }
    Ok(read_job_file(&serde_json::json!({ "command": words }).to_string())?)
}

/// Replaces what flags say.
fn replace(spec: &mut JobSpec, args: &SpecArgs, here: &Path) -> Result<(), Failure> {
    if let Some(name) = &args.name {
        spec.name.clone_from(name);
    }
    if let Some(cores) = args.cores {
        match &mut spec.need {
            Need::Hardware { cores: asked, .. } => *asked = cores,
            Need::Rate { .. } => {
                return Err(Failure::new(Exit::Usage, "--cores contradicts `demand` of the job file")
                    .hint("ask for cores or for a rate, not for both"));
            }
        }
    }
    spec.memory = args.memory.unwrap_or(spec.memory);
    spec.walltime = args.walltime.unwrap_or(spec.walltime);
    spec.image = args.image.clone().or_else(|| spec.image.take());
    spec.gang |= args.gang;
    spec.topology = args.topology.unwrap_or(spec.topology);
    spec.class = args.class.or(spec.class);
    spec.priority = args.priority.unwrap_or(spec.priority);
    spec.budget = args.budget.or(spec.budget);
    if let Some(tasks) = &args.tasks {
        spec.tasks = tasks.clone();
    }
    if !args.centres.is_empty() {
        spec.centres = args.centres.clone();
        spec.centres.sort();
        spec.centres.dedup();
    }
    if !args.after.is_empty() {
        spec.after = args.after.clone();
        spec.after.sort();
    }
    spec.environment.extend(args.environment.iter().cloned());
    if let Some(directory) = &args.dir {
        spec.directory = Some(text_of(&plain(&here.join(directory)))?);
    }
    Ok(())
}

/// The job of an example, as a user in `here` would submit it.
pub(crate) fn spec_of_file(file: &Path, here: &Path) -> Result<JobSpec, Failure> {
    let text = read(file)?;
    match file.extension() {
        Some(extension) if extension == "sbatch" => super::sbatch::spec_of(&text, file, here),
        _ => job_of(&text, folder_of(file, here)),
    }
}

/// Sends a job and says what became of it.
pub(super) fn send(session: &Session, spec: JobSpec, args: &SubmitArgs) -> Result<(), Failure> {
    let query = SubmitQuery { project: args.project.as_ref().map(ToString::to_string) };
    let key = args.idempotency_key.as_deref();
    let mut created = session.client()?.submit_for(&JobRequest(spec), key, &query)?;
    let id = created.job_id;
    let mut ended = Vec::new();
    if args.wait {
        ended = wait::until_ended(session, &[id], None)?;
        if let Some(job) = ended.first() {
            created.state.clone_from(&job.summary.state);
        }
    }
    let quiet = session.output.quiet;
    session.output.one(
        &created,
        || listing(&created),
        |output| match quiet {
            true => id.to_string(),
            false => format!("job {id} {}", output.state(&created.state)),
        },
    )?;
    if !args.wait {
        session.output.remark(&format!("output: huisuan logs -f {id}; why it waits: huisuan explain {id}"));
    }
    wait::verdict(&ended)
}

fn listing(created: &JobCreated) -> Listing {
    let mut listing = Listing::new(&["job_id", "state"]);
    listing.row(vec![Cell::text(created.job_id), Cell::state(&created.state)]);
    listing
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)),
    };
    match read {
        Ok(read) if read as u64 > FILE_BYTES_MAX => {
            Err(Failure::new(Exit::Usage, format!("{} is larger than 1 MiB", file.display()))
                .hint("a job file or script is text; put large input into files of its own"))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::new(Exit::Usage, format!("{} is not UTF-8 text", file.display()))
                .hint("is it a program? then use: huisuan run -- PROGRAM"))
        }
        Err(error) => Err(Failure { exit: Exit::Usage, ..Failure::file("read", file, &error) }),
    }
}

pub(super) fn current_directory() -> Result<PathBuf, Failure> {
    env::current_dir().map_err(|error| {
        Failure::new(Exit::Error, format!("the current folder cannot be told: {error}"))
            .hint("cd to a folder that exists")
    })
}

fn folder_of(file: &Path, here: &Path) -> PathBuf {
    match file.to_str() {
        Some("-") => here.to_owned(),
        _ => here.join(file.parent().unwrap_or(Path::new(""))),
    }
}

/// The same path without `.` steps; `..` stays, because links may stand before it.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} is not UTF-8", path.display())).hint("name another folder with --dir")
    })
}

impl From<SpecProblem> for Failure {
    fn from(problem: SpecProblem) -> Self {
        Failure::new(Exit::of_code(problem.code.exit_code()), &problem).hint(problem.hint())
    }
}
