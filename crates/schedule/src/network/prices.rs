//! Prices that rise where more is asked than there is, and fall where less is.
//!
//! The volume algorithm (Barahona and Anbil 2000): steps of Polyak's length on the Lagrangian dual, in the direction
//! of what has been asked on average, always from the best prices so far. Floats are added, multiplied and divided in
//! a fixed order, so that every machine finds the same prices; they prove nothing until `Problem::bound` is taken of
//! the rounded ones.

use crate::network::{
    market::clearing,
    problem::{FRACTION_BITS, Problem},
};

const SCALE: f64 = (1_u64 << FRACTION_BITS) as f64;
/// Rounds over the market before the descent. More of them better the bound, and worsen the plan that is filled by
/// the prices: each price then stands at a corner where it cannot move alone.
const MARKET_ROUNDS: u32 = 2;
/// How much the latest answer counts in what is asked on average.
const LATEST: f64 = 0.15;

/// A price with binary places; not a number and what is below zero become zero.
pub(super) fn to_fixed(price: f64) -> u128 {
    // A cast from a float saturates, and turns "not a number" into zero.
    (price * SCALE) as u128
}

/// Prices from `start` on, after so many rounds, towards a plan of a known value.
pub(super) fn search(problem: &Problem, start: &[u128], value: i128, rounds: u32) -> Vec<u128> {
    let start: Vec<f64> = start.iter().map(|&price| price as f64 / SCALE).collect();
    let start = if rounds == 0 { start } else { clearing(problem, &start, MARKET_ROUNDS) };
    // Prices of whole rows instead of units: rows of bytes and rows of devices then move alike.
    let room: Vec<f64> = problem.room.iter().map(|&room| (room as f64).max(1.0)).collect();
    let mut whole: Vec<f64> = start.iter().zip(&room).map(|(price, room)| price * room).collect();
    let mut best = (f64::INFINITY, whole.clone());
    let mut average = vec![0.0; room.len()];
    let mut pace = 1.0;
    for round in 0..rounds {
        let (bound, asked) = respond(problem, &whole, &room);
        if bound < best.0 {
            best = (bound, whole.clone());
            pace *= 1.15;
        } else {
            pace *= 0.85;
        }
        let weight = if round == 0 { 1.0 } else { LATEST };
        let mut length = 0.0;
        for row in 0..room.len() {
            average[row] += weight * (asked[row] / room[row] - 1.0 - average[row]);
            if average[row] > 0.0 || best.1[row] > 0.0 {
                length += average[row] * average[row];
            }
        }
        if length <= 0.0 {
            break;
        }
        let step = pace * (best.0 - value as f64).max(0.0) / length;
        for row in 0..room.len() {
            whole[row] = (best.1[row] + step * average[row]).max(0.0);
        }
    }
    best.1.iter().zip(&room).map(|(price, room)| to_fixed(price / room)).collect()
}

/// The bound by these prices, and what is asked of each row when every class takes its best place.
fn respond(problem: &Problem, whole: &[f64], room: &[f64]) -> (f64, Vec<f64>) {
    let unit: Vec<f64> = whole.iter().zip(room).map(|(price, room)| price / room).collect();
    let mut asked = vec![0.0; unit.len()];
    let mut bound: f64 = whole.iter().sum();
    for (class, span) in problem.classes.iter().enumerate() {
        let mut best = (0.0, None);
        for column in problem.span(class) {
            let cost: f64 = problem.uses(column).iter().map(|one| one.amount as f64 * unit[one.row as usize]).sum();
            let profit = problem.columns[column].value as f64 - cost;
            if profit > best.0 {
                best = (profit, Some(column));
            }
        }
        if let (profit, Some(column)) = best {
            let tasks = span.tasks as f64;
            bound += profit * tasks;
            for one in problem.uses(column) {
                asked[one.row as usize] += one.amount as f64 * tasks;
            }
        }
    }
    (bound, asked)
}
