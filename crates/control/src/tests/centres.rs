//! Centres that cannot take work for a while.

use huisuan_model::{Class, Command, Event, JobSpec, PoolId, Presence, Reason, TimeMs};
use huisuan_schedule::{Budget, Seed, cycle};

use super::job;
use crate::{
    Refusal, snapshot,
    testing::{Network, centre},
};

/// Why the one waiting shape waits.
fn reason(network: &Network) -> Reason {
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    assert_eq!((plan.placements.len(), plan.reasons.len()), (0, 1));
    plan.reasons[0].reason.clone()
}

#[test]
fn an_absent_centre_gets_no_work_and_is_told_once() {
    let mut network = Network::new();
    let set = |presence| Command::SetPresence { centre: centre("hpc-1"), presence };
    assert_eq!(network.take(set(Presence::Present)), vec![], "nothing new");
    assert_eq!(network.take(set(Presence::Absent)).len(), 1);
    network.pass(10);
    assert_eq!(network.take(set(Presence::Absent)), vec![], "once is enough");
    assert_eq!(network.state.centres()[&centre("hpc-1")].absent_since.map(|at| at.0), Some(1_000));
    network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted: it may come back");
    assert_eq!(reason(&network), Reason::CentreAbsent { centre: centre("hpc-1") });
    network.check_rebuilt();
    network.take(set(Presence::Present));
    assert_eq!(network.plan().len(), 1);
}

#[test]
fn a_plan_made_before_a_centre_went_away_is_dropped() {
    let mut network = Network::new();
    network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted");
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    network.take(Command::SetPresence { centre: centre("hpc-1"), presence: Presence::Absent });
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![]);
}

#[test]
fn maintenance_keeps_out_what_could_run_into_it() {
    let mut network = Network::new();
    let minute = 60_000;
    let maintain = |from, until| Command::AddWindow {
        centre: centre("hpc-1"),
        pool: None,
        from: TimeMs(from),
        until: TimeMs(until),
        note: String::new(),
    };
    network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted");
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    network.take(maintain(2 * minute, 3 * minute));
    network.pass(minute);
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![], "a minute from 61,000 reaches into it");
    let (from, until) = (TimeMs(2 * minute), TimeMs(3 * minute));
    assert_eq!(reason(&network), Reason::CentreClosed { centre: centre("hpc-1"), from, until });
    network.check_rebuilt();
    network.now = until;
    assert_eq!(network.plan().len(), 1, "it is over");
    let events = network.take(maintain(9 * minute, 10 * minute));
    assert!(
        matches!(&events[..], [Event::WindowRemoved { id: 1, .. }, Event::WindowAdded { window, .. }] if window.id == 2)
    );
    network.take(Command::RemoveWindow { centre: centre("hpc-1"), id: 2 });
    let again = network.take(maintain(9 * minute, 10 * minute));
    assert!(matches!(&again[..], [Event::WindowAdded { window, .. }] if window.id == 3), "numbers are not given twice");
    network.check_rebuilt();
}

#[test]
fn maintenance_that_makes_no_sense_is_refused() {
    let mut network = Network::new();
    network.pass(1_000_000);
    let mut refused = |pool: Option<&str>, from: i64, until: i64, note: &str| {
        let command = Command::AddWindow {
            centre: centre("hpc-1"),
            pool: pool.map(|name| PoolId::new(name).expect("a name")),
            from: TimeMs(from),
            until: TimeMs(until),
            note: note.to_owned(),
        };
        let refusal = network.execute(command).expect_err("refused");
        assert!(!refusal.hint().is_empty());
        refusal.to_string()
    };
    assert_eq!(refused(None, 2_000_000, 2_000_000, ""), "window of centre `hpc-1`: it must begin before it ends");
    assert_eq!(refused(None, 0, 1_000, ""), "window of centre `hpc-1`: it has ended already");
    assert!(refused(None, 0, 400 * 86_400_000, "").contains("366 days"));
    assert!(refused(None, 0, 2_000_000, "two\nlines").contains("one line"));
    assert_eq!(refused(Some("gpu"), 0, 2_000_000, ""), "centre `hpc-1` has no pool `gpu`");
    let gone = network.execute(Command::RemoveWindow { centre: centre("hpc-1"), id: 1 });
    assert_eq!(gone, Err(Refusal::NoWindow { centre: centre("hpc-1"), id: 1 }));
}

#[test]
fn what_nobody_saw_while_the_server_was_away_is_told() {
    let mut network = Network::new();
    let resume = |at: i64| Command::Resume { seen_until: TimeMs(at) };
    network.pass(100_000);
    let now = network.now.0;
    assert_eq!(network.take(resume(now - 29_999)), vec![], "a short stop");
    assert_eq!(network.take(resume(now + 5)), vec![], "the clock was set back");
    let unseen = Event::Unseen { from: TimeMs(now - 30_000), until: TimeMs(now) };
    assert_eq!(network.take(resume(now - 30_000)), vec![unseen]);
    network.check_rebuilt();
    let origin = crate::testing::origin();
    let told = crate::execute(&mut crate::State::default(), &origin, &resume(0), TimeMs(now)).expect("taken");
    assert_eq!(told, vec![], "an empty network has nothing to see");
}

#[test]
fn work_is_marked_as_the_rating_that_it_is_counted_with() {
    for mark in [huisuan_model::Mark::Measured, huisuan_model::Mark::Declared] {
        let mut network = Network::new();
        let name = centre("hpc-1");
        let pool = network.state.centres()[&name].pools.values().next().expect("a pool").clone();
        let rating = huisuan_model::Rating { mark, ..pool.rating.clone().expect("rated") };
        network.take(Command::Rate { centre: name.clone(), pool: pool.id.clone(), rating });
        network.submit(JobSpec { class: Some(Class::Hpc), ..job("a") }).expect("accepted");
        network.plan();
        let attempt = network.state.attempts().next().expect("placed");
        assert_eq!((attempt.centre.clone(), attempt.terms.mark), (name, mark));
        network.check_rebuilt();
    }
}
