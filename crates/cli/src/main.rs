//! The command line of Huisuan: reads flags, talks to a server through `huisuan_api`, writes results.
//!
//! What this crate must never do: decide anything about jobs or money, read a server's data behind its
//! back, or write anything but data to standard output.
//!
//! Start reading at `args.rs` (every command and flag), then `commands/mod.rs`. `output.rs` and `table.rs`
//! write results, `failure.rs` errors; `demo/` starts a whole network on this machine.

mod args;
mod commands;
mod demo;
mod failure;
mod interrupt;
mod logging;
mod machine;
mod output;
mod parse;
mod select;
mod session;
mod table;
mod text;
mod trailing;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::failure::{Exit, Failure};

/// A submission's memory is taken by one thread and given back by another, which this allocator does well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Every process of the binary, supervisors included, arms what the variable FAILPOINTS names.
    #[cfg(feature = "failpoints")]
    let _armed = fail::FailScenario::setup();
    let result = match args::Cli::try_parse_from(trailing::arrange(std::env::args_os().collect())) {
        Ok(cli) => commands::run(cli),
        Err(error) if !error.use_stderr() => {
            io::stdout().write_all(error.render().to_string().as_bytes()).map_err(Failure::from)
        }
        Err(error) => Err(failure::usage(&error, &help_command())),
    };
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    if failure.exit != Exit::PipeClosed {
        // Nobody can be told that standard error is closed.
        let _ = io::stderr().write_all(failure.render().as_bytes());
    }
    ExitCode::from(failure.exit as u8)
}

/// The help that fits what was typed: that of its command, where there is one.
fn help_command() -> String {
    let commands = args::Cli::command();
    let named = std::env::args().skip(1).find(|word| commands.find_subcommand(word).is_some());
    named.map_or_else(|| "huisuan --help".to_owned(), |name| format!("huisuan {name} --help"))
}
