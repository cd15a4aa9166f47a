//! The plans of a journal made again.

use huisuan_model::Command;
use huisuan_schedule::{Policy, Weights};
use huisuan_twin::replay::{Replay, Replayed};

use crate::world;

fn replay(entries: &[huisuan_model::Entry], policy: Option<Policy>) -> Replayed {
    let mut replay = Replay::new(policy);
    entries.iter().for_each(|entry| replay.expect(entry));
    entries.iter().for_each(|entry| replay.take(entry));
    replay.found().clone()
}

#[test]
fn the_same_policy_makes_the_same_plans() {
    let mut world = world(11);
    world.run();
    let entries = &world.observer().entries;
    let found = replay(entries, None);
    assert!(found.plans > 200 && found.identical == found.plans, "{:?}", found.differences.first());
    assert_eq!((found.entries, found.without_basis), (entries.len() as u64, 0));
    assert_eq!(found.before, found.after);
}

#[test]
fn another_policy_says_what_it_would_have_done() {
    let mut world = world(11);
    world.run();
    let dear =
        Policy { weights: Weights { wait: 1_000, price: -5_000, fit: 0, ..Weights::default() }, ..Policy::default() };
    let found = replay(&world.observer().entries, Some(dear));
    assert!(found.identical < found.plans && !found.differences.is_empty());
    let tasks = |side: &huisuan_twin::replay::Side| side.tasks.values().sum::<u64>();
    assert!(found.after.held > found.before.held, "{} {}", found.before.held, found.after.held);
    assert!(tasks(&found.before) > 0 && tasks(&found.after) > 0);
}

#[test]
fn a_plan_that_was_changed_is_found_and_old_plans_are_read() {
    let mut world = world(12);
    world.run();
    let mut entries = world.into_observer().entries;
    let plans = entries.iter_mut().filter_map(|entry| match &mut entry.command {
        Command::Plan(plan) => Some((entry.seq, plan)),
        _ => None,
    });
    let mut changed = 0;
    for (at, (seq, plan)) in plans.enumerate() {
        if at == 5 {
            plan.placements[0].score[0].value += 1;
            changed = seq;
        } else {
            plan.basis = None;
        }
    }
    let found = replay(&entries, None);
    let differing: Vec<u64> = found.differences.iter().map(|difference| difference.seq).collect();
    assert_eq!((differing, found.without_basis), (vec![changed], found.plans - 1));
}
