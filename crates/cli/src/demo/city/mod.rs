//! A whole simulated network on the demo's pages: the real server, planner, books and agents, with virtual centres
//! behind them and the jobs of a scenario in fast motion before them. Everything it shows is marked as simulated.
//!
//! - `scenarios`: those that the binary carries; `centres`: their sites as virtual centres;
//! - `load`: submits the jobs when they come; `report`: what is told at the end.

mod centres;
mod load;
mod report;
mod scenarios;

use std::time::{Duration, Instant};

use clap::Args;
use huisuan_api::Client;
use huisuan_study::scenario::Scenario;

use self::{
    load::Load,
    report::{Course, Played},
};
use super::{Folder, display::Display, follow::Frame};
use crate::{
    args::DemoArgs,
    failure::{Exit, Failure},
    interrupt::Interrupt,
    logging,
    session::Session,
    text,
};

/// How often the network is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What only a simulated network is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Simulated network")]
pub(crate) struct CityArgs {
    /// Shows the network of this scenario with virtual centres, instead of this machine's.
    #[arg(long, value_name = "SCENARIO", value_parser = scenarios::names())]
    pub(crate) city: Option<String>,
    /// How many simulated seconds pass in one.
    #[arg(long, value_name = "N", default_value_t = 60, requires = "city", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) speed: u64,
    /// With --once: ends after so many simulated hours.
    #[arg(long, value_name = "H", default_value_t = 2, requires_all = ["city", "once"], value_parser = clap::value_parser!(u64).range(1..=8_784))]
    pub(crate) hours: u64,
}

/// Runs it.
pub(super) fn run(session: &Session, args: &DemoArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let interrupt = Interrupt::listen();
    let folder = Folder::open(args.data.clone())?;
    logging::to_file(&folder.path.join("demo.log"))?;
    let speed = args.city.speed;
    let scenario = scenarios::find(args.city.city.as_deref().unwrap_or_default())?.with_seed(args.seed);
    let mut display = Display::new(session.output);
    let mut network = centres::start(&folder, args, &scenario)?;
    display.say(&format!("network at {}, data in {}, seed {}", network.url(), folder.path.display(), args.seed));
    display.say(&banner(&scenario, speed));
    centres::join(&mut network, &folder, &scenario, args.seed)?;

    let client = Client::new(network.url(), Some(network.token()))?;
    let until = args.once.then(|| Duration::from_millis(args.city.hours * 3_600_000 / speed));
    let mut load = Load::start(&client, &scenario, speed, until)?;
    if !args.once {
        display.say(&format!("The network stays up at {}; Ctrl-C ends it.", network.url()));
    }
    let ended = follow(&client, &interrupt, &load, &mut display, until);
    display.finish();
    load.stop();
    ended?;
    let course = Course { reached: load.reached(), refused: load.refused(), elapsed: began.elapsed() };
    let played = Played::look(&client, &scenario.name, args, &course)?;
    let listing = || played.listing();
    session.output.one(&played.report, listing, |output| format!("\n{}", played.text(output, session.now())))?;
    drop(network);
    match played.report.ledger_balanced {
        true => Ok(()),
        false => Err(Failure::new(Exit::Error, "the ledger is not balanced").hint("this is a fault of the program")),
    }
}

/// What the terminal says of it, in both languages.
fn banner(scenario: &Scenario, speed: u64) -> String {
    let pace = match speed {
        60 => "one minute stands for one hour".to_owned(),
        3600 => "one second stands for one hour".to_owned(),
        speed => format!("one second stands for {}", text::count(speed, "second")),
    };
    format!("SIMULATED · 模拟: {}, {pace}; figures are modelled", scenario.name)
}

/// Shows the network until the load has come for `until`, or until somebody wants it to end.
fn follow(
    client: &Client,
    interrupt: &Interrupt,
    load: &Load,
    display: &mut Display,
    until: Option<Duration>,
) -> Result<(), Failure> {
    loop {
        let centres = client.centres()?.centres;
        display.frame(&Frame { centres: &centres, jobs: &[], elapsed: load.elapsed() });
        if until.is_some_and(|until| load.reached() >= until) {
            return Ok(());
        }
        let pause = until.map_or(LOOK_EVERY, |until| until.saturating_sub(load.reached()).min(LOOK_EVERY));
        if interrupt.asked_within(pause) {
            return match until {
                None => Ok(()),
                Some(_) => Err(Failure::new(Exit::Interrupted, "the demo was interrupted")
                    .hint("run it again: huisuan demo --city NAME")),
            };
        }
    }
}
