//! Prices by tatonnement: they rise where more is asked than there is, and fall where less is.
//!
//! This is the subgradient method on the Lagrangian dual with Polyak's step (Held, Wolfe and Crowder 1974), towards
//! the value of a plan that is known. Floats are added, multiplied and divided in a fixed order, so that every
//! machine finds the same prices; they prove nothing until `Problem::bound` is taken of the rounded ones.

use crate::network::problem::{FRACTION_BITS, Problem};

/// What one unit of each row is worth, from `start` on, after so many rounds; those of the lowest bound seen.
pub(super) fn tatonnement(problem: &Problem, start: &[u128], value: i128, rounds: u32) -> Vec<u128> {
    let room: Vec<f64> = problem.room.iter().map(|&room| (room as f64).max(1.0)).collect();
    let unit: Vec<f64> = start.iter().map(|&price| price as f64 / SCALE).collect();
    // Prices of whole rows instead of units: rows of bytes and rows of devices then move alike.
    let mut whole: Vec<f64> = unit.iter().zip(&room).map(|(price, room)| price * room).collect();
    let mut direction = vec![0.0; room.len()];
    let mut best = (f64::INFINITY, whole.clone());
    let target = value as f64;
    let mut pace = 1.0;
    for _ in 0..rounds {
        let unit: Vec<f64> = whole.iter().zip(&room).map(|(price, room)| price / room).collect();
        let (bound, asked) = respond(problem, &unit, &whole);
        if bound < best.0 {
            best = (bound, whole.clone());
        } else {
            pace *= 0.7;
        }
        let mut length = 0.0;
        for row in 0..room.len() {
            let mut slope = asked[row] / room[row] - 1.0;
            if slope < 0.0 && whole[row] <= 0.0 {
                slope = 0.0;
            }
            // Keeping part of the last direction damps the zigzag between two prices (Camerini, Fratta and Maffioli).
            direction[row] = slope + 0.6 * direction[row];
            length += direction[row] * direction[row];
        }
        if length <= 0.0 {
            break;
        }
        let step = pace * (bound - target).max(0.0) / length;
        for row in 0..room.len() {
            whole[row] = (whole[row] + step * direction[row]).max(0.0);
        }
    }
    let fixed = |(price, room): (&f64, &f64)| to_fixed(price / room);
    best.1.iter().zip(&room).map(fixed).collect()
}

const SCALE: f64 = (1_u64 << FRACTION_BITS) as f64;

/// A price with binary places; not a number and what is below zero become zero.
pub(super) fn to_fixed(price: f64) -> u128 {
    // A cast from a float saturates, and turns "not a number" into zero.
    (price * SCALE) as u128
}

/// The bound by these prices, and what is asked of each row when every class takes its best place.
fn respond(problem: &Problem, unit: &[f64], whole: &[f64]) -> (f64, Vec<f64>) {
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
