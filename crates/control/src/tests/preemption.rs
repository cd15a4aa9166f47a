//! What runs ends for tenants that hold less than they are due, waits, and runs again.

use std::sync::Arc;

use huisuan_model::{
    AttemptId, AttemptState, Command, EndCause, Event, JobId, JobSpec, JobState, Money, ReportKind, TenantId,
    command::Origin, tenant::TenantChange,
};
use huisuan_schedule::{Budget, Seed, cycle};

use super::{end_state, job, tasks};
use crate::{
    snapshot,
    testing::{Network, attempt, cancelled, centre, exited, origin},
};

pub(super) fn lab() -> Origin {
    Origin { tenant: TenantId::new("lab").expect("a name"), ..origin() }
}

/// `local` fills `hpc-1` with four tasks that may be preempted, and `lab` waits with an array for the same place.
fn contested(retries: u32) -> Network {
    let mut network = Network::new();
    network.take(Command::AddTenant { tenant: lab().tenant, change: TenantChange::default() });
    network.take_from(&lab(), Command::Fund { amount: Money(10_000_000) });
    let here = JobSpec { centres: vec![centre("hpc-1")], ..job("elastic") };
    let elastic = JobSpec { preemptible: true, retries, ..tasks(here.clone(), 3) };
    network.submit(elastic).expect("accepted");
    network.plan();
    assert_eq!(network.state.attempts_live(), 4);
    network.pass(1_000);
    network.report("hpc-1", (0..4).map(|task| (attempt(1, task, 1), ReportKind::Started)).collect());
    network.pass(10_000);
    let urgent = Command::Submit { spec: Arc::new(tasks(here, 9)), key: None, ended: Vec::new() };
    network.take_from(&lab(), urgent);
    network
}

fn stopped(events: &[Event]) -> Vec<AttemptId> {
    let stops = events.iter().filter_map(|event| match event {
        Event::StopOrdered { attempt, preempted_by: Some(JobId(2)), .. } => Some(*attempt),
        _ => None,
    });
    stops.collect()
}

/// The outcome that the report of an end came to, and whether its task waits again.
fn end_of(events: &[Event]) -> (EndCause, bool) {
    let end = events.iter().find_map(|event| match event {
        Event::AttemptEnded { outcome, retry, .. } => Some((outcome.cause, *retry)),
        _ => None,
    });
    end.expect("an end")
}

#[test]
fn who_holds_less_than_is_due_gets_room_and_what_made_it_runs_again() {
    let mut network = contested(0);
    let stops = stopped(&network.plan());
    // Of the four cores of this class two are due to each.
    assert_eq!(stops, [attempt(1, 2, 1), attempt(1, 3, 1)]);
    assert_eq!(network.state.open_orders(&centre("hpc-1")).len(), stops.len());
    network.check_rebuilt();
    assert_eq!(network.plan(), vec![], "those that are told to end are enough");
    network.pass(1_000);
    let before = network.state.ledger().earned(&centre("hpc-1"), crate::books::home_currency());
    for id in &stops {
        let end = network.ended(cancelled(), 11_000);
        let events = network.report("hpc-1", vec![(*id, end.clone())]);
        assert_eq!(end_of(&events), (EndCause::Preempted, true));
        assert_eq!(network.report("hpc-1", vec![(*id, end)]).len(), 1, "an end is taken once");
    }
    assert!(network.state.ledger().earned(&centre("hpc-1"), crate::books::home_currency()) > before, "it ran");
    let row = network.state.job(JobId(1)).expect("it lives on").clone();
    assert_eq!((row.tasks.waiting.len(), row.tasks.cancelled.len()), (stops.len() as u64, 0));
    network.check_rebuilt();
    network.plan();
    let others: Vec<AttemptId> = network.state.attempts().map(|one| one.id).filter(|id| id.job == JobId(2)).collect();
    assert_eq!(others.len(), stops.len(), "in their place");
    assert_eq!(network.plan(), vec![], "everybody holds what is due");
    network.take_from(&lab(), Command::Cancel { job: JobId(2) });
    let ends = others.iter().map(|id| (*id, network.ended(cancelled(), 0))).collect();
    network.report("hpc-1", ends);
    network.plan();
    let again: Vec<AttemptId> = network.state.attempts().map(|one| one.id).filter(|id| id.attempt == 2).collect();
    assert_eq!(again, stops.iter().map(|id| AttemptId { attempt: 2, ..*id }).collect::<Vec<_>>(), "a new attempt");
    let left: Vec<AttemptId> = network.state.attempts().map(|one| one.id).collect();
    let ends = left.iter().map(|id| (*id, network.ended(exited(0), 500))).collect();
    assert_eq!(end_state(&network.report("hpc-1", ends)), Some(JobState::Succeeded));
    assert_eq!(network.state.attempts_live(), 0);
    network.check_rebuilt();
}

#[test]
fn a_preemption_is_no_try_that_failed() {
    for (retries, tries) in [(0, 1), (1, 2)] {
        let mut network = contested(retries);
        let stop = stopped(&network.plan())[0];
        let end = network.ended(cancelled(), 10);
        network.report("hpc-1", vec![(stop, end)]);
        network.take_from(&lab(), Command::Cancel { job: JobId(2) });
        let mut fails = 0;
        loop {
            network.plan();
            let attempt = network.state.attempts().find(|one| one.id.task == stop.task && one.stop_seq.is_none());
            let Some(id) = attempt.map(|attempt| attempt.id) else { break };
            let end = network.ended(exited(3), 0);
            fails += 1;
            let (_, again) = end_of(&network.report("hpc-1", vec![(id, end)]));
            assert_eq!(again, fails < tries, "try {fails} of {tries}");
        }
        assert_eq!(fails, tries);
        network.check_rebuilt();
    }
}

#[test]
fn what_ends_by_itself_or_by_its_user_first_is_not_preempted() {
    let mut network = contested(0);
    let stops = stopped(&network.plan());
    let end = network.ended(exited(0), 10);
    assert_eq!(end_of(&network.report("hpc-1", vec![(stops[0], end)])), (EndCause::Exited, false));
    network.take(Command::Cancel { job: JobId(1) });
    let left: Vec<AttemptId> = network.state.attempts().map(|one| one.id).collect();
    for id in left {
        let end = network.ended(cancelled(), 10);
        assert_eq!(end_of(&network.report("hpc-1", vec![(id, end)])), (EndCause::Cancelled, false));
    }
    assert_eq!(network.state.take_touched().jobs_ended[&JobId(1)].state, JobState::Cancelled);
    network.check_rebuilt();
}

#[test]
fn nobody_is_preempted_unasked() {
    let mut network = contested(0);
    let id = attempt(1, 0, 1);
    let preempted = huisuan_model::Outcome { cause: EndCause::Preempted, ..cancelled() };
    let end = network.ended(preempted, 10);
    assert_eq!(end_of(&network.report("hpc-1", vec![(id, end)])), (EndCause::Cancelled, false));
    network.check_rebuilt();
}

#[test]
fn a_preemption_that_no_longer_holds_is_dropped() {
    let plan = |network: &Network| {
        cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1))
    };
    let check = |meanwhile: &dyn Fn(&mut Network), left: usize| {
        let mut network = contested(0);
        let plan = plan(&network);
        assert!(plan.placements.is_empty() && !plan.preemptions.is_empty());
        assert_eq!(plan.preemptions[0].tasks, huisuan_model::RangeSet::from_range(2, 3));
        meanwhile(&mut network);
        let events = network.take(Command::Plan(Box::new(plan)));
        assert_eq!(stopped(&events).len(), left, "{events:?}");
        let running = network.state.attempts().filter(|one| one.state == AttemptState::Running);
        assert!(running.count() > 0);
        network.check_rebuilt();
    };
    check(&|_| {}, 2);
    check(&|network| _ = network.take_from(&lab(), Command::Cancel { job: JobId(2) }), 0);
    check(&|network| _ = network.take(Command::Cancel { job: JobId(1) }), 0);
    check(
        &|network| {
            let end = network.ended(exited(0), 0);
            network.report("hpc-1", vec![(attempt(1, 3, 1), end)]);
        },
        1,
    );
    check(&|network| assert_eq!(network.plan().len(), 2, "the same"), 0);
}
