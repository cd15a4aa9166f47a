//! What came lately, by kind of work.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Shape, TimeMs};

use crate::snapshot::{Agreed, Snapshot};

/// How long one count lasts, in milliseconds; two are kept.
const SPAN_MS: i64 = 3_600_000;
/// The most kinds that are remembered.
const KINDS_MAX: usize = 1_000;

/// Tasks that came, counted when a cycle first sees them wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    /// By number, and by the prices that were agreed with who asks: a contract makes another place the best one.
    kinds: BTreeMap<(u64, Vec<Agreed>), Kind>,
    /// The kind of each shape that waits: a digest of it costs more than to look it up.
    of_shape: BTreeMap<Shape, u64>,
    /// Every job up to this number was counted.
    seen: u64,
    /// The number of the span.
    span: i64,
}

/// One kind of work.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// One of its shapes, which stands for all.
    pub(super) shape: Shape,
    /// Tasks that came in this span and the one before.
    came: [u64; 2],
    /// Tasks that wait now.
    pub(super) waiting: u64,
}

impl Arrivals {
    /// Counts what came since the last look, and what waits.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: TimeMs) {
        let span = now.0.div_euclid(SPAN_MS);
        for _ in self.span..span.min(self.span.saturating_add(2)) {
            self.kinds.values_mut().for_each(|kind| kind.came = [0, kind.came[0]]);
        }
        self.span = span;
        self.kinds.values_mut().for_each(|kind| kind.waiting = 0);
        self.kinds.retain(|_, kind| kind.came != [0, 0]);
        // Swept now and then only: most shapes come again.
        if self.of_shape.len() > 2 * snapshot.shapes.len() + KINDS_MAX {
            let waiting: BTreeSet<&Shape> = snapshot.shapes.iter().map(|view| &view.shape).collect();
            self.of_shape.retain(|shape, _| waiting.contains(shape));
        }
        let mut last = self.seen;
        for view in &snapshot.shapes {
            let number = match self.of_shape.get(&view.shape) {
                Some(number) => *number,
                None => {
                    let number = view.shape.kind();
                    self.of_shape.insert(view.shape.clone(), number);
                    number
                }
            };
            let key = (number, view.agreed.clone());
            if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&key) {
                continue;
            }
            let fresh = || Kind { shape: view.shape.clone(), came: [0, 0], waiting: 0 };
            let kind = self.kinds.entry(key).or_insert_with(fresh);
            for job in &view.jobs {
                // A gang is one task of the network level.
                let tasks = if view.shape.gang.is_some() { 1 } else { job.waiting.len() };
                kind.waiting = kind.waiting.saturating_add(tasks);
                if job.id.0 > self.seen {
                    kind.came[0] = kind.came[0].saturating_add(tasks);
                }
                last = last.max(job.id.0);
            }
            kind.waiting = kind.waiting.saturating_add(view.more);
        }
        self.seen = last;
    }

    /// All kinds that wait or came lately, by number and agreed prices.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (u64, &[Agreed], &Kind)> {
        self.kinds.iter().map(|((number, agreed), kind)| (*number, agreed.as_slice(), kind))
    }
}

impl Kind {
    /// How many tasks are to be planned for so many hours: what waits, and what comes if it goes on as in the last one.
    /// Of the span before, the part counts that lies within an hour.
    pub(super) fn tasks(&self, hours: u64, now: TimeMs) -> u64 {
        let left_ms = SPAN_MS - now.0.rem_euclid(SPAN_MS);
        let before = i128::from(self.came[1]) * i128::from(left_ms) / i128::from(SPAN_MS);
        let hourly = self.came[0].saturating_add(u64::try_from(before).unwrap_or(u64::MAX));
        self.waiting.saturating_add(hourly.saturating_mul(hours))
    }
}
