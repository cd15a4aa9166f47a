//! Ending tasks of tenants that hold more than they are due, so that those that hold less can start: one round.
//!
//! Allowed is what moves both towards what they are due and neither past it: the one that starts holds at most what it
//! is due afterwards, the one that loses at least that. So no round undoes what another did, and a second one on the
//! outcome of the first changes nothing (the idea of protected shares is Armada's; of G-Research, Apache-2.0).
//! The fewest tasks are ended, those of the lowest priority and with the least work lost first, and one that still
//! finds room afterwards is spared. What the cycle itself has placed is taken back without loss, where the next round
//! could end it.

mod group;
mod victims;

use std::{cmp::Reverse, collections::BinaryHeap};

use self::group::{Group, Part, groups};

use huisuan_model::{JobId, Preemption, RangeSet, Reservation, TimeMs};

use crate::{
    order::Queue,
    progress::Cursor,
    share::{Holder, Share},
    snapshot::Amounts,
    state::State,
    translate::Problem,
};

/// What a round decides: what ends, and what starts as soon as it has ended.
pub(crate) fn round(
    problem: &Problem<'_>,
    state: &mut State,
    queue: &Queue<'_>,
) -> (Vec<Preemption>, Vec<Reservation>) {
    let mut round = Round::new(problem, state, queue);
    if round.groups.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut left = problem.policy.preemptions_max;
    // What one leaves free, or whoever is spared, may be what another one lacked: again, until nothing changes.
    loop {
        let (started, spared) = (round.start_all(&mut left), round.spare());
        if !started && !spared {
            break;
        }
    }
    (round.preemptions(), round.starts)
}

struct Round<'a> {
    problem: &'a Problem<'a>,
    state: &'a mut State,
    tenants: Vec<Holder>,
    /// In the order of the snapshot, then of placements.
    groups: Vec<Group>,
    /// For each pool the numbers of its groups: lowest priority and least lost work of a task first.
    of_pool: Vec<Vec<usize>>,
    /// The blocked shapes, in the order of their turns.
    cursors: Vec<Cursor>,
    /// For each group how many of its tasks go on.
    going: Vec<u64>,
    /// What ends, with the number of the start that it is for.
    ended: Vec<(Part, usize)>,
    starts: Vec<Reservation>,
    /// For each tenant what the round has done to it: nobody both gains and loses, not even by its own jobs. With one
    /// class that follows from what is due; where another class decides a tenant's share, it does not.
    sides: Vec<Option<Side>>,
    /// Steps left for searches.
    steps: u64,
}

/// What others have ended for, or who has ended for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Gains,
    Loses,
}

/// The most steps that searches for sets of tasks take in one round.
const STEPS_MAX: u64 = 100_000;

impl<'a> Round<'a> {
    fn new(problem: &'a Problem<'a>, state: &'a mut State, queue: &Queue<'_>) -> Self {
        let groups = groups(problem, state);
        let going = groups.iter().map(|group| group.view.count).collect();
        let cursors = state.blocked.iter().map(|&blocked| Cursor { blocked, job: queue.next(blocked.shape) }).collect();
        let (tenants, of_pool) = (queue.tenants(), vec![Vec::new(); problem.pools.len()]);
        let (ended, starts, sides) = (Vec::new(), Vec::new(), vec![None; tenants.len()]);
        let mut round =
            Round { problem, state, tenants, groups, of_pool, cursors, going, ended, starts, sides, steps: STEPS_MAX };
        let mut numbers: Vec<usize> = (0..round.groups.len()).collect();
        numbers.sort_by_key(|&number| {
            let Group { tasks, placement, .. } = &round.groups[number];
            // What was placed in this cycle is taken back before anything that runs ends.
            (placement.is_none(), tasks.priority, round.lost(Part { group: number, count: 1 }), number)
        });
        for number in numbers {
            round.of_pool[round.groups[number].found.pool].push(number);
        }
        round.let_stopping_go();
        round
    }

    /// What was told to end is taken to have ended: those that it ends for find their room, and need no more to end.
    fn let_stopping_go(&mut self) {
        let Problem { holders, now, .. } = self.problem;
        for (group, found) in &holders.stopping {
            let given = Amounts::default().plus(group.each, group.count);
            let end = group.ends_at.max(TimeMs(now.0.saturating_add(1)));
            self.state.loads[found.pool].remove(given);
            self.state.agendas[found.pool].release(given, *now, end);
        }
    }

    /// Starts jobs of those that hold the least of what they are due, one unit after the other, while it is allowed.
    /// Whether any was started.
    fn start_all(&mut self, left: &mut u64) -> bool {
        let mut heap: BinaryHeap<Reverse<(Share, usize, usize)>> = BinaryHeap::new();
        for (number, cursor) in self.cursors.iter().enumerate() {
            let tenant = self.tenant(cursor.blocked.shape);
            heap.push(Reverse((self.tenants[tenant].share(), tenant, number)));
        }
        let mut any = false;
        while let Some(Reverse((share, tenant, number))) = heap.pop() {
            let now = self.tenants[tenant].share();
            if now != share {
                heap.push(Reverse((now, tenant, number)));
                continue;
            }
            let shape = self.cursors[number].blocked.shape;
            let Some((job, tasks)) = self.cursors[number].unit(self.problem) else { continue };
            if *left == 0 || !self.start(shape, job, &tasks) {
                continue;
            }
            any = true;
            *left -= 1;
            let blocked = &mut self.cursors[number].blocked;
            (blocked.own, blocked.last) = (blocked.own + tasks.len(), tasks.last());
            heap.push(Reverse((self.tenants[tenant].share(), tenant, number)));
        }
        any
    }

    /// Starts tasks that go together where it costs the fewest others; false when it is allowed nowhere.
    fn start(&mut self, shape: usize, job: JobId, tasks: &RangeSet) -> bool {
        let (unit, tenant) = (tasks.len(), self.tenant(shape));
        let mut best: Option<(u64, u128, usize, Vec<Part>)> = None;
        for (number, candidate) in self.problem.shapes[shape].places.candidates.iter().enumerate() {
            if self.state.may_take(self.problem, shape, candidate, unit) < unit {
                continue;
            }
            let Some(parts) = self.victims(shape, job, candidate, unit) else { continue };
            // What others have left free is for everybody.
            let share = self.tenants[tenant].share_with(candidate.class, candidate.rate.saturating_mul(unit));
            let may_gain = share <= self.problem.holders.due && self.sides[tenant] != Some(Side::Loses);
            if !may_gain && !parts.is_empty() {
                continue;
            }
            let count = parts.iter().map(|part| part.count).sum();
            let lost = parts.iter().map(|&part| self.lost(part)).sum();
            if best.as_ref().is_none_or(|best| (count, lost) < (best.0, best.1)) {
                best = Some((count, lost, number, parts));
            }
        }
        let Some((_, _, number, parts)) = best else { return false };
        self.carry_out(shape, job, tasks, number, &parts);
        true
    }

    fn carry_out(&mut self, shape: usize, job: JobId, tasks: &RangeSet, number: usize, parts: &[Part]) {
        let problem = self.problem;
        let candidate = &problem.shapes[shape].places.candidates[number];
        let unit = tasks.len();
        // The promise that the job had is kept now.
        for other in &problem.shapes[shape].places.candidates {
            self.state.agendas[other.pool].drop(job);
        }
        self.state.reservations.retain(|reservation| reservation.job != job);
        for &part in parts {
            let (given, end) = (self.given(part), self.end(part.group));
            self.state.loads[candidate.pool].remove(given);
            self.state.agendas[candidate.pool].release(given, problem.now, end);
            self.going[part.group] -= part.count;
            self.ended.push((part, self.starts.len()));
            let found = self.groups[part.group].found;
            let loser = problem.holders.projects[found.project].0;
            self.sides[loser] = Some(Side::Loses);
            self.tenants[loser].take(found.class, found.rate.saturating_mul(part.count));
        }
        self.state.take(problem, shape, candidate, unit, false);
        let tenant = self.tenant(shape);
        if !parts.is_empty() {
            self.sides[tenant] = Some(Side::Gains);
        }
        self.tenants[tenant].add(candidate.class, candidate.rate.saturating_mul(unit));
        let place = problem.pools[candidate.pool];
        let (centre, pool) = (place.centre.id.clone(), place.pool.pool.id.clone());
        self.starts.push(Reservation { job, tasks: tasks.clone(), centre, pool, start_at: problem.now });
    }

    /// Lets those go on that find room after all; whether any did.
    fn spare(&mut self) -> bool {
        let mut any = false;
        for group in 0..self.groups.len() {
            let (Group { view, tasks, found, .. }, end) = (&self.groups[group], self.end(group));
            let (ended, found) = (view.count - self.going[group], *found);
            if ended == 0 {
                continue;
            }
            let demand = crate::Demand { cores: view.each.cores, devices: view.each.devices, memory: view.each.memory };
            let room = self.state.loads[found.pool].room(&demand, 0);
            let room = room.min(self.state.agendas[found.pool].room(&demand, end));
            let count = if tasks.gang && room < ended { 0 } else { room.min(ended) };
            if count > 0 {
                self.state.loads[found.pool].add(&demand, count, false);
                let amounts = Amounts::default().plus(view.each, count);
                self.state.agendas[found.pool].place(amounts, self.problem.now, end);
                let tenant = self.problem.holders.projects[found.project].0;
                self.tenants[tenant].add(found.class, found.rate.saturating_mul(count));
                self.going[group] += count;
                self.forget(Part { group, count });
                any = true;
            }
        }
        any
    }

    /// Strikes out as many tasks of a group as are spared, the last ones first.
    fn forget(&mut self, spared: Part) {
        let mut left = spared.count;
        for (part, _) in self.ended.iter_mut().rev().filter(|(part, _)| part.group == spared.group) {
            let count = part.count.min(left);
            part.count -= count;
            left -= count;
        }
    }

    /// What ends of what runs, in the order of groups: their last tasks. Placements are taken back.
    fn preemptions(&mut self) -> Vec<Preemption> {
        let mut ended: Vec<(Part, usize)> = self.ended.iter().copied().filter(|(part, _)| part.count > 0).collect();
        ended.sort_by_key(|(part, start)| (part.group, *start));
        let mut preemptions: Vec<Preemption> = Vec::new();
        let mut last: Option<(usize, RangeSet)> = None;
        for (part, start) in ended {
            let Group { tasks: running, found, placement, .. } = &self.groups[part.group];
            if let Some(number) = *placement {
                let tasks = &mut self.state.placements[number].tasks;
                *tasks = tasks.take(self.going[part.group]);
                self.state.taken_back(self.state.origins[number].shape);
                continue;
            }
            let start = &self.starts[start];
            let place = self.problem.pools[found.pool];
            let (first, rest) = match last.take() {
                Some((group, rest)) if group == part.group => (false, rest),
                _ => (true, running.tasks.skip(self.going[part.group])),
            };
            let tasks = rest.take(part.count);
            last = Some((part.group, rest.skip(part.count)));
            match preemptions.last_mut().filter(|before| !first && before.by == start.job) {
                Some(before) => {
                    before.tasks.insert_all(&tasks);
                    before.by_tasks.insert_all(&start.tasks);
                }
                None => preemptions.push(Preemption {
                    job: running.job,
                    tasks,
                    centre: place.centre.id.clone(),
                    pool: place.pool.pool.id.clone(),
                    by: start.job,
                    by_tasks: start.tasks.clone(),
                }),
            }
        }
        self.state.forget_empty();
        preemptions
    }

    fn tenant(&self, shape: usize) -> usize {
        self.problem.holders.projects[self.problem.shapes[shape].project].0
    }

    /// What should have ended is taken to end in a moment.
    fn end(&self, group: usize) -> TimeMs {
        self.groups[group].view.ends_at.max(TimeMs(self.problem.now.0.saturating_add(1)))
    }

    /// GFLOP that were done and would be lost, in thousandths.
    fn lost(&self, part: Part) -> u128 {
        let Group { tasks, found, .. } = &self.groups[part.group];
        let ran = self.problem.now.since(tasks.started_at).0;
        (u128::from(found.rate) * u128::from(ran)).saturating_mul(u128::from(part.count))
    }
}
