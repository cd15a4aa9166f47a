//! The site's own rules, and what its engine holds against what the server believes.

use huisuan_api::agent::{HeldAnswer, HeldTasks};
use huisuan_model::{EndCause, JobId, JobSpec, Order, RangeSet, ReportKind, StartOrder, spec::JobKind};

use crate::{Bench, engine::ended, id, start};

fn changed(job: u64, change: impl FnOnce(&mut StartOrder)) -> Order {
    match start(job, "here") {
        Order::Start(mut order) => {
            change(&mut order);
            Order::Start(order)
        }
        other => other,
    }
}

#[test]
fn what_the_site_refuses_never_reaches_its_engine() {
    let bench = Bench::new();
    // Whatever a server in wrong hands says of it.
    let _agent = bench.run_with("tenants = ['t/p']\nlargest = { cores = 1 }");
    bench.server.order(changed(1, |order| order.tenant = "stranger".parse().expect("a name")));
    bench.server.order(changed(2, |order| order.cores.0 = 1001));
    bench.server.order(start(3, "here"));
    bench.engine.until("the one that is allowed", |seen| seen.submitted == [id(3)]);
    bench.server.until_refused(2);
    let said = bench.server.taken().into_iter().flat_map(|batch| batch.reports);
    let said: Vec<(u64, EndCause, String)> = said
        .filter_map(|report| match report.what {
            ReportKind::Ended { started_at: None, outcome, .. } => {
                Some((report.attempt.job.0, outcome.cause, outcome.detail))
            }
            _ => None,
        })
        .collect();
    let rule = |job: u64| &said.iter().find(|(number, ..)| *number == job).expect("a refusal").2;
    assert!(said.iter().all(|(_, cause, _)| *cause == EndCause::Refused), "{said:?}");
    assert!(rule(1).contains("`tenants`") && rule(2).contains("`largest.cores`"), "{said:?}");
    assert_eq!(bench.engine.submitted(), [id(3)]);
}

#[test]
fn a_session_goes_elsewhere_where_the_engine_has_no_terminals() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(changed(1, |order| {
        let mut spec = JobSpec::clone(&order.spec);
        spec.kind = JobKind::Session;
        order.spec = spec.into();
    }));
    bench.server.until_refused(1);
    let said: Vec<_> = bench.server.taken().into_iter().flat_map(|batch| batch.reports).collect();
    let why = said.iter().find_map(|report| match &report.what {
        ReportKind::Ended { outcome, .. } if report.attempt == id(1) => Some((outcome.cause, outcome.detail.clone())),
        _ => None,
    });
    assert_eq!(why, Some((EndCause::Refused, "this engine runs no sessions".to_owned())));
    assert_eq!(bench.engine.submitted(), []);
}

#[test]
fn rules_that_change_do_not_disown_what_runs() {
    let bench = Bench::new();
    let agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
    drop(agent);
    let _agent = bench.run_with("tenants = []");
    bench.server.order(start(2, "here"));
    bench.server.until_refused(1);
    let told: Vec<_> = bench.server.taken().into_iter().flat_map(|batch| batch.reports).collect();
    assert!(told.iter().all(|report| report.attempt == id(2)), "the first was given again and not refused: {told:?}");
}

#[test]
fn the_engine_has_as_many_as_the_site_allows() {
    let bench = Bench::new();
    let _agent = bench.run_with("attempts_max = 2");
    (1..=4).for_each(|job| bench.server.order(start(job, "here")));
    bench.server.order(Order::Stop(id(3)));
    bench.engine.until("two starts and a stop", |seen| seen.submitted == [1, 2].map(id) && seen.cancelled == [id(3)]);
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.engine.until("the next", |seen| seen.submitted == [1, 2, 4].map(id));
}

#[test]
fn the_account_is_the_sites() {
    let bench = Bench::new();
    let _agent = bench.run_with("accounts = { t = 'grp-7' }");
    bench.server.order(changed(1, |order| order.account = Some("root".to_owned())));
    bench.engine.until("a start", |seen| seen.accounts == [Some("grp-7".to_owned())]);
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(changed(1, |order| order.account = Some("root".to_owned())));
    bench.engine.until("a start", |seen| seen.accounts == [None]);
}

#[test]
fn what_the_engine_holds_is_compared_and_differences_are_followed() {
    let bench = Bench::new();
    let agent = bench.run();
    (1..=2).for_each(|job| bench.server.order(start(job, "here")));
    bench.engine.until("starts", |seen| seen.submitted.len() == 2);
    drop(agent);
    let bench = Bench { server: crate::server::PretendedServer::new(2), ..bench };
    bench.server.differ(HeldAnswer { missing: vec![id(9)], end: vec![id(2)], again: false });
    let _agent = bench.run();
    let one = |job| HeldTasks { job: JobId(job), attempt: 1, tasks: RangeSet::from_range(0, 0) };
    assert_eq!(bench.server.until_held(), [one(1), one(2)]);
    bench.engine.until("what is followed", |seen| seen.cancelled == [id(2)] && seen.looked_for == [id(9)]);
}
