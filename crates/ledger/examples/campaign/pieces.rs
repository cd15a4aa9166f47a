//! The reference model of meters: every piece of an hour by itself, priced from the list of orders.

use std::collections::BTreeMap;

use huisuan_model::quantity::GFLOP_PER_P_H;

use crate::meter::{BASE, BEGAN, HOUR, WALLTIME, share};

/// The sums made from nothing: pieces of hours, each with the price that it was posted with and the one that it has now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pieces {
    /// Of each attempt the time that was told, the time that was read, and how long it ran once it has ended.
    walls: BTreeMap<u32, (u64, u64, Option<u64>)>,
    pub(crate) all: Vec<Piece>,
    /// From when on, how much, as ordered.
    pub(crate) prices: Vec<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) attempt: u32,
    begin: i64,
    work: u64,
    /// Of its line: what it was posted with, and by which order.
    line: (i64, u32),
    price: i64,
    pub(crate) cost: i128,
}

impl Pieces {
    /// Cuts the time that is new at every full hour and finds the price of each piece in the list of orders.
    pub(crate) fn used(&mut self, attempt: u32, told: u64, ended: Option<u64>) {
        let (seen, mut at, ran) = self.walls.get(&attempt).copied().unwrap_or_default();
        if ran.is_some_and(|ran| told > ran || told <= at) {
            return;
        }
        let seen = seen.max(told);
        let wall = seen.min(ran.unwrap_or(WALLTIME)).min(WALLTIME);
        let whole = i128::from(GFLOP_PER_P_H);
        while at < wall {
            let begin = BEGAN + at as i64;
            let hour_end = (begin / HOUR + 1) * HOUR;
            let end = (BEGAN + wall as i64).min(hour_end);
            if end < hour_end && ended.is_none() && ran.is_none() {
                break;
            }
            let next = (end - BEGAN) as u64;
            let work = share().work(next).0 - share().work(at).0;
            let line = self.price(begin);
            let own = self.all.iter().filter(|piece| piece.line == line);
            let before: i128 = own.map(|piece| i128::from(piece.work) * i128::from(line.0)).sum();
            let cost = (before + i128::from(work) * i128::from(line.0)) / whole - before / whole;
            self.all.push(Piece { attempt, begin, work, line, price: line.0, cost });
            at = next;
        }
        self.walls.insert(attempt, (seen, at, ran.or(ended.map(|ran| ran.max(wall)))));
    }

    fn price(&self, at: i64) -> (i64, u32) {
        let met = (1..).zip(&self.prices).filter(|(_, (from, _))| *from <= at);
        met.last().map_or((BASE, 0), |(id, (_, price))| (*price, id))
    }

    /// What has ended costs what its hour costs by now, each piece rounded by itself.
    pub(crate) fn rerate(&mut self) {
        let mut pieces = std::mem::take(&mut self.all);
        for piece in &mut pieces {
            let (price, _) = self.price(piece.begin);
            if self.walls[&piece.attempt].2.is_some() && price != piece.price {
                piece.price = price;
                piece.cost = i128::from(piece.work) * i128::from(price) / i128::from(GFLOP_PER_P_H);
            }
        }
        self.all = pieces;
    }
}
