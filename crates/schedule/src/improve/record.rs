//! Writing down what was moved and what started for it.

use huisuan_model::{Improvement, JobId, Moved, Placement, RangeSet, ScoreTerm};

use super::{Ask, Round, moves::Part};
use crate::{progress::Origin, score::Score, snapshot::Amounts, write::Take};

impl Round<'_, '_> {
    /// Writes down a start, and the moves that were made for it. The number of the job counts in its shape.
    pub(super) fn record(&mut self, ask: &Ask, place: usize, job: usize) {
        let mut moved = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            self.record_move(&part, &mut moved);
        }
        let view = &self.problem.snapshot.shapes[ask.shape].jobs[job];
        let origin = Origin { shape: ask.shape, candidate: place, job, preemptible: view.preemptible, bound: true };
        self.put(origin, ask.job, &ask.tasks, false);
        match self.improvements.last_mut().filter(|last| last.job == ask.job) {
            Some(last) => {
                last.tasks.insert_all(&ask.tasks);
                last.moved.extend(moved);
            }
            None => self.improvements.push(Improvement { job: ask.job, tasks: ask.tasks.clone(), moved }),
        }
    }

    /// Takes what moves from its placements, those of the last turns first.
    fn record_move(&mut self, part: &Part, into: &mut Vec<Moved>) {
        let mut left = part.units * self.stocks[part.stock].unit;
        while left > 0 {
            let stock = &mut self.stocks[part.stock];
            let number = *stock.placements.last().expect("there is as much as was moved");
            let Placement { job, tasks, centre, pool, .. } = &mut self.state.placements[number];
            let stay = tasks.len().saturating_sub(left);
            let moving = tasks.skip(stay);
            *tasks = tasks.take(stay);
            left -= moving.len();
            if stay == 0 {
                stock.placements.pop();
            }
            let (job, centre, pool) = (*job, centre.clone(), pool.clone());
            let origin = Origin { candidate: part.to, bound: true, ..self.state.origins[number] };
            self.put(origin, job, &moving, true);
            match into.last_mut().filter(|last| (last.job, &last.centre, &last.pool) == (job, &centre, &pool)) {
                Some(last) => last.tasks.insert_all(&moving),
                None => into.push(Moved { job, tasks: moving, centre, pool }),
            }
        }
    }

    /// Adds tasks to what was placed of their job at a pool here, or makes it a placement.
    fn put(&mut self, origin: Origin, job: JobId, tasks: &RangeSet, moved: bool) {
        let (problem, shape, number) = (self.problem, origin.shape, origin.candidate);
        let candidate = *self.candidate(shape, number);
        if let Some(&made) = self.made.get(&(job, candidate.pool)) {
            self.state.placements[made].tasks.insert_all(tasks);
            return;
        }
        let places = &problem.shapes[shape].places;
        let known = places.by_standing.iter().find(|standing| standing.number == number);
        let standing = known.expect("every candidate has a standing").score;
        // It is scored as it would have been before it was counted in.
        let mut load = self.state.loads[candidate.pool];
        load.remove(Amounts::default().plus(candidate.each(), tasks.len()));
        let weights = &problem.policy.weights;
        let score = Score::of(weights, 0, standing, &load.scarcer(&candidate.demand));
        let take = Take { number, candidate, count: tasks.len(), score, nodes: Vec::new() };
        self.made.insert((job, candidate.pool), self.state.placements.len());
        self.state.put(problem, origin, job, tasks.clone(), take);
        if moved {
            let placement = self.state.placements.last_mut().expect("it was put there");
            placement.score.push(ScoreTerm { term: "moved".into(), value: 0 });
        }
    }
}

/// Keeps of what was written down only what is still placed: some may have been taken back for others.
pub(crate) fn keep(improvements: &mut Vec<Improvement>, placements: &[Placement]) {
    let placed = |job: JobId, tasks: &RangeSet| {
        let mut left = RangeSet::new();
        let own = placements.iter().filter(|placement| placement.job == job);
        for task in own.flat_map(|placement| placement.tasks.iter()).filter(|&task| tasks.contains(task)) {
            left.insert(task);
        }
        left
    };
    for improvement in &mut *improvements {
        improvement.tasks = placed(improvement.job, &improvement.tasks);
        improvement.moved.iter_mut().for_each(|moved| moved.tasks = placed(moved.job, &moved.tasks));
        improvement.moved.retain(|moved| !moved.tasks.is_empty());
    }
    improvements.retain(|improvement| !improvement.tasks.is_empty());
}
