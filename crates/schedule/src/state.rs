//! What changes while a cycle goes on: what is used of the pools, what is placed, how far every shape is.

use std::cmp::Reverse;

use huisuan_model::{Placement, Reservation};

use crate::{
    load::Load,
    nodes::{Nodes, Wanted},
    opaque::InFlight,
    order::{Head, Queue},
    progress::{Block, Blocked, Next, Origin, Placed, Progress, Request, ShapeState},
    reserve::Agenda,
    score::Score,
    snapshot::Amounts,
    translate::{Candidate, Problem, Standing},
    write::Take,
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
    /// What may be spent on each shape beside that.
    pub(crate) own: Vec<i64>,
    /// What each tenant holds, in thousandths of cores and devices.
    pub(crate) held: Vec<[u64; 2]>,
    /// What is kept of each pool for jobs that found no room.
    pub(crate) agendas: Vec<Agenda>,
    /// What each reservation in advance still keeps for its own jobs.
    pub(crate) reserved: Vec<Amounts>,
    pub(crate) reservations: Vec<Reservation>,
    /// What waits at opaque centres.
    pub(crate) in_flight: InFlight,
    /// The nodes of each pool that shows them.
    pub(crate) nodes: Vec<Option<Nodes>>,
    /// Jobs that found no room, in the order of their turns.
    pub(crate) blocked: Vec<Blocked>,
    /// Tasks placed in this cycle.
    pub(crate) placed: u64,
    pub(crate) placements: Vec<Placement>,
    /// Where each of them comes from.
    pub(crate) origins: Vec<Origin>,
    /// For each kind of places the candidates that may have room yet, from the best to the worst. Room only
    /// shrinks, so what is full is not looked at again until the end of the cycle.
    open: Vec<Vec<Standing>>,
    /// The pool of the last placement.
    pub(crate) last_pool: usize,
    /// What the current turn has placed.
    pub(crate) takes: Vec<Take>,
    pub(crate) shapes: Vec<ShapeState>,
}

impl State {
    pub(crate) fn new(problem: &Problem<'_>) -> Self {
        State {
            open: problem.kinds.iter().map(|places| places.by_standing.clone()).collect(),
            last_pool: 0,
            origins: Vec::new(),
            takes: Vec::new(),
            loads: problem.pools.iter().map(|place| Load::of(place.pool)).collect(),
            kept: vec![false; problem.pools.len()],
            own: problem.snapshot.shapes.iter().map(|view| view.own().map_or(i64::MAX, |own| own.0)).collect(),
            available: problem.snapshot.tenants.iter().map(|tenant| tenant.available.0).collect(),
            held: problem.holders.held.clone(),
            agendas: problem.pools.iter().map(|place| Agenda::of(place.pool, problem.now)).collect(),
            reserved: problem.reserved.iter().map(|(_, reserved)| reserved.left()).collect(),
            reservations: Vec::new(),
            in_flight: InFlight::new(problem),
            nodes: problem.pools.iter().map(|place| Nodes::of(place.pool)).collect(),
            blocked: Vec::new(),
            placed: 0,
            placements: Vec::new(),
            shapes: vec![ShapeState::default(); problem.shapes.len()],
        }
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
        job: &Head,
        steps: u64,
    ) -> Next {
        let first = || Progress { ahead: self.placed, own: 0, last: None, tasks: job.tasks };
        let before = *self.shapes[shape].current.get_or_insert_with(first);
        let tasks = before.tasks - before.own;
        if tasks == 0 {
            return self.end(shape, Next::Job);
        }
        if steps == 0 {
            return Next::Cycle;
        }
        let gang = problem.shapes[shape].gang;
        let reserved = problem.shapes[shape].reserved;
        // What is kept is filled as far as it is free, never ahead.
        let factor = if reserved.is_some() { 0 } else { problem.policy.ahead_factor(job.mean_run_ms, gang) };
        let limit = job.parallel_max.unwrap_or(u32::MAX);
        let active = job.active.saturating_add(before.own);
        let want = if job.parallel_max.is_some() { tasks.min(u64::from(limit).saturating_sub(active)) } else { tasks };
        let unit = if gang { tasks } else { 1 };
        if want < unit {
            return self.pass(shape, limit);
        }
        let goal = if gang { want } else { want.min(steps) };
        let placed = self.fill(problem, queue, shape, Request { goal, unit, factor });
        let last = self.write(problem, queue, shape, job, before.last);
        let Progress { ahead, own, .. } = Progress { own: before.own + placed.count, last, ..before };
        self.shapes[shape].current = Some(Progress { own, last, ..before });
        match () {
            () if placed.count == tasks => self.end(shape, Next::Job),
            () if placed.count == want => self.pass(shape, limit),
            () if placed.over => Next::Turn,
            () if placed.count == goal => Next::Cycle,
            () => {
                self.block(shape, Block::Places { factor, unit, ahead, own });
                if reserved.is_none() {
                    self.keep(problem, shape, unit);
                    self.blocked.push(Blocked { shape, unit, own, last });
                    let job = queue.job(shape);
                    self.reserve(problem, shape, job.id, &job.waiting.take_after(last, unit));
                }
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

    /// Some tasks of a shape that were placed wait again.
    pub(crate) fn taken_back(&mut self, shape: usize) {
        let shape = &mut self.shapes[shape];
        shape.passed = true;
        shape.block.get_or_insert(Block::Places { factor: 0, unit: 1, ahead: self.placed, own: 0 });
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
        for candidate in &problem.shapes[shape].places.candidates {
            if self.may_take(problem, shape, candidate, unit) >= unit {
                self.kept[candidate.pool] = true;
            }
        }
    }

    /// Counts in tasks that start now: what they take of the pool, and what their tenant pays and holds.
    pub(crate) fn take(&mut self, problem: &Problem<'_>, shape: usize, candidate: &Candidate, count: u64, short: bool) {
        let Candidate { pool, demand, hold, .. } = *candidate;
        self.loads[pool].add(&demand, count, short);
        self.in_flight.add(pool, count);
        let end = problem.shapes[shape].end;
        let amounts = Amounts::default().plus(candidate.each(), count);
        match problem.shapes[shape].reserved {
            // It is kept from others with or without them.
            Some(reserved) => self.reserved[reserved] = self.reserved[reserved].less(amounts),
            None => self.agendas[pool].place(amounts, problem.now, end),
        }
        if let Some(tenant) = problem.shapes[shape].tenant {
            let spent = i64::try_from(i128::from(hold) * i128::from(count));
            let spent = spent.expect("no more tasks than the tenant can pay");
            self.available[tenant] -= spent;
            self.own[shape] = self.own[shape].saturating_sub(spent);
            let [cores, devices] = &mut self.held[tenant];
            *cores = cores.saturating_add(demand.cores.0.saturating_mul(count));
            *devices = devices.saturating_add(demand.devices.0.saturating_mul(count));
        }
        self.placed += count;
    }

    /// Takes back what was [taken](Self::take) by tasks that are not short, out of no reservation, at no opaque centre.
    pub(crate) fn give_back(&mut self, problem: &Problem<'_>, shape: usize, candidate: &Candidate, count: u64) {
        let Candidate { pool, demand, hold, .. } = *candidate;
        let amounts = Amounts::default().plus(candidate.each(), count);
        self.loads[pool].remove(amounts);
        self.agendas[pool].unplace(amounts, problem.now, problem.shapes[shape].end);
        if let Some(tenant) = problem.shapes[shape].tenant {
            let spent = i64::try_from(i128::from(hold) * i128::from(count)).expect("it was spent");
            self.available[tenant] += spent;
            self.own[shape] = self.own[shape].saturating_add(spent);
            let [cores, devices] = &mut self.held[tenant];
            *cores = cores.saturating_sub(demand.cores.0.saturating_mul(count));
            *devices = devices.saturating_sub(demand.devices.0.saturating_mul(count));
        }
        self.placed -= count;
    }

    /// Places up to `goal` tasks at one best candidate after the other, while the turn lasts.
    fn fill(&mut self, problem: &Problem<'_>, queue: &mut Queue<'_>, shape: usize, request: Request) -> Placed {
        let mut placed = Placed { count: 0, over: false };
        self.takes.clear();
        let asked = &problem.snapshot.shapes[shape].shape;
        let gang = asked.gang.map(|_| asked.topology);
        while placed.count < request.goal && !placed.over {
            let Some(best) = self.best(problem, shape, &request) else {
                break;
            };
            let candidate = best.candidate;
            let Candidate { class, rate, pool, demand, .. } = candidate;
            let most = best.count.min(request.goal - placed.count);
            let wanted = queue.lasts(class, rate, most).max(request.unit);
            let at = self.takes.iter().position(|take| take.number == best.number);
            let number = best.number;
            let at = at.unwrap_or_else(|| {
                self.takes.push(Take { count: 0, ..best });
                self.takes.len() - 1
            });
            let count = match &mut self.nodes[pool] {
                Some(nodes) => {
                    let end = problem.shapes[shape].end;
                    let wanted = Wanted { count: wanted, unit: request.unit, gang, end };
                    nodes.settle(&demand, wanted, &mut self.takes[at].nodes)
                }
                None => wanted,
            };
            if count < wanted {
                // Room only shrinks: what found no node finds none until the end of the cycle.
                self.shapes[shape].without_node.push(number);
            }
            if count > 0 {
                self.take(problem, shape, &candidate, count, request.factor > 0);
                queue.give(class, rate, count);
                self.takes[at].count += count;
                placed.count += count;
                placed.over = queue.over();
            }
        }
        placed
    }

    /// The best candidate with room for a unit and how many tasks its lowest open layer takes. Going layer by layer
    /// spreads what is placed ahead evenly over the pools.
    fn best(&mut self, problem: &Problem<'_>, shape: usize, request: &Request) -> Option<Take> {
        let kind = problem.shapes[shape].kind;
        let weights = &problem.policy.weights;
        let mut best: Option<(i128, usize, Take)> = None;
        // The less its standing, the less a place can score: the rest need not be looked at once its best would lose.
        let most_beside = i128::from(weights.wait) + i128::from(weights.fit);
        let bounded = weights.wait >= 0 && weights.fit >= 0;
        let mut next = 0;
        while let Some(&Standing { number, score: standing, ref candidate }) = self.open[kind].get(next) {
            if best.as_ref().is_some_and(|best| bounded && most_beside + i128::from(standing) < best.0) {
                break;
            }
            // Nobody fills nodes ahead: there is no node for it yet.
            let ahead = !self.kept[candidate.pool] && self.nodes[candidate.pool].is_none();
            let fits = self.loads[candidate.pool].fits(&candidate.demand);
            if !fits && !ahead {
                self.open[kind].remove(next);
                continue;
            }
            next += 1;
            let layers = || self.agendas[candidate.pool].layers(problem.now, problem.walltime(shape));
            let layer_max = if ahead && request.factor > 0 { request.factor.min(layers()) } else { 0 };
            let Some(layer) = self.layer(candidate, fits, layer_max) else { continue };
            let Some(count) = self.count(problem, shape, (number, candidate), layer, request) else { continue };
            let score = Score::of(weights, layer, standing, &self.loads[candidate.pool].scarcer(&candidate.demand));
            let total = score.total();
            if best.as_ref().is_none_or(|best| (total, Reverse(number)) > (best.0, Reverse(best.1))) {
                best = Some((total, number, Take { number, candidate: *candidate, count, score, nodes: Vec::new() }));
            }
        }
        best.map(|(.., take)| take)
    }

    /// The layer that the next task goes into at a candidate, `fits` saying whether there is room in the first one.
    fn layer(&self, candidate: &Candidate, fits: bool, layer_max: u64) -> Option<u64> {
        match (fits, layer_max) {
            (true, _) => Some(0),
            (false, 0) => None,
            (false, _) => self.loads[candidate.pool].layer(&candidate.demand).filter(|&layer| layer <= layer_max),
        }
    }

    /// How many tasks of a shape have room in a layer at a candidate; `None` when there is none for a unit.
    fn count(
        &self,
        problem: &Problem<'_>,
        shape: usize,
        (number, candidate): (usize, &Candidate),
        layer: u64,
        request: &Request,
    ) -> Option<u64> {
        if self.shapes[shape].without_node.contains(&number) {
            return None;
        }
        let mut count = if request.goal == 1 { 1 } else { self.loads[candidate.pool].room(&candidate.demand, layer) };
        count = count.min(match problem.shapes[shape].reserved {
            Some(reserved) => candidate.demand.times_in(&self.reserved[reserved]),
            None => self.agendas[candidate.pool].room(&candidate.demand, problem.shapes[shape].end),
        });
        count = count.min(self.may_take(problem, shape, candidate, request.unit));
        (count >= request.unit).then_some(count)
    }
}
