//! Prices that rise where more is asked than there is, and fall where less is, and what is asked on average.
//!
//! The volume algorithm (Barahona and Anbil 2000): steps of Polyak's length on the Lagrangian dual, in the direction
//! of what has been asked on average, always from the best prices so far. The average of the answers comes near to
//! what an optimal plan gives to whom. Floats are added, multiplied and divided in a fixed order, so that every
//! machine finds the same; they prove nothing until `Problem::bound` is taken of the rounded prices.

use crate::network::{form::Form, market::clearing, problem::Problem};

/// Rounds over the market before the descent. More of them better the bound, and worsen the plan that is filled by
/// the prices: each price then stands at a corner where it cannot move alone.
const MARKET_ROUNDS: u32 = 2;
/// How much the latest answer counts in what is asked on average.
const LATEST: f64 = 0.05;

/// What a search found.
pub(super) struct Found {
    /// Of all rows.
    pub(super) prices: Vec<u128>,
    /// Part of the tasks of its class that each column got on average.
    pub(super) parts: Vec<f64>,
}

/// Prices from `start` on, after so many rounds, towards a plan of a known value.
pub(super) fn search(problem: &Problem, form: &Form, start: &[u128], value: i128, rounds: u32) -> Found {
    let start = if rounds == 0 { start.to_vec() } else { clearing(problem, start, MARKET_ROUNDS) };
    let target = form.scaled_value(value);
    let mut prices = form.scaled_prices(problem, &start);
    let mut best = (f64::INFINITY, prices.clone());
    let mut excess = vec![0.0; form.rows()];
    let mut parts = vec![0.0; problem.columns.len()];
    let mut pace = 1.0;
    for round in 0..rounds {
        let answer = respond(form, &prices);
        if answer.bound < best.0 {
            best = (answer.bound, prices.clone());
            pace *= 1.15;
        } else {
            pace *= 0.85;
        }
        let weight = if round == 0 { 1.0 } else { LATEST };
        for part in &mut parts {
            *part *= 1.0 - weight;
        }
        for column in answer.chosen {
            parts[column] += weight;
        }
        let mut length = 0.0;
        for ((excess, asked), &price) in excess.iter_mut().zip(&answer.asked).zip(&best.1) {
            *excess += weight * (asked - 1.0 - *excess);
            if *excess > 0.0 || price > 0.0 {
                length += *excess * *excess;
            }
        }
        if length <= 0.0 {
            break;
        }
        let step = pace * (best.0 - target).max(0.0) / length;
        for ((price, &from), &excess) in prices.iter_mut().zip(&best.1).zip(&excess) {
            *price = (from + step * excess).max(0.0);
        }
    }
    Found { prices: form.prices(problem, &best.1), parts }
}

/// What the classes say to prices.
struct Answer {
    bound: f64,
    /// Of each row, in parts of its room.
    asked: Vec<f64>,
    /// The column of the problem that each class takes.
    chosen: Vec<usize>,
}

/// Every class takes its best place by these prices, or none.
fn respond(form: &Form, prices: &[f64]) -> Answer {
    let mut answer = Answer { bound: prices.iter().sum(), asked: vec![0.0; prices.len()], chosen: Vec::new() };
    for class in 0..form.classes() {
        let mut best = (0.0, None);
        for column in form.span(class) {
            let gain = form.value[column] - form.dot(prices, column);
            if gain > best.0 {
                best = (gain, Some(column));
            }
        }
        if let (gain, Some(column)) = best {
            answer.bound += gain;
            for &(row, entry) in form.entries(column) {
                answer.asked[row as usize] += entry;
            }
            answer.chosen.extend(form.problem_column(column));
        }
    }
    answer
}
