//! A simplex method made for the network level: a thousand classes of which each sums to one, and few rows that they
//! share. Its working basis has only as many rows as are shared.
//!
//! - `form`: the scaled program; `basis`: keys, working matrix, inverse;
//! - `dual`, `primal`: the two methods; this file: in which order.
//!
//! From scratch, and after a change of capacity, the dual method alone does the work. Where values have changed too,
//! gains that are positive are taken as zero for the time of the dual method, and the primal method mends the rest.

mod basis;
mod dual;
mod form;
mod primal;

pub(in crate::network) use basis::{Basic, Working};
pub(in crate::network) use form::Form;

use dual::{End, FEASIBLE, GAINLESS, Tableau, dual};
use primal::{GAIN_MIN, primal};

/// Where a search begins.
#[derive(Debug, Clone, Default)]
pub(in crate::network) struct Start {
    /// The key of each class; `None` takes its most valuable column.
    pub(in crate::network) keys: Vec<Option<usize>>,
    /// Other basic columns.
    pub(in crate::network) beside: Vec<usize>,
    /// Rows without slack.
    pub(in crate::network) tight: Vec<bool>,
}

/// How it ended.
pub(in crate::network) struct Solution<'a> {
    pub(in crate::network) working: Working<'a>,
    pub(in crate::network) pivots: u32,
    /// Whether this is the optimum.
    pub(in crate::network) solved: bool,
}

impl Solution<'_> {
    /// Prices of the scaled rows: by perturbed values, and by values as they are.
    pub(in crate::network) fn prices(&self) -> [Vec<f64>; 2] {
        [self.working.price.clone(), self.working.prices_by(&self.working.form.exact)]
    }
}

/// Solves the program with at most so many pivots.
pub(in crate::network) fn solve<'a>(form: &'a Form, start: &Start, pivots_max: u32) -> Solution<'a> {
    let best = |class: usize| {
        let most_valuable = |&a: &usize, &b: &usize| form.value[a].total_cmp(&form.value[b]).then(b.cmp(&a));
        form.span(class).max_by(most_valuable).expect("a class has a column for what is left out")
    };
    let key = |class: usize| start.keys.get(class).copied().flatten().unwrap_or_else(|| best(class));
    let mut working = Working::of_keys(form, (0..form.classes()).map(key).collect());
    if !start.beside.is_empty() {
        working.refactor(&start.beside, &start.tight);
    }
    let mut tableau = Tableau::new(form);
    let (mut pivots, mut solved) = (0, false);
    loop {
        let before = pivots;
        working.forgive();
        let mut end = dual(&mut working, &mut tableau, &mut pivots, pivots_max);
        renew(&mut working);
        if end == End::Done && working.fits() && working.gainful() {
            end = primal(&mut working, &mut tableau, &mut pivots, pivots_max);
            renew(&mut working);
        }
        if end == End::Done && working.fits() && !working.gainful() {
            solved = true;
        }
        // Without a pivot since the last inversion, another one would change nothing.
        if solved || end == End::Spent || pivots == before {
            return Solution { working, pivots, solved };
        }
    }
}

/// Inverts anew, which takes out what rounding has added up.
fn renew(working: &mut Working<'_>) {
    let (columns, tight) = working.content();
    working.refactor(&columns, &tight);
}

impl Working<'_> {
    /// Takes positive gains and negative prices as zero.
    fn forgive(&mut self) {
        for gain in &mut self.gain {
            *gain = gain.min(0.0);
        }
        for price in &mut self.price {
            *price = price.max(0.0);
        }
    }

    /// Whether no value is below zero by more than rounding explains.
    fn fits(&self) -> bool {
        let slack = 100.0 * FEASIBLE;
        let mut keys = vec![1.0; self.key.len()];
        for (basic, &value) in self.basic.iter().zip(&self.at) {
            if let Basic::Column(column) = *basic {
                keys[self.form.class_of[column] as usize] -= value;
            }
        }
        self.at.iter().chain(&keys).all(|&value| value >= -slack)
    }

    /// Whether anything is to be gained.
    fn gainful(&self) -> bool {
        const { assert!(GAINLESS < GAIN_MIN) };
        self.gain.iter().any(|&gain| gain > GAIN_MIN) || self.price.iter().any(|&price| price < -GAIN_MIN)
    }
}
