//! The primal simplex method: from a plan that fits, to one that cannot be bettered. It mends what a change of
//! values leaves after the dual method; the largest gain comes in first (Dantzig).

use super::{
    basis::{Basic, Working},
    dual::{End, PIVOT_MIN, Tableau, settle_gains},
};

/// A gain must be above this to be worth a pivot.
pub(super) const GAIN_MIN: f64 = 1e-10;

/// What limits how much may come in.
struct Limit {
    step: f64,
    position: Option<usize>,
    class: Option<u32>,
}

/// Pivots until nothing is to be gained. The plan must fit when it begins.
pub(super) fn primal(working: &mut Working<'_>, tableau: &mut Tableau, pivots: &mut u32, most: u32) -> End {
    loop {
        let Some((comes, gain)) = entering(working) else {
            return End::Done;
        };
        if *pivots >= most {
            return End::Spent;
        }
        *pivots += 1;
        let step = step_of(working, comes);
        let Some(limit) = ratio_test(working, comes, &step) else {
            return End::Lost;
        };
        let position = match (limit.position, limit.class) {
            (Some(position), _) => position,
            (None, Some(class)) => {
                let beside = working.beside(class);
                let largest = beside.iter().copied().max_by(|&a, &b| working.at[a].total_cmp(&working.at[b]));
                match largest {
                    Some(position) => {
                        working.swap_key(position, &beside);
                        position
                    }
                    None => {
                        replace_key(working, comes, gain, &step);
                        continue;
                    }
                }
            }
            (None, None) => return End::Lost,
        };
        let step = step_of(working, comes);
        if step[position].abs() < PIVOT_MIN {
            return End::Lost;
        }
        let edge = working.row(position).to_vec();
        tableau.fill(working, &edge);
        settle_gains(working, tableau, position, comes, gain / step[position], &edge);
        tableau.flush(working);
        working.pivot(position, comes, &step);
    }
}

/// The whole of a class without other columns moves from its key to another column.
fn replace_key(working: &mut Working<'_>, comes: Basic, gain: f64, step: &[f64]) {
    let Basic::Column(column) = comes else {
        unreachable!("a slack moves no key of a class with one column");
    };
    for (at, &change) in working.at.iter_mut().zip(step) {
        *at -= change;
    }
    let class = working.form.class_of[column] as usize;
    for other in working.form.span(class) {
        working.gain[other] -= gain;
    }
    working.key[class] = column;
    working.gain[column] = 0.0;
}

fn step_of(working: &Working<'_>, comes: Basic) -> Vec<f64> {
    match comes {
        Basic::Column(column) => working.step(column),
        Basic::Slack(row) => working.step_of_slack(row),
    }
}

/// What gains most.
fn entering(working: &Working<'_>) -> Option<(Basic, f64)> {
    let mut best = GAIN_MIN;
    let mut found = None;
    for (column, &gain) in working.gain.iter().enumerate() {
        if gain > best {
            (best, found) = (gain, Some(Basic::Column(column)));
        }
    }
    for (row, &price) in working.price.iter().enumerate() {
        if -price > best {
            (best, found) = (-price, Some(Basic::Slack(row)));
        }
    }
    found.map(|basic| (basic, best))
}

/// What reaches zero first: something at a position, or the key of a class.
fn ratio_test(working: &Working<'_>, comes: Basic, step: &[f64]) -> Option<Limit> {
    let mut limit: Option<Limit> = None;
    let mut offer = |step: f64, position, class| {
        if limit.as_ref().is_none_or(|known| step < known.step) {
            limit = Some(Limit { step, position, class });
        }
    };
    // How fast the keys fall: those of classes with columns that rise, and that of what comes in.
    let mut keys: Vec<(u32, f64, f64)> = Vec::new();
    if let Basic::Column(column) = comes {
        keys.push((working.form.class_of[column], 0.0, 1.0));
    }
    for (position, (&value, &change)) in working.at.iter().zip(step).enumerate() {
        if change > PIVOT_MIN {
            offer(value.max(0.0) / change, Some(position), None);
        }
        if let Basic::Column(column) = working.basic[position] {
            keys.push((working.form.class_of[column], value, -change));
        }
    }
    keys.sort_by_key(|key| key.0);
    for group in keys.chunk_by(|a, b| a.0 == b.0) {
        let value = 1.0 - group.iter().map(|one| one.1).sum::<f64>();
        let fall = group.iter().map(|one| one.2).sum::<f64>();
        if fall > PIVOT_MIN {
            offer(value.max(0.0) / fall, None, Some(group[0].0));
        }
    }
    limit
}
