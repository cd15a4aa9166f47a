//! Centres whose engine keeps its queue to itself: what the twin learns of them, and what it sends there then.

use huisuan_model::{EngineKind, StartDelay};
use huisuan_twin::{
    setup::{HiddenQueue, Setup, Site},
    workload::{Draw, Family},
};

use crate::{
    Journal,
    network::{centre, family, setup, site, spec},
    of, restored,
};
use huisuan_twin::World;

const MINUTE_MS: u64 = 60_000;

/// A Slurm centre where half of the work waits for so many minutes.
fn slurm(name: &str, minutes: u64, seed: u64) -> Site {
    let delay = StartDelay { p50_ms: minutes * MINUTE_MS, p90_ms: 2 * minutes * MINUTE_MS };
    let mut site = site(name, 64, 2_000_000_000);
    site.centre.engine = EngineKind::Slurm;
    Site { hidden: Some(HiddenQueue { delay, seed }), ..site }
}

/// Two of them at one price, and little work for both.
fn two(seed: u64) -> (Setup, Vec<Family>) {
    let setup = setup(vec![slurm("a-slow", 60, seed), slurm("b-fast", 2, seed)], Vec::new(), seed);
    let mut work = family("work", 1_200, &[spec("work", 1, 2, false, 0)]);
    work.length = Draw { median: 5 * MINUTE_MS, spread_percent: 150, min: MINUTE_MS, max: 20 * MINUTE_MS };
    (setup, vec![work])
}

/// How many attempts went to a centre in the first hour, and later.
fn placed(world: &World<Journal>, name: &str) -> [u64; 2] {
    let mut counts = [0; 2];
    for entry in &world.observer().entries {
        for event in &entry.events {
            if let huisuan_model::Event::TasksPlaced { centre: at, tasks, at: when, band, .. } = event
                && *at == centre(name)
            {
                assert!(band.is_some());
                counts[usize::from(*when >= crate::network::minute(60))] += tasks.len();
            }
        }
    }
    counts
}

#[test]
fn work_goes_where_it_starts_sooner_once_that_is_known() {
    let mut world = of(two(5), 5);
    world.run();
    let (slow, fast) = (placed(&world, "a-slow"), placed(&world, "b-fast"));
    // Before anything is known the first of equals gets it; nothing has started at the slow one when that changes.
    assert!(fast[1] > 4 * slow[1], "slow {slow:?}, fast {fast:?}");
    let known = &world.control().centres()[&centre("b-fast")].starts;
    let delay = known.delay(&huisuan_model::OpaquePolicy::DEFAULT, huisuan_model::Band { size: 5, load: 0 });
    assert!((MINUTE_MS..4 * MINUTE_MS).contains(&delay.p50_ms), "{delay:?}");
    assert!((2 * MINUTE_MS..6 * MINUTE_MS).contains(&delay.p90_ms), "{delay:?}");
}

#[test]
fn what_was_learnt_outlasts_a_restart() {
    let mut plain = of(two(3), 3);
    plain.run();
    let mut restarted = of(two(3), 3);
    let mut next = 200;
    while restarted.step().is_some() {
        if restarted.counts().events >= next {
            next += 200;
            restarted.replace_control(restored);
        }
    }
    assert_eq!(restarted.decisions().hash(), plain.decisions().hash());
    assert!(restarted.control() == plain.control());
}

#[test]
fn a_replay_makes_the_same_plans() {
    let mut world = of(two(4), 4);
    world.run();
    let found = crate::replays::replay(&world.observer().entries, None);
    assert!(found.plans > 100 && found.identical == found.plans, "{:?}", found.differences.first());
}
