//! The dual simplex method: from prices at which nothing more is to be gained, to a plan that fits.
//!
//! What is too full leaves in order of steepest edge (Forrest and Goldfarb 1992; with the whole inverse at hand the
//! edges cost next to nothing), what comes in is found by the ratio test of Harris (1973).

use super::{
    basis::{Basic, Working},
    form::Form,
};

/// Values down to this below zero count as zero.
pub(super) const FEASIBLE: f64 = 1e-9;
/// Gains up to this count as zero.
pub(super) const GAINLESS: f64 = 1e-11;
/// Smaller pivots are not trusted.
pub(super) const PIVOT_MIN: f64 = 1e-8;

/// How a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left to do.
    Done,
    /// No pivots are left.
    Spent,
    /// Row and column disagree about a pivot, or none is large enough: invert anew.
    Lost,
}

/// A row of the tableau, and what is still to be taken off the gains from the last one.
pub(super) struct Tableau {
    entries: Vec<f64>,
    ratio: f64,
}

impl Tableau {
    pub(super) fn new(form: &Form) -> Self {
        Tableau { entries: vec![0.0; form.columns()], ratio: 0.0 }
    }

    /// Takes off the gains what is due.
    pub(super) fn flush(&mut self, working: &mut Working<'_>) {
        for (gain, entry) in working.gain.iter_mut().zip(&self.entries) {
            *gain -= self.ratio * entry;
        }
        self.ratio = 0.0;
    }

    /// Computes the row of `edge`; on the way, brings the gains up to date and finds what may come in: columns with
    /// their ratios, and the largest step that none of them refuses by more than the tolerance.
    fn next(&mut self, working: &mut Working<'_>, edge: &[f64]) -> (Vec<(usize, f64)>, f64) {
        let form = working.form;
        let mut open = Vec::new();
        let mut most = f64::INFINITY;
        for class in 0..form.classes() {
            let key = form.dot(edge, working.key[class]);
            for column in form.span(class) {
                let gain = working.gain[column] - self.ratio * self.entries[column];
                let entry = form.dot(edge, column) - key;
                working.gain[column] = gain;
                self.entries[column] = entry;
                if entry < -PIVOT_MIN && gain >= most * entry {
                    most = most.min((gain - GAINLESS) / entry);
                    open.push((column, gain / entry));
                }
            }
        }
        self.ratio = 0.0;
        (open, most)
    }

    /// Plain computation of a row, for the primal method.
    pub(super) fn fill(&mut self, working: &mut Working<'_>, edge: &[f64]) {
        self.next(working, edge);
    }

    /// A unit of the gain of what came in is owed by every column.
    pub(super) fn owe(&mut self, ratio: f64) {
        self.ratio = ratio;
    }

    pub(super) fn entry(&self, column: usize) -> f64 {
        self.entries[column]
    }
}

/// Pivots until the plan fits. Gains must not be positive and prices not negative when it begins.
pub(super) fn dual(working: &mut Working<'_>, tableau: &mut Tableau, pivots: &mut u32, most: u32) -> End {
    loop {
        let Some(position) = leaving(working) else {
            tableau.flush(working);
            return End::Done;
        };
        if *pivots >= most {
            tableau.flush(working);
            return End::Spent;
        }
        *pivots += 1;
        let edge = working.row(position).to_vec();
        let (open, step_max) = tableau.next(working, &edge);
        let Some(comes) = entering(working, tableau, &edge, open, step_max) else {
            return End::Lost;
        };
        let (entry, gain) = match comes {
            Basic::Column(column) => (tableau.entry(column), working.gain[column]),
            Basic::Slack(row) => (edge[row], -working.price[row]),
        };
        let step = match comes {
            Basic::Column(column) => working.step(column),
            Basic::Slack(row) => working.step_of_slack(row),
        };
        if (step[position] - entry).abs() > 1e-6 * (1.0 + entry.abs()) {
            return End::Lost;
        }
        let ratio = (gain / entry).max(0.0);
        settle_gains(working, tableau, position, comes, ratio, &edge);
        working.pivot(position, comes, &step);
    }
}

/// Prices, and the gains of what comes and goes, after a change of basis with this ratio of gain to pivot.
pub(super) fn settle_gains(
    working: &mut Working<'_>,
    tableau: &mut Tableau,
    position: usize,
    comes: Basic,
    ratio: f64,
    edge: &[f64],
) {
    for (price, &entry) in working.price.iter_mut().zip(edge) {
        *price += ratio * entry;
    }
    tableau.owe(ratio);
    if let Basic::Column(column) = comes {
        // The flush that is due must leave exactly zero.
        working.gain[column] = ratio * tableau.entry(column);
    } else if let Basic::Slack(row) = comes {
        working.price[row] = 0.0;
    }
    match working.basic[position] {
        Basic::Column(column) => working.gain[column] = ratio * tableau.entry(column) - ratio,
        Basic::Slack(row) => working.price[row] = ratio,
    }
}

/// The position of what is furthest below zero for the length of its edge; a key is swapped to a position first.
fn leaving(working: &mut Working<'_>) -> Option<usize> {
    let mut sums: Vec<(u32, f64, usize)> = Vec::new();
    let mut worst: Option<(f64, usize)> = None;
    let mut offer = |below: f64, length: f64, position: usize| {
        let score = below * below / length.max(1e-30);
        if worst.is_none_or(|(known, _)| score > known) {
            worst = Some((score, position));
        }
    };
    for position in 0..working.basic.len() {
        let value = working.at[position];
        if value < -FEASIBLE {
            let row = working.row(position);
            offer(value, row.iter().map(|entry| entry * entry).sum(), position);
        }
        if let Basic::Column(column) = working.basic[position] {
            sums.push((working.form.class_of[column], value, position));
        }
    }
    sums.sort_by_key(|&(class, _, position)| (class, position));
    for group in sums.chunk_by(|a, b| a.0 == b.0) {
        let value = 1.0 - group.iter().map(|one| one.1).sum::<f64>();
        if value < -FEASIBLE {
            let lengths = group.iter().map(|one| working.row(one.2).iter().map(|entry| entry * entry).sum::<f64>());
            offer(value, lengths.sum(), working.basic.len() + group[0].0 as usize);
        }
    }
    let (_, position) = worst?;
    if position < working.basic.len() {
        return Some(position);
    }
    let class = u32::try_from(position - working.basic.len()).expect("it was a class");
    let beside = working.beside(class);
    let largest = beside.iter().copied().max_by(|&a, &b| working.at[a].total_cmp(&working.at[b]).then(b.cmp(&a)));
    let position = largest.expect("a key below zero has columns beside it");
    working.swap_key(position, &beside);
    Some(position)
}

/// Of all that may come in, the one with the largest pivot, which keeps the inverse exact.
fn entering(
    working: &Working<'_>,
    tableau: &Tableau,
    edge: &[f64],
    open: Vec<(usize, f64)>,
    mut step_max: f64,
) -> Option<Basic> {
    for (&price, &entry) in working.price.iter().zip(edge) {
        if entry < -PIVOT_MIN {
            step_max = step_max.min((-price - GAINLESS) / entry);
        }
    }
    let columns = open.into_iter().filter(|&(_, ratio)| ratio <= step_max);
    let columns = columns.map(|(column, _)| (-tableau.entry(column), Basic::Column(column)));
    let slacks = edge.iter().zip(&working.price).enumerate();
    let slacks = slacks.filter(|&(_, (&entry, &price))| entry < -PIVOT_MIN && -price / entry <= step_max);
    let slacks = slacks.map(|(row, (&entry, _))| (-entry, Basic::Slack(row)));
    let mut best: Option<(f64, Basic)> = None;
    for (size, basic) in columns.chain(slacks) {
        if best.is_none_or(|(known, _)| size > known) {
            best = Some((size, basic));
        }
    }
    best.map(|(_, basic)| basic)
}
