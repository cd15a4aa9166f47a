//! Making room in a pool by moving what the cycle has placed there. Moves are made and taken back on the state itself,
//! so that what there is room for is found in one way only.

use std::cmp::Reverse;

use huisuan_model::{TimeMs, quantity::mul_div};

use super::{Ask, Round, stock::open};
use crate::{snapshot::Amounts, translate::Candidate};

/// Tasks of a stock that were moved to one place.
pub(super) struct Part {
    pub(super) stock: usize,
    /// The candidate.
    pub(super) to: usize,
    pub(super) units: u64,
}

/// What to move next.
struct Choice {
    stock: usize,
    units: u64,
    /// Whether that is enough.
    alone: bool,
}

/// Whether it is enough, how few tasks that takes, and otherwise how much it gives.
type Worth = (bool, Reverse<u64>, u64);

impl Round<'_, '_> {
    /// The best candidate that has room for tasks that go together, or where moves make it.
    pub(super) fn make_room(&mut self, ask: &Ask) -> Option<usize> {
        let by_standing = &self.problem.shapes[ask.shape].places.by_standing;
        // Before anything has started there is no room that the turns did not find.
        if !self.improvements.is_empty() {
            self.steps = self.steps.saturating_sub(by_standing.len() as u64);
            if let Some(found) = by_standing.iter().find(|standing| self.fits(ask, &standing.candidate)) {
                return Some(found.number);
            }
        }
        for standing in by_standing {
            self.steps = self.steps.saturating_sub(1);
            let pool = standing.candidate.pool;
            if !self.of_pool[pool].is_empty() && self.free_up(ask, &standing.candidate) {
                return Some(standing.number);
            }
        }
        None
    }

    /// Whether tasks fit at a candidate as it is now.
    pub(super) fn fits(&self, ask: &Ask, candidate: &Candidate) -> bool {
        self.state.nodes[candidate.pool].is_none() && self.lacks(ask, candidate).is_some_and(|lacks| lacks.is_empty())
    }

    /// What tasks lack at a candidate, now and when promises to others begin; `None` where no room would help.
    fn lacks(&self, ask: &Ask, candidate: &Candidate) -> Option<Vec<(TimeMs, Amounts)>> {
        let (problem, state) = (self.problem, &*self.state);
        // One that must lie in a rack may have nodes promised elsewhere.
        let together = problem.snapshot.shapes[ask.shape].shape.topology.is_some();
        if together || state.may_take(problem, ask.shape, candidate, ask.unit) < ask.unit {
            return None;
        }
        let need = Amounts::default().plus(candidate.each(), ask.unit);
        let mut lacks = vec![(problem.now, need.less(state.loads[candidate.pool].free()?))];
        lacks.extend(state.agendas[candidate.pool].lacking(ask.job, need, problem.shapes[ask.shape].end));
        lacks.retain(|(_, lack)| *lack != Amounts::default());
        Some(lacks)
    }

    /// Moves away what tasks lack at a candidate; nothing when there is not enough to move.
    fn free_up(&mut self, ask: &Ask, candidate: &Candidate) -> bool {
        let mut spent = Vec::new();
        while let Some(lacks) = self.lacks(ask, candidate) {
            if lacks.is_empty() {
                return true;
            }
            let Some(Choice { stock, units, alone }) = self.choose(candidate.pool, &lacks, &spent) else { break };
            if self.shift(stock, units) < units || !alone {
                spent.push(stock);
            }
        }
        while let Some(Part { stock, to, units }) = self.parts.pop() {
            self.bring_back(stock, to, units);
        }
        false
    }

    /// The stock of a pool of which the fewest tasks are enough; where none is, the one that gives most of what is
    /// lacking.
    fn choose(&mut self, pool: usize, lacks: &[(TimeMs, Amounts)], spent: &[usize]) -> Option<Choice> {
        let mut best: Option<(Worth, Choice)> = None;
        for &number in self.of_pool[pool].iter().filter(|number| !spent.contains(number)) {
            let stock = &self.stocks[number];
            if self.steps <= stock.to.len() as u64 {
                self.steps = 0;
                return None;
            }
            self.steps -= 1 + stock.to.len() as u64;
            let movable = self.movable(number);
            let covers = self.covers(number, movable, lacks);
            if movable == 0 || covers == 0 {
                continue;
            }
            let enough = self.enough(number, lacks).filter(|&units| units <= movable);
            let choice = Choice { stock: number, units: enough.unwrap_or(movable), alone: enough.is_some() };
            let tasks = if choice.alone { choice.units * stock.unit } else { 0 };
            let worth = (choice.alone, Reverse(tasks), if choice.alone { 0 } else { covers });
            if best.as_ref().is_none_or(|best| worth > best.0) {
                best = Some((worth, choice));
            }
        }
        best.map(|(_, choice)| choice)
    }

    /// How many units of a stock find room elsewhere.
    pub(super) fn movable(&self, number: usize) -> u64 {
        let stock = &self.stocks[number];
        let rooms = stock.to.iter().map(|&to| self.room(number, to));
        rooms.fold(0, u64::saturating_add).min(stock.units)
    }

    /// How many units of a stock have room at a candidate.
    fn room(&self, number: usize, to: usize) -> u64 {
        let stock = &self.stocks[number];
        let Candidate { pool, demand, .. } = self.candidate(stock.shape, to);
        debug_assert!(open(self.state, *pool), "what moves goes to where all that is free is known");
        let room = self.state.loads[*pool].room(demand, 0);
        room.min(self.state.agendas[*pool].room(demand, self.problem.shapes[stock.shape].end)) / stock.unit.max(1)
    }

    /// The fewest units of a stock that give all that is lacking.
    fn enough(&self, number: usize, lacks: &[(TimeMs, Amounts)]) -> Option<u64> {
        let mut most = 0;
        for &(at, lack) in lacks {
            let given = self.given_at(number, 1, at);
            let pairs =
                [(lack.cores.0, given.cores.0), (lack.memory.0, given.memory.0), (lack.devices.0, given.devices.0)];
            for (lack, given) in pairs.into_iter().filter(|(lack, _)| *lack > 0) {
                most = most.max(if given == 0 { return None } else { lack.div_ceil(given) });
            }
        }
        Some(most)
    }

    /// How much units of a stock give of what is lacking: the sum over moments and resources, in millionths of each.
    fn covers(&self, number: usize, units: u64, lacks: &[(TimeMs, Amounts)]) -> u64 {
        let part = |lack: u64, given: u64| if lack == 0 { 0 } else { mul_div(given.min(lack), 1_000_000, lack) };
        let of = |&(at, lack): &(TimeMs, Amounts)| {
            let given = self.given_at(number, units, at);
            part(lack.cores.0, given.cores.0)
                + part(lack.memory.0, given.memory.0)
                + part(lack.devices.0, given.devices.0)
        };
        lacks.iter().map(of).sum()
    }

    /// What units of a stock would leave free at a moment: nothing of what would have ended by then.
    fn given_at(&self, number: usize, units: u64, at: TimeMs) -> Amounts {
        let stock = &self.stocks[number];
        match self.problem.shapes[stock.shape].end > at {
            true => {
                let each = self.candidate(stock.shape, stock.from).each();
                Amounts::default().plus(each, stock.unit.saturating_mul(units))
            }
            false => Amounts::default(),
        }
    }

    /// Moves units of a stock to the best places with room; says how many.
    fn shift(&mut self, number: usize, units: u64) -> u64 {
        let mut left = units;
        for at in 0..self.stocks[number].to.len() {
            let to = self.stocks[number].to[at];
            let moved = self.shift_to(number, to, left.min(self.room(number, to)));
            if moved > 0 {
                self.parts.push(Part { stock: number, to, units: moved });
                left -= moved;
            }
        }
        units - left
    }

    /// Moves as many of so many units to a candidate as quotas allow there.
    fn shift_to(&mut self, number: usize, to: usize, units: u64) -> u64 {
        let (shape, from, unit) = (self.stocks[number].shape, self.stocks[number].from, self.stocks[number].unit);
        let (here, there, problem) = (self.candidate(shape, from), self.candidate(shape, to), self.problem);
        if units == 0 {
            return 0;
        }
        self.state.give_back(problem, shape, here, units * unit);
        let moved = units.min(self.state.may_take(problem, shape, there, unit) / unit);
        if moved < units {
            self.state.take(problem, shape, here, (units - moved) * unit, false);
        }
        if moved > 0 {
            self.state.take(problem, shape, there, moved * unit, false);
        }
        self.queue.take_from(shape, here.class, here.rate.saturating_mul(moved * unit));
        self.queue.give_to(shape, there.class, there.rate.saturating_mul(moved * unit));
        self.stocks[number].units -= moved;
        moved
    }

    /// Brings units back that were moved to a candidate.
    fn bring_back(&mut self, number: usize, to: usize, units: u64) {
        let (shape, from, unit) = (self.stocks[number].shape, self.stocks[number].from, self.stocks[number].unit);
        let (here, there, problem) = (self.candidate(shape, from), self.candidate(shape, to), self.problem);
        self.state.give_back(problem, shape, there, units * unit);
        self.state.take(problem, shape, here, units * unit, false);
        self.queue.take_from(shape, there.class, there.rate.saturating_mul(units * unit));
        self.queue.give_to(shape, here.class, here.rate.saturating_mul(units * unit));
        self.stocks[number].units += units;
    }

    /// Lets those stay after all that still find room where they were.
    pub(super) fn spare(&mut self) {
        for at in (0..self.parts.len()).rev() {
            let Part { stock, to, units } = self.parts[at];
            let back = units.min(self.room(stock, self.stocks[stock].from));
            if back > 0 {
                self.bring_back(stock, to, back);
                self.parts[at].units -= back;
            }
        }
        self.parts.retain(|part| part.units > 0);
    }
}
