//! Rounds of faults against an agent and the daemons of a real cluster: `cargo xtask faults slurm`.
//!
//! In each round an agent gets orders for arrays and single jobs, and one thing breaks at a random moment: the agent,
//! the controller or the daemon of a node is killed, or the controller hangs. Then it is mended, and within a minute
//! every attempt has ended as its script says and has left one line in a file outside of all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::MutexGuard,
    thread,
    time::{Duration, Instant},
};

use huisuan_drivers::{Engine as _, SlurmEngine};
use huisuan_model::{DurationMs, EndCause, JobSpec, ReportKind, StartOrder};
use tempfile::TempDir;

use crate::{
    bench::{order, script},
    faults::{DYING, Stopped, kill, resume_nodes},
    lab::Lab,
    place::Place,
    slurm::config,
};

/// Tells this test program that it is to be an agent of these rounds: the folder of its engine.
pub(crate) const AGENT_VARIABLE: &str = "HUISUAN_TEST_SLURM_ROUNDS";
/// Its first and its last job.
const JOBS_VARIABLE: &str = "HUISUAN_TEST_SLURM_JOBS";

/// Rounds where nobody says how many.
const ROUNDS: u64 = 4;
/// What is told of an attempt that Slurm forgot and ended.
const LOST: &str = "lost";
/// After so many rounds it is said how far they are.
const TOLD_EVERY: u64 = 50;
/// Jobs of a round.
const JOBS: u64 = 6;
/// A fault begins within this time of the agent's start, and lasts as long at most.
const WITHIN_MS: u64 = 1_500;
/// How long after the fault every attempt must have ended.
const HEALED_WITHIN: Duration = Duration::from_secs(60);
/// The same when a node's daemon was killed: what could not be launched there Slurm itself puts off by two minutes
/// (reason `BeginTime`), and does not ask whether it may be queued again.
const PUT_OFF: Duration = Duration::from_secs(120);
/// Where an agent may be killed, with the feature `failpoints`.
const POINTS: [&str; 9] = [
    "slurm-after-accepted",
    "slurm-after-list",
    "slurm-before-sbatch",
    "slurm-after-sbatch",
    "slurm-after-record",
    "slurm-before-release",
    "slurm-after-release",
    "slurm-before-end",
    "slurm-after-end",
];

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillAgent,
    AgentAtPoint(&'static str),
    KillController,
    StopController,
    KillNode(u64),
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.below(WITHIN_MS))
    }

    fn fault(&mut self) -> Fault {
        match self.below(10) {
            0..=1 => Fault::KillAgent,
            2..=3 => Fault::AgentAtPoint(POINTS[usize::try_from(self.below(9)).expect("below 9")]),
            4..=6 => Fault::KillController,
            7 => Fault::StopController,
            _ => Fault::KillNode(1 + self.below(2)),
        }
    }
}

/// An exit code that tells jobs apart.
fn code(job: u64) -> i32 {
    i32::try_from(job % 50 + 1).expect("small")
}

/// Two in three ask for the same and become an array, the others are jobs of their own.
fn orders(folder: &Path, jobs: RangeInclusive<u64>) -> Vec<StartOrder> {
    let trace = folder.join("trace").display().to_string();
    let one = |job: u64| {
        let text = format!("echo {job} >> {trace}; sleep 0.{}; exit {}", job % 7, code(job));
        let alone = if job.is_multiple_of(3) { job } else { 0 };
        order(job, JobSpec { walltime: DurationMs(100_000 + alone), ..script(&text) })
    };
    jobs.map(one).collect()
}

/// What an agent does: it gives its orders, waits for all ends, writes them down and acknowledges them.
pub(crate) fn agent() {
    #[cfg(feature = "failpoints")]
    let _armed = fail::FailScenario::setup();
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).expect("set by the test");
    let folder = variable(AGENT_VARIABLE);
    let jobs = variable(JOBS_VARIABLE);
    let (first, last) = jobs.to_str().and_then(|text| text.split_once('-')).expect("two numbers");
    let jobs = first.parse().expect("a number")..=last.parse().expect("a number");
    let config = config(&folder.join("centre"), &variable("SLURM_CONF"), "batch");
    let engine = SlurmEngine::open(config).expect("an engine");
    let orders = orders(&folder, jobs);
    engine.submit(&orders).expect("submitted");
    let mut ends = BTreeMap::new();
    while !orders.iter().all(|order| ends.contains_key(&order.attempt)) {
        for report in engine.observe(Duration::from_secs(1)).expect("observed") {
            if let ReportKind::Ended { outcome, .. } = report.what {
                let said = match (outcome.cause, outcome.exit_code) {
                    (EndCause::Exited, Some(code)) => code.to_string(),
                    (EndCause::Lost, _) => LOST.to_owned(),
                    _ => format!("{outcome:?}"),
                };
                ends.insert(report.attempt, said);
            }
        }
    }
    let text: String = orders.iter().map(|order| format!("{} {}\n", order.attempt.job, ends[&order.attempt])).collect();
    fs::write(folder.join("ends"), text).expect("written");
    engine.acknowledge(&ends.into_keys().collect::<Vec<_>>()).expect("acknowledged");
}

/// The cluster and the folder that all rounds share.
struct World {
    place: Place,
    lab: MutexGuard<'static, Lab>,
    folder: TempDir,
    /// Jobs that Slurm forgot and ended.
    forgotten: BTreeSet<u64>,
}

impl World {
    fn spawn(&self, jobs: &RangeInclusive<u64>, failpoints: &str) -> Child {
        Command::new(std::env::current_exe().expect("the path of this test program"))
            .args(["slurm_rounds_entry", "--exact", "--nocapture"])
            .env(AGENT_VARIABLE, self.folder.path())
            .env(JOBS_VARIABLE, format!("{}-{}", jobs.start(), jobs.end()))
            .env("SLURM_CONF", self.lab.conf())
            .env("FAILPOINTS", failpoints)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("an agent")
    }

    /// One thing breaks and is mended.
    fn round(&mut self, fault: Fault, random: &mut Random, jobs: &RangeInclusive<u64>) {
        let failpoints = match fault {
            Fault::AgentAtPoint(point) => format!("{point}=return"),
            _ => String::new(),
        };
        let mut agent = self.spawn(jobs, &failpoints);
        thread::park_timeout(random.moment());
        match fault {
            Fault::AgentAtPoint(_) => {}
            Fault::KillAgent => agent.kill().expect("killed, or gone already"),
            Fault::StopController => {
                let stopped = Stopped::stop(&self.lab, "slurmctld");
                thread::park_timeout(random.moment());
                drop(stopped);
            }
            Fault::KillController => self.replace("slurmctld", random),
            Fault::KillNode(node) => self.replace(&format!("slurmd.{node}"), random),
        }
        let healed = Instant::now();
        loop {
            match agent.try_wait().expect("a child") {
                Some(status) if status.success() => return,
                Some(_) => agent = self.spawn(jobs, ""),
                None => thread::park_timeout(Duration::from_millis(200)),
            }
            resume_nodes(&self.lab);
            let put_off = if matches!(fault, Fault::KillNode(_)) { PUT_OFF } else { Duration::ZERO };
            if healed.elapsed() > HEALED_WITHIN + put_off {
                agent.kill().expect("killed");
                let _ = agent.wait();
                panic!("{fault:?}: jobs {jobs:?} have not all ended in {HEALED_WITHIN:?}");
            }
        }
    }

    fn replace(&mut self, process: &str, random: &mut Random) {
        kill(&self.lab, process);
        thread::park_timeout(random.moment());
        self.lab.restart(process);
    }

    /// Joins what was told with what happened. What Slurm forgot and ended, which only a killed controller does, is
    /// told as that; whether it came to its first line is open.
    fn judge(&mut self, fault: Fault, jobs: &RangeInclusive<u64>) {
        let told = fs::read_to_string(self.folder.path().join("ends")).expect("what was told");
        for (job, line) in jobs.clone().zip(told.lines()) {
            if fault == Fault::KillController && line == format!("{job} {LOST}") {
                self.forgotten.insert(job);
            } else {
                assert_eq!(line, format!("{job} {}", code(job)), "{fault:?}");
            }
        }
        assert_eq!(told.lines().count() as u64, JOBS, "{fault:?}");
        let trace = fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default();
        let mut starts: Vec<u64> = trace.lines().map(|line| line.parse().expect("a number")).collect();
        starts.sort_unstable();
        let began = |job: &u64| !self.forgotten.contains(job) || starts.contains(job);
        assert_eq!(starts, (1..=*jobs.end()).filter(began).collect::<Vec<_>>(), "{fault:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            self.place.tell();
        }
    }
}

fn number(name: &str, none: u64) -> u64 {
    std::env::var(name).map_or(none, |text| text.parse().expect("a number"))
}

#[test]
fn every_attempt_starts_once_and_its_end_is_told() {
    let (rounds, seed) = (number("HUISUAN_ROUNDS", ROUNDS), number("HUISUAN_SEED", 1));
    println!("seed {seed}; again: cargo xtask faults slurm --rounds {rounds} --seed {seed}");
    let mut random = Random(seed);
    let lab = DYING.take();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut world = World { place: Place::of(&lab, "batch"), lab, folder, forgotten: BTreeSet::new() };
    let (mut tally, from): (BTreeMap<Fault, u64>, _) = (BTreeMap::new(), Instant::now());
    for round in 0..rounds {
        let fault = random.fault();
        let jobs = round * JOBS + 1..=(round + 1) * JOBS;
        world.round(fault, &mut random, &jobs);
        world.judge(fault, &jobs);
        *tally.entry(fault).or_default() += 1;
        if (round + 1).is_multiple_of(TOLD_EVERY) {
            let (seconds, forgotten) = (from.elapsed().as_secs(), world.forgotten.len());
            println!("{} rounds of {rounds} in {seconds} s, {forgotten} jobs forgotten by Slurm: {tally:?}", round + 1);
        }
    }
    let jobs = rounds * JOBS;
    let forgotten = &world.forgotten;
    let seconds = from.elapsed().as_secs();
    println!(
        "{rounds} rounds in {seconds} s, {jobs} jobs, none started twice, forgotten and ended by Slurm {forgotten:?}: {tally:?}"
    );
}
