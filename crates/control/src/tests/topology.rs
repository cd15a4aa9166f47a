//! Pools whose nodes the network chooses: the books of nodes, and gangs that must lie within one rack.

use std::collections::BTreeMap;

use huisuan_model::{
    AttemptId, Bytes, Centre, Class, Command, DurationMs, EngineKind, Event, GflopPerS, JobSpec, Level, Mark,
    Millicores, Money, Plan, Pool, Rating, Tariff, TimeMs, Together, Topology, spec::Need,
};
use huisuan_schedule::{Budget, Seed, check, cycle};
use proptest::prelude::*;

use super::{job, tasks};
use crate::{
    Refusal, snapshot,
    testing::{Network, attempt, centre, exited, pool},
};

/// A centre of eight nodes with two cores each beside the others, two nodes to a rack.
fn with_racks(engine: EngineKind) -> Network {
    let mut network = Network::new();
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(3_000_000) };
    let racks = Centre::new(centre("racks"), Class::General, engine, "UTC", tariff);
    network.take(Command::SetCentre(Box::new(racks)));
    tell(&mut network, Topology { nodes: 8, rack_nodes: 2, pod_racks: None });
    let rating = Rating::plain(GflopPerS(600), GflopPerS(600), "test/1", Mark::Measured, TimeMs(0));
    network.take(Command::Rate { centre: centre("racks"), pool: pool(), rating });
    network
}

fn tell(network: &mut Network, topology: Topology) {
    let found = network.state.centres[&centre("ai-1")].pools[&pool()].clone();
    let (cores, memory) = (Millicores(16_000), Bytes(16 << 30));
    let found = Pool { class: Class::General, cores, memory, rating: None, topology: Some(topology), ..found };
    network.take(Command::Inventory { centre: centre("racks"), pools: vec![found] });
}

fn gang(count: u32, topology: Together) -> JobSpec {
    let need = Need::Hardware { cores: Millicores(1_000), devices: None };
    let centres = vec![centre("racks")];
    tasks(JobSpec { gang: count > 1, topology, need, centres, ..job("gang") }, count - 1)
}

/// The nodes of a job's attempts, by task.
fn nodes(network: &Network, id: u64) -> Vec<u32> {
    let own = network.state.attempts().filter(|attempt| attempt.id.job.0 == id);
    let nodes: BTreeMap<u32, u32> = own.filter_map(|one| Some((one.id.task, one.node?.node))).collect();
    nodes.into_values().collect()
}

#[test]
fn a_gang_is_given_the_nodes_of_one_rack_and_gives_them_back() {
    let mut network = with_racks(EngineKind::Simulated);
    let rack = Together::Required(Level::Rack);
    network.submit(gang(1, Together::Preferred)).expect("accepted");
    network.plan();
    network.submit(gang(4, rack)).expect("accepted");
    network.submit(gang(3, rack)).expect("accepted");
    network.plan();
    assert_eq!(
        (nodes(&network, 1), nodes(&network, 2), nodes(&network, 3)),
        (vec![0], vec![2, 2, 3, 3], vec![0, 1, 1])
    );
    network.check_rebuilt();
    let ends: Vec<_> = (0..4).map(|task| (attempt(2, task, 1), network.ended(exited(0), 10))).collect();
    network.report("racks", ends);
    network.check_rebuilt();
    network.submit(gang(4, rack)).expect("accepted");
    network.plan();
    assert_eq!(nodes(&network, 4), [2, 2, 3, 3]);
}

#[test]
fn a_gang_that_waits_for_a_rack_is_promised_the_first_one() {
    let mut network = with_racks(EngineKind::Simulated);
    for walltime in [60_000, 120_000, 30_000, 90_000] {
        let long = JobSpec { walltime: DurationMs(walltime), ..gang(3, Together::Required(Level::Rack)) };
        network.submit(long).expect("accepted");
    }
    network.plan();
    network.submit(gang(4, Together::Required(Level::Rack))).expect("accepted");
    let next = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    let starts: Vec<(u64, i64)> = next.reservations.iter().map(|one| (one.job.0, one.start_at.0)).collect();
    // Latest ends are kept in whole minutes.
    assert_eq!(starts, [(5, 60_000)]);
}

#[test]
fn the_nodes_of_a_plan_are_looked_at_again() {
    let mut network = with_racks(EngineKind::Simulated);
    network.submit(gang(2, Together::Required(Level::Rack))).expect("accepted");
    let good = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    assert_eq!(good.placements[0].nodes.len(), 2);
    let taken = |network: &mut Network, spoil: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        spoil(&mut plan);
        network.take(Command::Plan(Box::new(plan))).len()
    };
    assert_eq!(taken(&mut network, &|plan| plan.placements[0].nodes.clear()), 0, "no nodes");
    assert_eq!(taken(&mut network, &|plan| plan.placements[0].nodes[1].node = 2), 0, "another rack");
    assert_eq!(taken(&mut network, &|plan| plan.placements[0].nodes.iter_mut().for_each(|one| one.node = 8)), 0);
    assert_eq!(taken(&mut network, &|_| {}), 1);
    // The node is full now.
    network.submit(gang(1, Together::Preferred)).expect("accepted");
    let mut next = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    next.placements[0].nodes[0].node = good.placements[0].nodes[0].node;
    assert_eq!(network.take(Command::Plan(Box::new(next))), []);
}

#[test]
fn a_pool_that_becomes_smaller_keeps_what_runs() {
    let mut network = with_racks(EngineKind::Simulated);
    network.submit(gang(12, Together::Preferred)).expect("accepted");
    network.plan();
    tell(&mut network, Topology { nodes: 4, rack_nodes: 4, pod_racks: None });
    network.check_rebuilt();
    let ends: Vec<(AttemptId, _)> = (0..12).map(|task| (attempt(1, task, 1), network.ended(exited(0), 10))).collect();
    network.report("racks", ends);
    network.check_rebuilt();
    assert_eq!(network.state.attempts().count(), 0);
}

#[test]
fn what_an_engine_decides_itself_is_promised_to_nobody() {
    for engine in [EngineKind::Slurm, EngineKind::Kubernetes, EngineKind::Local] {
        let mut network = with_racks(engine);
        let refusal = network.submit(gang(2, Together::Required(Level::Rack))).expect_err("its nodes are not known");
        assert!(matches!(&refusal, Refusal::NeverFits { .. }), "{refusal}");
        assert!(refusal.to_string().contains("does not tell which nodes"), "{refusal}");
        network.submit(gang(2, Together::Preferred)).expect("accepted");
        let events = network.plan();
        assert!(matches!(&events[..], [Event::TasksPlaced { nodes, .. }] if nodes.is_empty()), "{events:?}");
    }
    // Nor is what cannot be.
    let mut network = with_racks(EngineKind::Simulated);
    for (nodes, rack_nodes) in [(0, 1), (8, 0), (u32::MAX, 1)] {
        tell(&mut network, Topology { nodes, rack_nodes, pod_racks: None });
        let known = &network.state.centres[&centre("racks")].pools[&pool()];
        assert_eq!(known.topology, None, "{nodes} {rack_nodes}");
    }
    let mut network = with_racks(EngineKind::Local);
    tell(&mut network, Topology::ONE_NODE);
    network.submit(gang(8, Together::Required(Level::Rack))).expect("a machine is one rack");
    let rating = Rating::plain(GflopPerS(600), GflopPerS(600), "test/1", Mark::Measured, TimeMs(0));
    network.take(Command::Rate { centre: centre("racks"), pool: pool(), rating });
    assert_eq!(network.plan().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever comes and goes, no node holds more than it has, no gang that requires a rack lies in two, and the books
    /// are those of the attempts.
    #[test]
    fn nodes_are_never_given_twice(
        steps in prop::collection::vec((1u32..7, 0u8..3, 0usize..4), 1..14),
    ) {
        let mut network = with_racks(EngineKind::Simulated);
        for (count, kind, ends) in steps {
            let topology = if kind == 2 && count > 1 { Together::Required(Level::Rack) } else { Together::Preferred };
            let spec = JobSpec { gang: kind > 0 && count > 1, ..gang(count, topology) };
            _ = network.submit(spec);
            let (seen, policy) = (snapshot(&network.state), network.state.policy().clone());
            let next = cycle(&seen, &policy, network.now, Budget::default(), Seed(1));
            prop_assert_eq!(check(&seen, &policy, network.now, &next), Ok(()));
            network.plan();
            network.pass(i64::from(count) * 7_000);
            let running: Vec<AttemptId> = network.state.attempts().map(|attempt| attempt.id).take(ends).collect();
            let ended: Vec<_> = running.into_iter().map(|id| (id, network.ended(exited(0), 10))).collect();
            network.report("racks", ended);
            let mut held: BTreeMap<u32, u64> = BTreeMap::new();
            for attempt in network.state.attempts() {
                *held.entry(attempt.node.expect("every attempt has its node").node).or_default() += attempt.cores.0;
            }
            prop_assert!(held.values().all(|&cores| cores <= 2_000), "{:?}", held);
            for known in network.state.jobs().filter(|known| known.spec.topology != Together::Preferred) {
                let own = network.state.attempts().filter(|attempt| attempt.id.job == known.id);
                let racks: std::collections::BTreeSet<u32> = own.filter_map(|one| Some(one.node?.node / 2)).collect();
                prop_assert!(racks.len() <= 1, "{:?}", racks);
            }
        }
        network.check_rebuilt();
    }
}
