//! What found no room since the last release.

use crate::pack::{Ask, Fleet};

/// Most asks that are kept; a further one is simply looked for again.
const KEPT_MAX: usize = 256;

/// Asks that fit nowhere. Room only shrinks until something is given back, so what found none, and all
/// that asks for at least as much, finds none until then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dead {
    /// None of them asks for as much as another one.
    least: Vec<Ask>,
}

impl Dead {
    /// Whether an ask cannot fit.
    pub(super) fn knows(&self, ask: &Ask) -> bool {
        self.least.iter().any(|dead| ask.dominates(dead))
    }

    /// Notes an ask that fits nowhere.
    pub(super) fn add(&mut self, ask: &Ask) {
        self.least.retain(|dead| !dead.dominates(ask));
        if self.least.len() < KEPT_MAX {
            self.least.push(*ask);
        }
    }

    /// Forgets what may fit again now that a node has more room.
    pub(super) fn revive(&mut self, fleet: &Fleet, node: u32) {
        let room = fleet.room(node);
        self.least.retain(|dead| !room.fits(dead));
    }
}
