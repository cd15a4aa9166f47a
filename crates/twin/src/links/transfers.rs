//! The transfers under way.
//!
//! Processor sharing in virtual time: every route counts what each of its transfers has been served since the route was
//! made, so that a transfer ends when that count reaches a figure that is known when it begins. A change of the set
//! costs one sharing out, not one step for each transfer.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Bytes, DurationMs, TimeMs};

use super::share::share;

/// Parts of a thousandth of a byte that rates and counts are kept in: a million transfers on one line still share all of
/// it but for a byte a second.
const PARTS: u128 = 1 << 20;
/// Parts of a whole byte.
const BYTE: u128 = 1_000 * PARTS;

/// The transfers under way over lines of limited bandwidth.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    /// What each carries, in parts a millisecond.
    lines: Vec<u128>,
    routes: Vec<Route>,
    /// Routes with transfers.
    active: BTreeSet<usize>,
    /// The route of each transfer, the count at which it began and that at which it ends.
    by_id: BTreeMap<u64, (usize, u128, u128)>,
    now: TimeMs,
    /// Whether the set has changed since bandwidth was shared out.
    changed: bool,
}

/// A sequence of lines and what is under way over all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    pub(super) lines: Vec<usize>,
    /// What each transfer is served now, in parts a millisecond.
    pub(super) rate: u128,
    /// What a transfer has been served that began with the route, in parts.
    served: u128,
    /// The counts at which transfers end, with their ids.
    ends: BTreeSet<(u128, u64)>,
}

impl Route {
    pub(super) fn under_way(&self) -> u128 {
        self.ends.len() as u128
    }

    /// How long until its next transfer ends, in milliseconds; `None` where that never happens.
    fn next_ms(&self) -> Option<u64> {
        let (end, _) = self.ends.first()?;
        match (end - self.served, self.rate) {
            (0, _) => Some(0),
            (_, 0) => None,
            (left, rate) => Some(u64::try_from(left.div_ceil(rate)).unwrap_or(u64::MAX)),
        }
    }
}

impl Transfers {
    /// A line of so many bytes a second; lines are numbered from 0.
    pub fn add_line(&mut self, bytes_per_s: u64) -> usize {
        // A byte a second is a thousandth of a byte a millisecond.
        self.lines.push(u128::from(bytes_per_s) * PARTS);
        self.lines.len() - 1
    }

    /// A route over these lines, of which there is at least one; routes are numbered from 0.
    pub fn add_route(&mut self, lines: Vec<usize>) -> usize {
        self.routes.push(Route { lines, ..Route::default() });
        self.routes.len() - 1
    }

    /// Moves time on, never back. Says what has ended since, in the order of moments and then of ids.
    pub fn advance(&mut self, now: TimeMs) -> Vec<(TimeMs, u64)> {
        let mut ended = Vec::new();
        while let Some(at) = self.next_end().filter(|at| *at <= now) {
            self.serve(at);
            let mut here = Vec::new();
            for &route in &self.active {
                let Route { served, ends, .. } = &mut self.routes[route];
                while let Some(end) = ends.first().copied().filter(|(end, _)| end <= served) {
                    ends.remove(&end);
                    here.push(end.1);
                }
            }
            here.sort_unstable();
            for id in &here {
                self.by_id.remove(id);
            }
            let routes = &self.routes;
            self.active.retain(|&route| !routes[route].ends.is_empty());
            self.changed = true;
            ended.extend(here.into_iter().map(|id| (at, id)));
        }
        self.serve(now);
        ended
    }

    /// Begins a transfer under a new id, at the moment that time was moved on to.
    pub fn start(&mut self, id: u64, route: usize, bytes: Bytes) {
        let Route { served, ends, .. } = &mut self.routes[route];
        let end = *served + u128::from(bytes.0) * BYTE;
        ends.insert((end, id));
        self.by_id.insert(id, (route, *served, end));
        self.active.insert(route);
        self.changed = true;
    }

    /// Ends a transfer early. Says what of it was moved, rounded down; nothing where there is none of this id.
    pub fn stop(&mut self, id: u64) -> Bytes {
        let Some((route, began, end)) = self.by_id.remove(&id) else { return Bytes::ZERO };
        let Route { served, ends, .. } = &mut self.routes[route];
        ends.remove(&(end, id));
        if ends.is_empty() {
            self.active.remove(&route);
        }
        self.changed = true;
        Bytes(u64::try_from((*served - began) / BYTE).unwrap_or(u64::MAX))
    }

    /// When the next transfer ends, if nothing changes before.
    pub fn next_end(&mut self) -> Option<TimeMs> {
        self.share();
        let spans = self.active.iter().filter_map(|&route| self.routes[route].next_ms());
        spans.min().map(|span_ms| self.now.after(DurationMs(span_ms)))
    }

    /// What a transfer is served now, in bytes a second, rounded down; `None` where there is none of this id.
    pub fn bytes_per_s(&mut self, id: u64) -> Option<u64> {
        self.share();
        let (route, ..) = self.by_id.get(&id)?;
        u64::try_from(self.routes[*route].rate / PARTS).ok()
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn share(&mut self) {
        if std::mem::take(&mut self.changed) {
            let active: Vec<usize> = self.active.iter().copied().collect();
            share(&self.lines, &mut self.routes, &active);
        }
    }

    /// Serves all until a moment before which none ends, or at which the first does.
    fn serve(&mut self, until: TimeMs) {
        self.share();
        let span_ms = u128::from(until.since(self.now).0);
        for &route in &self.active {
            let route = &mut self.routes[route];
            // The last millisecond may have room for more than what is left; what has ended is served no further.
            route.served += route.rate * span_ms;
        }
        self.now = self.now.max(until);
    }
}
