//! The plans of a journal made again.

use std::collections::BTreeSet;

use huisuan_model::{Command, Event};
use huisuan_schedule::{Policy, Weights};
use huisuan_twin::replay::{Replay, Replayed};

use crate::{network::linked, of, world};

pub(crate) fn replay(entries: &[huisuan_model::Entry], policy: Option<Policy>) -> Replayed {
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
    let policy = Policy { targets_every_ms: 60_000, ..Policy::default() };
    let found = replay(entries, Some(policy));
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

#[test]
fn what_the_network_level_wanted_is_told_and_replayed() {
    let mut world = of(linked(11), 11);
    world.run();
    let figures = world.network_level();
    assert!(figures.plans > 100 && figures.gap_ppm_max < 50_000, "{figures:?}");
    let entries = &world.observer().entries;
    let told = entries.iter().filter(|entry| match &entry.command {
        Command::Plan(plan) => plan.basis.as_ref().is_some_and(|basis| basis.targets.is_some()),
        _ => false,
    });
    assert!(told.count() > 10, "what changes is told, and it does change");
    let scores = entries.iter().flat_map(|entry| &entry.events).filter_map(|event| match event {
        Event::TasksPlaced { score, .. } => Some(score.iter().map(|term| term.term.to_string())),
        _ => None,
    });
    let terms: BTreeSet<String> = scores.flatten().collect();
    for term in ["transfer", "carbon", "target", "scarcity"] {
        assert!(terms.contains(term), "no placement has the term {term}: {terms:?}");
    }
    let policy = Policy { targets_every_ms: 60_000, ..Policy::default() };
    let found = replay(entries, Some(policy));
    assert!(found.plans > 200 && found.identical == found.plans, "{:?}", found.differences.first());
}

#[test]
fn a_plan_is_made_again_under_the_policy_that_it_names() {
    const NAME: &str = "dear";
    fn dear(name: &str) -> Option<Policy> {
        let weights = Weights { wait: 1_000, price: -5_000, fit: 0, ..Weights::default() };
        (name == NAME).then(|| Policy { name: NAME.to_owned(), weights, ..Policy::default() })
    }
    let (mut setup, families) = crate::network::busy(11);
    setup.planning.policy = dear(NAME).expect("the policy");
    let mut world = of((setup, families), 11);
    world.run();
    let entries = &world.observer().entries;
    let found = |mut replay: Replay| {
        entries.iter().for_each(|entry| replay.expect(entry));
        entries.iter().for_each(|entry| replay.take(entry));
        replay.found().clone()
    };
    let known = found(Replay::new(None).knowing(dear));
    assert!(known.plans > 100 && known.identical == known.plans, "{:?}", known.differences.first());
    assert_eq!((known.without_policy, &known.before), (0, &known.after));
    let unknown = found(Replay::new(None));
    assert_eq!((unknown.without_policy, unknown.plans), (known.plans, known.plans));
    assert!(unknown.identical < unknown.plans);
}
