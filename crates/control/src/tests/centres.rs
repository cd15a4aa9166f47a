//! Centres that cannot take work for a while.

use huisuan_model::{Class, Command, JobSpec, Presence, Reason};
use huisuan_schedule::{Budget, Seed, cycle};

use super::job;
use crate::{
    snapshot,
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
