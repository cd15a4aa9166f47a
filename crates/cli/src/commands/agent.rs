//! `agent` and `supervise`: the processes of a centre.

mod check;
mod engine;

use std::{fs, path::PathBuf, thread, time::Duration};

use huisuan_agent::{Agent, AgentConfig, AgentError, SitePolicy, StopFlag};
use huisuan_api::join::JoinToken;
use huisuan_drivers::{Containers, Engine, LocalLimits};
use huisuan_model::{Bytes, CentreId, Class};

use crate::{
    args::{AgentArgs, SuperviseArgs},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    logging, machine,
    session::Session,
};

/// How long the server may hold a question for orders.
const POLL_WAIT: Duration = Duration::from_secs(25);

/// What one centre on this machine is made of.
pub(crate) struct LocalCentre {
    /// Its name.
    pub(crate) centre: CentreId,
    /// The class it is run as.
    pub(crate) class: Class,
    /// Where its orders and results are kept.
    pub(crate) folder: PathBuf,
    /// The processors it may use, as the kernel numbers them.
    pub(crate) cores: Vec<usize>,
    /// The memory it may give away.
    pub(crate) memory: Bytes,
    /// How long its supervisor stays without agent and work.
    pub(crate) limits: LocalLimits,
    /// How it runs container images, or why it runs none.
    pub(crate) containers: Result<Containers, String>,
}

/// Who this site is in the network, and what it allows.
struct Site {
    join: JoinToken,
    /// Where orders and results are kept.
    folder: PathBuf,
    policy: SitePolicy,
}

impl Site {
    fn of(session: &Session, args: &AgentArgs) -> Result<Site, Failure> {
        let join = match &args.join {
            Some(text) => join_token(text)?,
            None => named(session, args)?,
        };
        let folder = match &args.data {
            Some(folder) => folder.clone(),
            None => machine::data_folder()?.join("agents").join(join.centre.as_str()),
        };
        let policy = args.policy.as_deref().map(SitePolicy::read).transpose();
        let policy = policy.map_err(|error| hinted(Exit::Usage, &error.to_string()))?.unwrap_or_default();
        Ok(Site { join, folder, policy })
    }
}

/// A join token as it is, or the one in the file that is named after `@`.
fn join_token(text: &str) -> Result<JoinToken, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("join token `{path}` cannot be read: {error}")))?,
        None => text.to_owned(),
    };
    let hint = "copy it whole; `huisuan centre token NAME --rotate` prints a new one";
    text.parse().map_err(|error: String| Failure::new(Exit::Usage, error).hint(hint))
}

/// What a join token says, from the flags that stand for it.
fn named(session: &Session, args: &AgentArgs) -> Result<JoinToken, Failure> {
    let (Some(centre), Some(class)) = (args.centre.clone(), args.class) else {
        return Err(Failure::new(Exit::Usage, "an agent needs --join TOKEN, or --centre and --class")
            .hint("`huisuan centre add` at the server prints all that the site needs"));
    };
    let token = session.global.token.clone().ok_or_else(|| {
        Failure::new(Exit::Authentication, format!("centre `{centre}` needs the token of its agent"))
            .hint("`huisuan centre add` prints all that the site needs; give it with --join")
    })?;
    Ok(JoinToken { server: session.target()?.url, centre, class, token })
}

/// Joins this site to a network until Ctrl-C or SIGTERM. Whatever is under way then goes on: the engine keeps it, and
/// the next agent reports it.
pub(crate) fn agent(session: &Session, args: &AgentArgs) -> Result<(), Failure> {
    logging::to_stderr();
    let site = Site::of(session, args)?;
    if args.check {
        return check::check(session, args, &site);
    }
    let interrupt = Interrupt::listen();
    let (centre, server) = (site.join.centre.clone(), site.join.server.clone());
    let engine = engine::open(args, &site)?;
    session.output.remark(&format!("centre {centre} joins with engine {} ...", args.engine.as_str()));
    let config = AgentConfig {
        server: server.clone(),
        token: site.join.token.clone(),
        centre: centre.clone(),
        dir: site.folder.clone(),
        policy: site.policy.clone(),
        poll_wait: POLL_WAIT,
    };
    run(config, engine, StopFlag::default())?;
    session.output.remark(&format!("centre {centre} has joined {server}; Ctrl-C ends the agent, not its tasks"));
    interrupt.wait();
    Ok(())
}

/// Makes a centre of this machine and joins it; on return it is welcomed and rated. Its agent runs on a
/// thread of its own until `stop` is set.
pub(crate) fn start(
    local: LocalCentre,
    server: &str,
    token: &str,
    stop: StopFlag,
) -> Result<thread::JoinHandle<()>, Failure> {
    let (centre, dir) = (local.centre.clone(), local.folder.clone());
    let engine = engine::local(local)?;
    let (server, token, policy) = (server.to_owned(), token.to_owned(), SitePolicy::default());
    run(AgentConfig { server, token, centre, dir, policy, poll_wait: POLL_WAIT }, engine, stop)
}

/// Joins, and lets the agent run on a thread of its own until `stop` is set.
fn run(config: AgentConfig, engine: Box<dyn Engine>, stop: StopFlag) -> Result<thread::JoinHandle<()>, Failure> {
    let centre = config.centre.clone();
    let agent = Agent::join(config, engine, true).map_err(|error| refused(error, &centre))?;
    let run = move || {
        if let Err(error) = agent.run(&stop) {
            tracing::error!(%error, "agent ended");
        }
    };
    Ok(thread::Builder::new().name(format!("agent-{centre}")).spawn(run)?)
}

/// Refusals of the server keep their exit codes; the other errors carry their hint in their text.
pub(crate) fn refused(error: AgentError, centre: &CentreId) -> Failure {
    let failure = match error {
        AgentError::Server { source } => Failure::from(source),
        other => hinted(Exit::Error, &other.to_string()),
    };
    Failure { message: format!("centre `{centre}` cannot join: {}", failure.message), ..failure }
}

/// An error whose text ends with its hint.
fn hinted(exit: Exit, text: &str) -> Failure {
    let (message, hint) = text.split_once("; hint: ").unwrap_or((text, "see the server's log"));
    Failure::new(exit, message).hint(hint)
}

/// Drives the processes of one centre until it has nothing to do.
pub(crate) fn supervise(args: &SuperviseArgs) -> Result<(), Failure> {
    huisuan_drivers::supervise(&args.dir).map_err(|error| {
        Failure::new(Exit::Error, error).hint(format!("see {}", args.dir.join("supervisor.log").display()))
    })
}
