//! The command line of the developer tasks. The work is in the library beside it.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::repository::Repository;
use xtask::{bench, check, faults, kubernetes, lab, scenario, setup, test, walls};

/// Developer tasks of Huisuan.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what tests and checks need: system packages, and tools into `.tools/`.
    Setup,
    /// Run all tests, after installing the system packages they need.
    Test {
        /// What random cases are drawn from.
        #[arg(long, default_value_t = test::SEED)]
        seed: u64,
    },
    /// Rounds of faults against real processes: kills, hangs, cut lines, full disks; then a judge.
    Faults {
        /// What the faults happen to.
        #[arg(value_enum, default_value = "network")]
        target: faults::Target,
        /// How many.
        #[arg(long, default_value_t = 1000)]
        rounds: u64,
        /// Another course; a failed one prints its own.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Everything a change must pass: format, lints, tests, documentation, licences, spelling, links.
    Check,
    /// Run the contract of the Kubernetes engine on a real control plane, built once from Debian's sources.
    Kubernetes,
    /// Rewrite the committed dependency lists in `xtask/walls`; read the difference before committing.
    BlessWalls,
    /// Measure the whole system once and print a line of JSON.
    Scenario {
        /// Which measurement.
        name: scenario::Scenario,
        #[command(flatten)]
        options: scenario::Options,
    },
    /// Start or end a real engine on this machine, to try things out.
    Lab {
        /// Which engine.
        engine: lab::Engine,
        /// What to do.
        action: lab::Action,
        /// Where it lives: a short path, for it holds sockets.
        #[arg(long, default_value = "/tmp/huisuan-lab")]
        dir: std::path::PathBuf,
    },
    /// Run benchmarks and compare their results with the ranges in `xtask/ranges`.
    Bench {
        /// Names of the benchmarks; all of them when none is given.
        names: Vec<String>,
        /// Run another number of jobs than the range file says, where there is one.
        #[arg(long)]
        jobs: Option<u64>,
        /// List the benchmarks with their ranges and run nothing.
        #[arg(long)]
        list: bool,
        /// Print what is out of range without failing: for machines other than the one in the file.
        #[arg(long)]
        report_only: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task; false when it ran to its end and found something wrong.
fn run(task: Task) -> anyhow::Result<bool> {
    let repository = Repository::locate()?;
    match task {
        Task::Setup => setup::run(&repository).map(|()| true),
        Task::Test { seed } => test::run(&repository, seed),
        Task::Faults { target, rounds, seed } => faults::run(&repository, target, rounds, seed),
        Task::Check => check::run(&repository),
        Task::Kubernetes => kubernetes::run(&repository),
        Task::BlessWalls => walls::bless(&repository).map(|()| true),
        Task::Scenario { name, options } => scenario::run(&repository, name, options).map(|()| true),
        Task::Lab { engine: lab::Engine::Slurm, action, dir } => lab::slurm(&repository, action, &dir).map(|()| true),
        Task::Bench { names, jobs, list, report_only } => {
            let mut ranges = bench::load(&repository, &names)?;
            if let Some(jobs) = jobs {
                bench::choose_jobs(&mut ranges, jobs)?;
            }
            if list {
                bench::list(&ranges);
                return Ok(true);
            }
            Ok(bench::run(&repository, &ranges) || report_only)
        }
    }
}
