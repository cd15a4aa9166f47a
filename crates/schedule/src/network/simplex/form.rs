//! The linear program in floats, scaled: one unit of a column is all tasks of its class, one unit of a row its room.
//!
//! Every class has one more column, its last, for tasks that are left out: it takes nothing and is worth nothing. So
//! the parts of a class always sum to one. Rows that could never be full are left away; their price is zero.

use crate::network::{network::Network, prices::to_fixed, problem::Problem};

/// Values differ by up to this part from what they are, each by its own, so that no two plans are equally good: the
/// optimum is then the same one from wherever the search begins.
const PERTURBATION: f64 = 1e-7;

/// Matrix and values.
#[derive(Debug, Clone)]
pub(in crate::network) struct Form {
    /// The row of the problem behind each row.
    row_of: Vec<usize>,
    /// What one unit of value is, in millionths.
    unit: f64,
    /// Value of each column, perturbed.
    pub(super) value: Vec<f64>,
    /// The same as it is.
    pub(super) exact: Vec<f64>,
    /// Class of each column.
    pub(super) class_of: Vec<u32>,
    /// First column of each class, and the end.
    first: Vec<usize>,
    /// Where the entries of each column begin, and the end.
    begin: Vec<u32>,
    entries: Vec<(u32, f64)>,
}

impl Form {
    pub(in crate::network) fn new(network: &Network, problem: &Problem) -> Self {
        let (row_of, number) = active_rows(problem);
        let classes = problem.classes.iter().enumerate();
        let worth = |(class, span): (usize, &crate::network::problem::ClassSpan)| {
            problem
                .span(class)
                .map(|column| problem.columns[column].value as f64 * span.tasks as f64)
                .fold(0.0, f64::max)
        };
        let unit = classes.map(worth).fold(1.0, f64::max);
        let mut form = Form {
            row_of,
            unit,
            value: Vec::new(),
            exact: Vec::new(),
            class_of: Vec::new(),
            first: vec![0],
            begin: vec![0],
            entries: Vec::new(),
        };
        for (class, span) in problem.classes.iter().enumerate() {
            let tasks = span.tasks as f64;
            for column in problem.span(class) {
                for one in problem.uses(column) {
                    if let Some(row) = number[one.row as usize] {
                        form.entries.push((row, one.amount as f64 * tasks / problem.room[one.row as usize] as f64));
                    }
                }
                let place = &problem.columns[column];
                let shift = 1.0 + PERTURBATION * noise(network.model.classes[class].id.0, place.pool, place.slot);
                form.end_column(class, place.value as f64 * tasks / unit, shift);
            }
            form.end_column(class, 0.0, 1.0);
            form.first.push(form.value.len());
        }
        form
    }

    fn end_column(&mut self, class: usize, value: f64, shift: f64) {
        self.value.push(value * shift);
        self.exact.push(value);
        self.class_of.push(u32::try_from(class).expect("classes are counted in 32 bits"));
        self.begin.push(u32::try_from(self.entries.len()).expect("uses are counted in 32 bits"));
    }

    pub(in crate::network) fn rows(&self) -> usize {
        self.row_of.len()
    }

    pub(in crate::network) fn columns(&self) -> usize {
        self.value.len()
    }

    pub(in crate::network) fn classes(&self) -> usize {
        self.first.len() - 1
    }

    /// Columns of a class; the last one is for tasks that are left out.
    pub(in crate::network) fn span(&self, class: usize) -> std::ops::Range<usize> {
        self.first[class]..self.first[class + 1]
    }

    /// Class of a column.
    pub(in crate::network) fn class(&self, column: usize) -> usize {
        self.class_of[column] as usize
    }

    /// The column of the problem behind a column; `None` for the one of tasks that are left out.
    pub(in crate::network) fn problem_column(&self, column: usize) -> Option<usize> {
        let class = self.class_of[column] as usize;
        (column + 1 != self.first[class + 1]).then(|| column - class)
    }

    /// The column of a column of the problem.
    pub(in crate::network) fn column_of(&self, class: usize, problem_column: usize) -> usize {
        problem_column + class
    }

    pub(in crate::network) fn problem_row(&self, row: usize) -> usize {
        self.row_of[row]
    }

    pub(super) fn entries(&self, column: usize) -> &[(u32, f64)] {
        &self.entries[self.begin[column] as usize..self.begin[column + 1] as usize]
    }

    /// Scalar product of a row vector with a column.
    #[inline]
    pub(super) fn dot(&self, row: &[f64], column: usize) -> f64 {
        self.entries(column).iter().map(|&(at, entry)| row[at as usize] * entry).sum()
    }

    /// Prices of the problem's rows, fixed, from those of the scaled rows.
    pub(in crate::network) fn prices(&self, problem: &Problem, scaled: &[f64]) -> Vec<u128> {
        let mut prices = vec![0; problem.room.len()];
        for (&row, &price) in self.row_of.iter().zip(scaled) {
            prices[row] = to_fixed(price.max(0.0) * self.unit / problem.room[row] as f64);
        }
        prices
    }
}

/// Rows that all classes together could overfill, and the number of each among them.
fn active_rows(problem: &Problem) -> (Vec<usize>, Vec<Option<u32>>) {
    let mut most = vec![0_u128; problem.room.len()];
    let mut of_class = vec![0_u128; problem.room.len()];
    for (class, span) in problem.classes.iter().enumerate() {
        for one in problem.span(class).flat_map(|column| problem.uses(column)) {
            let asked = u128::from(one.amount) * u128::from(span.tasks);
            let known = &mut of_class[one.row as usize];
            *known = (*known).max(asked);
        }
        for one in problem.span(class).flat_map(|column| problem.uses(column)) {
            most[one.row as usize] += std::mem::take(&mut of_class[one.row as usize]);
        }
    }
    let full = |row: &usize| most[*row] > u128::from(problem.room[*row]);
    let active: Vec<usize> = (0..problem.room.len()).filter(full).collect();
    let mut number = vec![None; problem.room.len()];
    for (at, &row) in active.iter().enumerate() {
        number[row] = Some(u32::try_from(at).expect("rows are counted in 32 bits"));
    }
    (active, number)
}

/// Between 0 and 1, the same for the same place of the same class, whatever else the network has.
fn noise(class: u64, pool: u32, slot: u32) -> f64 {
    let mut z = class ^ (u64::from(pool) << 40) ^ (u64::from(slot) << 20);
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}
