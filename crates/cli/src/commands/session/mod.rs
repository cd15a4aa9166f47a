//! `session`: a terminal, and ports, inside a placed allocation.
//!
//! - `attach.rs`: this terminal and the session's, until one of them ends.
//! - `forward.rs`: ports of the session at this machine.
//! - `escape.rs`: `~.` in what is typed.
//! - `raw.rs`: this terminal while it belongs to the session.

mod attach;
mod escape;
mod forward;
mod raw;

use std::{
    ffi::OsString,
    io::{IsTerminal, stdin},
    thread,
    time::Duration,
};

use huisuan_api::{
    Client,
    jobs::{JobRequest, JobView},
    routes::{LogsQuery, SubmitQuery},
};
use huisuan_model::{JobSpec, spec::JobKind};

use super::{logs, submit, wait};
use crate::{
    args::{AttachArgs, SessionArgs, SessionCommand},
    failure::{Exit, Failure},
    interrupt,
    session::Session,
};
use attach::End;
use forward::Forwards;

/// What runs at the terminal where nothing is named: the login shell of whoever runs jobs at the site, at home.
const LOGIN_SHELL: &str = "cd; shell=$(getent passwd \"$(id -u)\" | cut -d: -f7); case $shell in \
                           ''|*/nologin|*/false) shell=$(command -v bash || echo /bin/sh);; esac; exec \"$shell\" -l";

/// Looks at a session that has not started come this often; the first ones sooner.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the end of a session that was ended may take to be known to the server.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Starts a session and attaches to it, or attaches to one that runs. It ends with the exit code of what ran there.
pub(crate) fn session(session: &Session, args: &SessionArgs) -> Result<(), Failure> {
    match &args.command {
        None => start(session, args),
        Some(SessionCommand::Attach(args)) => again(session, args),
    }
}

fn start(session: &Session, args: &SessionArgs) -> Result<(), Failure> {
    // Ports that are taken here are found before anything is submitted.
    let forwards = Forwards::listen(&args.ports.ports)?;
    let spec = spec_of(session, args)?;
    let query = SubmitQuery { project: args.project.as_ref().map(ToString::to_string) };
    let job = session.client()?.submit_for(&JobRequest(spec), None, &query)?.job_id;
    session.output.remark(&format!("session {job} is submitted"));
    use_session(session, job, forwards, true)
}

fn again(session: &Session, args: &AttachArgs) -> Result<(), Failure> {
    let forwards = Forwards::listen(&args.ports.ports)?;
    let job = session.whole_job_id(&args.job)?;
    use_session(session, job, forwards, false)
}

fn spec_of(session: &Session, args: &SessionArgs) -> Result<JobSpec, Failure> {
    let shell = ["/bin/sh", "-c", LOGIN_SHELL].map(OsString::from);
    let program = if args.program.is_empty() { &shell[..] } else { &args.program };
    let mut spec = submit::spec_of_args(session, None, program, &args.spec)?;
    spec.kind = JobKind::Session;
    if args.spec.name.is_none() && args.program.is_empty() {
        "session".clone_into(&mut spec.name);
    }
    // The folder in which this was typed is one of this machine.
    if args.spec.dir.is_none() {
        spec.directory = None;
    }
    let term = std::env::var("TERM").ok().filter(|term| {
        (1..=64).contains(&term.len()) && term.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    });
    if let Some(term) = term.filter(|_| stdin().is_terminal()) {
        spec.environment.entry("TERM".to_owned()).or_insert(term);
    }
    spec.validate().map_err(huisuan_api::spec::SpecProblem::from)?;
    Ok(spec)
}

/// Waits until the session runs, attaches, and ends this program as the session ended. A new one may be over before
/// anybody can attach: then it is shown what it wrote.
fn use_session(session: &Session, job: u64, forwards: Forwards, new: bool) -> Result<(), Failure> {
    let again = format!("huisuan session attach {job}");
    interrupt::on_interrupt_with(interrupt::still_running(&again, job), raw::restore);
    let client = session.client()?;
    let centre = match until_running(session, client, job)? {
        Found::Runs(centre) => centre,
        Found::Ended(view) => return over(client, &view, new),
    };
    forwards.serve(client, job, |line| session.output.remark(line));
    let end = attach::attach(client, job, || {
        session.output.remark(&format!("session {job} runs at {centre}; ~. at the beginning of a line detaches"));
    });
    raw::restore();
    if matches!(end, Err(_) | Ok(End::Refused(_)))
        && let Some(view) = ended(client, job)
    {
        return over(client, &view, new);
    }
    match end? {
        End::Exited(code) => {
            tell_why(session, client, job, code);
            // The code is the session's own, which no failure of ours has.
            std::process::exit(code)
        }
        End::Detached => {
            session.output.remark(&format!("detached; re-attach: {again}; end it: huisuan cancel {job}"));
            Ok(())
        }
        End::Refused(why) | End::Taken(why) => Err(Failure::new(Exit::Conflict, format!("session {job}: {why}"))
            .hint(format!("attach: {again}; what became of it: huisuan show {job}"))),
        End::Lost(why) => Err(Failure::new(Exit::Error, format!("the way to session {job} broke: {why}"))
            .hint(format!("it may go on; attach again: {again}"))),
    }
}

/// What became of a session that was waited for.
enum Found {
    /// It runs at this centre.
    Runs(String),
    Ended(Box<JobView>),
}

/// Where it runs, once it does; says on the way why it waits.
fn until_running(session: &Session, client: &Client, job: u64) -> Result<Found, Failure> {
    let (mut said, mut pause) = (String::new(), Duration::from_millis(30));
    loop {
        let view = client.job(job)?;
        if view.spec["kind"] != "session" {
            return Err(Failure::new(Exit::Conflict, format!("job {job} is no session"))
                .hint(format!("see what it wrote: huisuan logs {job}")));
        }
        if wait::terminal(&view.summary) {
            return Ok(Found::Ended(Box::new(view)));
        }
        let attempt = view.attempts.last();
        if let Some(attempt) = attempt.filter(|attempt| attempt.state == "running") {
            return Ok(Found::Runs(attempt.centre.clone()));
        }
        let placed = attempt.filter(|attempt| attempt.state == "placed");
        let now = match (placed, &view.summary.reason) {
            (Some(attempt), _) => format!("session {job} is placed at {}", attempt.centre),
            (None, Some(reason)) => format!("session {job} waits: {}", reason.message),
            (None, None) => String::new(),
        };
        if !now.is_empty() && now != said {
            session.output.remark(&now);
            said = now;
        }
        wait_a_moment(pause);
        pause = (pause * 2).min(LOOK_EVERY);
    }
}

/// A session that has ended; of a new one, its output and its exit code are all that was missed.
fn over(client: &Client, view: &JobView, new: bool) -> Result<(), Failure> {
    let (job, state) = (view.summary.job_id, &view.summary.state);
    let exit = view.attempts.last().filter(|attempt| new && attempt.cause.as_deref() == Some("exited"));
    let code = exit.and_then(|attempt| attempt.exit_code.or_else(|| attempt.signal.map(|signal| 128 + signal)));
    if let Some(code) = code {
        logs::copy(client.logs(job, &LogsQuery::default())?)?;
        std::process::exit(code);
    }
    wait::verdict(std::slice::from_ref(view))?;
    Err(Failure::new(Exit::Conflict, format!("session {job} has ended: {state}"))
        .hint(format!("see what it wrote: huisuan logs {job}")))
}

/// What ended a session that did not end by itself.
fn tell_why(session: &Session, client: &Client, job: u64, code: i32) {
    let view = if code > 128 { ended(client, job) } else { None };
    let cause = view.and_then(|view| view.attempts.last()?.cause.clone()).filter(|cause| cause != "exited");
    if let Some(cause) = cause {
        session.output.remark(&format!("session {job} was ended: {cause}"));
    }
}

/// The session once the server knows of its end, where that comes soon.
fn ended(client: &Client, job: u64) -> Option<Box<JobView>> {
    let mut left = END_WITHIN;
    loop {
        let view = client.job(job).ok()?;
        if wait::terminal(&view.summary) {
            return Some(Box::new(view));
        }
        if left.is_zero() {
            return None;
        }
        wait_a_moment(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
}

/// Lets time pass between two looks at a job.
fn wait_a_moment(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "jobs of tenants are looked at: events are for operators")]
    thread::sleep(time);
}
