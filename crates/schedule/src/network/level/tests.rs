//! The level beside cycles: what it wants, and that it stays out of the way.

use std::sync::Arc;

use huisuan_model::{Basis, JobId, Shape, Targets, TimeMs};

use super::{Level, arrivals::Arrivals, draft};
use crate::{
    Budget, Policy, Seed, Snapshot, cycle,
    network::{NetworkPlanner, check_network},
    testing::*,
};

const HOUR_MS: i64 = 3_600_000;

/// A dear city and a cheap partner 30 ms away. Work of an hour that is bound to the city and elastic work wait for
/// both.
fn two(bound: u32, elastic: u32) -> Snapshot {
    let centres = vec![centre("city", 8).link("west", 30, 1).carbon(600), centre("west", 8).carbon(200)];
    let jobs = vec![(near_to("city", 5, shape(1)), vec![job(1, bound)]), (shape(1), vec![job(2, elastic)])];
    network(centres, jobs)
}

/// One that asks for targets.
fn policy() -> Policy {
    Policy { targets_every_ms: 60_000, ..Policy::default() }
}

fn wanted(level: &mut Level, snapshot: &Snapshot, now: TimeMs) -> Option<Arc<Targets>> {
    let mut seen = snapshot.clone();
    level.before(&mut seen, &policy(), now);
    seen.targets
}

fn part(targets: &Targets, shape: &Shape, centre: &str) -> u32 {
    let here = targets.of(shape.kind()).iter().filter(|part| part.centre.as_str() == centre);
    here.map(|part| part.permille).sum()
}

#[test]
fn elastic_work_leaves_the_room_that_bound_work_needs() {
    let mut level = Level::default();
    // With what comes in four hours there are 60 tasks of the city and 70 elastic ones of half an hour, and room for 64
    // in each place.
    let targets = wanted(&mut level, &two(12, 14), NOW).expect("facts are declared");
    let bound = near_to("city", 5, shape(1));
    assert_eq!((part(&targets, &bound, "city"), part(&targets, &bound, "west")), (1_000, 0));
    assert!(part(&targets, &shape(1), "west") >= 900, "{targets:?}");
    assert_eq!(level.figures().kinds, 2);
    assert!(level.figures().gap_ppm < 10_000, "{:?}", level.figures());
}

#[test]
fn what_came_in_the_last_hour_is_expected_again() {
    let mut arrivals = Arrivals::default();
    let hours = |tasks: u64| SLOTS * tasks;
    const SLOTS: u64 = 4;
    let tasks = |arrivals: &Arrivals, shape: &Shape, now: i64| {
        let found = arrivals.kinds().find(|(kind, ..)| *kind == shape.kind());
        found.map_or(0, |(.., kind)| kind.tasks(SLOTS, TimeMs(now)))
    };
    let mut snapshot = two(3, 5);
    arrivals.look(&snapshot, TimeMs(0));
    assert_eq!(tasks(&arrivals, &shape(1), 0), 5 + hours(5));
    arrivals.look(&snapshot, TimeMs(1_000));
    assert_eq!(tasks(&arrivals, &shape(1), 1_000), 5 + hours(5), "what waits on is counted once");
    snapshot.shapes.iter_mut().for_each(|view| view.jobs.clear());
    arrivals.look(&snapshot, TimeMs(HOUR_MS));
    assert_eq!(tasks(&arrivals, &shape(1), HOUR_MS), hours(5), "what runs is expected again");
    assert_eq!(tasks(&arrivals, &shape(1), HOUR_MS * 3 / 2), hours(2), "less of it as time goes on");
    arrivals.look(&snapshot, TimeMs(3 * HOUR_MS));
    assert_eq!(tasks(&arrivals, &shape(1), 3 * HOUR_MS), 0, "for an hour or two");
}

#[test]
fn targets_are_made_now_and_then_and_told_once() {
    let mut level = Level::default();
    let policy = policy();
    let first = wanted(&mut level, &two(3, 5), NOW).expect("targets");
    let again = wanted(&mut level, &two(300, 5), NOW).expect("the same");
    assert!(Arc::ptr_eq(&first, &again));
    let mut snapshot = two(3, 5);
    level.before(&mut snapshot, &policy, NOW);
    let mut told = |changes: bool| {
        let plan = cycle(&snapshot, &policy, NOW, Budget::default(), Seed(1));
        let mut plan = plan.made_with(NOW, 1, &policy.name);
        if !changes {
            plan.placements.clear();
        }
        level.after(&mut plan);
        plan.basis.and_then(|basis: Basis| basis.targets)
    };
    assert_eq!(told(false), None, "a plan that is not carried out is not in the journal");
    assert_eq!(told(true), Some(first));
    assert_eq!(told(true), None);
    let later = TimeMs(NOW.0 + 60_000);
    assert_eq!(wanted(&mut level, &two(3, 5), later).map(|targets| targets.made_at), Some(later));
}

#[test]
fn without_facts_there_is_no_network_level() {
    let mut level = Level::default();
    let plain = network(vec![centre("a", 8), centre("b", 8)], vec![(shape(1), vec![job(1, 5)])]);
    assert_eq!(wanted(&mut level, &plain, NOW), None);
    let mut snapshot = two(3, 5);
    level.before(&mut snapshot, &Policy { targets_every_ms: 0, ..Policy::default() }, NOW);
    assert_eq!((snapshot.targets, level.figures().plans), (None, 0));
}

#[test]
fn its_plans_are_legal_and_their_bounds_hold() {
    for (bound, elastic) in [(0, 1), (1, 0), (3, 5), (24, 32), (500, 7), (7, 500)] {
        let mut arrivals = Arrivals::default();
        let mut snapshot = two(bound.max(1), elastic.max(1));
        snapshot.shapes[0].jobs.push(job(JobId(9).0, 2));
        arrivals.look(&snapshot, NOW);
        let draft = draft::draft(&snapshot, &arrivals, &Policy::default(), NOW);
        let network = crate::network::Network::new(draft.model).expect("a sound model");
        let plan = crate::network::Linear.plan(&network, None, crate::network::Budget::default());
        assert_eq!(check_network(network.model(), &plan), Ok(()));
    }
}

/// Two tenants with the same kind of work; one has a contract with the dear centre.
#[test]
fn who_has_a_contract_is_planned_at_its_price() {
    let with = |agreed: bool| {
        let mut snapshot = two(1, 4);
        let elastic = snapshot.shapes.iter().find(|view| view.shape.kind() == shape(1).kind());
        let mut other = elastic.expect("elastic work").clone();
        other.shape.tenant = huisuan_model::TenantId::new("mill").expect("a name");
        other.jobs = vec![job(3, 6)];
        if agreed {
            let city = snapshot.centres[0].clone();
            let price_per_p_h = huisuan_model::Money(1);
            other.agreed = vec![crate::snapshot::Agreed {
                centre: city.id.clone(),
                pool: city.pools[0].pool.id.clone(),
                price_per_p_h,
            }];
        }
        snapshot.shapes.push(other);
        snapshot
    };
    let draft_of = |snapshot: &Snapshot| {
        let mut arrivals = Arrivals::default();
        arrivals.look(snapshot, NOW);
        draft::draft(snapshot, &arrivals, &policy(), NOW)
    };
    let (plain, contract) = (draft_of(&with(false)), draft_of(&with(true)));
    let elastic = |draft: &draft::Draft| draft.kinds.iter().filter(|kind| **kind == shape(1).kind()).count();
    assert_eq!((elastic(&plain), elastic(&contract)), (1, 2), "what is priced apart is planned apart");
    let tasks = |draft: &draft::Draft| draft.model.classes.iter().map(|class| class.tasks).sum::<u64>();
    assert_eq!(tasks(&plain), tasks(&contract));
    let agreed: Vec<_> = contract.model.classes.iter().flat_map(|class| &class.agreed).collect();
    let city = &contract.model.centres[0];
    assert_eq!(agreed.len(), 1);
    assert_eq!((&agreed[0].centre, &agreed[0].pool), (&city.id, &city.pools[0].id));
    assert!(agreed[0].price_per_h < city.pools[0].price_per_h);
    let network = crate::network::Network::new(contract.model).expect("a sound model");
    let plan = crate::network::Linear.plan(&network, None, crate::network::Budget::default());
    assert_eq!(check_network(network.model(), &plan), Ok(()));
}
