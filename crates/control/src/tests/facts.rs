//! What lies between centres, declared and used.

use std::sync::Arc;

use huisuan_model::{
    Bytes, Command, DurationMs, Facts, JobSpec, Money, Place, Reason,
    facts::Link,
    spec::{LatencyBound, Objective, Reading},
};
use huisuan_schedule::{Budget, Seed, cycle};

use super::{job, tasks};
use crate::{
    Refusal, snapshot,
    testing::{Network, centre},
};

fn link(to: &str, round_trip_ms: u64) -> Facts {
    let link = Link {
        to: centre(to),
        round_trip_us: round_trip_ms * 1_000,
        bytes_per_s: 1_000_000_000,
        price_per_gb: Money::ZERO,
    };
    Facts { links: vec![link], ..Facts::default() }
}

fn set(name: &str, facts: Facts) -> Command {
    Command::SetFacts { centre: centre(name), place: None, facts }
}

fn near_to(to: &str, round_trip_ms: u64) -> JobSpec {
    let latency = LatencyBound { round_trip_max: DurationMs(round_trip_ms), to: Some(centre(to)), place: None };
    JobSpec { latency: Some(latency), ..job("near") }
}

#[test]
fn facts_are_declared_once_and_kept_when_a_centre_is_set_again() {
    let mut network = Network::new();
    assert_eq!(network.take(set("hpc-1", link("ai-1", 8))).len(), 1);
    assert_eq!(network.take(set("hpc-1", link("ai-1", 8))), vec![], "nothing new");
    let mut again = network.state.centres()[&centre("hpc-1")].clone();
    again.facts = None;
    network.take(Command::SetCentre(Box::new(again)));
    let facts = network.state.centres()[&centre("hpc-1")].facts.clone();
    assert_eq!(facts, Some(Arc::new(link("ai-1", 8))), "who declares no facts changes none");
    network.check_rebuilt();
    let far = Place { latitude_microdegrees: 91_000_000, longitude_microdegrees: 0 };
    let off = Command::SetFacts { centre: centre("hpc-1"), place: Some(far), facts: Facts::default() };
    for wrong in [set("hpc-1", link("hpc-1", 1)), off] {
        assert!(matches!(network.execute(wrong.clone()), Err(Refusal::Facts { .. })), "{wrong:?}");
    }
    assert!(matches!(network.execute(set("nowhere", Facts::default())), Err(Refusal::NoCentre(_))));
    assert_eq!(network.take(set("hpc-1", Facts::default())).len(), 1, "and taken back");
    assert_eq!(network.state.centres()[&centre("hpc-1")].facts, None);
}

#[test]
fn a_bound_that_no_centre_meets_is_refused_and_others_go_where_it_is_met() {
    let mut network = Network::new();
    let refusal = network.submit(near_to("nowhere", 5)).expect_err("no such centre");
    assert!(matches!(&refusal, Refusal::NeverFits { detail, .. } if detail.contains("not known")), "{refusal:?}");
    let hpc_alone = |ms| JobSpec { centres: vec![centre("hpc-1")], ..near_to("ai-1", ms) };
    let refusal = network.submit(hpc_alone(5)).expect_err("no way is known");
    assert!(matches!(&refusal, Refusal::NeverFits { detail, .. } if detail.contains("no known way")), "{refusal:?}");
    network.take(set("hpc-1", link("ai-1", 8)));
    let refusal = network.submit(hpc_alone(5)).expect_err("too far");
    assert!(matches!(&refusal, Refusal::NeverFits { detail, .. } if detail.contains("is 8 ms")), "{refusal:?}");
    network.submit(hpc_alone(8)).expect("it is near enough");
    assert_eq!(network.plan().len(), 1);
}

#[test]
fn a_bound_holds_and_the_reason_tells_of_it() {
    let mut network = Network::new();
    network.take(set("hpc-1", link("ai-1", 8)));
    network.submit(tasks(near_to("ai-1", 5), 9)).expect("accepted");
    network.plan();
    assert!(network.state.attempts().all(|attempt| attempt.centre == centre("ai-1")));
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    let [waits] = &plan.reasons[..] else { panic!("one shape waits: {:?}", plan.reasons) };
    let Reason::Latency { within: 1, centre: far, round_trip_us: Some(8_000), .. } = &waits.reason else {
        panic!("{:?}", waits.reason)
    };
    assert_eq!(far, &centre("hpc-1"));
}

#[test]
fn a_plan_made_before_the_way_grew_longer_is_dropped() {
    let mut network = Network::new();
    network.take(set("hpc-1", link("ai-1", 8)));
    network.submit(JobSpec { centres: vec![centre("hpc-1")], ..near_to("ai-1", 8) }).expect("accepted");
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    assert_eq!(plan.placements.len(), 1);
    network.take(set("hpc-1", link("ai-1", 9)));
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![]);
}

#[test]
fn what_is_read_and_preferred_is_accepted() {
    let mut network = Network::new();
    let reads = vec![Reading { at: centre("ai-1"), bytes: Bytes(1 << 40) }];
    network.submit(JobSpec { reads, objective: Objective::Greenest, ..job("reads") }).expect("accepted");
    network.plan();
    let placed: Vec<_> = network.state.attempts().map(|attempt| attempt.centre.clone()).collect();
    assert_eq!(placed, [centre("ai-1")], "where the data lies");
    network.check_rebuilt();
}
