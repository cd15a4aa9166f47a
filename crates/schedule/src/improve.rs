//! Moving what this very cycle has placed, so that one more starts.
//!
//! A turn gives a job the best place that is left, and cannot know that somebody later in line fits nowhere else. So
//! those that found no room are gone through once more, in line: where the cycle has placed tasks at a pool of theirs
//! that could start as well elsewhere, as many of these as it takes are moved there, if others then start in their
//! place. Nobody loses by it: what was placed still starts now, for no more money and no slower, where a twentieth
//! within one part number counts as the same ([`stock`]), and what was promised is kept. Room goes to the first in line
//! that it is enough for, so that nobody is overtaken by a move.
//!
//! It is a bounded search and no solver: what was moved is not moved on, so that there are no chains, and what moves
//! goes to where room is free already. Left out are pools that show their nodes, centres that hide their queue, gangs
//! that must lie in one rack, and as what moves also tasks placed ahead of free capacity or within a reservation.

mod moves;
mod record;
mod stock;

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Improvement, JobId, RangeSet};

use self::{moves::Part, stock::Stock};
use crate::{
    order::{Queue, Rank},
    policy::Budget,
    progress::{Block, Cursor},
    state::State,
    translate::{Candidate, Problem},
};

pub(crate) use self::record::keep;

/// What starts because other placements were moved.
pub(crate) fn round(
    problem: &Problem<'_>,
    state: &mut State,
    queue: &mut Queue<'_>,
    budget: &Budget,
) -> Vec<Improvement> {
    if budget.improvement_steps_max == 0 || state.blocked.is_empty() || state.placements.is_empty() {
        return Vec::new();
    }
    let mut round = Round::new(problem, state, queue, budget);
    if (0..round.stocks.len()).all(|stock| round.movable(stock) == 0) {
        return Vec::new();
    }
    // What moves leaves room that may be just what another one's could move to: again, until nothing starts.
    while round.pass() {}
    round.finish()
}

struct Round<'a, 'q> {
    problem: &'a Problem<'a>,
    state: &'a mut State,
    queue: &'a mut Queue<'q>,
    /// The blocked shapes, in the order in which they found no room.
    cursors: Vec<Cursor>,
    stocks: Vec<Stock>,
    /// For each pool the numbers of what could move away.
    of_pool: Vec<Vec<usize>>,
    /// What was moved for the start that is being looked for.
    parts: Vec<Part>,
    /// The pools where a promise was taken back, because it was kept early.
    released: BTreeSet<usize>,
    /// Placements that were made here, by job and pool.
    made: BTreeMap<(JobId, usize), usize>,
    improvements: Vec<Improvement>,
    steps: u64,
    placements_max: u64,
}

/// The next tasks of a blocked shape that go together.
struct Ask {
    shape: usize,
    job: JobId,
    tasks: RangeSet,
    unit: u64,
}

impl<'a, 'q> Round<'a, 'q> {
    fn new(problem: &'a Problem<'a>, state: &'a mut State, queue: &'a mut Queue<'q>, budget: &Budget) -> Self {
        let cursors = state.blocked.iter().map(|&blocked| Cursor { blocked, job: queue.next(blocked.shape) });
        let cursors: Vec<Cursor> = cursors.collect();
        let mut wanted = vec![false; problem.pools.len()];
        for cursor in &cursors {
            let candidates = &problem.shapes[cursor.blocked.shape].places.candidates;
            candidates.iter().for_each(|candidate| wanted[candidate.pool] = true);
        }
        let stocks = stock::stocks(problem, state, &wanted);
        let mut of_pool = vec![Vec::new(); problem.pools.len()];
        for (number, stock) in stocks.iter().enumerate() {
            of_pool[stock.pool].push(number);
        }
        Round {
            problem,
            state,
            queue,
            cursors,
            stocks,
            of_pool,
            parts: Vec::new(),
            released: BTreeSet::new(),
            made: BTreeMap::new(),
            improvements: Vec::new(),
            steps: budget.improvement_steps_max,
            placements_max: budget.placements_max,
        }
    }

    /// Goes through the line once; whether anything started and there are steps left to go on.
    fn pass(&mut self) -> bool {
        let numbers = 0..self.cursors.len();
        let mut line: BTreeSet<(Rank, usize)> =
            numbers.filter_map(|number| Some((self.rank(number)?, number))).collect();
        let (mut tried, mut any): (Vec<usize>, bool) = (Vec::new(), false);
        while let Some((rank, number)) = line.pop_first() {
            if self.steps == 0 || self.state.placed >= self.placements_max {
                return false;
            }
            // Its job may have ended with its last start.
            let Some(ask) = self.ask(number) else { continue };
            let Some(now) = self.rank(number) else { continue };
            if now != rank {
                line.insert((now, number));
                continue;
            }
            let Some(place) = self.make_room(&ask) else {
                self.promise(&ask);
                tried.push(number);
                continue;
            };
            any = true;
            let pool = self.candidate(ask.shape, place).pool;
            // Several kinds of tasks may have moved together for this one, and somebody before it needs no more.
            let before = tried.iter().find_map(|&number| self.would_take(number, pool));
            let (first, ask, place) = before.unwrap_or((number, ask, place));
            let mut changed = self.start(first, &ask, place);
            changed.insert(pool);
            tried.push(number);
            // Those who could use what is left there are in line again.
            let again = |&one: &usize| one == first || one == number || self.meets(one, &changed);
            let (back, rest): (Vec<usize>, Vec<usize>) = tried.into_iter().partition(again);
            line.extend(back.into_iter().filter_map(|number| Some((self.rank(number)?, number))));
            tried = rest;
        }
        any
    }

    /// Where the next job of a blocked shape stands in line; `None` when it has no more.
    fn rank(&self, number: usize) -> Option<Rank> {
        let Cursor { blocked, job } = &self.cursors[number];
        self.queue.rank(blocked.shape, *job)
    }

    fn candidate(&self, shape: usize, number: usize) -> &'a Candidate {
        &self.problem.shapes[shape].places.candidates[number]
    }

    /// Whether a blocked shape could use any of some pools.
    fn meets(&self, number: usize, pools: &BTreeSet<usize>) -> bool {
        let candidates = &self.problem.shapes[self.cursors[number].blocked.shape].places.candidates;
        candidates.iter().any(|candidate| pools.contains(&candidate.pool))
    }

    /// The next tasks of a blocked shape that go together; `None` when it has no more.
    fn ask(&mut self, number: usize) -> Option<Ask> {
        let cursor = &mut self.cursors[number];
        let (shape, before, own) = (cursor.blocked.shape, cursor.job, cursor.blocked.own);
        let next = cursor.unit(self.problem);
        let view = &self.problem.snapshot.shapes[shape];
        // A job that has reached its own limit is passed over.
        let passed = view.jobs[before..cursor.job].iter().enumerate();
        let mut left = passed.map(|(at, job)| job.waiting.len() - if at == 0 { own } else { 0 });
        self.state.shapes[shape].passed |= left.any(|left| left > 0);
        next.map(|(job, tasks)| Ask { shape, job, unit: tasks.len(), tasks })
    }

    /// Who would take a pool as it is now, and how.
    fn would_take(&mut self, number: usize, pool: usize) -> Option<(usize, Ask, usize)> {
        let ask = self.ask(number)?;
        let candidates = &self.problem.shapes[ask.shape].places.candidates;
        let place = candidates.binary_search_by_key(&pool, |candidate| candidate.pool).ok()?;
        self.fits(&ask, &candidates[place]).then_some((number, ask, place))
    }

    /// Starts tasks where room was made for them; says which pools promise less now.
    fn start(&mut self, number: usize, ask: &Ask, place: usize) -> BTreeSet<usize> {
        let (problem, shape) = (self.problem, ask.shape);
        // The promise that the job had is kept now.
        let pools = problem.shapes[shape].places.candidates.iter().map(|candidate| candidate.pool);
        let freed: BTreeSet<usize> = pools.filter(|&pool| self.state.agendas[pool].drop(ask.job)).collect();
        self.released.extend(&freed);
        self.state.reservations.retain(|reservation| reservation.job != ask.job);
        let candidate = self.candidate(shape, place);
        let job = self.cursors[number].job;
        let view = &problem.snapshot.shapes[shape].jobs[job];
        let short = problem.policy.ahead_factor(view.mean_run_ms, problem.shapes[shape].gang) > 0;
        self.state.take(problem, shape, candidate, ask.unit, short);
        self.queue.give_to(shape, candidate.class, candidate.rate.saturating_mul(ask.unit));
        self.spare();
        self.record(ask, place, job);
        let blocked = &mut self.cursors[number].blocked;
        (blocked.own, blocked.last) = (blocked.own + ask.unit, ask.tasks.last());
        freed
    }

    /// Promises a start to a job that found no room again, where a promise to another one has gone.
    fn promise(&mut self, ask: &Ask) {
        let mut pools = self.problem.shapes[ask.shape].places.candidates.iter().map(|candidate| candidate.pool);
        let known = |promise: &huisuan_model::Reservation| promise.job == ask.job;
        if pools.any(|pool| self.released.contains(&pool)) && !self.state.reservations.iter().any(known) {
            self.state.reserve(self.problem, ask.shape, ask.job, &ask.tasks);
        }
    }

    /// Leaves all as if those that started had had their turns.
    fn finish(mut self) -> Vec<Improvement> {
        for number in 0..self.cursors.len() {
            let more = self.ask(number).is_some();
            let Cursor { blocked, job } = self.cursors[number];
            let (shape, own) = (blocked.shape, blocked.own);
            if (self.queue.next(shape), self.state.blocked[number].own) == (job, own) {
                continue;
            }
            let (view, progress) = (&self.problem.snapshot.shapes[shape], &mut self.state.shapes[shape]);
            progress.block = match view.jobs.get(job).filter(|_| more) {
                Some(next) => {
                    let factor = self.problem.policy.ahead_factor(next.mean_run_ms, view.shape.gang.is_some());
                    Some(Block::Places { factor, unit: blocked.unit, ahead: self.state.placed - own, own })
                }
                None if progress.passed => view.jobs.iter().find_map(|job| job.parallel_max).map(Block::ParallelMax),
                None => None,
            };
            self.queue.pass_to(shape, job);
            self.state.blocked[number] = blocked;
        }
        self.state.forget_empty();
        self.improvements
    }
}
