//! Jobs that wait for other jobs.

use huisuan_model::{Command, Dependency, EndReason, EndedJob, Event, JobId, JobSpec, JobState, ReportKind, When};

use super::{job, tasks};
use crate::{
    Refusal,
    testing::{Network, attempt, cancelled, exited},
};

fn after(on: &[(u64, When)]) -> JobSpec {
    let after = on.iter().map(|&(job, when)| Dependency { job: JobId(job), when }).collect();
    JobSpec { after, ..job("after") }
}

/// Lets job 1 begin and end with `end`; answers what its dependent of each condition does at start and at the end.
fn check(end: &str, expected: [&str; 4]) {
    let mut network = Network::new();
    network.submit(job("first")).expect("accepted");
    for when in When::ALL {
        network.submit(after(&[(1, when)])).expect("accepted");
    }
    assert_eq!(network.plan().len(), 1, "what depends on others is not placed");
    let at = network.state.attempt(attempt(1, 0, 1)).expect("placed").centre.clone();
    let mut story = network.report(at.as_str(), vec![(attempt(1, 0, 1), ReportKind::Started)]);
    let outcome = match end {
        "ok" => exited(0),
        "failed" => exited(1),
        _ => cancelled(),
    };
    if end == "cancelled" {
        network.take(Command::Cancel { job: JobId(1) });
    }
    let at_start = story.len();
    let ended = network.ended(outcome, 10);
    story.extend(network.report(at.as_str(), vec![(attempt(1, 0, 1), ended)]));
    network.check_rebuilt();
    let became = |job: u64| {
        let found = story.iter().enumerate().find_map(|(number, event)| match event {
            Event::DependencyMet { job: waits, .. } if waits.0 == job => Some((number, "goes")),
            Event::DependencyUnmet { job: waits, .. } if waits.0 == job => Some((number, "ends")),
            _ => None,
        });
        let (number, word) = found.expect("every condition is settled by the end");
        if number < at_start { "goes at once" } else { word }
    };
    assert_eq!([2, 3, 4, 5].map(became), expected, "{end}");
    assert_eq!(network.plan().len(), expected.iter().filter(|word| word.starts_with("goes")).count());
}

#[test]
fn a_job_goes_or_ends_by_what_it_waited_for() {
    check("ok", ["goes", "goes", "ends", "goes at once"]);
    check("failed", ["ends", "goes", "goes", "goes at once"]);
    check("cancelled", ["ends", "goes", "goes", "goes at once"]);
}

#[test]
fn what_can_never_be_is_refused_at_the_door() {
    let mut network = Network::new();
    network.submit(job("first")).expect("accepted");
    for on in [2, 3, 0] {
        let refused = network.submit(after(&[(on, When::Any)]));
        assert_eq!(refused, Err(Refusal::UnknownDependency(JobId(on))), "itself, later or never");
    }
    let ended = |state| vec![EndedJob { job: JobId(9), state }];
    let submit = |when, state| Command::Submit {
        spec: std::sync::Arc::new(after(&[(9, when)])),
        key: None,
        ended: ended(state),
    };
    let refused = network.execute(submit(When::Ok, JobState::Failed));
    let on = Dependency { job: JobId(9), when: When::Ok };
    assert_eq!(refused, Err(Refusal::DependencyUnmet { on, ended: JobState::Failed }));
    network.take(submit(When::NotOk, JobState::Failed));
    assert_eq!(network.state.job(JobId(2)).map(|job| job.waits_for.len()), Some(0), "it held already");
}

#[test]
fn only_jobs_of_the_same_tenant_can_be_waited_for() {
    let mut network = Network::new();
    network.submit(job("first")).expect("accepted");
    let other = huisuan_model::TenantId::new("other").expect("a name");
    network.take(Command::SetTenant(huisuan_model::Tenant::new(other.clone(), 9)));
    let origin = huisuan_model::command::Origin { tenant: other, ..crate::testing::origin() };
    let spec = std::sync::Arc::new(after(&[(1, When::Any)]));
    let command = Command::Submit { spec, key: None, ended: Vec::new() };
    let refused = crate::execute(&mut network.state, &origin, &command, network.now);
    assert_eq!(refused, Err(Refusal::UnknownDependency(JobId(1))));
}

#[test]
fn a_chain_ends_as_one_and_says_why() {
    let mut network = Network::new();
    network.submit(job("first")).expect("accepted");
    for before in 1..50 {
        network.submit(after(&[(before, When::Ok)])).expect("accepted");
    }
    network.take(Command::Cancel { job: JobId(1) });
    assert_eq!(network.state.jobs_live(), 0);
    network.check_rebuilt();
    let touched = network.state.take_touched();
    let last = &touched.jobs_ended[&JobId(50)];
    let reason = EndReason::DependencyUnmet { on: JobId(49), when: When::Ok, ended: JobState::Cancelled };
    assert_eq!((last.state, last.end_reason), (JobState::Cancelled, Some(reason)));
    assert!(!last.cancel_requested, "nobody asked for it");
}

#[test]
fn a_job_waits_for_all_that_it_names() {
    let mut network = Network::new();
    network.submit(tasks(job("one"), 1)).expect("accepted");
    network.submit(job("two")).expect("accepted");
    network.submit(after(&[(1, When::Ok), (2, When::Ok)])).expect("accepted");
    network.plan();
    for id in [attempt(2, 0, 1), attempt(1, 0, 1), attempt(1, 1, 1)] {
        assert!(network.plan().is_empty(), "{id} still runs");
        let at = network.state.attempt(id).expect("placed").centre.clone();
        let ended = network.ended(exited(0), 1);
        network.report(at.as_str(), vec![(id, ended)]);
        network.check_rebuilt();
    }
    assert_eq!(network.plan().len(), 1);
}
