//! The working basis of the simplex method with generalised upper bounds (Dantzig and Van Slyke 1967).
//!
//! A basis has one column for every class and one for every row. Each class names one of its basic columns its
//! **key**; the rest, at most as many as there are rows, make the working matrix: for each of them its column less
//! that of its class's key, and unit columns for rows with slack. Only this small matrix is inverted; a thousand
//! classes cost nothing but their keys.

use super::form::Form;

/// What stands at a position of the working basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Basic {
    /// The slack of a row.
    Slack(usize),
    /// A column that is not the key of its class.
    Column(usize),
}

/// A basis, its inverse and what follows from it.
#[derive(Debug, Clone)]
pub(in crate::network) struct Working<'a> {
    pub(super) form: &'a Form,
    pub(in crate::network) key: Vec<usize>,
    pub(in crate::network) basic: Vec<Basic>,
    /// Inverse of the working matrix, row by row.
    inverse: Vec<f64>,
    /// Value at each position.
    pub(super) at: Vec<f64>,
    /// Price of each row.
    pub(super) price: Vec<f64>,
    /// Value of each column less the price of what it takes and of its class: at most 0 at an optimum.
    pub(super) gain: Vec<f64>,
}

impl<'a> Working<'a> {
    /// The basis of these keys where every row has slack.
    pub(super) fn of_keys(form: &'a Form, key: Vec<usize>) -> Self {
        let rows = form.rows();
        let mut working = Working {
            form,
            key,
            basic: (0..rows).map(Basic::Slack).collect(),
            inverse: Vec::new(),
            at: vec![0.0; rows],
            price: vec![0.0; rows],
            gain: vec![0.0; form.columns()],
        };
        working.refactor(&[], &vec![false; rows]);
        working
    }

    /// Row of the inverse at a position.
    pub(super) fn row(&self, position: usize) -> &[f64] {
        let rows = self.form.rows();
        &self.inverse[position * rows..(position + 1) * rows]
    }

    /// Inverts anew, for these columns beside the keys. A column that depends on others is dropped; rows that stay
    /// without a column get their slack, rows not marked `tight` if possible.
    pub(super) fn refactor(&mut self, columns: &[usize], tight: &[bool]) {
        let rows = self.form.rows();
        self.inverse.clear();
        self.inverse.resize(rows * rows, 0.0);
        for row in 0..rows {
            self.inverse[row * rows + row] = 1.0;
            self.basic[row] = Basic::Slack(row);
        }
        for &column in columns {
            let step = self.step(column);
            let size = |position: usize| step[position].abs() * if tight[position] { 1e3 } else { 1.0 };
            let free = (0..rows).filter(|&position| self.basic[position] == Basic::Slack(position));
            let best = free.max_by(|&a, &b| size(a).total_cmp(&size(b)).then(b.cmp(&a)));
            if let Some(position) = best.filter(|&position| step[position].abs() > 1e-7) {
                self.basic[position] = Basic::Column(column);
                self.eliminate(position, &step);
            }
        }
        self.settle();
        self.reprice();
    }

    /// Columns beside the keys, and rows without slack: what `refactor` takes.
    pub(super) fn content(&self) -> (Vec<usize>, Vec<bool>) {
        let mut tight = vec![true; self.basic.len()];
        let mut columns = Vec::new();
        for &basic in &self.basic {
            match basic {
                Basic::Slack(row) => tight[row] = false,
                Basic::Column(column) => columns.push(column),
            }
        }
        (columns, tight)
    }

    /// How much each position changes for a unit of a column that comes in: inverse times (column less its key).
    pub(super) fn step(&self, column: usize) -> Vec<f64> {
        let key = self.key[self.form.class_of[column] as usize];
        let mut dense = vec![0.0; self.form.rows()];
        for &(row, entry) in self.form.entries(column) {
            dense[row as usize] += entry;
        }
        for &(row, entry) in self.form.entries(key) {
            dense[row as usize] -= entry;
        }
        let full: Vec<usize> = (0..dense.len()).filter(|&row| dense[row] != 0.0).collect();
        let product = |position| {
            let row = self.row(position);
            full.iter().map(|&at| row[at] * dense[at]).sum()
        };
        (0..dense.len()).map(product).collect()
    }

    /// The same for a slack.
    pub(super) fn step_of_slack(&self, row: usize) -> Vec<f64> {
        (0..self.form.rows()).map(|position| self.row(position)[row]).collect()
    }

    /// Makes the inverse that of the matrix with another column at `position`, whose step is given.
    pub(super) fn eliminate(&mut self, position: usize, step: &[f64]) {
        let rows = self.form.rows();
        let (before, rest) = self.inverse.split_at_mut(position * rows);
        let (pivot, after) = rest.split_at_mut(rows);
        for entry in pivot.iter_mut() {
            *entry /= step[position];
        }
        let others = before.chunks_exact_mut(rows).chain(after.chunks_exact_mut(rows));
        let factors = step[..position].iter().chain(&step[position + 1..]);
        for (row, &factor) in others.zip(factors) {
            if factor != 0.0 {
                for (entry, &pivot) in row.iter_mut().zip(pivot.iter()) {
                    *entry -= factor * pivot;
                }
            }
        }
    }

    /// Computes the values from the inverse.
    fn settle(&mut self) {
        let mut left = vec![1.0; self.form.rows()];
        for &key in &self.key {
            for &(row, entry) in self.form.entries(key) {
                left[row as usize] -= entry;
            }
        }
        for position in 0..left.len() {
            self.at[position] = self.row(position).iter().zip(&left).map(|(a, b)| a * b).sum();
        }
    }

    /// Prices of the rows at this basis, by these values of the columns.
    pub(super) fn prices_by(&self, value: &[f64]) -> Vec<f64> {
        let mut prices = vec![0.0; self.basic.len()];
        for (position, basic) in self.basic.iter().enumerate() {
            if let Basic::Column(column) = *basic {
                let key = self.key[self.form.class_of[column] as usize];
                let worth = value[column] - value[key];
                for (price, &entry) in prices.iter_mut().zip(self.row(position)) {
                    *price += worth * entry;
                }
            }
        }
        for basic in &self.basic {
            if let Basic::Slack(row) = *basic {
                prices[row] = 0.0;
            }
        }
        prices
    }

    /// Computes prices and gains from the inverse and the values of the columns.
    pub(super) fn reprice(&mut self) {
        self.price = self.prices_by(&self.form.value);
        for class in 0..self.form.classes() {
            let key = self.key[class];
            let own = self.form.value[key] - self.form.dot(&self.price, key);
            for column in self.form.span(class) {
                self.gain[column] = self.form.value[column] - self.form.dot(&self.price, column) - own;
            }
            self.gain[key] = 0.0;
        }
        for basic in &self.basic {
            if let Basic::Column(column) = *basic {
                self.gain[column] = 0.0;
            }
        }
    }

    /// Positions of the columns of a class beside its key.
    pub(super) fn beside(&self, class: u32) -> Vec<usize> {
        let of_class = |basic: &Basic| matches!(basic, Basic::Column(column) if self.form.class_of[*column] == class);
        (0..self.basic.len()).filter(|&position| of_class(&self.basic[position])).collect()
    }

    /// Value of the key of a class whose other columns are at these positions.
    pub(super) fn key_value(&self, beside: &[usize]) -> f64 {
        1.0 - beside.iter().map(|&position| self.at[position]).sum::<f64>()
    }

    /// The column at `position`, one of those `beside` the key of its class, becomes the key, and the key takes its
    /// position. The matrix changes by a factor that is its own inverse.
    pub(super) fn swap_key(&mut self, position: usize, beside: &[usize]) {
        let Basic::Column(column) = self.basic[position] else {
            unreachable!("a slack belongs to no class");
        };
        let class = self.form.class_of[column] as usize;
        let value = self.key_value(beside);
        let rows = self.form.rows();
        for at in 0..rows {
            let sum: f64 = beside.iter().map(|&other| self.inverse[other * rows + at]).sum();
            self.inverse[position * rows + at] = -sum;
        }
        self.at[position] = value;
        self.basic[position] = Basic::Column(self.key[class]);
        self.key[class] = column;
    }

    /// `value` comes in at `position`, whatever was there goes; `step` belongs to what comes.
    pub(super) fn pivot(&mut self, position: usize, comes: Basic, step: &[f64]) {
        let value = self.at[position] / step[position];
        for (at, &change) in self.at.iter_mut().zip(step) {
            *at -= value * change;
        }
        self.at[position] = value;
        self.basic[position] = comes;
        self.eliminate(position, step);
    }

    /// The part of each class in each basic column: (column, part).
    pub(in crate::network) fn parts(&self) -> Vec<(usize, f64)> {
        let mut key_part = vec![1.0; self.key.len()];
        let mut parts = Vec::new();
        for (position, basic) in self.basic.iter().enumerate() {
            if let Basic::Column(column) = *basic {
                let part = self.at[position].clamp(0.0, 1.0);
                key_part[self.form.class_of[column] as usize] -= part;
                parts.push((column, part));
            }
        }
        parts.extend(self.key.iter().zip(key_part).map(|(&key, part)| (key, part.clamp(0.0, 1.0))));
        parts.sort_by_key(|part| part.0);
        parts
    }
}
