//! What holds for every network and every planner.

use crate::network::{
    Budget, Greedy, Linear, Network, NetworkModel, NetworkPlan, NetworkPlanner, check_network,
    tests::{exact::best_value, random::network},
};

fn planners() -> [(&'static str, &'static dyn NetworkPlanner); 2] {
    [("greedy", &Greedy), ("linear", &Linear)]
}

fn plan(planner: &dyn NetworkPlanner, model: &NetworkModel, hint: Option<&NetworkPlan>) -> NetworkPlan {
    let network = Network::new(model.clone()).unwrap();
    let plan = planner.plan(&network, hint, Budget::default());
    assert_eq!(check_network(model, &plan), Ok(()));
    plan
}

#[test]
fn bounds_hold_against_an_exact_solver() {
    for seed in 0..10_000 {
        let model = network(seed, 3, 3);
        let best = best_value(&model);
        for (name, planner) in planners() {
            let plan = plan(planner, &model, None);
            assert!(plan.value <= best && best <= plan.bound, "{name}, seed {seed}: {plan:?}, best {best}");
        }
    }
}
