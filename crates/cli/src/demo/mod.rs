//! The demo: one server, three centres on this machine, the examples as jobs, and a live display that is
//! an ordinary client of the API. With `--city`, a whole simulated network instead: see `city`.

pub(crate) mod city;
mod display;
mod examples;
mod follow;
mod layout;
mod network;
mod report;

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use huisuan_api::{Client, jobs::JobRequest};

use self::{
    display::Display,
    follow::{Followed, Watch},
    layout::Layout,
    network::Network,
    report::Closing,
};
use crate::{
    args::DemoArgs,
    failure::{Exit, Failure},
    interrupt::Interrupt,
    logging, machine,
    session::Session,
    text,
};

/// The centres must have joined and rated themselves after so long.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// The examples must have ended after so long.
const ENDED_WITHIN: Duration = Duration::from_secs(600);

/// Runs it.
pub(crate) fn run(session: &Session, args: &DemoArgs) -> Result<(), Failure> {
    if args.city.city.is_some() {
        return city::run(session, args);
    }
    let began = Instant::now();
    let interrupt = Interrupt::listen();
    let folder = Folder::open(args.data.clone())?;
    logging::to_file(&folder.path.join("demo.log"))?;
    let layout = layout::layout(&machine::cores(), machine::memory());
    let mut display = Display::new(session.output);
    let mut network = Network::start(&folder.path, args, &layout)?;
    display.say(&format!("network at {}, data in {}, seed {}", network.url(), folder.path.display(), args.seed));
    display.say(&shares(&layout));

    let client = Client::new(network.url(), Some(network.token()))?;
    let watch = Watch::new(client, began, interrupt);
    let jobs = watch_examples(&watch, &mut network, &folder, &layout, &mut display);
    display.finish();
    let jobs = jobs.inspect_err(|_| leave(&watch, &folder))?;
    let closing = Closing {
        centres: watch.client.centres()?.centres,
        ledger: watch.client.ledger()?,
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        jobs: jobs.iter().map(|job| job.summary.clone()).collect(),
    };
    let report = closing.report();
    let listing = || closing.jobs_listing(session.now());
    session.output.one(&report, listing, |output| format!("\n{}", closing.text(output, session.now())))?;
    if !args.once {
        stay(&watch, &network, &mut display);
    }
    leave(&watch, &folder);
    drop(network);
    verdict(&jobs, &closing)
}

/// From joining to the end of the last example.
fn watch_examples(
    watch: &Watch,
    network: &mut Network,
    folder: &Folder,
    layout: &Layout,
    display: &mut Display,
) -> Result<Vec<Followed>, Failure> {
    for (joined, plan) in (1..).zip(&layout.centres) {
        network.join(&folder.path, plan, folder.scratch)?;
        watch.centres_ready(joined, display, Instant::now() + READY_WITHIN)?;
    }
    examples::unpack(&folder.path).map_err(|error| Failure::file("written", &folder.path, &error))?;
    let round = examples::Round::open(&folder.path).map_err(|error| Failure::file("written", &folder.path, &error))?;
    let mut submitted = Vec::new();
    for (spec, wish) in examples::jobs(&folder.path)? {
        let key = round.key(&spec);
        submitted.push((watch.client.submit(&JobRequest(spec), Some(&key))?.job_id, wish));
    }
    let jobs = watch.to_the_end(&submitted, display, Instant::now() + ENDED_WITHIN)?;
    round.close();
    Ok(jobs)
}

/// How the machine is divided, in one line.
fn shares(layout: &Layout) -> String {
    let cores = layout.centres.first().map_or(0, |centre| centre.cores.len() as u64);
    if layout.overlapping {
        return format!(
            "{} for three centres: each centre has all of them (overlapping: true), so they are never added up",
            text::count(cores, "core")
        );
    }
    let shares: Vec<String> = layout
        .centres
        .iter()
        .map(|centre| format!("{} {}", centre.centre, text::count(centre.cores.len() as u64, "core")))
        .collect();
    format!("cores are divided: {}", shares.join(", "))
}

/// Keeps the network up until somebody wants it to end.
fn stay(watch: &Watch, network: &Network, display: &mut Display) {
    display.say(&format!("\nThe network stays up at {}. In another terminal:", network.url()));
    for command in
        ["huisuan run -- echo hello", "huisuan ls", "huisuan show last", "huisuan logs last", "huisuan doctor"]
    {
        display.say(&format!("  {command}"));
    }
    display.say("Ctrl-C ends it.");
    watch.interrupt.wait();
    display.say("ending ...");
}

/// Ends what still runs when its folder is about to go; tasks of a kept folder go on and are found again
/// by the next demo there.
fn leave(watch: &Watch, folder: &Folder) {
    if folder.scratch {
        watch.cancel_all(Instant::now() + Duration::from_secs(10));
    }
}

/// An example that did not end as it was meant to is an error of the demo.
fn verdict(jobs: &[Followed], closing: &Closing) -> Result<(), Failure> {
    if !closing.ledger.balanced {
        return Err(Failure::new(Exit::Error, "the ledger is not balanced").hint("this is a fault of the program"));
    }
    match jobs.iter().find(|job| job.summary.state != job.wish.state()) {
        None => Ok(()),
        Some(job) => {
            let (name, state, wish) = (&job.summary.name, &job.summary.state, job.wish.state());
            Err(Failure::new(Exit::Error, format!("example `{name}` ended as {state}, meant was {wish}"))
                .hint("run the demo with --data DIR, then look at it with `huisuan show` and `huisuan logs`"))
        }
    }
}

/// Where the demo keeps everything.
struct Folder {
    path: PathBuf,
    /// Made for this run, and removed at its end.
    scratch: bool,
}

impl Folder {
    fn open(data: Option<PathBuf>) -> Result<Folder, Failure> {
        let scratch = data.is_none();
        let path = data.unwrap_or_else(|| env::temp_dir().join(format!("huisuan-demo-{}", std::process::id())));
        // A scratch folder that is there already belongs to somebody else.
        let made = fs::DirBuilder::new().mode(0o700).recursive(!scratch).create(&path);
        made.and_then(|()| path.canonicalize())
            .map(|path| Folder { path, scratch })
            .map_err(|error| Failure::file("made", &path, &error))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.scratch {
            // What cannot be removed is left to the system's own cleaning of temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
