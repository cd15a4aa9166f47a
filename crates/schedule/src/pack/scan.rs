//! The best of all nodes, looked at one by one, with what is known of nodes that did not change.

use std::collections::BTreeMap;

use super::{Ask, Fleet, Rate, Rule, Slot};

/// A fleet under one policy, every node of which is looked at for every ask.
///
/// It is exact and it is the yardstick of the index. Rates are kept for each shape and node and made anew
/// only for nodes that changed, so that a placement among a thousand nodes costs about a microsecond.
#[derive(Debug, Clone)]
pub struct Scan {
    fleet: Fleet,
    rule: Rule,
    /// Number of decisions so far; the draw of `random`.
    draws: u64,
    /// The node of every change since the beginning, in order.
    changes: Vec<u32>,
    shapes: BTreeMap<Ask, usize>,
    kept: Vec<Kept>,
}

/// What is known about one shape.
#[derive(Debug, Clone)]
struct Kept {
    /// How many of the changes it has seen.
    seen: usize,
    /// The score on every node; the smallest number where it does not fit.
    scores: Vec<i64>,
}

const NO_FIT: i64 = i64::MIN;

impl Scan {
    /// A fleet under a policy.
    pub fn new(fleet: Fleet, rule: Rule) -> Self {
        Scan { fleet, rule, draws: 0, changes: Vec::new(), shapes: BTreeMap::new(), kept: Vec::new() }
    }

    /// The nodes.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The best slot for an ask now: highest score, then first node.
    pub fn place(&mut self, ask: &Ask) -> Option<Slot> {
        self.draws += 1;
        let node = if self.rule.repeatable() { self.best_kept(ask) } else { self.best_drawn(ask) }?;
        let room = self.fleet.room(node);
        let rate = self.rate(ask, node);
        Some(Slot::of(node, &room, ask, rate.device))
    }

    /// Takes a slot that was placed now.
    pub fn take(&mut self, slot: &Slot) {
        self.fleet.take(slot);
        self.changes.push(slot.node);
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: &Slot) {
        self.fleet.release(slot);
        self.changes.push(slot.node);
    }

    fn rate(&self, ask: &Ask, node: u32) -> Rate {
        self.rule.rate(ask, &self.fleet.room(node), self.draws, node)
    }

    fn score(&self, ask: &Ask, node: u32) -> i64 {
        let fits = self.fleet.holds(node, ask) && self.fleet.room(node).fits(ask);
        if fits { self.rate(ask, node).score } else { NO_FIT }
    }

    fn best_drawn(&self, ask: &Ask) -> Option<u32> {
        best((0u32..).take(self.fleet.len()).map(|node| self.score(ask, node)))
    }

    fn best_kept(&mut self, ask: &Ask) -> Option<u32> {
        let at = match self.shapes.get(ask) {
            Some(&at) => at,
            None => {
                let scores = (0u32..).take(self.fleet.len()).map(|node| self.score(ask, node)).collect();
                self.kept.push(Kept { seen: self.changes.len(), scores });
                self.shapes.insert(*ask, self.kept.len() - 1);
                self.kept.len() - 1
            }
        };
        for change in self.kept[at].seen..self.changes.len() {
            let node = self.changes[change];
            self.kept[at].scores[node as usize] = self.score(ask, node);
        }
        self.kept[at].seen = self.changes.len();
        best(self.kept[at].scores.iter().copied())
    }
}

/// The place of the highest score, the first of equals.
fn best(scores: impl Iterator<Item = i64>) -> Option<u32> {
    let mut best = (NO_FIT, None);
    for (node, score) in (0u32..).zip(scores) {
        if score > best.0 {
            best = (score, Some(node));
        }
    }
    best.1
}
