//! Slurm and Kubernetes centres: what waits in their queues, and how soon they start it.

use huisuan_model::{
    AttemptId, Centre, Class, Command, EngineKind, Event, GflopPerS, JobId, JobSpec, Mark, Millicores, Money, Pool,
    Rating, ReportKind, Tariff, TimeMs, spec::Need,
};

use super::{job, tasks};
use crate::{
    Outlook,
    testing::{Network, attempt, centre, exited, origin, pool},
};

const MINUTE_MS: i64 = 60_000;

/// A Slurm centre of so many cores beside the others.
fn with_slurm(cores: u64) -> Network {
    let mut network = Network::new();
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(3_000_000_000) };
    let slurm = Centre::new(centre("slurm"), Class::General, EngineKind::Slurm, "UTC", tariff);
    network.take(Command::SetCentre(Box::new(slurm)));
    let found = Pool {
        cores: Millicores(cores * 1_000),
        rating: None,
        ..network.state.centres[&centre("ai-1")].pools[&pool()].clone()
    };
    network.take(Command::Inventory { centre: centre("slurm"), pools: vec![Pool { class: Class::General, ..found }] });
    let rating = Rating::plain(GflopPerS(60), GflopPerS(100), "test/1", Mark::Measured, TimeMs(0));
    network.take(Command::Rate { centre: centre("slurm"), pool: pool(), rating });
    network
}

fn here(count: u32) -> JobSpec {
    let need = Need::Hardware { cores: Millicores(10), devices: None };
    tasks(
        JobSpec { centres: vec![centre("slurm")], need, memory: huisuan_model::Bytes(1 << 10), ..job("a") },
        count - 1,
    )
}

fn start(network: &mut Network, tasks: std::ops::Range<u32>) {
    let started = tasks.map(|task| (attempt(1, task, 1), ReportKind::Started)).collect();
    network.report("slurm", started);
}

fn most(network: &Network) -> u64 {
    let known = &network.state.centres[&centre("slurm")];
    known.starts.in_flight_most(&network.state.policy.opaque, known.reported_at.unwrap_or(TimeMs(0)))
}

#[test]
fn what_is_handed_over_doubles_while_the_centre_keeps_up() {
    let mut network = with_slurm(8);
    network.submit(here(500)).expect("accepted");
    let mut placed = 0;
    for expected in [64, 64 + 128, 64 + 128 + 256] {
        network.plan();
        assert_eq!(network.state.used.in_flight(&centre("slurm")), expected - placed);
        assert_eq!(network.state.attempts_live(), expected);
        assert!(network.plan().is_empty(), "no more for now");
        network.pass(MINUTE_MS);
        start(&mut network, placed as u32..expected as u32);
        assert_eq!(network.state.used.in_flight(&centre("slurm")), 0);
        placed = expected;
        network.check_rebuilt();
    }
    assert_eq!((most(&network), network.state.centres[&centre("slurm")].starts.observations()), (64 + 448, 448));
    assert!(network.state.attempts().all(|attempt| attempt.band.is_some_and(|band| band.size < 3)));
}

#[test]
fn a_start_wakes_the_planner_only_where_a_queue_is_hidden() {
    let mut network = with_slurm(8);
    let on = |name: &str| JobSpec { centres: vec![centre(name)], ..job("a") };
    network.submit(on("slurm")).expect("accepted");
    network.submit(on("hpc-1")).expect("accepted");
    network.plan();
    for (number, name, wakes) in [(1, "slurm", true), (2, "hpc-1", false)] {
        let events = network.report(name, vec![(attempt(number, 0, 1), ReportKind::Started)]);
        assert!(events.iter().any(|event| matches!(event, Event::AttemptStarted { .. })));
        assert_eq!(events.iter().any(|event| crate::wakes_planner(&network.state, event)), wakes, "{name}");
    }
    assert!(network.state.centres[&centre("hpc-1")].starts.is_empty());
}

#[test]
fn ends_and_starts_teach_once_and_what_never_started_teaches_nothing() {
    let mut network = with_slurm(8);
    network.submit(here(3)).expect("accepted");
    network.plan();
    network.pass(MINUTE_MS);
    let observations = |network: &Network| network.state.centres[&centre("slurm")].starts.observations();
    let whole = network.ended(exited(0), 10);
    network.report("slurm", vec![(attempt(1, 0, 1), whole)]);
    assert_eq!(observations(&network), 1, "its end tells when it started");
    network.report("slurm", vec![(attempt(1, 1, 1), ReportKind::Started)]);
    let end = network.ended(exited(0), 10);
    network.report("slurm", vec![(attempt(1, 1, 1), end)]);
    assert_eq!(observations(&network), 2);
    let refused = super::site::refused(&network);
    network.report("slurm", vec![(attempt(1, 2, 1), refused)]);
    assert_eq!(observations(&network), 2);
    assert_eq!(network.state.used.in_flight(&centre("slurm")), 0);
}

#[test]
fn a_centre_declared_anew_keeps_what_was_learnt() {
    let mut network = with_slurm(8);
    network.submit(here(1)).expect("accepted");
    network.plan();
    start(&mut network, 0..1);
    let known = network.state.centres[&centre("slurm")].clone();
    let Centre { id, class, engine, zone, tariff, .. } = known.clone();
    network.take(Command::SetCentre(Box::new(Centre::new(id, class, engine, &zone, tariff))));
    assert_eq!(network.state.centres[&centre("slurm")].starts, known.starts);
}

#[test]
fn a_plan_of_before_is_held_against_what_waits_now() {
    let mut network = with_slurm(8);
    network.submit(here(64)).expect("accepted");
    network.submit(here(64)).expect("accepted");
    let snapshot = crate::snapshot(&network.state);
    let cycle = |snapshot: &_| {
        huisuan_schedule::cycle(
            snapshot,
            &network.state.policy,
            network.now,
            huisuan_schedule::Budget::default(),
            huisuan_schedule::Seed(1),
        )
    };
    let plan = cycle(&snapshot);
    network.take(Command::Plan(Box::new(plan.clone())));
    assert_eq!(network.state.attempts_live(), 64);
    let other = |job: &mut huisuan_model::Placement| job.job = JobId(2);
    let mut again = plan;
    again.placements.iter_mut().for_each(other);
    assert_eq!(network.take(Command::Plan(Box::new(again))), vec![], "64 wait there already");
}

#[test]
fn the_outlook_adds_what_the_centre_is_known_to_wait() {
    let mut network = with_slurm(8);
    let ask = |network: &Network| {
        let candidates =
            Outlook::of(&network.state, &origin(), &here(1), network.now).expect("legal").candidates(network.now);
        let found = candidates.into_iter().find(|one| one.centre == centre("slurm")).expect("a candidate");
        (found.start_p50.expect("known").0, found.start_p90.expect("known").0)
    };
    let prior = network.state.policy.opaque.prior;
    assert_eq!(ask(&network), (prior.p50_ms, prior.p90_ms));
    network.submit(here(64)).expect("accepted");
    network.plan();
    network.pass(MINUTE_MS);
    start(&mut network, 0..64);
    let (median, most) = ask(&network);
    assert!((60_000..80_000).contains(&median) && (60_000..80_000).contains(&most), "{median} {most}");
    let ids: Vec<AttemptId> = network.state.attempts().map(|attempt| attempt.id).collect();
    assert_eq!(ids.len(), 64);
}
