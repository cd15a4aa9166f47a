//! What sites refuse, and what is given up at centres that stay silent.

use huisuan_model::{
    Alarm, AlarmKind, Command, EndCause, EndReason, Event, JobSpec, JobState, Outcome, Presence, ReportKind, TimeMs,
    alarm::ALARMS_MAX, spec::Rerun, tenant::TokenHash,
};

use super::{end_state, job, tasks};
use crate::{
    Refusal,
    testing::{Network, attempt, centre, exited},
};

/// The report of an order that the site's rules refuse.
pub(super) fn refused(network: &Network) -> ReportKind {
    let outcome = Outcome { cause: EndCause::Refused, exit_code: None, signal: None, detail: "rule `tenants`".into() };
    match network.ended(outcome, 0) {
        ReportKind::Ended { outcome, usage, .. } => ReportKind::Ended { started_at: None, outcome, usage },
        other => other,
    }
}

/// Where the live attempts are.
fn places(network: &Network) -> Vec<(String, String)> {
    network.state.attempts().map(|attempt| (attempt.id.to_string(), attempt.centre.to_string())).collect()
}

#[test]
fn a_refused_job_goes_elsewhere_once_and_fails_when_nothing_is_left() {
    let mut network = Network::new();
    network.submit(job("a")).expect("accepted");
    network.plan();
    let first = places(&network)[0].1.clone();
    let kind = refused(&network);
    network.report(&first, vec![(attempt(1, 0, 1), kind.clone())]);
    network.check_rebuilt();
    network.plan();
    let second = places(&network);
    assert_eq!(second[0].0, "1.0.2");
    assert_ne!(second[0].1, first, "the same centre is not asked again");
    let events = network.report(&second[0].1, vec![(attempt(1, 0, 2), kind)]);
    assert_eq!(end_state(&events), Some(JobState::Failed));
    assert!(events.iter().any(|event| matches!(event, Event::JobRefused { .. })), "with its reason: {events:?}");
    assert!(network.state.ledger.audit().is_ok() && network.state.jobs_live() == 0);
    network.check_rebuilt();
}

#[test]
fn what_still_waits_of_an_array_fails_with_its_reason() {
    let mut network = Network::new();
    let here = JobSpec { centres: vec![centre("ai-1")], parallel_max: Some(2), ..job("a") };
    network.submit(tasks(here, 4)).expect("accepted");
    network.plan();
    assert_eq!(network.state.attempts_live(), 2);
    let kind = refused(&network);
    let events = network.report("ai-1", vec![(attempt(1, 0, 1), kind.clone())]);
    assert!(events.iter().any(|event| matches!(event, Event::JobRefused { .. })), "{events:?}");
    network.check_rebuilt();
    assert_eq!(network.plan(), vec![], "nothing of it waits");
    let events = network.report("ai-1", vec![(attempt(1, 1, 1), network.ended(exited(0), 5))]);
    assert_eq!(end_state(&events), Some(JobState::Failed));
    network.check_rebuilt();
}

#[test]
fn a_refusal_is_no_failed_try() {
    let mut network = Network::new();
    network.submit(JobSpec { retries: 1, ..job("a") }).expect("accepted");
    network.plan();
    let (first, kind) = (places(&network)[0].1.clone(), refused(&network));
    network.report(&first, vec![(attempt(1, 0, 1), kind)]);
    for (number, last) in [(2, false), (3, true)] {
        network.plan();
        let place = places(&network)[0].1.clone();
        let events = network.report(&place, vec![(attempt(1, 0, number), network.ended(exited(1), 5))]);
        assert_eq!(end_state(&events).is_some(), last, "one retry was asked for");
    }
}

#[test]
fn a_gang_that_is_refused_goes_elsewhere_whole() {
    let mut network = Network::new();
    network.submit(JobSpec { gang: true, ..tasks(job("a"), 1) }).expect("accepted");
    network.plan();
    let (first, kind) = (places(&network)[0].1.clone(), refused(&network));
    network.report(&first, vec![(attempt(1, 0, 1), kind.clone()), (attempt(1, 1, 1), kind.clone())]);
    network.check_rebuilt();
    network.plan();
    let second = places(&network);
    assert!(second.len() == 2 && second.iter().all(|(_, place)| *place != first), "{second:?}");
    let events = network.report(&second[0].1, vec![(attempt(1, 0, 2), kind.clone()), (attempt(1, 1, 2), kind)]);
    assert_eq!(end_state(&events), Some(JobState::Failed));
}

#[test]
fn what_has_begun_cannot_be_refused() {
    let mut network = Network::new();
    network.submit(job("a")).expect("accepted");
    network.plan();
    let place = places(&network)[0].1.clone();
    network.report(&place, vec![(attempt(1, 0, 1), ReportKind::Started)]);
    let kind = refused(&network);
    let events = network.report(&place, vec![(attempt(1, 0, 1), kind)]);
    assert_eq!(end_state(&events), Some(JobState::Failed), "no free second try");
}

#[test]
fn only_what_may_run_again_is_given_up_at_a_silent_centre() {
    let mut network = Network::new();
    let here = JobSpec { centres: vec![centre("hpc-1")], ..job("a") };
    network.submit(here.clone()).expect("accepted");
    network.submit(JobSpec { rerun: Rerun::Allowed, centres: Vec::new(), ..here }).expect("accepted");
    network.plan();
    let at = |network: &Network, job| {
        network.state.attempts().find(|attempt| attempt.id.job.0 == job).map(|attempt| attempt.centre.clone())
    };
    let silent = at(&network, 2).expect("it is placed");
    network.report(silent.as_str(), vec![(attempt(2, 0, 1), ReportKind::Started)]);
    let give_up = Command::GiveUp { centre: silent.clone() };
    assert_eq!(network.take(give_up.clone()), vec![], "a centre that is there is not given up");
    network.take(Command::SetPresence { centre: silent.clone(), presence: Presence::Absent });
    network.pass(3_600_000);
    let events = network.take(give_up.clone());
    assert!(
        events.iter().any(|event| matches!(event, Event::AttemptEnded { attempt, retry: true, cost, .. }
        if attempt.job.0 == 2 && cost.0 == 0)),
        "{events:?}"
    );
    assert_eq!(at(&network, 1).map(|centre| centre.to_string()).as_deref(), Some("hpc-1"), "unknown, and not touched");
    network.check_rebuilt();
    network.plan();
    assert_ne!(at(&network, 2), Some(silent.clone()));
    // What the old attempt did all the same changes nothing.
    let before = network.state.jobs_live();
    network.report(silent.as_str(), vec![(attempt(2, 0, 1), network.ended(exited(0), 9))]);
    assert_eq!(network.state.jobs_live(), before);
    let held = [attempt(2, 0, 1), attempt(9, 0, 1)].into();
    let differences = network.state.differences(&silent, &held);
    assert_eq!(differences.not_live, [attempt(2, 0, 1), attempt(9, 0, 1)]);
    network.check_rebuilt();
}

#[test]
fn differences_are_told_apart() {
    let mut network = Network::new();
    network.submit(JobSpec { centres: vec![centre("hpc-1")], ..tasks(job("a"), 2) }).expect("accepted");
    network.plan();
    let runs = attempt(1, 0, 1);
    network.report("hpc-1", vec![(runs, ReportKind::Started)]);
    let of =
        |network: &Network, name, held: &[_]| network.state.differences(&centre(name), &held.iter().copied().collect());
    assert_eq!(of(&network, "hpc-1", &[runs, attempt(1, 1, 1)]), Default::default());
    assert_eq!(of(&network, "hpc-1", &[attempt(1, 1, 1)]).missing, [runs]);
    assert_eq!(of(&network, "hpc-1", &[runs]).missing, [], "what was only ordered is ordered again");
    assert_eq!(of(&network, "ai-1", &[runs]).foreign, [(runs, centre("hpc-1"))]);
    assert_eq!(of(&network, "hpc-1", &[runs, attempt(7, 0, 1)]).not_live, [attempt(7, 0, 1)]);
}

#[test]
fn alarms_are_raised_once_and_cleared() {
    let mut network = Network::new();
    let alarm = |subject: String| Alarm {
        kind: AlarmKind::UnknownAttempt,
        subject,
        detail: "two\nlines".into(),
        since: TimeMs(0),
    };
    let set = |raised, cleared| Command::SetAlarms { centre: centre("hpc-1"), raised, cleared };
    network.take(set(vec![alarm("9.0.1".into())], Vec::new()));
    network.pass(10);
    assert_eq!(network.take(set(vec![alarm("9.0.1".into())], Vec::new())), vec![], "it is known");
    let known = &network.state.centres()[&centre("hpc-1")].alarms[0];
    assert_eq!((known.since, &*known.detail), (TimeMs(1_000), "two lines"));
    network.check_rebuilt();
    let many = (0..2 * ALARMS_MAX).map(|number| alarm(number.to_string())).collect();
    network.take(set(many, Vec::new()));
    assert_eq!(network.state.centres()[&centre("hpc-1")].alarms.len(), ALARMS_MAX);
    network.take(set(Vec::new(), vec![(AlarmKind::UnknownAttempt, "9.0.1".into())]));
    assert_eq!(network.state.centres()[&centre("hpc-1")].alarms.len(), ALARMS_MAX - 1);
    network.check_rebuilt();
}

#[test]
fn a_centre_is_added_once_and_keeps_its_token() {
    let mut network = Network::new();
    let known = network.state.centres()[&centre("hpc-1")].clone();
    let again = network.execute(Command::AddCentre(Box::new(known.clone())));
    assert_eq!(again, Err(Refusal::CentreExists(centre("hpc-1"))));
    let token = Some(TokenHash([3; 32]));
    network.take(Command::SetCentreToken { centre: centre("hpc-1"), token: TokenHash([3; 32]) });
    network.take(Command::SetCentre(Box::new(known)));
    assert_eq!(network.state.centres()[&centre("hpc-1")].token, token, "a new declaration is no new token");
    let nowhere = network.execute(Command::SetCentreToken { centre: centre("x"), token: TokenHash([3; 32]) });
    assert_eq!(nowhere, Err(Refusal::NoCentre(centre("x"))));
    network.check_rebuilt();
}

#[test]
fn the_end_reason_counts_who_refused() {
    let mut network = Network::new();
    network.submit(tasks(JobSpec { centres: vec![centre("ai-1")], ..job("a") }, 3)).expect("accepted");
    network.plan();
    let kind = refused(&network);
    network.report("ai-1", vec![(attempt(1, 0, 1), kind)]);
    let live = network.state.jobs().next().map(|job| job.end_reason);
    assert_eq!(live, Some(Some(EndReason::RefusedEverywhere { centres: 1 })));
}
