//! Rounds of faults of every kind against a server and agents that are processes of their own, behind a line that can
//! be cut, or at the ends of links of the kernel's, or with a Slurm cluster as the centre: `cargo xtask faults`.
//!
//! In each round one thing breaks for a moment: a process is killed, at random or at a failpoint, or stopped, or the
//! line is cut or silent, or a disk is full, or a link loses packets, or a daemon of the cluster dies or hangs. Users
//! submit all the while. After some rounds everything is mended, and within a minute every job has ended as the traces of
//! its tasks say.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    apart::Apart,
    judge::{self, Lost},
    plans::{Fault, Plan, draw},
    random::Random,
    strikes::strike,
    support::running::{PATIENCE, pause, wait_until},
    work::{Pace, Submitters},
};

/// How long after the last fault every job must have ended.
const HEALED_WITHIN: Duration = Duration::from_secs(60);
/// How long is waited for it, so that rounds which are late can be told from jobs that are lost.
const WAITED_FOR: Duration = Duration::from_secs(240);

/// What the rounds came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) by_kind: BTreeMap<Fault, u64>,
    pub(crate) jobs: usize,
    pub(crate) runs: usize,
    /// Attempts that a cluster forgot and ended, each told as that.
    pub(crate) lost: usize,
    pub(crate) resent: u64,
    pub(crate) healed_max: Duration,
    /// Times at which jobs ended later than they must have.
    pub(crate) late: u64,
}

impl Tally {
    /// Says it all, and panics when a healed network was too slow; on a machine that is busy otherwise it may be.
    pub(crate) fn tell(&self, took: Duration) {
        let per_hour = self.rounds as f64 / took.as_secs_f64() * 3600.0;
        eprintln!("{self:#?}\n{per_hour:.0} rounds an hour, in {took:?}");
        assert_eq!(self.late, 0, "jobs ended later than {HEALED_WITHIN:?} after the last fault");
    }

    fn add(&mut self, more: Tally) {
        self.rounds += more.rounds;
        more.by_kind.into_iter().for_each(|(fault, count)| *self.by_kind.entry(fault).or_default() += count);
        self.jobs += more.jobs;
        self.runs += more.runs;
        self.lost += more.lost;
        self.resent += more.resent;
        self.healed_max = self.healed_max.max(more.healed_max);
        self.late += more.late;
    }
}

/// Rounds in episodes, each in a network of its own that `network` makes; panics at the first broken promise.
pub(crate) fn rounds(
    plan: &Plan,
    network: impl Fn(&mut Random) -> Apart + Sync,
    random: &mut Random,
    rounds: u64,
) -> Tally {
    side_by_side(plan, &[network], random, rounds)
}

/// The same, shared among several that make networks and have nothing to do with each other.
pub(crate) fn side_by_side(
    plan: &Plan,
    networks: &[impl Fn(&mut Random) -> Apart + Sync],
    random: &mut Random,
    rounds: u64,
) -> Tally {
    let (began, broken) = (Instant::now(), AtomicBool::new(false));
    let share = rounds.div_ceil(networks.len() as u64);
    let lane = |number: usize, random: &mut Random| {
        let mut tally = Tally::default();
        while tally.rounds < share && !broken.load(Ordering::SeqCst) {
            let of_episode = plan.episode.min(share - tally.rounds);
            // In a thread of its own: on links it goes to the server's machine for good.
            thread::scope(|scope| {
                let ran =
                    scope.spawn(|| episode(plan, networks[number](random), random, of_episode, &mut tally)).join();
                ran.unwrap_or_else(|panic| {
                    broken.store(true, Ordering::SeqCst);
                    std::panic::resume_unwind(panic)
                });
            });
            let Tally { rounds, jobs, runs, .. } = &tally;
            eprintln!("lane {number}: {rounds} rounds after {:?}: {jobs} jobs, {runs} runs", began.elapsed());
        }
        tally
    };
    let mut all = Tally::default();
    thread::scope(|scope| {
        let lane = &lane;
        let of_lane = |number| {
            let mut random = Random::new(random.next());
            scope.spawn(move || lane(number, &mut random))
        };
        let lanes: Vec<_> = (0..networks.len()).map(of_lane).collect();
        for lane in lanes {
            all.add(lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    all
}

fn episode(plan: &Plan, mut apart: Apart, random: &mut Random, rounds: u64, tally: &mut Tally) {
    let submitters = Submitters::start(&apart.door, &apart.trace(), random, Pace::Pauses(plan.pause_ms));
    let mut lost = Lost::Never;
    for _ in 0..rounds {
        let mut fault = draw(plan, random);
        if fault == Fault::DiskFull && !apart.has_disk() {
            fault = Fault::LineCut;
        }
        if fault == Fault::LinkDownLong && rounds < plan.episode {
            // A minute is more than the whole of a short run.
            fault = Fault::LinkDownAtServer;
        }
        if fault == Fault::KillController {
            lost = Lost::Told;
        }
        *tally.by_kind.entry(fault).or_default() += 1;
        strike(&mut apart, fault, random);
        pause(Duration::from_millis(random.below(plan.calm_ms)));
    }
    tally.rounds += rounds;
    if plan.armed {
        // Nothing breaks any more from here on.
        apart.kill_server();
        apart.kill_agents();
    }
    apart.mend();
    let healed = Instant::now();
    let acknowledged = submitters.finish();
    let settled = wait_until(Instant::now() + PATIENCE, || {
        apart.mend();
        apart.client().centres().is_ok_and(|list| list.centres.iter().all(|centre| centre.connected)).then_some(())
    });
    assert!(settled.is_some(), "the agents did not come back");
    judge::wait_ended(&apart.client(), WAITED_FOR, || apart.tend());
    let took = healed.elapsed();
    if took > HEALED_WITHIN {
        eprintln!("jobs ended only {took:?} after the last fault");
        apart.tell();
        tally.late += 1;
    }
    let judged = judge::judge(&apart.client(), &acknowledged, &apart.trace(), lost);
    if apart.has_clocks() {
        judge::check_metered(&apart.client(), &acknowledged);
    }
    let mut alarms = apart.client().alarms().expect("alarms").alarms;
    // What a cluster's operator has to look at, such as a node that is drained.
    alarms.retain(|alarm| !(apart.at_a_cluster() && alarm.kind == "engine"));
    assert!(alarms.is_empty(), "books and engines agree: {alarms:?}");
    tally.runs += judged.runs;
    tally.lost += judged.lost;
    tally.healed_max = tally.healed_max.max(took);
    tally.jobs += acknowledged.jobs.len();
    tally.resent += acknowledged.resent;
    apart.close();
}
