//! What goes wrong shows in the journal as it would with real agents.

use huisuan_control::State;
use huisuan_model::{CentreState, Command, DurationMs, EndCause, Event, JobId, TimeMs};
use huisuan_twin::{
    World,
    setup::{Fault, Span},
    workload::{Arrival, Workload},
};

use crate::{
    Journal,
    network::{centre, job, minute, pool, setup, site, spec},
};

fn ran(faults: Vec<Fault>, jobs: Vec<Arrival>) -> World<Journal> {
    let setup = setup(vec![site("a", 16, 1_000_000_000)], faults, 1);
    let workload = Workload::new(Vec::new(), jobs, setup.start, setup.end, 1);
    let mut world = World::new(setup, workload, Journal::default());
    world.run();
    world
}

fn span(from: u64, until: u64) -> Span {
    Span { from: minute(from), until: minute(until) }
}

/// Minutes from the start, of all events that `pick` picks.
fn minutes(world: &World<Journal>, pick: impl Fn(&Event) -> bool) -> Vec<u64> {
    let entries = world.observer().entries.iter();
    let picked = entries.filter(|entry| entry.events.iter().any(&pick));
    picked.map(|entry| entry.at.since(minute(0)).0 / 60_000).collect()
}

fn ends(world: &World<Journal>) -> Vec<(JobId, EndCause, TimeMs, bool)> {
    let events = world.observer().entries.iter().flat_map(|entry| &entry.events);
    let ended = events.filter_map(|event| match event {
        Event::AttemptEnded { attempt, outcome, at, retry, .. } => Some((attempt.job, outcome.cause, *at, *retry)),
        _ => None,
    });
    ended.collect()
}

fn delay(at: TimeMs, ms: u64) -> TimeMs {
    at.after(DurationMs(ms))
}

#[test]
fn a_task_runs_after_its_order_and_its_end_is_known_after_its_report() {
    let world = ran(Vec::new(), vec![job(10, &spec("one", 1, 1, false, 0), 30)]);
    assert_eq!(ends(&world), [(JobId(1), EndCause::Exited, delay(minute(40), 10), false)]);
    let last = world.observer().entries.last().expect("an end");
    assert_eq!(last.at, delay(minute(40), 510));
    assert_eq!(world.control().jobs_live(), 0);
}

#[test]
fn a_dark_centre_loses_its_tasks_and_says_so_when_it_is_back() {
    let outage = Fault::Outage { centre: centre("a"), span: span(20, 50), noticed_after_ms: 300_000 };
    let world =
        ran(vec![outage], vec![job(10, &spec("one", 1, 2, false, 1), 30), job(22, &spec("two", 1, 1, false, 0), 5)]);
    let lost: Vec<_> = ends(&world).into_iter().filter(|end| end.1 == EndCause::Lost).collect();
    assert_eq!(lost, [(JobId(1), EndCause::Lost, minute(20), true); 2]);
    // It is told when the centre is back; then both tasks run again.
    assert_eq!(minutes(&world, |event| matches!(event, Event::AttemptEnded { .. })), [50, 55, 80]);
    // Until the operator noticed, work was placed on it; after that, no more.
    assert_eq!(minutes(&world, |event| matches!(event, Event::TasksPlaced { .. })), [10, 22, 50]);
    assert_eq!(minutes(&world, |event| matches!(event, Event::CentreStateSet { .. })), [25, 50]);
    assert_eq!(world.control().jobs_live(), 0);
}

#[test]
fn maintenance_lets_tasks_end_and_starts_none() {
    let maintenance = Fault::Maintenance { centre: centre("a"), span: span(20, 60) };
    let world = ran(
        vec![maintenance],
        vec![job(10, &spec("one", 1, 1, false, 0), 30), job(30, &spec("two", 1, 1, false, 0), 5)],
    );
    assert_eq!(minutes(&world, |event| matches!(event, Event::AttemptEnded { .. })), [40, 65]);
    assert_eq!(minutes(&world, |event| matches!(event, Event::TasksPlaced { .. })), [10, 60]);
}

#[test]
fn a_lost_link_delays_news_and_orders_but_no_task_that_runs() {
    let loss = Fault::LinkLoss { centre: centre("a"), span: span(20, 60) };
    let world =
        ran(vec![loss], vec![job(10, &spec("one", 1, 1, false, 0), 30), job(30, &spec("two", 1, 1, false, 0), 5)]);
    let found = ends(&world);
    assert_eq!(found[0], (JobId(1), EndCause::Exited, delay(minute(40), 10), false));
    assert_eq!(found[1], (JobId(2), EndCause::Exited, minute(65), false));
    assert_eq!(minutes(&world, |event| matches!(event, Event::AttemptEnded { .. })), [60, 65]);
}

#[test]
fn a_failed_node_takes_its_tasks_and_its_room_until_it_is_repaired() {
    let nodes = Fault::Nodes {
        centre: centre("a"),
        pool: pool(),
        nodes: 4,
        mean_between_ms: 4 * 60 * 60_000,
        repair_ms: 20 * 60_000,
    };
    let jobs = (0..8).map(|_| job(0, &spec("one", 4, 1, false, 5), 110)).collect();
    let world = ran(vec![nodes], jobs);
    let cores: Vec<u64> = world
        .observer()
        .entries
        .iter()
        .filter_map(|entry| match &entry.command {
            Command::Inventory { pools, .. } => Some(pools[0].cores.0 / 1_000),
            _ => None,
        })
        .collect();
    assert_eq!(cores[0], 16);
    assert!(cores.windows(2).all(|pair| pair[0].abs_diff(pair[1]) == 4), "one node at a time: {cores:?}");
    assert!(cores[1..].contains(&16), "repaired: {cores:?}");
    let lost = ends(&world).iter().filter(|end| end.1 == EndCause::Lost).count();
    let failures = cores.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!((1..=failures).contains(&lost), "a node has one task at most: {lost} lost, {failures} failed");
    let rated = |state: &State| state.centres()[&centre("a")].pools[&pool()].rating.clone();
    assert!(rated(world.control()).is_some_and(|rating| rating.sustained.0 % 40 == 0));
    assert_eq!(world.control().centres()[&centre("a")].state, CentreState::Active);
}

#[test]
fn short_tasks_that_are_placed_ahead_wait_at_the_centre() {
    let mut tiny = job(0, &spec("tiny", 1, 4_000, false, 0), 1);
    tiny.truth.length = huisuan_twin::workload::Length::Ms(50);
    let world = ran(Vec::new(), vec![tiny]);
    let most = world.observer().entries.iter().scan(0u64, |placed, entry| {
        for event in &entry.events {
            match event {
                Event::TasksPlaced { tasks, .. } => *placed += tasks.len(),
                Event::AttemptEnded { .. } => *placed -= 1,
                _ => {}
            }
        }
        Some(*placed)
    });
    let most = most.max().unwrap_or_default();
    assert!(most > 16, "{most} tasks at once on 16 cores");
    assert_eq!(ends(&world).len(), 4_000);
    let busy = ends(&world).iter().map(|end| end.2).max().expect("an end").since(minute(0)).0;
    assert!(busy >= 4_000 / 16 * 50, "16 cores cannot be faster: {busy} ms");
}
