//! One file for each command or family of commands; each asks the API, then writes.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod bench;
pub(crate) mod bill;
pub(crate) mod books;
pub(crate) mod centres;
pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod jobs;
pub(crate) mod ledger;
pub(crate) mod logs;
pub(crate) mod measure;
pub(crate) mod network;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod reserve;
pub(crate) mod sbatch;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod submit;
pub(crate) mod tariff;
pub(crate) mod tenants;
pub(crate) mod twin;
pub(crate) mod wait;

use crate::{
    args::{BenchCommand, Cli, Command, MeasureCommand},
    failure::Failure,
    session::Session,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let session = Session::new(cli.global);
    match &cli.command {
        Command::Demo(args) => demo::demo(&session, args),
        Command::Serve(args) => serve::serve(&session, args),
        Command::Agent(args) => agent::agent(&session, args),
        Command::Supervise(args) => agent::supervise(args),
        Command::Run(args) => submit::run(&session, args),
        Command::Session(args) => self::session::session(&session, args),
        Command::Plan(args) => plan::plan(&session, args),
        Command::Sbatch(args) => sbatch::sbatch(&session, args),
        Command::Ls(args) => jobs::ls(&session, args),
        Command::Show(args) => jobs::show(&session, args),
        Command::Explain(args) => jobs::explain(&session, args),
        Command::Logs(args) => logs::logs(&session, args),
        Command::Wait(args) => wait::wait(&session, args),
        Command::Cancel(args) => jobs::cancel(&session, args),
        Command::Centre(command) => centres::centre(&session, command),
        Command::Network(command) => network::network(&session, command),
        Command::Tenant(command) => tenants::tenant(&session, command),
        Command::Reserve(command) => reserve::reserve(&session, command),
        Command::Usage => books::usage(&session),
        Command::Ledger(command) => books::ledger(&session, command),
        Command::Measure(args) => match &args.what {
            None => measure::measure(&session, args),
            Some(MeasureCommand::Parts(args)) => parts::parts(&session, args),
        },
        Command::Bill(command) => bill::bill(&session, command),
        Command::Contract(command) => contract::contract(&session, command),
        Command::Tariff(command) => tariff::tariff(&session, command),
        Command::Report(command) => report::report(&session, command),
        Command::Bench(BenchCommand::Submit(args)) => bench::submit(&session, args),
        Command::Twin(command) => twin::twin(&session, command),
        Command::Doctor(args) => doctor::doctor(&session, args),
        Command::Completions(args) => completions::completions(&session, args),
        Command::Api(args) => api::api(&session, args),
    }
}
