//! Budgets and caps: what may still be held for a tenant, a project and a job. What is held counts as spent, so that
//! money that runs is never more than the limit.

use std::collections::BTreeMap;

use huisuan_model::{
    Attempt, BudgetLimit, Event, Job, JobId, JobSpec, Money, ProjectId, Shape, Tenant, TenantId, TimeMs,
};
use huisuan_schedule::Agreed;

use crate::{Refusal, State, contracts, snapshot, submit};

/// What is held for live attempts by project, and what they cost for an hour at most. Derived, never stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    tenants: BTreeMap<TenantId, BTreeMap<ProjectId, Sums>>,
    /// What is held for the attempts of each job that has a budget of its own, with what they have cost so far.
    jobs: BTreeMap<JobId, i128>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    held: i128,
    hourly: i128,
}

impl Committed {
    pub(crate) fn add(&mut self, attempt: &Attempt, job: &Job) {
        let held = i128::from(attempt.hold.0) - i128::from(attempt.cost.0);
        self.change(&job.tenant, &job.project, held, hourly(attempt.hold, job.spec.walltime.0));
        self.change_job(job, i128::from(attempt.hold.0));
    }

    pub(crate) fn remove(&mut self, attempt: &Attempt, job: &Job) {
        let held = i128::from(attempt.hold.0) - i128::from(attempt.cost.0);
        self.change(&job.tenant, &job.project, -held, -hourly(attempt.hold, job.spec.walltime.0));
        self.change_job(job, -i128::from(attempt.hold.0));
    }

    fn change_job(&mut self, job: &Job, held: i128) {
        if job.spec.budget.is_none() {
            return;
        }
        let sum = self.jobs.entry(job.id).or_default();
        *sum += held;
        if *sum == 0 {
            self.jobs.remove(&job.id);
        }
    }

    /// Sums of nothing are not kept, so that a restored state equals the one that it was stored from.
    pub(crate) fn change(&mut self, tenant: &TenantId, project: &ProjectId, held: i128, hourly: i128) {
        let projects = self.tenants.entry(tenant.clone()).or_default();
        let sums = projects.entry(project.clone()).or_default();
        (sums.held, sums.hourly) = (sums.held + held, sums.hourly + hourly);
        if *sums == Sums::default() {
            projects.remove(project);
        }
        if projects.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    fn of(&self, tenant: &TenantId, project: Option<&ProjectId>) -> Sums {
        let own = self.tenants.get(tenant).into_iter().flatten();
        let own = own.filter(|(known, _)| project.is_none_or(|project| project == *known));
        own.fold(Sums::default(), |sum, (_, more)| Sums {
            held: sum.held + more.held,
            hourly: sum.hourly + more.hourly,
        })
    }
}

/// Rates are counted in millionths of a millionth, rounded down: a million attempts together are within one millionth
/// of what they cost, and what is offered by [`left_of_shape`] is always taken by [`within`].
const FINE: i128 = 1_000_000;

/// The most that an attempt costs for an hour.
fn hourly(hold: Money, walltime_ms: u64) -> i128 {
    i128::from(hold.0) * 3_600_000 * FINE / i128::from(walltime_ms.max(1))
}

/// What a month's limit leaves, of one project or of all.
fn left_of_month(state: &State, tenant: &Tenant, project: Option<&ProjectId>, limit: Money, now: TimeMs) -> i128 {
    let month = state.calendar.month(now);
    let spent = state.tallies.get(&tenant.id).map_or(0, |tally| tally.spent(month, project));
    i128::from(limit.0) - spent - state.committed.of(&tenant.id, project).held
}

/// What a tenant's month leaves for more holds; `None` without a limit.
pub(crate) fn left_of_tenant(state: &State, tenant: &Tenant, now: TimeMs) -> Option<Money> {
    tenant.budget.month.map(|limit| narrow(left_of_month(state, tenant, None, limit, now)))
}

/// What the months of a tenant and of one of its projects leave for what came late; limits that there are none of are
/// left out.
pub(crate) fn left_for_late(state: &State, tenant: &TenantId, project: &ProjectId, now: TimeMs) -> Vec<Money> {
    let Some(tenant) = state.tenants.get(tenant) else { return vec![Money::ZERO] };
    let limit = tenant.budget.projects.get(project);
    let project = limit.map(|limit| narrow(left_of_month(state, tenant, Some(project), *limit, now)));
    left_of_tenant(state, tenant, now).into_iter().chain(project).collect()
}

/// What may be held for tasks of a walltime of a project beside the tenant's month, and by which limit; `None` without
/// one.
pub(crate) fn left_of_shape(
    state: &State,
    tenant: &Tenant,
    project: &ProjectId,
    walltime_ms: u64,
    now: TimeMs,
) -> Option<(Money, BudgetLimit)> {
    let limit = tenant.budget.projects.get(project);
    let project = limit.map(|limit| left_of_month(state, tenant, Some(project), *limit, now));
    let hour = tenant.budget.hour.map(|limit| {
        let left = i128::from(limit.0) * FINE - state.committed.of(&tenant.id, None).hourly;
        // As much as costs no more for an hour than what is left: tasks are not looked at one by one.
        left.max(0) * i128::from(walltime_ms) / (3_600_000 * FINE)
    });
    let project = project.map(|left| (narrow(left), BudgetLimit::Project));
    project.into_iter().chain(hour.map(|left| (narrow(left), BudgetLimit::Hour))).min_by_key(|(left, _)| *left)
}

/// What a job's own budget leaves for more holds: without what it has cost, and what is held for it. `None` without
/// one.
pub(crate) fn left_of_job(state: &State, job: &Job) -> Option<Money> {
    let held = state.committed.jobs.get(&job.id).copied().unwrap_or(0);
    job.spec.budget.map(|budget| narrow(i128::from(budget.0) - i128::from(job.cost.0) - held))
}

/// The smallest amount that any place asks for tasks of a shape that start together, by the prices that the scheduler
/// counts with; `None` where no rated pool could ever run them. Centres that are closed or away count: they come back.
pub(crate) fn cheapest(state: &State, shape: &Shape) -> Option<Money> {
    let agreed = contracts::agreed(state, shape, state.seen_at);
    let open = state.centres.values().filter(|centre| submit::may_go(state, shape, centre));
    let holds = open.flat_map(|centre| {
        let tariff = snapshot::tariff_view(state, centre);
        let agreed = &agreed;
        centre.pools.values().filter_map(move |pool| {
            let demand = huisuan_schedule::demand(pool, shape)?;
            let price = Agreed::of(agreed, &centre.id, &pool.id).unwrap_or(tariff.price_per_p_h);
            Some(huisuan_schedule::hold_each(pool, price, &demand, shape))
        })
    });
    let together = i64::from(shape.gang.unwrap_or(1));
    holds.min().map(|each| Money(each.0.saturating_mul(together)))
}

/// A job whose own budget pays for none of its tasks anywhere is not taken.
pub(crate) fn may_begin(state: &State, shape: &Shape, spec: &JobSpec) -> Result<(), Refusal> {
    let (Some(budget), Some(needed)) = (spec.budget, cheapest(state, shape)) else { return Ok(()) };
    if needed > budget { Err(Refusal::JobBudget { needed, budget }) } else { Ok(()) }
}

/// The end of what would wait of a job of which nothing runs, where what is left of its budget pays for none of it.
pub(crate) fn spent(state: &State, job: &Job) -> Option<Event> {
    let left = left_of_job(state, job)?;
    let needed = cheapest(state, &Shape::of_job(job)).filter(|needed| *needed > left)?;
    Some(Event::JobBudgetSpent { job: job.id, needed, left })
}

/// Whether so much may be held for each of so many tasks, by every limit.
pub(crate) fn within(state: &State, job: &Job, hold_each: Money, tasks: u64, now: TimeMs) -> bool {
    let hold = i128::from(hold_each.0) * i128::from(tasks);
    if left_of_job(state, job).is_some_and(|left| hold > i128::from(left.0)) {
        return false;
    }
    let Some(tenant) = state.tenants.get(&job.tenant) else { return false };
    if tenant.budget.is_unlimited() {
        return true;
    }
    let (tasks, limits) = (i128::from(tasks), &tenant.budget);
    let month = |project, limit: &Money| hold == 0 || hold <= left_of_month(state, tenant, project, *limit, now);
    let hour = |limit: &Money| {
        let more = hourly(hold_each, job.spec.walltime.0) * tasks;
        more == 0 || state.committed.of(&job.tenant, None).hourly + more <= i128::from(limit.0) * FINE
    };
    limits.month.as_ref().is_none_or(|limit| month(None, limit))
        && limits.projects.get(&job.project).is_none_or(|limit| month(Some(&job.project), limit))
        && limits.hour.as_ref().is_none_or(hour)
}

fn narrow(left: i128) -> Money {
    Money(i64::try_from(left.max(0)).unwrap_or(i64::MAX))
}
