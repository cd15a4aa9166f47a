//! The promise: kill -9 of the server at any moment of the demo, then a restart with the same data: no
//! acknowledged job is lost, none runs twice, the ledger balances.
//!
//! The process under test is the demo: a server and three agents. Its supervisors survive it. Jobs note their
//! runs in a file that no process of ours touches, and acknowledgements are noted here; in the end the two are
//! held against what the server tells.
//!
//! `HUISUAN_SEED` and `HUISUAN_ROUNDS` choose another course of the random test.

#![cfg(feature = "failpoints")]

#[path = "crash/apart.rs"]
mod apart;
#[path = "crash/clocks.rs"]
mod clocks;
#[path = "crash/cluster.rs"]
mod cluster;
#[path = "support/disk.rs"]
mod disk;
#[path = "crash/faults.rs"]
mod faults;
#[path = "crash/judge.rs"]
mod judge;
#[path = "../../drivers/tests/lab/mod.rs"]
mod lab;
#[path = "crash/line.rs"]
mod line;
#[path = "crash/links.rs"]
mod links;
#[path = "crash/plans.rs"]
mod plans;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/sites.rs"]
mod sites;
#[path = "crash/strikes.rs"]
mod strikes;
mod support;
#[path = "crash/work.rs"]
mod work;
#[path = "crash/world.rs"]
mod world;

use std::time::{Duration, Instant};

use huisuan_api::{alive, jobs::JobRequest};

use apart::Apart;
use clocks::Clocks;
use cluster::Cluster;
use judge::Lost;
use links::Links;
use points::{POINTS, Victim};
use random::Random;
use support::running::{Home, PATIENCE, pause, wait_until};
use work::{Held, Pace, Submitters};
use world::World;

/// Rounds of the random test when nobody asks for more.
const ROUNDS: u64 = 60;
/// The same of links, whose faults last for seconds.
const LINK_ROUNDS: u64 = 8;
/// The same of clocks.
const CLOCK_ROUNDS: u64 = 24;
/// The same of a cluster.
const CLUSTER_ROUNDS: u64 = 12;
/// The names of clusters.
const CLUSTERS: [&str; 2] = ["beta", "gamma"];
/// Most blows fall this early, in milliseconds after the server listens: centres are joining then.
const EARLY_MS: u64 = 1_200;
/// Some fall this late: the examples are running then.
const LATE_MS: u64 = 3_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")))
}

/// What the environment chooses, told so that it can be chosen again.
fn course() -> (Random, u64) {
    course_of(ROUNDS)
}

fn course_of(rounds: u64) -> (Random, u64) {
    let seed = number("HUISUAN_SEED").unwrap_or_else(random::seed);
    let rounds = number("HUISUAN_ROUNDS").unwrap_or(rounds);
    eprintln!("to repeat: HUISUAN_SEED={seed} HUISUAN_ROUNDS={rounds}");
    (Random::new(seed), rounds)
}

#[test]
fn killed_at_random_moments() {
    let began = Instant::now();
    let (mut random, rounds) = course();
    let mut world = World::new();
    let submitters = Submitters::start(&world.door, &world.trace(), &mut random, Pace::Pauses(work::PAUSE_MS));
    for _ in 0..rounds {
        world.start("");
        let late = random.below(5) == 0;
        pause(Duration::from_millis(random.below(if late { LATE_MS } else { EARLY_MS })));
        world.kill();
        if random.below(8) == 0 {
            // What runs ends while nobody listens.
            pause(Duration::from_millis(random.below(300)));
        }
    }
    world.start("");
    let acknowledged = submitters.finish();
    let (jobs, resent) = (acknowledged.jobs.len(), acknowledged.resent);
    let runs = world.judge(&acknowledged, Lost::Never);
    world.close();
    let took = began.elapsed();
    eprintln!("{rounds} kills in {took:?}: {jobs} jobs acknowledged, {resent} requests sent again, {runs} runs");
    assert!(rounds < 10 || (resent > 0 && jobs as u64 > rounds), "the kills met no submissions");
}

/// The same with the supervisors, some of them while they start: as if everything of ours had been killed. What
/// ran under a killed supervisor may be lost, and has to be told so.
#[test]
fn killed_with_supervisors_at_random_moments() {
    let (mut random, rounds) = course();
    let mut world = World::new();
    let submitters = Submitters::start(&world.door, &world.trace(), &mut random, Pace::Pauses(work::PAUSE_MS));
    for _ in 0..rounds / 4 {
        world.start("");
        pause(Duration::from_millis(random.below(EARLY_MS)));
        if random.below(2) == 0 {
            world.kill_supervisors();
        }
        world.kill();
        if random.below(2) == 0 {
            world.kill_supervisors();
        }
    }
    world.start("");
    let acknowledged = submitters.finish();
    world.judge(&acknowledged, Lost::Told);
    world.close();
}

/// Server and agents as processes of their own, killed one at a time: each must find its way back to those
/// that lived on.
#[test]
fn killed_one_by_one_at_random_moments() {
    let (mut random, rounds) = course();
    let mut apart = Apart::start(&mut random);
    let submitters = Submitters::start(&apart.door, &apart.trace(), &mut random, Pace::Pauses(work::PAUSE_MS));
    for _ in 0..rounds / 2 {
        pause(Duration::from_millis(random.below(500)));
        if random.below(2) == 0 {
            apart.kill_server();
            pause(Duration::from_millis(random.below(300)));
            apart.start_server();
        } else {
            apart.kill_agent(&mut random);
            pause(Duration::from_millis(random.below(300)));
        }
        apart.start_agents();
    }
    let acknowledged = submitters.finish();
    // An agent may have been joining when the server was killed last.
    let settled = wait_until(Instant::now() + PATIENCE, || {
        apart.start_agents();
        apart.client().centres().expect("centres").centres.iter().all(|centre| centre.connected).then_some(())
    });
    assert!(settled.is_some(), "the agents did not come back");
    judge::judge(&apart.client(), &acknowledged, &apart.trace(), Lost::Never);
    apart.close();
}

/// Rounds of faults of every kind: few here, many by `cargo xtask faults`.
#[test]
fn faults_of_every_kind() {
    let began = Instant::now();
    let (mut random, rounds) = course();
    let tally = faults::rounds(&plans::BEHIND_A_LINE, Apart::on_small_disk, &mut random, rounds);
    tally.tell(began.elapsed());
    assert!(rounds < 10 || tally.jobs as u64 > rounds / 2, "the faults met no work");
}

/// Rounds of faults between namespaces of the kernel: a few here, many by `cargo xtask faults links`. Only root may
/// make namespaces: for another user it says so and is over.
#[test]
fn links_that_lose_packets() {
    if let Err(reason) = Links::lay(&Apart::sites()) {
        return eprintln!("not tested: no namespaces of the network can be made: {reason}");
    }
    let began = Instant::now();
    let (mut random, rounds) = course_of(LINK_ROUNDS);
    let network =
        |random: &mut Random| Apart::on_links(Links::lay(&Apart::sites()).expect("another could be laid"), random);
    let tally = faults::rounds(&plans::ON_LINKS, network, &mut random, rounds);
    tally.tell(began.elapsed());
    assert!(tally.jobs as u64 > rounds, "the faults met no work");
}

/// A server whose machine loses its power: the agent's question stays open, and nobody will ever answer it. The agent
/// notices soon, not when its question would have been over.
#[test]
fn a_question_that_died_unheard_is_asked_again() {
    let mut random = Random::new(1);
    let Ok(links) = Links::lay(&Apart::sites()) else { return };
    links.forget_the_dead();
    let test = move || {
        let mut apart = Apart::on_links(links, &mut random);
        apart.wait_joined();
        // Its question is on the way then, and acknowledged: nothing is left to be sent again.
        pause(Duration::from_secs(1));
        let site = apart.break_link(links::Trouble::DownAtServer, &mut random);
        apart.kill_server();
        // What is left of its connections says goodbye twice.
        pause(Duration::from_secs(3));
        apart.start_server();
        apart.mend();
        let healed = Instant::now();
        let connected = || apart.client().centre(site).expect("a centre").connected.then_some(());
        wait_until(healed + PATIENCE, connected).expect("its agent comes back");
        let took = healed.elapsed();
        assert!(took < alive::GONE_AFTER + Duration::from_secs(5), "the agent came back after {took:?}");
        eprintln!("{site} came back after {took:?}");
        apart.close();
    };
    // A thread that goes to the server's machine stays there.
    std::thread::spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Rounds in which the clocks of the server's machine and of sites jump, for seconds and for days, some of them with
/// kills beside it: a few here, many by `cargo xtask faults clocks`.
#[test]
fn clocks_that_jump() {
    if Clocks::of(&Home::new()).is_none() {
        return;
    }
    let began = Instant::now();
    let (mut random, rounds) = course_of(CLOCK_ROUNDS);
    let network = |random: &mut Random| Apart::with_clocks(random).expect("there is a library");
    let tally = faults::rounds(&plans::WITH_CLOCKS, network, &mut random, rounds);
    tally.tell(began.elapsed());
    assert!(tally.jobs as u64 > rounds, "the faults met no work");
}

/// Rounds in which a centre is a real Slurm cluster, whose daemons are killed and hang beside all else that may break: a
/// few here, many, and on two clusters side by side, by `cargo xtask faults slurm`.
#[test]
fn clusters_that_die() {
    let began = Instant::now();
    let (mut random, rounds) = course_of(CLUSTER_ROUNDS);
    let lanes = usize::try_from(rounds / plans::AT_A_CLUSTER.episode).expect("a small number");
    let names = &CLUSTERS[..lanes.clamp(1, CLUSTERS.len())];
    let clusters: Vec<Cluster> = std::thread::scope(|scope| {
        let starting: Vec<_> = names.iter().map(|name| scope.spawn(|| Cluster::start(name))).collect();
        starting.into_iter().map(|cluster| cluster.join().expect("a cluster")).collect()
    });
    let network = |cluster: Cluster| move |random: &mut Random| Apart::at_cluster(cluster.clone(), random);
    let networks: Vec<_> = clusters.into_iter().map(network).collect();
    let tally = faults::side_by_side(&plans::AT_A_CLUSTER, &networks, &mut random, rounds);
    tally.tell(began.elapsed());
    assert!(tally.jobs as u64 > rounds / 2, "the faults met no work");
}

/// A server whose clock was set back by a day meters what runs: its time goes on, a tenth slower.
#[test]
fn what_runs_while_the_clock_is_behind_is_metered() {
    let Some(apart) = Apart::with_clocks(&mut Random::new(random::seed())) else { return };
    let client = apart.client();
    let ran = |text: &str| {
        let id = client.submit(&JobRequest(work::script("timed", text)), None).expect("acknowledged").job_id;
        let ended = || Some(client.job(id).expect("it is known")).filter(|job| job.summary.ended_at.is_some());
        wait_until(Instant::now() + PATIENCE, ended).expect("it ends").attempts[0].wall_ms
    };
    apart.set_server_clock(86_400);
    ran("true");
    apart.set_server_clock(0);
    let metered_ms = ran("sleep 1");
    assert!((890..30_000).contains(&metered_ms), "{metered_ms} ms of a second");
    drop(client);
    apart.close();
}

/// A clock that jumped while nobody watched does not make a task run for longer than its walltime.
#[test]
fn a_task_that_is_found_after_a_jump_runs_on() {
    let Some(mut apart) = Apart::with_clocks(&mut Random::new(random::seed())) else { return };
    let held = Held::start(&apart.home, &apart.client());
    apart.kill_agents();
    apart.kill_supervisors();
    apart.set_site_clocks(86_400);
    apart.start_agents();
    apart.wait_joined();
    // It would be ended at once.
    pause(Duration::from_millis(300));
    held.end();
    held.check_end(&apart.client(), "lost", None);
    apart.close();
}

/// Ends the victim of a failpoint there, at the first and at a later hit, and looks at what is left.
fn killed_at(name: &str) {
    let point = POINTS.iter().find(|point| point.name == name).expect("the point is in the table");
    let mut random = Random::new(1);
    let mut world = World::new();
    let mut acknowledged = work::Acknowledged::default();
    for &hit in point.hits {
        let armed = format!("{name}={}*off->return", hit - 1);
        match point.victim {
            Victim::Network => world.start_doomed(&armed),
            Victim::Supervisor => world.start(&armed),
            Victim::Successor => return killed_recovering(world, &armed),
        }
        let submitters = Submitters::start(&world.door, &world.trace(), &mut random, Pace::Jobs(4));
        match point.victim {
            Victim::Network => world.wait_dead(&armed, None),
            Victim::Supervisor => {
                world.wait_supervisor_dead(&armed);
                world.kill();
                // Those that live are armed still.
                world.kill_supervisors();
            }
            Victim::Successor => {}
        }
        world.start("");
        acknowledged.add(submitters.finish());
        let lost = if point.victim == Victim::Network { Lost::Never } else { Lost::Told };
        world.judge(&acknowledged, lost);
        world.kill();
        // The next ones are armed.
        world.kill_supervisors();
    }
    world.start("");
    world.close();
}

/// A test for each failpoint, so that they run side by side and are named when they fail.
macro_rules! points {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                killed_at($name);
            }
        )*

        #[test]
        fn every_point_has_a_test() {
            let tested = [$($name),*];
            let names: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
            assert_eq!(names, tested);
        }
    };
}

points! {
    killed_before_a_commit "writer-before-commit"
    killed_after_a_commit "writer-after-commit"
    killed_before_a_plan "planner-before-plan"
    killed_before_orders_go_out "server-before-orders"
    killed_after_a_report "server-after-report"
    killed_before_orders_are_handed_over "agent-before-submit"
    killed_after_orders_are_handed_over "agent-after-submit"
    killed_before_reporting "agent-before-report"
    killed_after_reporting "agent-after-report"
    supervisor_killed_after_accepting "supervisor-after-accept"
    supervisor_killed_after_claiming "supervisor-after-claim"
    supervisor_killed_after_starting "supervisor-after-spawn"
    supervisor_killed_after_an_end "supervisor-after-done"
    supervisor_killed_while_it_recovers "supervisor-between-logs"
}

/// Ends a supervisor while it sorts what its killed predecessor left: an attempt that ran and has ended.
fn killed_recovering(mut world: World, armed: &str) {
    world.start("");
    let held = Held::start(&world.home, &world.client());
    world.kill();
    world.kill_supervisors();
    held.end();
    world.start_doomed(armed);
    world.wait_dead(armed, Some(1));
    world.start("");
    held.check_end(&world.client(), "lost", None);
    world.close();
}

#[test]
fn an_end_that_nobody_heard_is_reported_with_its_exit_code() {
    let mut world = World::new();
    world.start("");
    let held = Held::start(&world.home, &world.client());
    world.kill();
    held.end();
    world.start("");
    held.check_end(&world.client(), "exited", Some(Held::EXIT_CODE));
    world.close();
}
