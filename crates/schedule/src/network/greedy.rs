//! The planner that is always at hand: prices from the dual, then filling in order of regret.

use crate::network::{
    choice::choices,
    fill::Filling,
    network::Network,
    plan::{Amount, Basis, Budget, NetworkPlan, NetworkPlanner, Price, gap_ppm},
    prices::search,
    problem::{Problem, RowIndex},
};

/// Prices and filling, without a linear program.
///
/// It fills twice, by value alone and by prices, and takes the better; with a hint it fills once more, by the hint's
/// prices after rounds of their own. So a hint can only better it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Greedy;

impl NetworkPlanner for Greedy {
    fn plan(&self, network: &Network, hint: Option<&NetworkPlan>, budget: Budget) -> NetworkPlan {
        let rows = RowIndex::new(network);
        let problem = Problem::new(network, &rows);
        let start = hint.map(|hint| prices_of(network, &rows, hint));
        let draft = greedy(&problem, start.as_deref(), budget.rounds_max);
        answer(network, &rows, &problem, draft)
    }
}

/// A plan in numbers.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) filling: Filling,
    pub(super) value: i128,
    /// Those of the lowest bound.
    pub(super) prices: Vec<u128>,
    pub(super) bound: i128,
}

impl Draft {
    /// Takes the filling if it is worth more.
    pub(super) fn offer_filling(&mut self, problem: &Problem, filling: Filling) {
        let value = filling.value(problem);
        if value > self.value {
            (self.filling, self.value) = (filling, value);
        }
    }

    /// Takes the prices if their bound is lower.
    pub(super) fn offer_prices(&mut self, problem: &Problem, prices: Vec<u128>) {
        let bound = problem.bound(&prices);
        if bound < self.bound {
            (self.prices, self.bound) = (prices, bound);
        }
    }
}

/// Plans by value, by prices, and by the prices of a hint.
pub(super) fn greedy(problem: &Problem, hint: Option<&[u128]>, rounds: u32) -> Draft {
    let nothing = vec![0; problem.room.len()];
    let filling = filled(problem, &nothing);
    let (value, bound) = (filling.value(problem), problem.bound(&nothing));
    let mut draft = Draft { filling, value, prices: nothing.clone(), bound };
    for start in [Some(nothing.as_slice()), hint].into_iter().flatten() {
        for prices in [start.to_vec(), search(problem, start, value, rounds)] {
            if prices != nothing {
                draft.offer_filling(problem, filled(problem, &prices));
                draft.offer_prices(problem, prices);
            }
        }
    }
    draft
}

/// The prices that a filling goes through, in eighths.
const STEPS: [u128; 5] = [8, 7, 6, 4, 0];

/// A filling by prices, and then of what they left by lower and lower ones, as in a Dutch auction: what has found no
/// taker was too dear.
fn filled(problem: &Problem, prices: &[u128]) -> Filling {
    let mut filling = Filling::new(problem);
    for eighths in STEPS {
        filling.fill(problem, &prices.iter().map(|price| price / 8 * eighths).collect::<Vec<_>>());
    }
    filling
}
/// The prices of a hint on the rows of this network.
pub(super) fn prices_of(network: &Network, rows: &RowIndex, hint: &NetworkPlan) -> Vec<u128> {
    let mut prices = vec![0; rows.count()];
    for price in &hint.prices {
        if let Some(row) = rows.row_of(network, &price.of) {
            prices[row as usize] = price.fixed;
        }
    }
    prices
}

/// The plan by names, with the terms of every choice.
pub(super) fn answer(network: &Network, rows: &RowIndex, problem: &Problem, draft: Draft) -> NetworkPlan {
    let mut amounts = Vec::new();
    for (class, work) in network.model.classes.iter().enumerate() {
        for number in problem.span(class).filter(|&column| draft.filling.tasks[column] > 0) {
            let column = problem.columns[number];
            let at = network.pools[column.pool as usize];
            let centre = &network.model.centres[at.centre];
            let mut terms = None;
            choices(network, rows, class, column.pool as usize, |slot, found| {
                if slot == column.slot {
                    terms = found.ok().map(|(terms, _)| terms);
                }
            });
            amounts.push(Amount {
                class: work.id,
                centre: centre.id.clone(),
                pool: centre.pools[at.pool].id.clone(),
                slot: column.slot,
                tasks: draft.filling.tasks[number],
                terms: terms.expect("a column is a choice that is allowed"),
            });
        }
    }
    let prices = draft.prices.iter().enumerate().filter(|(_, fixed)| **fixed > 0);
    let prices = prices.map(|(row, &fixed)| Price { of: rows.scarce(network, row), fixed }).collect();
    let Draft { value, bound, .. } = draft;
    let gap_ppm = gap_ppm(value, bound);
    NetworkPlan { amounts, value, bound, gap_ppm, prices, basis: Basis::default(), pivots: 0, solved: false }
}
