//! `agent` and `supervise`: the processes of a centre.

use std::{path::PathBuf, thread, time::Duration};

use huisuan_agent::{Agent, AgentConfig, AgentError, StopFlag};
use huisuan_drivers::{LocalConfig, LocalEngine, LocalLimits};
use huisuan_model::{Bytes, CentreId, Class};

use crate::{
    args::{AgentArgs, SuperviseArgs},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    logging, machine,
    session::Session,
    text,
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
}

/// Joins this machine to a network until Ctrl-C or SIGTERM. Whatever is under way then goes on: the
/// supervisor keeps it, and the next agent reports it.
pub(crate) fn agent(session: &Session, args: &AgentArgs) -> Result<(), Failure> {
    logging::to_stderr();
    let interrupt = Interrupt::listen();
    let server = session.target()?.url;
    let token = session.global.token.clone().ok_or_else(|| {
        Failure::new(Exit::Authentication, format!("centre `{}` needs the token of its agent", args.centre))
            .hint("`huisuan serve --centre NAME:CLASS` prints it; give it with --token or HUISUAN_TOKEN")
    })?;
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => machine::data_folder()?.join("agents").join(args.centre.as_str()),
    };
    let centre = LocalCentre {
        centre: args.centre.clone(),
        class: args.class,
        folder,
        cores: args.cores.as_ref().map_or_else(machine::cores, |cores| cores.iter().map(|cpu| cpu as usize).collect()),
        memory: args.memory.unwrap_or_else(machine::memory),
        limits: LocalLimits::default(),
    };
    let cores = text::count(centre.cores.len() as u64, "core");
    session.output.remark(&format!("centre {} measures {cores} ...", centre.centre));
    start(centre, &server, &token, StopFlag::default())?;
    session.output.remark(&format!("centre {} has joined {server}; Ctrl-C ends the agent, not its tasks", args.centre));
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
    let config = LocalConfig {
        dir: local.folder.clone(),
        cores: local.cores,
        memory: local.memory,
        supervisor: machine::supervisor(),
        pool: machine::pool()?,
        class: local.class,
    };
    let hint = || format!("see {}", local.folder.join("supervisor.log").display());
    let engine =
        LocalEngine::open_with(config, local.limits).map_err(|error| Failure::new(Exit::Error, error).hint(hint()))?;
    let config = AgentConfig {
        server: server.to_owned(),
        token: token.to_owned(),
        centre: local.centre.clone(),
        dir: local.folder.clone(),
        poll_wait: POLL_WAIT,
    };
    let joined = Agent::join(config, Box::new(engine), true);
    let agent = joined.map_err(|error| refused(error, &local.centre))?;
    let run = move || {
        if let Err(error) = agent.run(&stop) {
            tracing::error!(%error, "agent ended");
        }
    };
    let name = format!("agent-{}", local.centre);
    Ok(thread::Builder::new().name(name).spawn(run)?)
}

/// Refusals of the server keep their exit codes; the other errors carry their hint in their text.
pub(crate) fn refused(error: AgentError, centre: &CentreId) -> Failure {
    let failure = match error {
        AgentError::Server { source } => Failure::from(source),
        other => {
            let text = other.to_string();
            let (message, hint) = text.split_once("; hint: ").unwrap_or((&text, "see the server's log"));
            Failure::new(Exit::Error, message).hint(hint)
        }
    };
    Failure { message: format!("centre `{centre}` cannot join: {}", failure.message), ..failure }
}

/// Drives the processes of one centre until it has nothing to do.
pub(crate) fn supervise(args: &SuperviseArgs) -> Result<(), Failure> {
    huisuan_drivers::supervise(&args.dir).map_err(|error| {
        Failure::new(Exit::Error, error).hint(format!("see {}", args.dir.join("supervisor.log").display()))
    })
}
