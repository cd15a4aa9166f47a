//! Every command and flag of the binary, in one place.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use huisuan_api::spec::quantity;
use huisuan_model::{
    ApplicationId, Bytes, CentreId, Class, Dependency, DurationMs, Millicores, Money, ProjectId, RangeSet,
    ReservationId, Together,
};

mod contract;
mod jobs;
mod measure;
mod money;
mod operate;
mod reserve;
mod session;
mod site;

pub(crate) use contract::{ContractAddArgs, ContractCommand};
pub(crate) use jobs::{JobArgs, JobsArgs, LogsArgs, LsArgs, StreamArg, WaitArgs};
pub(crate) use measure::{MeasureArgs, MeasureCommand, PartsArgs};
pub(crate) use money::{
    BillArgs, BillCommand, BillExportArgs, BillListArgs, BillShowArgs, GrowthArgs, HoursArgs, ReportCommand,
    TariffAddArgs, TariffCommand,
};
pub(crate) use operate::{
    ApiArgs, AuditArgs, CentreAddArgs, CentreCommand, CentreDrainArgs, CentreTokenArgs, DoctorArgs, ExportArgs,
    LedgerCommand, NetworkCommand, PoolArgs, TenantCommand, TenantSettings,
};
pub(crate) use reserve::{ReserveAddArgs, ReserveCommand};
pub(crate) use session::{AttachArgs, SessionArgs, SessionCommand};
pub(crate) use site::{AgentArgs, EngineArg, SuperviseArgs};

use crate::{commands::twin::TwinCommand, parse};

/// The compute of many centres as one network.
#[derive(Debug, Parser)]
#[command(name = "huisuan", version, disable_help_subcommand = true, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Jobs are named by number (12), by task (12.3) or as `last`.
Exit codes: 0 ok, 1 error, 2 usage, 3 infeasible, 4 authentication, 5 not found, 6 conflict,
7 budget or quota, 8 timeout, 10 the job itself failed.

First steps: `huisuan demo`, and in another terminal `huisuan run -- echo hello`.";

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The server's address, or HUISUAN_SERVER; one running on this machine is found without it.
    #[arg(long, global = true, env = "HUISUAN_SERVER", hide_env = true, value_name = "URL", value_hint = ValueHint::Url
    )]
    pub(crate) server: Option<String>,
    /// The token to show to the server, or HUISUAN_TOKEN.
    #[arg(long, global = true, env = "HUISUAN_TOKEN", hide_env = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// How results are written: table, json, ndjson or csv.
    #[arg(short, long, global = true, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// No remarks; `run` and `sbatch` print the job's number alone.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// No colours, as with NO_COLOR.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// The API's JSON as it is.
    Json,
    /// One JSON object on each line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a small network on this machine and runs the examples on it.
    Demo(DemoArgs),
    /// Runs the server of a network.
    Serve(ServeArgs),
    /// Joins this machine, or the cluster that it submits to, to a network as a centre.
    Agent(AgentArgs),
    #[command(hide = true, about = "Drives the processes of one centre; started by the agent.")]
    Supervise(SuperviseArgs),
    /// Submits a job file, or a command after `--`.
    Run(RunArgs),
    /// Opens a terminal inside a placed allocation, and forwards ports of it.
    Session(SessionArgs),
    /// Says where, when and for how much a job would run, and submits nothing.
    Plan(PlanArgs),
    /// Submits an unchanged Slurm batch script.
    Sbatch(SbatchArgs),
    /// Lists jobs, the newest first.
    Ls(LsArgs),
    /// Shows one job with its attempts.
    Show(JobArgs),
    /// Says why a job waits, and what every centre said.
    Explain(JobArgs),
    /// Prints what a job wrote.
    Logs(LogsArgs),
    /// Waits until jobs have ended; exits with 10 when one did not succeed.
    Wait(WaitArgs),
    /// Ends jobs.
    Cancel(JobsArgs),
    /// Centres of the network.
    #[command(subcommand, visible_alias = "center")]
    Centre(CentreCommand),
    /// What lies between centres: places, links, power.
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Tenants of the network: who pays, how much they are due, how much they may hold.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Capacity kept in advance for the jobs of a tenant.
    #[command(subcommand)]
    Reserve(ReserveCommand),
    /// What was used and what it cost, by class.
    Usage,
    /// The books.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Bills of tenants and settlement statements of centres.
    #[command(subcommand)]
    Bill(BillCommand),
    /// Prices of centres.
    #[command(subcommand)]
    Tariff(TariffCommand),
    /// What tenants and centres agreed on: a price that goes before the tariff.
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Reports for planners and operators.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Measures what this machine sustains in each class.
    Measure(MeasureArgs),
    /// Load generators.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// The network in simulated time.
    #[command(subcommand)]
    Twin(TwinCommand),
    /// Checks server, centres and books, and says how to repair what is wrong.
    Doctor(DoctorArgs),
    /// Prints a completion script for a shell.
    Completions(CompletionsArgs),
    /// Sends one request to the API and prints the answer as it is.
    Api(ApiArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where everything is kept; a scratch folder, removed at the end, when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
    /// Address and port of the server; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Ends when the examples have ended, instead of staying up.
    #[arg(long)]
    pub(crate) once: bool,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) city: crate::demo::city::CityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where everything is kept; `~/.local/share/huisuan` when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8700")]
    pub(crate) listen: SocketAddr,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Whose turn it is and which place: balanced, soonest, cheapest, tightest, or a file with a table [policy.NAME].
    #[arg(long, value_name = "POLICY", default_value = "balanced")]
    pub(crate) policy: String,
    /// A centre that may join, its class, and the price in CNY of one P·h; may be given several times.
    #[arg(long = "centre", visible_alias = "center", value_name = "NAME:CLASS[:PRICE[:ZONE]]", value_parser = parse::centre)]
    pub(crate) centres: Vec<parse::Declared>,
    /// A file with further or corrected parts: ratings above what makers declare are not believed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) parts: Option<PathBuf>,
}

/// What `run` and `sbatch` share.
#[derive(Debug, Clone, Args)]
pub(crate) struct SubmitArgs {
    /// A key of your own: the same key and job again give the same answer and no second job.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// The project of the tenant that it is for; `default` when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<ProjectId>,
    /// Waits until the job has ended; exits with 10 when it did not succeed.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "huisuan run [OPTIONS] FILE\n       huisuan run [OPTIONS] -- COMMAND [ARGUMENT]...")]
pub(crate) struct RunArgs {
    /// A job file in YAML or JSON; `-` reads standard input.
    #[arg(value_name = "FILE", required_unless_present = "command", conflicts_with = "command", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// A program and its arguments; no shell reads them.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) submit: SubmitArgs,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
}

#[derive(Debug, Args)]
#[command(override_usage = "huisuan plan [OPTIONS] FILE\n       huisuan plan [OPTIONS] -- COMMAND [ARGUMENT]...")]
pub(crate) struct PlanArgs {
    /// A job file in YAML or JSON, or a Slurm script ending in .sbatch; `-` reads standard input.
    #[arg(value_name = "FILE", required_unless_present = "command", conflicts_with = "command", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// A program and its arguments; no shell reads them.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// The project of the tenant that it would be for; `default` when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<ProjectId>,
    /// The kind of work that it is, such as llm-train: what a demand in units takes by the factors that are declared.
    #[arg(long, value_name = "NAME")]
    pub(crate) application: Option<ApplicationId>,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
}

/// The job's fields as flags; with a job file they replace what it says.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Job")]
pub(crate) struct SpecArgs {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Container image that it runs in, REGISTRY/NAME@sha256:DIGEST.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Processor cores of each task, such as 2 or 0.5.
    #[arg(long, value_name = "CORES", value_parser = quantity::cores)]
    pub(crate) cores: Option<Millicores>,
    /// Memory of each task, such as 512MiB.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<Bytes>,
    /// After this long a task is ended, such as 90s, 1h30m or 1-00:00:00.
    #[arg(long, alias = "time", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) walltime: Option<DurationMs>,
    /// How many tasks, or their indices such as 1-10:2.
    #[arg(long, value_name = "LIST", value_parser = parse::tasks)]
    pub(crate) tasks: Option<RangeSet>,
    /// All tasks start together at one centre, or none does.
    #[arg(long)]
    pub(crate) gang: bool,
    /// How near to each other the tasks of a gang must be: all in one rack, all in one pod, or preferred.
    #[arg(long, value_name = "rack|pod|preferred")]
    pub(crate) topology: Option<Together>,
    /// Only centres of this class: ai, hpc or general.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// Only this centre; may be given several times.
    #[arg(long = "centre", visible_alias = "center", value_name = "NAME")]
    pub(crate) centres: Vec<CentreId>,
    /// -1000 to 1000, or low, normal, high, urgent; larger goes first.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = quantity::priority)]
    pub(crate) priority: Option<i32>,
    /// When it must have ended, such as 2026-03-01T20:00:00+08:00 or `+8h`: it goes before others of its priority.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) deadline: Option<parse::Moment>,
    /// The most that all of it may cost, such as 12.5.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = quantity::money)]
    pub(crate) budget: Option<Money>,
    /// Its tasks may be ended to make room for others, and then wait again.
    #[arg(long)]
    pub(crate) preemptible: bool,
    /// Starts only after this job has succeeded; `any:12` when it has ended, `not-ok:12` when it failed, `start:12`
    /// when it began; may be given several times.
    #[arg(long, value_name = "[WHEN:]JOB", value_parser = parse::after)]
    pub(crate) after: Vec<Dependency>,
    /// Runs out of what this reservation keeps, and nowhere else.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) reservation: Option<ReservationId>,
    /// A variable for the environment; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse::variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// Where it runs; for a command after `--` the current folder when absent, but for one in an image.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(override_usage = "huisuan sbatch [OPTIONS] [SLURM-OPTION]... SCRIPT [ARGUMENT]...")]
pub(crate) struct SbatchArgs {
    /// Slurm's own options, which go before those in the script; then the script, or `-` for standard
    /// input; then its arguments. In front of the script, `-o` with the name of a format is ours, with
    /// anything else Slurm's output file.
    #[arg(value_name = "SCRIPT", required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) words: Vec<String>,
    /// Says what becomes of every directive, and submits nothing.
    #[arg(long)]
    pub(crate) check: bool,
    /// Refuses the script when a directive would be ignored.
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) submit: SubmitArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Submits small jobs over many connections and reports rate and latency.
    Submit(BenchSubmitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BenchSubmitArgs {
    /// Connections, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clients: u32,
    /// Jobs in all.
    #[arg(long, value_name = "M", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) jobs: u64,
    /// Ties every job to this centre; when it is paused, no job runs during the measurement.
    #[arg(long, value_name = "CENTRE")]
    pub(crate) park: Option<CentreId>,
    /// Gives every job a name of its own, so that no two are of one spec.
    #[arg(long)]
    pub(crate) distinct: bool,
    /// The program that every job runs.
    #[arg(long, value_name = "PROGRAM", default_value = "/bin/true")]
    pub(crate) command: String,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
