//! A planner that remembers its last cycles makes the plans of one that does not.

use std::sync::Arc;

use huisuan_model::{Bytes, CentreId, TimeMs};
use proptest::prelude::*;

use super::laws::any_snapshot;
use crate::{Budget, Memory, Policy, Seed, Snapshot, Weights, Window, cycle, cycle_with, testing::*};

fn plans_alike(memory: &mut Memory, snapshot: &Snapshot, policy: &Policy, now: TimeMs) -> Result<(), TestCaseError> {
    let (budget, seed) = (Budget::UNLIMITED, Seed(0));
    let remembered = cycle_with(memory, snapshot, policy, now, budget, seed);
    prop_assert_eq!(remembered, cycle(snapshot, policy, now, budget, seed));
    Ok(())
}

proptest! {
    #[test]
    fn what_is_remembered_is_what_would_be_found(first in any_snapshot(), second in any_snapshot(), carbon in 0i64..2) {
        let green = Weights { carbon: carbon * 500, ..Weights::default() };
        let policies = [Policy::default(), Policy { weights: green, ..Policy::default() }];
        let mut memory = Memory::default();
        // Other jobs at the same centres, other centres, the same ones again, with and without a window that later
        // tasks would run into.
        let mixed = Snapshot { shapes: second.shapes.clone(), ..first.clone() };
        let mut closing = mixed.clone();
        let window = Window { from: TimeMs(NOW.0 + 3_600_001), until: TimeMs(NOW.0 + 9_000_000), pool: None };
        closing.centres.iter_mut().take(1).for_each(|centre| centre.closed = vec![window.clone()]);
        for policy in &policies {
            for snapshot in [&first, &mixed, &closing, &mixed, &second, &first] {
                plans_alike(&mut memory, snapshot, policy, NOW)?;
                plans_alike(&mut memory, snapshot, policy, TimeMs(NOW.0 + 60_000))?;
            }
        }
    }
}

#[test]
fn what_changes_at_a_centre_is_seen() {
    let mut memory = Memory::default();
    let snapshot = network(vec![centre("a", 8), centre("b", 8).price(3_000_000)], vec![(shape(2), vec![job(1, 3)])]);
    let check = |memory: &mut Memory, snapshot: &Snapshot, expected: &str| {
        let plan = cycle_with(memory, snapshot, &Policy::default(), NOW, Budget::default(), Seed(0));
        assert_eq!(places(&plan), [expected]);
    };
    check(&mut memory, &snapshot, "1:0-2@a");
    let mut dear = snapshot.clone();
    dear.centres[0] = centre("a", 8).price(9_000_000);
    check(&mut memory, &dear, "1:0-2@b");
    let mut paused = snapshot.clone();
    paused.centres[0].active = false;
    check(&mut memory, &paused, "1:0-2@b");
    let mut unrated = snapshot.clone();
    unrated.centres[0].pools[0].pool.rating = None;
    check(&mut memory, &unrated, "1:0-2@b");
    check(&mut memory, &snapshot, "1:0-2@a");
}

#[test]
fn how_long_data_takes_is_found_anew_when_what_is_under_way_changes() {
    let centres = vec![centre("a", 1).used(1).link("b", 8, 1).link("c", 8, 1), centre("b", 4), centre("c", 4)];
    let still = network(centres, vec![(reading("a", 200, shape(1)), vec![job(1, 1)])]);
    let mut busy = still.clone();
    let [from, to] = ["a", "b"].map(|name| CentreId::new(name).expect("a name"));
    Arc::make_mut(&mut busy.traffic).add(&from, &to, Bytes(900 * GIB));
    let mut memory = Memory::default();
    for (snapshot, expected) in [(&still, "1:0@b"), (&still, "1:0@b"), (&busy, "1:0@c"), (&still, "1:0@b")] {
        let plan = cycle_with(&mut memory, snapshot, &Policy::default(), NOW, Budget::default(), Seed(0));
        assert_eq!(places(&plan), [expected]);
    }
    memory.look(&still, &Policy::default());
    memory.places(&still.shapes[0], &Weights::default(), || unreachable!("it is remembered"));
}
