//! What may be spent: limits by month, hour, project and job, and credit.

use huisuan_model::{
    BudgetLimit, EndReason, Event, JobSpec, JobState, Money, ProjectId, RangeSet, ReportKind,
    tenant::{Limit, TenantChange},
};
use proptest::prelude::*;

use super::meter::{HOUR, HOUR_COST, long};
use crate::{
    Refusal,
    testing::{Network, attempt, exited, origin},
};

/// So many tasks of an hour at most, that may cost so much together.
fn capped(tasks: u32, budget: i64) -> JobSpec {
    JobSpec { tasks: RangeSet::from_range(0, tasks - 1), budget: Some(Money(budget)), ..long(1) }
}

/// How a job of which nothing is live ended, and why.
fn end_of(network: &Network, job: u64) -> (JobState, Option<EndReason>) {
    let job = &network.state.touched.jobs_ended[&huisuan_model::JobId(job)];
    (job.state, job.end_reason)
}

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

#[test]
fn a_job_holds_no_more_than_its_own_budget() {
    let mut network = Network::new();
    network.submit(capped(4, 2 * HOUR_COST + HOUR_COST / 2)).expect("a job");
    // The same spec again is another job with a budget of its own.
    network.submit(capped(4, HOUR_COST)).expect("a job");
    network.plan();
    let live = |network: &Network, job| network.state.attempts_of(huisuan_model::JobId(job)).count();
    assert_eq!((live(&network, 1), live(&network, 2)), (2, 1));
    assert!(network.plan().is_empty(), "the rest waits for money");
    // What a task did not use of its hold pays for the next one.
    network.pass(HOUR / 4);
    network.report("hpc-1", vec![(attempt(1, 0, 1), network.ended(exited(0), HOUR as u64 / 4))]);
    network.plan();
    assert_eq!(live(&network, 1), 2);
    network.check_rebuilt();
}

#[test]
fn a_job_ends_when_its_budget_pays_for_nothing_more() {
    let mut network = Network::new();
    network.submit(capped(3, 2 * HOUR_COST)).expect("a job");
    network.plan();
    network.pass(HOUR);
    let whole = network.ended(exited(0), HOUR as u64);
    let first = network.report("hpc-1", vec![(attempt(1, 0, 1), whole.clone())]);
    assert!(!first.iter().any(|event| matches!(event, Event::JobEnded { .. })), "one of its tasks runs: {first:?}");
    let events = network.report("hpc-1", vec![(attempt(1, 1, 1), whole)]);
    let told = Event::JobBudgetSpent { job: huisuan_model::JobId(1), needed: Money(HOUR_COST), left: Money(0) };
    assert!(events.contains(&told), "{events:?}");
    let why = EndReason::BudgetSpent { needed: Money(HOUR_COST), left: Money(0) };
    assert_eq!(end_of(&network, 1), (JobState::Failed, Some(why)));
    network.check_rebuilt();
}

#[test]
fn a_gang_is_paid_whole_or_not_at_all() {
    let mut network = Network::new();
    let gang = |budget, retries| JobSpec { gang: true, retries, ..capped(3, budget) };
    let refused = network.submit(gang(3 * HOUR_COST - 1, 0)).expect_err("three tasks start together");
    let (needed, budget) = (Money(3 * HOUR_COST), Money(3 * HOUR_COST - 1));
    assert_eq!(refused, Refusal::JobBudget { needed, budget });
    network.submit(gang(4 * HOUR_COST, 5)).expect("a job");
    network.plan();
    assert_eq!(network.state.attempts_live(), 3);
    network.pass(HOUR);
    for task in 0..3 {
        network.report("hpc-1", vec![(attempt(1, task, 1), network.ended(exited(1), HOUR as u64))]);
    }
    let why = EndReason::BudgetSpent { needed, left: Money(HOUR_COST) };
    assert_eq!(end_of(&network, 1), (JobState::Failed, Some(why)), "a second try is not paid");
    network.check_rebuilt();
}

#[test]
fn a_job_that_nobody_could_pay_is_refused() {
    let mut network = Network::new();
    let refused = network.submit(capped(1, HOUR_COST - 1)).expect_err("a millionth is missing");
    assert_eq!(refused, Refusal::JobBudget { needed: Money(HOUR_COST), budget: Money(HOUR_COST - 1) });
    assert!(refused.hint().contains("shorter walltime"), "{}", refused.hint());
    network.submit(capped(1, HOUR_COST)).expect("a job");
    network.plan();
    assert_eq!(network.state.attempts_live(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever comes: what a job has cost and what is held for it is never above its budget. `check` of the network
    /// looks after every command; here many jobs of that kind meet ends of all sorts.
    #[test]
    fn no_job_ever_passes_its_budget(
        jobs in prop::collection::vec((1..6_u32, 0..300_000_i64, 0..3_u32, any::<bool>()), 1..5),
        steps in prop::collection::vec((0..8_usize, 0..2 * HOUR, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut network = Network::new();
        for (tasks, budget, retries, gang) in jobs {
            let _ = network.submit(JobSpec { retries, gang, ..capped(tasks, budget) });
        }
        for (which, wait, well, over) in steps {
            network.plan();
            network.pass(wait);
            let live: Vec<_> = network.state.attempts().map(|one| one.id).collect();
            let Some(id) = live.get(which).copied() else { continue };
            let wall = wait as u64;
            let what = match over {
                true => network.ended(exited(i32::from(!well)), wall),
                false => ReportKind::Used(super::meter::usage(wait)),
            };
            network.report("hpc-1", vec![(id, what)]);
        }
        network.check_rebuilt();
        let posted: i64 = network.state.touched.jobs_ended.values().map(|job| job.cost.0).sum();
        prop_assert!(posted >= 0);
        for job in network.state.touched.jobs_ended.values() {
            prop_assert!(job.spec.budget.is_some_and(|budget| job.cost <= budget), "job {}: {}", job.id, job.cost);
        }
    }
}

/// The limit that leaves least is named to the scheduler, and none where it is the tenant's own money.
#[test]
fn the_scheduler_is_told_which_limit_it_is() {
    let most = |amount: i64| Some(Limit::Most(amount as u64));
    let project = || ProjectId::new("default").expect("a name");
    let own =
        |limit| TenantChange { budget_projects: [(project(), Limit::Most(limit))].into(), ..TenantChange::default() };
    let month = |limit| TenantChange { budget_month: most(limit), ..TenantChange::default() };
    let hour = |limit| TenantChange { budget_hour: most(limit), ..TenantChange::default() };
    let (of_month, of_hour, of_project) =
        (Some(BudgetLimit::Month), Some(BudgetLimit::Hour), Some(BudgetLimit::Project));
    for (changes, tenant, shape) in [
        (vec![], None, None),
        (vec![month(5)], of_month, None),
        (vec![month(900_000_000_000_000)], None, None),
        (vec![hour(5)], None, of_hour),
        (vec![own(5)], None, of_project),
        (vec![own(5), hour(4)], None, of_hour),
        (vec![own(5), hour(6), month(7)], of_month, of_project),
    ] {
        let mut network = Network::new();
        changes.into_iter().for_each(|change| drop(limit(&mut network, change).expect("a budget")));
        network.submit(JobSpec { tasks: RangeSet::from_range(0, 9), ..long(1) }).expect("a job");
        let seen = crate::snapshot(&network.state);
        let known = seen.tenants.iter().find(|known| known.id == origin().tenant).expect("the tenant");
        assert_eq!((known.limit, seen.shapes[0].limit), (tenant, shape));
        assert_eq!(seen.shapes[0].available.is_some(), shape.is_some());
    }
}
