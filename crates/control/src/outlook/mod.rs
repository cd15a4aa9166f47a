//! What would become of a job, asked before it is submitted: the real scheduler on the state of now with the job
//! added, and an estimate of the start where there is no room now. Nothing of it is recorded.
//!
//! - `ahead`: how long what runs and waits ahead takes, from walltimes and observed means.
//! - `learnt`: what a kind of work reaches of the ratings, from its finished runs.

mod ahead;
mod learnt;

use std::collections::BTreeMap;

use huisuan_model::{
    ApplicationId, BudgetLimit, CentreId, JobId, JobSpec, Money, PoolId, Reason, Shape, TimeMs, command::Origin,
    quantity::DurationMs, spec::Need,
};
use huisuan_schedule::{
    Agreed, Budget, CentreView, Demand, JobView, Policy, PoolView, Seed, ShapeView, Snapshot, cycle, demand, hold_each,
    never_fits,
    reach::{Near, near},
};

use crate::{Refusal, State, books::told, contracts, reservations, snapshot, snapshot::available, submit};
use ahead::{Ahead, Quantile, Running};
pub use learnt::{Learnt, PoolAt, Run, learn};

/// All that the question needs of the state; a copy, so that answering keeps nobody waiting.
#[derive(Debug, Clone)]
pub struct Outlook {
    snapshot: Snapshot,
    policy: Policy,
    running: Vec<Running>,
    shape: Shape,
    /// What may be held for it beside its tenant's money.
    available: Option<(Money, BudgetLimit)>,
    /// Prices that were agreed with its tenant.
    agreed: Vec<Agreed>,
    /// The most that it may cost, where it says so.
    budget: Option<Money>,
    job: JobView,
    /// The kind of work that it is.
    application: Option<ApplicationId>,
    /// What that reaches by its own runs.
    learnt: BTreeMap<PoolAt, Learnt>,
}

/// One pool that a job might go to, in the order of centres and pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The centre.
    pub centre: CentreId,
    /// The pool.
    pub pool: PoolId,
    /// Whether it could ever run there.
    pub feasible: bool,
    /// How many of its tasks the scheduler would place there now, were it submitted.
    pub tasks_now: u64,
    /// How long until its first task starts, as likely sooner as later; `None` where nobody can tell.
    pub start_p50: Option<DurationMs>,
    /// How long at most, if everything ahead takes its whole walltime.
    pub start_p90: Option<DurationMs>,
    /// What is held for all of its tasks, which is the most that it can cost.
    pub cost: Option<Money>,
    /// Joules of all of its tasks for their whole walltime, of the whole site beyond idling; `None` where the pool's
    /// power is not declared.
    pub energy_j: Option<u64>,
    /// What its work takes there, where somebody measured how its kind of work does on the pool.
    pub expected: Option<Expected>,
    /// Why it does not start there now, or never will.
    pub why: Option<Why>,
}

/// What the work of a demand in units takes on a pool, refined by how its kind of work was measured to do there. A
/// quote alone: what is held and paid is counted with the rating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What its kind of work reaches, in thousandths of the rating.
    pub factor_permille: u32,
    /// From so many finished runs there; `None` where it is declared.
    pub runs: Option<u64>,
    /// How long one task takes, when it takes its walltime at the rate that the rating says. It is ended at its
    /// walltime all the same.
    pub run: DurationMs,
    /// What all of its tasks cost in that time, by the dearest price to come.
    pub cost: Money,
    /// Joules of all of its tasks in that time; `None` where the pool's power is not declared.
    pub energy_j: Option<u64>,
}

/// Why a job does not start at a pool now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It never can; what is missing.
    Never(String),
    /// It would wait, for the scheduler's own reason.
    Waits(Reason),
}

impl Outlook {
    /// What the state of now says of a job. Refused is what would be refused at submission, except that a job which
    /// fits nowhere is told so pool by pool. What it waits for (`after`) is taken to be met.
    pub fn of(state: &State, origin: &Origin, spec: &JobSpec, now: TimeMs) -> Result<Outlook, Refusal> {
        spec.validate()?;
        submit::legal(state, origin, spec, now)?;
        let job = JobView {
            id: JobId(state.jobs_total() + 1),
            priority: spec.priority,
            submitted_at: now,
            waiting: spec.tasks.clone(),
            active: 0,
            parallel_max: spec.parallel_max,
            mean_run_ms: None,
            deadline_at: spec.deadline_at,
            preemptible: spec.preemptible,
        };
        let own_budget = spec.budget.map(|_| job.id);
        let shape = Shape { own_budget, ..Shape::of(&origin.tenant, &origin.project, spec) };
        reservations::usable(state, &origin.tenant, spec, &shape, now)?;
        Ok(Outlook {
            snapshot: snapshot(state),
            policy: state.policy().clone(),
            running: ahead::running(state, now),
            available: available(state, &shape),
            agreed: contracts::agreed(state, &shape, now),
            shape,
            budget: spec.budget,
            job,
            application: spec.application.clone(),
            learnt: BTreeMap::new(),
        })
    }

    /// The same for another kind of work than the job says, if any.
    #[must_use]
    pub fn for_application(self, application: Option<ApplicationId>) -> Outlook {
        Outlook { application: application.or(self.application), ..self }
    }

    /// The kind of work that it is about.
    pub fn application(&self) -> Option<&ApplicationId> {
        self.application.as_ref()
    }

    /// The same, with what runs of that kind of work say.
    #[must_use]
    pub fn knowing(self, runs: &[Run]) -> Outlook {
        let centre = |id: &CentreId| self.snapshot.centres.iter().find(|centre| centre.id == *id);
        let declared = |(id, pool): &PoolAt| centre(id)?.facts.as_ref()?.factor(pool, self.application.as_ref()?);
        let learnt = learn(runs, declared);
        Outlook { learnt, ..self }
    }

    /// Every pool of the network, by centre and name.
    pub fn candidates(&self, now: TimeMs) -> Vec<Candidate> {
        let free = self.planned(&self.shape, now);
        let ahead = Ahead::new(&self.snapshot, &self.running, &self.job);
        let mut candidates = Vec::new();
        for centre in &self.snapshot.centres {
            let pinned = Shape { centres: vec![centre.id.clone()], ..self.shape.clone() };
            let here = if self.excluded(centre).is_some() { None } else { Some(self.planned(&pinned, now)) };
            for pool in &centre.pools {
                candidates.push(self.candidate(centre, pool, &free, here.as_ref(), &ahead, now));
            }
        }
        candidates
    }

    fn candidate(
        &self,
        centre: &CentreView,
        pool: &PoolView,
        free: &Planned,
        here: Option<&Planned>,
        ahead: &Ahead<'_>,
        now: TimeMs,
    ) -> Candidate {
        let (id, name) = (centre.id.clone(), pool.pool.id.clone());
        let never = |why: String| Candidate {
            centre: id.clone(),
            pool: name.clone(),
            feasible: false,
            tasks_now: 0,
            start_p50: None,
            start_p90: None,
            cost: None,
            energy_j: None,
            expected: None,
            why: Some(Why::Never(why)),
        };
        if self.shape.reservation.is_some() && !pool.reserved.iter().any(|kept| Some(kept.id) == self.shape.reservation)
        {
            return never("the job names a reservation that is elsewhere".to_owned());
        }
        let Some(here) = here else { return never(self.excluded(centre).unwrap_or_default()) };
        let Some(need) = demand(&pool.pool, &self.shape) else { return never(self.lacks(centre, pool)) };
        let starts = here.tasks_at(&centre.id, &name) > 0;
        let together = u64::from(self.shape.gang.unwrap_or(1));
        let begin = hold_each(&pool.pool, self.price(centre, pool), &need, &self.shape).0;
        let begin = Money(begin.saturating_mul(i64::try_from(together).unwrap_or(i64::MAX)));
        if let Some(budget) = self.budget.filter(|budget| *budget < begin) {
            let (begin, budget) = (told(begin), told(budget));
            return never(format!("it holds {begin} for what starts together, the job's budget is {budget}"));
        }
        // An engine with a queue of its own starts later than our books have room.
        let hidden = centre.opaque.as_ref().map(|opaque| opaque.start(&pool.pool, &need, together)).unwrap_or_default();
        let waits = |quantile| {
            let ours = match starts {
                true => DurationMs::ZERO,
                false => ahead.start(centre, pool, &need, &self.shape, quantile, now)?,
            };
            let theirs = if quantile == Quantile::Median { hidden.p50_ms } else { hidden.p90_ms };
            Some(DurationMs(ours.0.saturating_add(theirs)))
        };
        Candidate {
            tasks_now: free.tasks_at(&centre.id, &name),
            feasible: true,
            start_p50: waits(Quantile::Median),
            start_p90: waits(Quantile::High),
            cost: Some(self.cost(centre, pool, &need, &self.shape)),
            energy_j: self.energy_j(centre, pool, &need, now, self.shape.walltime),
            expected: self.expected(centre, pool, &need, now),
            why: if starts { None } else { here.reason.clone().map(Why::Waits) },
            centre: id,
            pool: name,
        }
    }

    /// What was agreed on for one P·h, and otherwise what the centre asks.
    fn price(&self, centre: &CentreView, pool: &PoolView) -> Money {
        Agreed::of(&self.agreed, &centre.id, &pool.pool.id).unwrap_or(centre.tariff.price_per_p_h)
    }

    /// The price of the shape's walltime for all tasks.
    fn cost(&self, centre: &CentreView, pool: &PoolView, need: &Demand, shape: &Shape) -> Money {
        let each = hold_each(&pool.pool, self.price(centre, pool), need, shape).0;
        Money(i64::try_from(i128::from(each) * i128::from(self.job.waiting.len())).unwrap_or(i64::MAX))
    }

    /// Named hardware says nothing of how much work there is: a pool of another rate would take another time.
    fn expected(&self, centre: &CentreView, pool: &PoolView, need: &Demand, now: TimeMs) -> Option<Expected> {
        let application = self.application.as_ref().filter(|_| matches!(self.shape.need, Need::Rate { .. }))?;
        let learnt = self.learnt.get(&(centre.id.clone(), pool.pool.id.clone()));
        let declared = || centre.facts.as_ref()?.factor(&pool.pool.id, application);
        let factor_permille = learnt.map(|learnt| learnt.factor_permille).or_else(declared)?;
        let run = (u128::from(self.shape.walltime.0) * 1_000).div_ceil(u128::from(factor_permille.max(1)));
        let run = DurationMs(u64::try_from(run).unwrap_or(u64::MAX));
        let shape = Shape { walltime: run, ..self.shape.clone() };
        let energy_j = self.energy_j(centre, pool, need, now, run);
        let (runs, cost) = (learnt.map(|learnt| learnt.runs), self.cost(centre, pool, need, &shape));
        Some(Expected { factor_permille, runs, run, cost, energy_j })
    }

    fn energy_j(
        &self,
        centre: &CentreView,
        pool: &PoolView,
        need: &Demand,
        now: TimeMs,
        run: DurationMs,
    ) -> Option<u64> {
        let power = centre.facts.as_ref()?.power.as_ref()?;
        let parts = if pool.pool.devices.is_zero() { need.cores.0 } else { need.devices.0 };
        let each = power.energy(&pool.pool.id, parts, now, run)?;
        Some(each.joules.saturating_mul(self.job.waiting.len()))
    }

    /// Why the job's own list of centres or its class leaves a centre out.
    fn excluded(&self, centre: &CentreView) -> Option<String> {
        if !self.shape.centres.is_empty() && !self.shape.centres.contains(&centre.id) {
            return Some("the job names other centres".to_owned());
        }
        if let Some(class) = self.shape.class.filter(|&class| class != centre.class) {
            return Some(format!("the centre is of class {}, the job asks for {class}", centre.class));
        }
        let bound = self.shape.reach.as_ref()?.latency.as_ref()?.round_trip_max.0;
        let ways = self.snapshot.ways.as_ref()?;
        match near(ways, ways.index(&centre.id)?, &self.shape) {
            Near::Within => None,
            Near::Beyond(us) => {
                let (ms, rest) = (us / 1_000, us % 1_000);
                Some(format!(
                    "the centre is {ms}.{rest:03} ms there and back from its users, the job allows {bound} ms"
                ))
            }
            Near::Unknown => Some("no way from its users is known, and the job bounds its latency".to_owned()),
        }
    }

    /// What a pool lacks that never can run it, in the words of the door.
    fn lacks(&self, centre: &CentreView, pool: &PoolView) -> String {
        let alone = CentreView { pools: vec![pool.clone()], ..centre.clone() };
        let shape = Shape { centres: Vec::new(), reach: None, ..self.shape.clone() };
        let never = never_fits(std::slice::from_ref(&alone), &shape);
        never
            .and_then(|never| never.centres.into_iter().next())
            .map_or_else(|| "the pool has no rating yet".to_owned(), |(_, lacks)| lacks)
    }

    /// What the scheduler would do with the job, were its shape this one.
    fn planned(&self, shape: &Shape, now: TimeMs) -> Planned {
        let mut snapshot = self.snapshot.clone();
        match snapshot.shapes.binary_search_by(|view| view.shape.cmp(shape)) {
            Ok(found) => {
                let jobs = &mut snapshot.shapes[found].jobs;
                let at = jobs.partition_point(|other| ahead::goes_before(other, &self.job));
                jobs.insert(at, self.job.clone());
            }
            Err(at) => snapshot.shapes.insert(
                at,
                ShapeView {
                    available: self.available.map(|(left, _)| left),
                    limit: self.available.map(|(_, limit)| limit),
                    budget: self.budget,
                    agreed: self.agreed.clone(),
                    ..ShapeView::new(shape.clone(), vec![self.job.clone()])
                },
            ),
        }
        let plan = cycle(&snapshot, &self.policy, now, Budget::default(), Seed(0));
        let reason = plan.reasons.into_iter().find(|reason| reason.shape == *shape).map(|found| found.reason);
        let own = plan.placements.into_iter().filter(|placement| placement.job == self.job.id);
        Planned {
            places: own.map(|placement| (placement.centre, placement.pool, placement.tasks.len())).collect(),
            reason,
        }
    }
}

/// What one cycle would do with the job.
struct Planned {
    places: Vec<(CentreId, PoolId, u64)>,
    reason: Option<Reason>,
}

impl Planned {
    fn tasks_at(&self, centre: &CentreId, pool: &PoolId) -> u64 {
        let here = self.places.iter().filter(|(at, on, _)| at == centre && on == pool);
        here.map(|(.., tasks)| tasks).sum()
    }
}
