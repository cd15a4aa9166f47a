//! What holds for every network and every planner.

use crate::network::{
    Budget, Greedy, Linear, Network, NetworkModel, NetworkPlan, NetworkPlanner, NetworkViolation, check_network,
    tests::{
        exact::best_value,
        random::{Random, network},
    },
};

fn planners() -> [(&'static str, &'static dyn NetworkPlanner); 2] {
    [("greedy", &Greedy), ("linear", &Linear)]
}

/// A plan that the judge accepts.
fn plan(planner: &dyn NetworkPlanner, model: &NetworkModel, hint: Option<&NetworkPlan>) -> NetworkPlan {
    let network = Network::new(model.clone()).unwrap();
    let plan = planner.plan(&network, hint, Budget::default());
    assert_eq!(check_network(model, &plan), Ok(()));
    plan
}

#[test]
fn bounds_hold_against_an_exact_solver() {
    let (mut optimal, mut worth) = (0, 0);
    for seed in 0..10_000 {
        let model = network(seed, 3, 3);
        let best = best_value(&model);
        worth += u64::from(best > 0);
        for (name, planner) in planners() {
            let plan = plan(planner, &model, None);
            assert!(plan.value <= best && best <= plan.bound, "{name}, seed {seed}: {plan:?}, best {best}");
            optimal += u64::from(best > 0 && plan.value == best);
        }
    }
    // The networks are not empty ones, and most plans are the best there is.
    assert!(worth > 4_000 && optimal > 2 * worth * 9 / 10, "{worth} networks with work, {optimal} best plans");
}

#[test]
fn a_hint_never_worsens_a_plan() {
    for seed in 0..2_000 {
        let model = network(seed, 8, 40);
        let mut other = network(seed, 8, 40);
        let mut random = Random(seed);
        for pool in other.centres.iter_mut().flat_map(|centre| &mut centre.pools) {
            pool.free.iter_mut().for_each(|free| *free = *free * (900 + random.below(201)) / 1_000);
        }
        other.classes.retain(|_| random.below(10) > 0);
        let stranger = network(seed + 1, 8, 40);
        for (name, planner) in planners() {
            let without = plan(planner, &model, None);
            for hint in [&without, &plan(planner, &other, None), &plan(planner, &stranger, None)] {
                let with = plan(planner, &model, Some(hint));
                assert!(with.value >= without.value && with.bound <= without.bound, "{name}, seed {seed}");
            }
        }
    }
}

#[test]
fn more_capacity_never_lowers_the_bound() {
    for seed in 0..2_000 {
        let model = network(seed, 8, 40);
        let mut more = model.clone();
        let mut random = Random(seed);
        for pool in more.centres.iter_mut().flat_map(|centre| &mut centre.pools) {
            pool.free.iter_mut().for_each(|free| *free += random.below(3) * 500);
        }
        let (less, more) = (plan(&Linear, &model, None), plan(&Linear, &more, None));
        assert!(less.solved && more.solved, "seed {seed}");
        assert!(more.bound >= less.bound, "seed {seed}: {} then {}", less.bound, more.bound);
    }
}

#[test]
fn small_budgets_give_legal_plans() {
    for seed in 0..500 {
        let model = network(seed, 8, 40);
        let network = Network::new(model.clone()).unwrap();
        for (_, planner) in planners() {
            for pivots_max in 0..3 {
                let plan = planner.plan(&network, None, Budget { rounds_max: pivots_max, pivots_max });
                assert_eq!(check_network(&model, &plan), Ok(()), "seed {seed}");
            }
        }
    }
}

#[test]
fn the_same_network_has_the_same_plan() {
    for seed in 0..200 {
        let model = network(seed, 8, 40);
        for (_, planner) in planners() {
            assert_eq!(plan(planner, &model, None), plan(planner, &model, None));
        }
    }
}

#[test]
fn the_judge_finds_what_is_spoilt() {
    let mut found = [0; 6];
    for seed in 0..300 {
        let model = network(seed, 8, 40);
        let good = plan(&Linear, &model, None);
        let spoil = |number: usize, plan: &mut NetworkPlan| match number {
            0 => plan.amounts[0].tasks += 1_000,
            1 => plan.amounts[0].terms.worth += 1,
            2 => plan.value += 1,
            3 => plan.bound -= 1,
            4 => plan.prices.iter_mut().for_each(|price| price.fixed = 0),
            _ => plan.amounts.push(plan.amounts[0].clone()),
        };
        if good.amounts.is_empty() || good.prices.is_empty() {
            continue;
        }
        for (number, count) in found.iter_mut().enumerate() {
            let mut bad = good.clone();
            spoil(number, &mut bad);
            let violations: Vec<NetworkViolation> = check_network(&model, &bad).expect_err("a spoilt plan");
            *count += usize::from(!violations.is_empty());
        }
    }
    assert!(found.iter().all(|&count| count > 30), "{found:?}");
}
