//! `completions`: a script that completes commands and flags in a shell.

use clap::CommandFactory;

use crate::{
    args::{Cli, CompletionsArgs},
    failure::Failure,
    session::Session,
};

/// Prints the script.
pub(crate) fn completions(session: &Session, args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "huisuan", &mut script);
    session.output.line(String::from_utf8_lossy(&script).trim_end())
}
