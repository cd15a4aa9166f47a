//! How many tasks may be placed at a candidate besides what it has room for: by money, by quota, and by what may wait
//! at an opaque centre.

use huisuan_model::BudgetLimit;

use crate::{
    snapshot::Quota,
    state::State,
    translate::{Candidate, Problem},
};

impl State {
    /// What may still be spent on the shape, in millionths: of its tenant's money, and of what limits it alone.
    pub(crate) fn available(&self, problem: &Problem<'_>, shape: usize) -> i64 {
        problem.shapes[shape].tenant.map_or(0, |tenant| self.available[tenant]).min(self.own[shape])
    }

    /// What is left of the budget of the one job of the shape, where that is what limits it.
    pub(crate) fn budget_left(&self, problem: &Problem<'_>, shape: usize) -> Option<i64> {
        let view = &problem.snapshot.shapes[shape];
        let spent = view.own()?.0.saturating_sub(self.own[shape]);
        let left = view.budget?.0.saturating_sub(spent);
        (left <= self.available(problem, shape)).then_some(left)
    }

    /// What limits what may be spent on the shape, where it is neither its tenant's money nor its job's own budget.
    pub(crate) fn budget_limit(&self, problem: &Problem<'_>, shape: usize) -> Option<BudgetLimit> {
        let tenant = problem.shapes[shape].tenant?;
        let own = self.own[shape] < self.available[tenant];
        if own { problem.snapshot.shapes[shape].limit } else { problem.snapshot.tenants[tenant].limit }
    }

    /// How many tasks of a shape may be placed at a candidate, `unit` of them going together.
    pub(crate) fn may_take(&self, problem: &Problem<'_>, shape: usize, candidate: &Candidate, unit: u64) -> u64 {
        self.allowance(problem, shape, candidate).min(self.in_flight.room(candidate.pool, unit))
    }

    /// How many tasks money and quota of the shape's tenant allow at a candidate.
    pub(crate) fn allowance(&self, problem: &Problem<'_>, shape: usize, candidate: &Candidate) -> u64 {
        let affordable = candidate.affordable(self.available(problem, shape));
        match problem.shapes[shape].tenant {
            Some(tenant) => affordable.min(self.within_quota(problem, tenant, candidate)),
            None => affordable,
        }
    }

    /// How many tasks the quota of a tenant leaves at a candidate.
    pub(crate) fn within_quota(&self, problem: &Problem<'_>, tenant: usize, candidate: &Candidate) -> u64 {
        let Quota { cores, devices } = problem.snapshot.tenants[tenant].quota;
        let [cores_held, devices_held] = self.held[tenant];
        let left = |limit: Option<u64>, held: u64, need: u64| match (limit, need) {
            (Some(limit), 1..) => limit.saturating_sub(held) / need,
            _ => u64::MAX,
        };
        left(cores.map(|cores| cores.0), cores_held, candidate.demand.cores.0).min(left(
            devices.map(|devices| devices.0),
            devices_held,
            candidate.demand.devices.0,
        ))
    }
}
