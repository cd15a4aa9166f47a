//! One scheduling cycle: jobs in queue order, each to the best places that have room, until nothing is left
//! to place or the cycle's budget is spent.

use huisuan_model::{Placement, Plan, Reason, TimeMs};

use crate::{
    explain,
    fit::Demand,
    load::Load,
    order::Queue,
    policy::{Budget, Policy, Seed},
    quota,
    score::Score,
    snapshot::{Amounts, JobView, Snapshot},
    translate::{Candidate, Problem, ShapeProblem},
};

/// Plans what starts now and says why the rest waits.
///
/// The same arguments give the same plan. `now` says how far away maintenance is; `seed` is part of the interface for
/// randomised search, and today's rules do not need it.
///
/// # Panics
///
/// When centres, shapes or tenants of the snapshot are not in their order: that is a bug of the caller.
pub fn cycle(snapshot: &Snapshot, policy: &Policy, now: TimeMs, budget: Budget, _seed: Seed) -> Plan {
    let problem = Problem::new(snapshot, policy, now);
    let mut state = State::new(&problem);
    let mut queue = Queue::new(&snapshot.shapes, |shape| !problem.shapes[shape].candidates.is_empty());
    let mut jobs_left = budget.jobs_max;
    while let Some((shape, job)) = queue.pop() {
        if jobs_left == 0 {
            break;
        }
        jobs_left -= 1;
        let steps_left = budget.placements_max.saturating_sub(state.placed);
        match state.job(&problem, shape, job, steps_left) {
            Next::Job => queue.advance(shape),
            Next::Shape => {}
            Next::Cycle => break,
        }
    }
    let reasons = explain::reasons(&problem, &state);
    Plan { version: snapshot.version, placements: state.placements, reasons, ..Plan::default() }
}

/// What changes while a cycle goes on.
pub(crate) struct State {
    /// What is used of each pool.
    pub(crate) loads: Vec<Load>,
    /// Pools where a job that could run there found no room: what comes later in the queue may still fill free
    /// capacity, but nothing ahead of it. Otherwise short tasks, refilled in every cycle, would keep out
    /// for ever a job of higher priority whose length is not known.
    kept: Vec<bool>,
    /// What each tenant may still spend, in millionths.
    pub(crate) available: Vec<i64>,
    /// What each tenant holds, as far as the cycle is.
    held: Vec<Amounts>,
    /// Tasks placed in this cycle.
    placed: u64,
    pub(crate) placements: Vec<Placement>,
    pub(crate) shapes: Vec<ShapeState>,
}

/// How far a shape is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShapeState {
    /// Jobs that were placed to their last waiting task.
    pub(crate) jobs_done: usize,
    /// Why its first job that still waits does so; `None` when no job was looked at that does.
    pub(crate) block: Option<Block>,
}

/// Why a job that was looked at still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// Its own limit of parallel tasks.
    ParallelMax(u32),
    /// No place has room, or none that its tenant can pay.
    Places {
        /// How many layers it may fill ahead.
        factor: u64,
        /// How many of its tasks go together: 1, or the size of the gang.
        unit: u64,
        /// How many tasks were placed before its first one.
        ahead: u64,
        /// How many of its own were placed in this cycle.
        own: u64,
    },
}

/// What to look at next.
enum Next {
    /// The shape's next job takes part.
    Job,
    /// The shape is out: nothing of it can be placed in this cycle.
    Shape,
    /// The cycle's budget is spent.
    Cycle,
}

/// Some tasks of a job for one candidate.
struct Take {
    candidate: usize,
    count: u64,
    score: Score,
}

impl State {
    fn new(problem: &Problem<'_>) -> Self {
        State {
            loads: problem.pools.iter().map(|place| Load::of(place.pool)).collect(),
            kept: vec![false; problem.pools.len()],
            available: problem.snapshot.tenants.iter().map(|tenant| tenant.available.0).collect(),
            held: problem.snapshot.tenants.iter().map(|tenant| tenant.held).collect(),
            placed: 0,
            placements: Vec::new(),
            shapes: vec![ShapeState::default(); problem.shapes.len()],
        }
    }

    /// What the shape's tenant may still spend, in millionths.
    pub(crate) fn available(&self, problem: &Problem<'_>, shape: usize) -> i64 {
        problem.shapes[shape].tenant.map_or(0, |tenant| self.available[tenant])
    }

    /// How many more tasks of the shape its tenant's quota allows.
    fn allowed(&self, problem: &Problem<'_>, shape: usize, demand: &Demand) -> u64 {
        let room = |tenant: usize| quota::room(&problem.snapshot.tenants[tenant].quota, &self.held[tenant], demand);
        problem.shapes[shape].tenant.map_or(u64::MAX, room)
    }

    /// Why the quota keeps so many tasks out; `None` when it does not.
    pub(crate) fn over_quota(&self, problem: &Problem<'_>, shape: usize, demand: &Demand, unit: u64) -> Option<Reason> {
        let tenant = problem.shapes[shape].tenant?;
        quota::reason(&problem.snapshot.tenants[tenant].quota, &self.held[tenant], demand, unit)
    }

    /// Places what it can of a job.
    fn job(&mut self, problem: &Problem<'_>, shape: usize, job: &JobView, steps: u64) -> Next {
        let tasks = job.waiting.len();
        if tasks == 0 {
            return Next::Job;
        }
        if steps == 0 {
            return Next::Cycle;
        }
        let gang = problem.snapshot.shapes[shape].shape.gang.is_some();
        let factor = problem.policy.ahead_factor(job.mean_run_ms, gang);
        let limit = job.parallel_max.unwrap_or(u32::MAX);
        let parallel_left =
            if job.parallel_max.is_some() { u64::from(limit).saturating_sub(job.active) } else { tasks };
        let want = tasks.min(parallel_left);
        let unit = if gang { tasks } else { 1 };
        if want < unit {
            self.block(shape, Block::ParallelMax(limit));
            return Next::Job;
        }
        let goal = if gang { want } else { want.min(steps) };
        let ahead = self.placed;
        let own = self.fill(problem, shape, job, Request { goal, unit, factor });
        match () {
            () if own == tasks => {
                self.shapes[shape].jobs_done += 1;
                Next::Job
            }
            () if own == want => {
                self.block(shape, Block::ParallelMax(limit));
                Next::Job
            }
            () if own == goal => Next::Cycle,
            () => {
                self.block(shape, Block::Places { factor, unit, ahead, own });
                self.keep(problem, shape, unit);
                Next::Shape
            }
        }
    }

    /// Keeps the first reason of a shape, but lets what holds for all its jobs win over one job's own limit.
    fn block(&mut self, shape: usize, block: Block) {
        let first = &mut self.shapes[shape].block;
        if matches!(first, None | Some(Block::ParallelMax(_)))
            && first.is_none_or(|_| matches!(block, Block::Places { .. }))
        {
            *first = Some(block);
        }
    }

    /// Keeps the pools that a job without room could use and pay from being filled further ahead.
    ///
    /// After this no later job of the shape has any chance in this cycle, however short its tasks are: free
    /// capacity and money only shrink, and there is no filling ahead any more. So the whole shape is out, which
    /// makes the cost of a cycle that of the shapes and of what is placed, not that of the queue.
    fn keep(&mut self, problem: &Problem<'_>, shape: usize, unit: u64) {
        let available = self.available(problem, shape);
        for candidate in &problem.shapes[shape].candidates {
            let allowed = self.allowed(problem, shape, &candidate.demand);
            if candidate.affordable(available).min(allowed) >= unit {
                self.kept[candidate.pool] = true;
            }
        }
    }

    /// Places up to `goal` tasks at one best candidate after the other and says how many it placed.
    fn fill(&mut self, problem: &Problem<'_>, shape: usize, job: &JobView, request: Request) -> u64 {
        let candidates = &problem.shapes[shape].candidates;
        let mut takes: Vec<Take> = Vec::new();
        let mut left = request.goal;
        while left > 0 {
            let Some(best) = self.best(problem, shape, &request) else {
                break;
            };
            let Candidate { pool, demand, hold } = candidates[best.candidate];
            let count = best.count.min(left);
            self.loads[pool].add(&demand, count, request.factor > 0);
            if let Some(tenant) = problem.shapes[shape].tenant {
                let spent = i64::try_from(i128::from(hold) * i128::from(count));
                let each = Amounts { cores: demand.cores, memory: demand.memory, devices: demand.devices };
                self.held[tenant] = self.held[tenant].plus(each, count);
                self.available[tenant] -= spent.expect("no more tasks than the tenant can pay");
            }
            left -= count;
            match takes.iter_mut().find(|take| take.candidate == best.candidate) {
                Some(take) => take.count += count,
                None => takes.push(Take { count, ..best }),
            }
        }
        let mut rest = job.waiting.clone();
        for Take { candidate, count, score } in takes {
            let Candidate { pool, demand, .. } = candidates[candidate];
            let place = problem.pools[pool];
            self.placements.push(Placement {
                job: job.id,
                tasks: rest.take(count),
                centre: place.centre.id.clone(),
                pool: place.pool.pool.id.clone(),
                cores: demand.cores,
                devices: demand.devices,
                score: score.terms(),
            });
            rest = rest.skip(count);
        }
        self.placed += request.goal - left;
        request.goal - left
    }

    /// The best candidate with room for a unit and how many tasks its lowest open layer takes. Going layer by layer
    /// spreads what is placed ahead evenly over the pools.
    fn best(&self, problem: &Problem<'_>, shape: usize, request: &Request) -> Option<Take> {
        let ShapeProblem { candidates, hold_min, .. } = &problem.shapes[shape];
        let available = self.available(problem, shape);
        let mut best: Option<Take> = None;
        for (number, candidate) in candidates.iter().enumerate() {
            let pool = &problem.pools[candidate.pool].pool.pool;
            let load = &self.loads[candidate.pool];
            let layer_max = if self.kept[candidate.pool] { 0 } else { request.factor };
            let Some(layer) = load.layer(pool, &candidate.demand).filter(|&layer| layer <= layer_max) else {
                continue;
            };
            let payable = candidate.affordable(available).min(self.allowed(problem, shape, &candidate.demand));
            let count = load.room(pool, &candidate.demand, layer).min(payable);
            if count < request.unit {
                continue;
            }
            let [cores, _, devices] = load.dimensions(pool, &candidate.demand);
            let resource = if devices.need > 0 { devices } else { cores };
            let score = Score::of(&problem.policy.weights, layer, candidate.hold, *hold_min, &resource);
            if best.as_ref().is_none_or(|best| score.total() > best.score.total()) {
                best = Some(Take { candidate: number, count, score });
            }
        }
        best
    }
}

/// What a job asks for.
#[derive(Clone, Copy)]
struct Request {
    /// How many tasks at most.
    goal: u64,
    /// How many together at least.
    unit: u64,
    /// How many layers may be filled ahead.
    factor: u64,
}
