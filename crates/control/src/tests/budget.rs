//! What may be spent: limits by month, hour and project, and credit.

use huisuan_model::{
    Event, JobSpec, Money, ProjectId, RangeSet,
    tenant::{Limit, TenantChange},
};

use super::meter::{HOUR, HOUR_COST, long};
use crate::{
    Refusal,
    testing::{Network, attempt, exited, origin},
};

pub(super) fn limit(network: &mut Network, change: TenantChange) -> Result<Vec<Event>, Refusal> {
    network.execute(huisuan_model::Command::ChangeTenant { tenant: origin().tenant, change })
}

#[test]
fn budgets_act_before_the_money_is_gone() {
    let most = |amount: i64| Some(Limit::Most(amount as u64));
    let project = ProjectId::new("default").expect("a name");
    for (name, change, at_once) in [
        ("month", TenantChange { budget_month: most(2 * HOUR_COST), ..TenantChange::default() }, 2),
        ("hour", TenantChange { budget_hour: most(3 * HOUR_COST + 1), ..TenantChange::default() }, 3),
        (
            "project",
            TenantChange {
                budget_projects: [(project, Limit::Most(HOUR_COST as u64))].into(),
                ..TenantChange::default()
            },
            1,
        ),
        ("nothing", TenantChange { budget_month: most(0), ..TenantChange::default() }, 0),
        ("no limit", TenantChange::default(), 4),
    ] {
        let mut network = Network::new();
        limit(&mut network, change).expect("a budget");
        network.submit(JobSpec { tasks: RangeSet::from_range(0, 9), ..long(1) }).expect("a job");
        network.plan();
        network.plan();
        assert_eq!(network.state.attempts_live(), at_once, "{name}");
        network.check_rebuilt();
    }
}

#[test]
fn a_new_month_has_its_own_budget() {
    let mut network = Network::new();
    let change = TenantChange { budget_month: Some(Limit::Most(HOUR_COST as u64)), ..TenantChange::default() };
    limit(&mut network, change).expect("a budget");
    network.submit(JobSpec { tasks: RangeSet::from_range(0, 1), ..long(1) }).expect("a job");
    network.plan();
    network.pass(HOUR);
    network.report("hpc-1", vec![(attempt(1, 0, 1), network.ended(exited(0), HOUR as u64))]);
    assert!(network.plan().is_empty(), "the month's money is spent");
    network.pass(32 * 24 * HOUR);
    network.take(huisuan_model::Command::Fund { amount: Money(1) });
    assert_eq!(network.plan().len(), 1);
    network.check_rebuilt();
}

#[test]
fn credit_is_money_until_it_is_taken_back() {
    let mut network = Network::new();
    let credit = |amount| TenantChange { credit: Some(Money(amount)), ..TenantChange::default() };
    let free = |network: &Network| network.state.ledger.available(&origin().tenant, crate::books::home_currency()).0;
    limit(&mut network, credit(500)).expect("a credit");
    assert_eq!(free(&network), 10_000_500);
    limit(&mut network, credit(200)).expect("a lower one");
    assert_eq!(free(&network), 10_000_200);
    for bad in [-1, i64::MAX] {
        assert!(limit(&mut network, credit(bad)).is_err(), "{bad}");
    }
    // All of it is held by what runs: the credit cannot go below what is used.
    limit(&mut network, credit(0)).expect("none");
    let all = JobSpec {
        need: huisuan_model::spec::Need::Hardware { cores: huisuan_model::Millicores(4_000), devices: None },
        ..long(55)
    };
    network.submit(all).expect("a job");
    limit(&mut network, credit(1_000)).expect("a credit");
    network.plan();
    assert_eq!(free(&network), 101_000);
    limit(&mut network, credit(0)).expect("it is free");
    assert_eq!(free(&network), 100_000);
    network.check_rebuilt();
}
