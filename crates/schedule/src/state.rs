//! What changes while a cycle goes on: what is used of the pools, what is placed, how far every shape is.

use huisuan_model::Placement;

use crate::{
    load::Load,
    order::Queue,
    score::Score,
    snapshot::JobView,
    translate::{Candidate, Problem, ShapeProblem},
};

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
    /// Tasks placed in this cycle.
    pub(crate) placed: u64,
    pub(crate) placements: Vec<Placement>,
    /// The pool of the last placement.
    last_pool: usize,
    /// What the current turn has placed.
    takes: Vec<Take>,
    pub(crate) shapes: Vec<ShapeState>,
}

/// How far a shape is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShapeState {
    /// The job whose tasks are being placed; `None` before its first turn.
    current: Option<Progress>,
    /// Whether something waits of a job that was passed over.
    pub(crate) passed: bool,
    /// Why its first job that still waits does so; `None` when no job was looked at that does.
    pub(crate) block: Option<Block>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// How many tasks wait at the beginning of the cycle.
    tasks: u64,
    /// How many tasks of all jobs were placed before its first one.
    ahead: u64,
    /// How many of its own were placed in this cycle.
    own: u64,
    /// The last of them.
    last: Option<u32>,
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
pub(crate) enum Next {
    /// The turn is over; more of the job may be placed when its tenant has the next one.
    Turn,
    /// The shape's next job takes part.
    Job,
    /// The shape is out: nothing of it can be placed in this cycle.
    Shape,
    /// The cycle's budget is spent.
    Cycle,
}

/// What one turn has placed.
#[derive(Debug, Clone, Copy)]
struct Placed {
    count: u64,
    /// Whether it is another's turn.
    over: bool,
}

/// Some tasks of a job for one candidate.
struct Take {
    candidate: usize,
    count: u64,
    score: Score,
}

impl State {
    pub(crate) fn new(problem: &Problem<'_>) -> Self {
        State {
            last_pool: 0,
            takes: Vec::new(),
            loads: problem.pools.iter().map(|place| Load::of(place.pool)).collect(),
            kept: vec![false; problem.pools.len()],
            available: problem.snapshot.tenants.iter().map(|tenant| tenant.available.0).collect(),
            placed: 0,
            placements: Vec::new(),
            shapes: vec![ShapeState::default(); problem.shapes.len()],
        }
    }

    /// What the shape's tenant may still spend, in millionths.
    pub(crate) fn available(&self, problem: &Problem<'_>, shape: usize) -> i64 {
        problem.shapes[shape].tenant.map_or(0, |tenant| self.available[tenant])
    }

    /// Whether the next turn of a shape is the first one of its job.
    pub(crate) fn begins(&self, shape: usize) -> bool {
        self.shapes[shape].current.is_none()
    }

    /// Places what it can of a job while its turn lasts.
    pub(crate) fn turn(
        &mut self,
        problem: &Problem<'_>,
        queue: &mut Queue<'_>,
        shape: usize,
        job: &JobView,
        steps: u64,
    ) -> Next {
        let first = || Progress { ahead: self.placed, own: 0, last: None, tasks: job.waiting.len() };
        let before = *self.shapes[shape].current.get_or_insert_with(first);
        let tasks = before.tasks - before.own;
        if tasks == 0 {
            return self.end(shape, Next::Job);
        }
        if steps == 0 {
            return Next::Cycle;
        }
        let gang = problem.snapshot.shapes[shape].shape.gang.is_some();
        let factor = problem.policy.ahead_factor(job.mean_run_ms, gang);
        let limit = job.parallel_max.unwrap_or(u32::MAX);
        let active = job.active.saturating_add(before.own);
        let want = if job.parallel_max.is_some() { tasks.min(u64::from(limit).saturating_sub(active)) } else { tasks };
        let unit = if gang { tasks } else { 1 };
        if want < unit {
            return self.pass(shape, limit);
        }
        let goal = if gang { want } else { want.min(steps) };
        let placed = self.fill(problem, queue, shape, Request { goal, unit, factor });
        let last = self.write(problem, shape, job, before.last);
        let Progress { ahead, own, .. } = Progress { own: before.own + placed.count, last, ..before };
        self.shapes[shape].current = Some(Progress { own, last, ..before });
        match () {
            () if placed.count == tasks => self.end(shape, Next::Job),
            () if placed.count == want => self.pass(shape, limit),
            () if placed.over => Next::Turn,
            () if placed.count == goal => Next::Cycle,
            () => {
                self.block(shape, Block::Places { factor, unit, ahead, own });
                self.keep(problem, shape, unit);
                self.end(shape, Next::Shape)
            }
        }
    }

    /// The next turn of the shape is another job's, or there is none.
    fn end(&mut self, shape: usize, next: Next) -> Next {
        self.shapes[shape].current = None;
        next
    }

    /// Passes over a job that has reached its own limit.
    fn pass(&mut self, shape: usize, limit: u32) -> Next {
        self.shapes[shape].passed = true;
        self.block(shape, Block::ParallelMax(limit));
        self.end(shape, Next::Job)
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
            if candidate.affordable(available) >= unit {
                self.kept[candidate.pool] = true;
            }
        }
    }

    /// Places up to `goal` tasks at one best candidate after the other, while the turn lasts.
    fn fill(&mut self, problem: &Problem<'_>, queue: &mut Queue<'_>, shape: usize, request: Request) -> Placed {
        let candidates = &problem.shapes[shape].candidates;
        let mut placed = Placed { count: 0, over: false };
        self.takes.clear();
        while placed.count < request.goal && !placed.over {
            let Some(best) = self.best(problem, shape, &request) else {
                break;
            };
            let Candidate { pool, demand, hold, class, rate } = candidates[best.candidate];
            let most = best.count.min(request.goal - placed.count);
            let count = queue.lasts(class, rate, most).max(request.unit);
            self.loads[pool].add(&demand, count, request.factor > 0);
            if let Some(tenant) = problem.shapes[shape].tenant {
                let spent = i64::try_from(i128::from(hold) * i128::from(count));
                self.available[tenant] -= spent.expect("no more tasks than the tenant can pay");
            }
            queue.give(class, rate, count);
            placed.count += count;
            placed.over = queue.over();
            match self.takes.iter_mut().find(|take| take.candidate == best.candidate) {
                Some(take) => take.count += count,
                None => self.takes.push(Take { count, ..best }),
            }
        }
        self.placed += placed.count;
        placed
    }

    /// Writes down what a turn has placed, the next tasks of the job in the order of their numbers.
    fn write(&mut self, problem: &Problem<'_>, shape: usize, job: &JobView, mut last: Option<u32>) -> Option<u32> {
        for Take { candidate, count, score } in &self.takes {
            let Candidate { pool, demand, .. } = problem.shapes[shape].candidates[*candidate];
            let place = problem.pools[pool];
            let tasks = job.waiting.take_after(last, *count);
            last = tasks.last();
            match self.placements.last_mut() {
                // Turn after turn of one tenant's array at one pool is one placement.
                Some(before) if before.job == job.id && self.last_pool == pool => before.tasks.insert_all(&tasks),
                _ => self.placements.push(Placement {
                    job: job.id,
                    tasks,
                    centre: place.centre.id.clone(),
                    pool: place.pool.pool.id.clone(),
                    cores: demand.cores,
                    devices: demand.devices,
                    score: score.terms(),
                }),
            }
            self.last_pool = pool;
        }
        last
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
            let count = load.room(pool, &candidate.demand, layer).min(candidate.affordable(available));
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
