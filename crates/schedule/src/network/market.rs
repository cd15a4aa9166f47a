//! Prices by clearing one row after the other, as an auctioneer would: a good place for the descent to begin.
//!
//! With all other prices fixed, every class that could use a row says what a unit of it is worth to it above its next
//! best choice; the row goes to those who offer most, and its price is the first offer that finds no room. That is
//! the lowest bound that this one price can give where a class has one column in the row.

use crate::network::problem::Problem;

/// Prices of all rows from `start` on, after so many rounds over the rows, or fewer when they stay what they are.
pub(super) fn clearing(problem: &Problem, start: &[f64], rounds: u32) -> Vec<f64> {
    let mut market = Market::new(problem, start);
    for _ in 0..rounds {
        let mut changed = market.clear_kinds();
        for row in 0..problem.room.len() {
            changed |= market.clear(row);
        }
        if !changed {
            break;
        }
    }
    market.prices
}

struct Market<'a> {
    problem: &'a Problem,
    prices: Vec<f64>,
    /// Value of a task of each column less the price of what it takes.
    profits: Vec<f64>,
    /// Columns that use each row, with what a task takes, by class.
    users: Vec<Vec<User>>,
    /// Scratch: what is offered for a unit of a row, and for how many units.
    offers: Vec<(f64, f64)>,
}

#[derive(Clone, Copy)]
struct User {
    class: u32,
    column: u32,
    amount: f64,
}

impl<'a> Market<'a> {
    fn new(problem: &'a Problem, start: &[f64]) -> Self {
        let prices = start.to_vec();
        let mut users: Vec<Vec<User>> = vec![Vec::new(); prices.len()];
        let mut profits = Vec::with_capacity(problem.columns.len());
        for class in 0..problem.classes.len() {
            for column in problem.span(class) {
                let mut profit = problem.columns[column].value as f64;
                for one in problem.uses(column) {
                    let amount = one.amount as f64;
                    profit -= amount * prices[one.row as usize];
                    let number = |value: usize| u32::try_from(value).expect("counted in 32 bits");
                    users[one.row as usize].push(User { class: number(class), column: number(column), amount });
                }
                profits.push(profit);
            }
        }
        Market { problem, prices, profits, users, offers: Vec::new() }
    }

    /// Sets the price of a row to what clears it, and tells whether that changed it by more than rounding.
    fn clear(&mut self, row: usize) -> bool {
        let (old, users) = (self.prices[row], &self.users[row]);
        self.offers.clear();
        for group in users.chunk_by(|a, b| a.class == b.class) {
            let (mut inside, mut amount) = (f64::NEG_INFINITY, 1.0);
            for user in group {
                let profit = self.profits[user.column as usize] + user.amount * old;
                if profit > inside {
                    (inside, amount) = (profit, user.amount);
                }
            }
            let class = group[0].class as usize;
            if inside > 0.0 {
                let offer = (inside - self.outside(class, group)) / amount;
                if offer > 0.0 {
                    self.offers.push((offer, amount * self.problem.classes[class].tasks as f64));
                }
            }
        }
        let price = clearing_price(&mut self.offers, self.problem.room[row] as f64);
        let change = price - old;
        if change == 0.0 {
            return false;
        }
        self.shift(row, change);
        self.prices[row] = price;
        change.abs() > 1e-6 * price.max(old)
    }

    /// Raises the prices of all rows that stand in for each other, each by the work it does, until what is asked of
    /// them together finds room. Row after row alone, they would overtake each other in small steps.
    fn clear_kinds(&mut self) -> bool {
        let mut changed = false;
        for kind in &self.problem.kinds {
            let mut rate = vec![0.0; self.prices.len()];
            let mut room = 0.0;
            for &(row, each) in kind {
                rate[row as usize] = each as f64;
                room += each as f64 * self.problem.room[row as usize] as f64;
            }
            self.offers.clear();
            for (class, span) in self.problem.classes.iter().enumerate() {
                let mut best = (0.0, None);
                for column in self.problem.span(class) {
                    if self.profits[column] > best.0 {
                        best = (self.profits[column], Some(column));
                    }
                }
                let (profit, Some(column)) = best else {
                    continue;
                };
                let uses = self.problem.uses(column).iter();
                let work: f64 = uses.map(|one| one.amount as f64 * rate[one.row as usize]).sum();
                if work > 0.0 {
                    self.offers.push((profit / work, work * span.tasks as f64));
                }
            }
            let rise = clearing_price(&mut self.offers, room);
            if rise > 0.0 {
                changed = true;
                for &(row, each) in kind {
                    self.shift(row as usize, rise * each as f64);
                }
            }
        }
        changed
    }

    /// Changes the price of a row.
    fn shift(&mut self, row: usize, change: f64) {
        self.prices[row] += change;
        for user in &self.users[row] {
            self.profits[user.column as usize] -= user.amount * change;
        }
    }

    /// The best profit of a class on columns that are not in `group`; zero for leaving its tasks out.
    fn outside(&self, class: usize, group: &[User]) -> f64 {
        let mut best: f64 = 0.0;
        let mut inside = group.iter().map(|user| user.column as usize).peekable();
        for column in self.problem.span(class) {
            if inside.next_if_eq(&column).is_none() {
                best = best.max(self.profits[column]);
            }
        }
        best
    }
}

/// The first offer that finds no room, the highest ones served first; zero when there is room for all.
fn clearing_price(offers: &mut [(f64, f64)], room: f64) -> f64 {
    let asked: f64 = offers.iter().map(|offer| offer.1).sum();
    if asked <= room {
        return 0.0;
    }
    offers.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut left = room;
    for &(offer, units) in offers.iter() {
        left -= units;
        if left < 0.0 {
            return offer;
        }
    }
    0.0
}
