//! Several tenants: what an operator sets, and what their quotas keep out.

use huisuan_model::{
    Class, Command, Event, JobSpec, Money, NodeShare, ProjectId, Reason, TenantId,
    command::Origin,
    tenant::{Limit, TenantChange, TokenHash},
};
use huisuan_schedule::{Budget, Seed, cycle};

use super::{job, tasks};
use crate::{
    Refusal, execute, snapshot,
    testing::{Network, attempt, exited, origin},
};

fn lab() -> TenantId {
    TenantId::new("lab").expect("a name")
}

fn cores(most: u64) -> TenantChange {
    TenantChange { quota_cores: Some(Limit::Most(most * 1000)), ..TenantChange::default() }
}

#[test]
fn a_tenant_is_added_once_and_changed_in_part() {
    let mut network = Network::new();
    let change = TenantChange { weight: Some(3), ..cores(2) };
    network.take(Command::AddTenant { tenant: lab(), change: change.clone() });
    let twice = network.execute(Command::AddTenant { tenant: lab(), change });
    assert_eq!(twice, Err(Refusal::TenantExists(lab())));
    network.take(Command::SetTenantToken { tenant: lab(), token: TokenHash([1; 32]) });
    let change = TenantChange { jobs_max: Some(7), quota_cores: Some(Limit::None), ..TenantChange::default() };
    network.take(Command::ChangeTenant { tenant: lab(), change });
    let known = network.state.tenants()[&lab()].clone();
    assert_eq!((known.weight, known.jobs_max, known.quota_cores), (3, 7, None));
    assert_eq!(known.token, Some(TokenHash([1; 32])), "a change leaves the token");
    network.check_rebuilt();
    for change in [
        TenantChange { weight: Some(0), ..TenantChange::default() },
        TenantChange { weight: Some(u32::MAX), ..TenantChange::default() },
        TenantChange { jobs_max: Some(u64::MAX), ..TenantChange::default() },
        TenantChange { projects: [(ProjectId::new("p").expect("a name"), 0)].into(), ..TenantChange::default() },
    ] {
        let refused = network.execute(Command::ChangeTenant { tenant: lab(), change });
        assert!(matches!(refused, Err(Refusal::Tenant { .. })), "{refused:?}");
    }
    let unknown = TenantId::new("nobody").expect("a name");
    let refused = network.execute(Command::ChangeTenant { tenant: unknown.clone(), change: cores(1) });
    assert_eq!(refused, Err(Refusal::NoTenant(unknown)));
}

#[test]
fn an_account_is_closed_when_nothing_runs_and_nothing_is_owed() {
    let mut network = Network::new();
    let tenant = origin().tenant;
    let close = || Command::CloseTenant { tenant: origin().tenant };
    let refused = |network: &mut Network, command: Command, part: &str| {
        let refusal = network.execute(command).expect_err(part);
        assert!(refusal.to_string().contains(part), "{refusal}");
    };
    let here = |name| JobSpec { class: Some(Class::Hpc), ..job(name) };
    network.submit(here("a")).expect("accepted");
    refused(&mut network, close(), "has 1 jobs");
    network.plan();
    network.pass(60_000);
    network.report("hpc-1", vec![(attempt(1, 0, 1), network.ended(exited(0), 60_000))]);
    // What it was lent goes with what is its own.
    let lent = TenantChange { credit: Some(Money(5)), ..TenantChange::default() };
    network.take(Command::ChangeTenant { tenant: tenant.clone(), change: lent });
    let available = |network: &Network| network.state.ledger.available(&origin().tenant, crate::books::home_currency());
    assert!(available(&network) > Money(5));
    network.take(close());
    assert_eq!(available(&network), Money::ZERO);
    let closed = &network.state.tenants()[&tenant];
    assert_eq!((closed.closed, closed.budget.credit), (true, Money::ZERO));
    network.check_rebuilt();
    refused(&mut network, Command::Fund { amount: Money(1) }, "is closed");
    refused(&mut network, Command::ChangeTenant { tenant: tenant.clone(), change: cores(1) }, "is closed");
    assert!(network.submit(job("b")).is_err_and(|refusal| refusal.to_string().contains("is closed")));
    network.take(close());
    refused(&mut network, Command::CloseTenant { tenant: lab() }, "is not known");
    // Who has spent what was lent owes it.
    let lent = TenantChange { credit: Some(Money(1_000)), ..TenantChange::default() };
    network.take(Command::AddTenant { tenant: lab(), change: lent });
    let of_lab = Origin { tenant: lab(), ..origin() };
    let spec = std::sync::Arc::new(here("c"));
    network.take_from(&of_lab, Command::Submit { spec, key: None, ended: Vec::new() });
    network.plan();
    network.pass(60_000);
    network.report("hpc-1", vec![(attempt(2, 0, 1), network.ended(exited(0), 60_000))]);
    refused(&mut network, Command::CloseTenant { tenant: lab() }, "owes 750 millionths");
    network.take_from(&of_lab, Command::Fund { amount: Money(750) });
    network.take(Command::CloseTenant { tenant: lab() });
    network.check_rebuilt();
}

#[test]
fn a_quota_keeps_out_what_is_above_it_until_something_ends() {
    let mut network = Network::new();
    network.take(Command::ChangeTenant { tenant: origin().tenant, change: cores(2) });
    network.submit(tasks(job("array"), 4)).expect("accepted");
    network.plan();
    assert_eq!(network.state.attempts_live(), 2);
    assert_eq!(network.state.held(&origin().tenant).cores.0, 2000);
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    assert!(plan.placements.is_empty());
    assert!(matches!(plan.reasons[0].reason, Reason::Quota { needed: 1000, held: 2000, limit: 2000, .. }));
    network.check_rebuilt();
    let at = network.state.attempt(attempt(1, 0, 1)).expect("placed").centre.clone();
    let ended = network.ended(exited(0), 0);
    network.report(at.as_str(), vec![(attempt(1, 0, 1), ended)]);
    assert_eq!(network.plan().len(), 1, "one ended, one more");
    assert_eq!(network.state.attempts_live(), 2);
}

#[test]
fn a_plan_made_before_a_quota_was_lowered_is_dropped() {
    let mut network = Network::new();
    network.submit(job("a")).expect("accepted");
    let plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    network.take(Command::ChangeTenant { tenant: origin().tenant, change: cores(0) });
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![]);
}

#[test]
fn a_plan_that_names_nodes_that_nobody_knows_is_dropped() {
    let mut network = Network::new();
    network.submit(job("a")).expect("accepted");
    let mut plan = cycle(&snapshot(&network.state), network.state.policy(), network.now, Budget::default(), Seed(1));
    plan.placements[0].nodes = vec![NodeShare { node: 3, devices: 0, each: 0 }];
    assert_eq!(network.take(Command::Plan(Box::new(plan))), vec![]);
}

#[test]
fn work_is_for_a_project_that_the_tenant_has() {
    let mut network = Network::new();
    let project = |name: &str| ProjectId::new(name).expect("a name");
    let mut submit = |name: &str| {
        let origin = Origin { project: project(name), ..origin() };
        let spec = std::sync::Arc::new(JobSpec { ..job("a") });
        let command = Command::Submit { spec, key: None, ended: Vec::new() };
        execute(&mut network.state, &origin, &command, network.now)
    };
    assert!(matches!(&submit("default").expect("always there")[..], [Event::JobSubmitted { .. }]));
    assert!(matches!(submit("alpha"), Err(Refusal::NoProject { .. })));
    let change = TenantChange { projects: [(project("alpha"), 2)].into(), ..TenantChange::default() };
    network.take(Command::ChangeTenant { tenant: origin().tenant, change });
    let origin = Origin { project: project("alpha"), ..origin() };
    let command = Command::Submit { spec: std::sync::Arc::new(job("b")), key: None, ended: Vec::new() };
    assert!(execute(&mut network.state, &origin, &command, network.now).is_ok());
}
