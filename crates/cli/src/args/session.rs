//! `session`.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use huisuan_model::ProjectId;

use super::SpecArgs;
use crate::{parse, select::Selector};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "huisuan session [OPTIONS] [-- COMMAND [ARGUMENT]...]\n       huisuan session attach [OPTIONS] JOB",
    after_help = "A line that begins with ~. detaches: the session goes on, and `huisuan session attach JOB` comes back \
                  to it; ~~ sends one ~. The exit code is that of the session's shell or command."
)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SessionCommand>,
    /// The program at the terminal, with its arguments; the login shell of the site's user when absent.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) program: Vec<OsString>,
    #[command(flatten)]
    pub(crate) ports: PortArgs,
    /// The project of the tenant that it is for; `default` when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<ProjectId>,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Attaches to a session that runs; whoever was attached to its terminal is detached.
    Attach(AttachArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Which session.
    #[arg(value_name = "JOB")]
    pub(crate) job: Selector,
    #[command(flatten)]
    pub(crate) ports: PortArgs,
}

/// Ports of a session that are to be reached from here.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PortArgs {
    /// Forwards a port that the session listens on to the same or another one of 127.0.0.1 here; may be given several
    /// times.
    #[arg(long = "port", value_name = "PORT[:LOCAL]", value_parser = parse::forward)]
    pub(crate) ports: Vec<parse::Forward>,
}
