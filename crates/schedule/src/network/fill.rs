//! Integer filling: class after class takes its best place that has room, those first that would lose most by
//! coming later.

use std::collections::BinaryHeap;

use crate::network::problem::Problem;

/// How many tasks start in each column, and what room is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filling {
    /// Tasks of each column.
    pub(super) tasks: Vec<u64>,
    /// Tasks of each class that are left.
    left: Vec<u64>,
    /// Room of each row that is left.
    room: Vec<u64>,
}

/// A class in the heap with the best place it had when it was put there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    regret: i128,
    /// Lower numbers first, in a heap that gives the greatest.
    class: std::cmp::Reverse<usize>,
    column: usize,
}

impl Filling {
    pub(super) fn new(problem: &Problem) -> Self {
        Filling {
            tasks: vec![0; problem.columns.len()],
            left: problem.classes.iter().map(|class| class.tasks).collect(),
            room: problem.room.clone(),
        }
    }

    /// What all of it is worth.
    pub(super) fn value(&self, problem: &Problem) -> i128 {
        let worth = |(column, &tasks): (usize, &u64)| i128::from(problem.columns[column].value) * i128::from(tasks);
        self.tasks.iter().enumerate().map(worth).sum()
    }

    /// Gives a column as many tasks as wait, fit and are wanted.
    pub(super) fn take(&mut self, problem: &Problem, class: usize, column: usize, most: u64) -> u64 {
        let room = problem.uses(column).iter().map(|one| self.room[one.row as usize] / one.amount).min();
        let count = most.min(self.left[class]).min(room.unwrap_or(u64::MAX));
        for one in problem.uses(column) {
            self.room[one.row as usize] -= one.amount * count;
        }
        self.left[class] -= count;
        self.tasks[column] += count;
        count
    }

    /// Fills what is left by these prices: no class takes a place that is worth less to it than its price.
    pub(super) fn fill(&mut self, problem: &Problem, prices: &[u128]) {
        let profits: Vec<i128> = (0..problem.columns.len()).map(|column| problem.profit(column, prices)).collect();
        let mut heap: BinaryHeap<Turn> =
            (0..problem.classes.len()).filter_map(|class| self.turn(problem, class, &profits)).collect();
        while let Some(turn) = heap.pop() {
            let class = turn.class.0;
            // Its place may have filled up since, and then its regret is another one.
            match self.turn(problem, class, &profits) {
                Some(now) if now.column == turn.column && now.regret <= turn.regret => {
                    self.take(problem, class, now.column, u64::MAX);
                    heap.extend(self.turn(problem, class, &profits));
                }
                other => heap.extend(other),
            }
        }
    }

    /// The best place of a class that has room for a task, and what the class would lose for each part of the room
    /// if it had to take the next best one.
    fn turn(&self, problem: &Problem, class: usize, profits: &[i128]) -> Option<Turn> {
        if self.left[class] == 0 {
            return None;
        }
        let mut best: Option<(i128, usize)> = None;
        let mut second = 0;
        for column in problem.span(class) {
            let profit = profits[column];
            if profit < second || profit < 0 || !self.fits(problem, column) {
                continue;
            }
            match best {
                Some((known, _)) if profit <= known => second = profit,
                _ => {
                    second = best.map_or(0, |(known, _)| known);
                    best = Some((profit, column));
                }
            }
        }
        let (profit, column) = best?;
        let regret = ((profit - second) << 16) / i128::from(problem.share(column));
        Some(Turn { regret, class: std::cmp::Reverse(class), column })
    }

    fn fits(&self, problem: &Problem, column: usize) -> bool {
        problem.uses(column).iter().all(|one| self.room[one.row as usize] >= one.amount)
    }
}
