//! Which nodes of a kind are candidates for an ask.

use crate::pack::{Ask, Devices, Fleet};

use super::kind::{Bits, Key, Kind, fraction_level};

/// How far a walk goes in each direction. Counted are only steps that found a node: a walk never ends
/// empty-handed while a node of the kind fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    /// Levels of free fractions.
    fractions: usize,
    /// Numbers of whole devices at each of them.
    wholes: usize,
    /// Levels of free cores for each of these.
    cores: usize,
    /// Nodes of each cell.
    nodes: usize,
    /// Whether a share looks at whole devices even when a fraction fits it.
    opens: bool,
}

impl Width {
    /// For fleets of up to [`SMALL`] nodes: few to choose from, and time to look at more of them.
    pub(super) const WIDE: Width = Width { fractions: 4, wholes: 17, cores: 32, nodes: 4, opens: true };
    /// For larger ones: what the first candidates lack, others of them have.
    pub(super) const NARROW: Width = Width { fractions: 2, wholes: 2, cores: 2, nodes: 1, opens: false };

    /// The width for a fleet.
    pub(super) fn of(nodes: usize) -> Self {
        if nodes <= SMALL { Self::WIDE } else { Self::NARROW }
    }

    /// Its numbers, from the outer direction to the inner one.
    #[cfg(test)]
    pub(super) fn counts(self) -> [usize; 4] {
        [self.fractions, self.wholes, self.cores, self.nodes]
    }
}

/// Most nodes of a small fleet.
const SMALL: usize = 4096;

/// Adds the candidates of all kinds: the tightest first in every direction, so that each differs from the
/// others in fraction, whole devices or cores.
pub(super) fn candidates(kinds: &mut [Kind], fleet: &Fleet, ask: &Ask, width: Width, into: &mut Vec<u32>) {
    let least = match ask.devices {
        Devices::None => (0, 0),
        Devices::Whole(count) => (0, usize::from(count)),
        Devices::Share(share) => (fraction_level(share), 0),
    };
    let allowed = |kind: &&mut Kind| ask.devices == Devices::None || ask.parts.contains(kind.make.part);
    for kind in kinds.iter_mut().filter(allowed) {
        walk(kind, fleet, ask, least, width, into);
    }
    // A share opens a whole device where no fraction fits; where nodes are few, it is also compared.
    if matches!(ask.devices, Devices::Share(_)) && (width.opens || into.is_empty()) {
        for kind in kinds.iter_mut().filter(allowed) {
            walk(kind, fleet, ask, (0, 1), width, into);
        }
    }
}

/// The first candidate of one kind.
pub(super) fn tightest(kind: &mut Kind, fleet: &Fleet, ask: &Ask) -> Option<u32> {
    let starts = match ask.devices {
        Devices::None => [Some((0, 0)), None],
        _ if !ask.parts.contains(kind.make.part) => [None, None],
        Devices::Whole(count) => [Some((0, usize::from(count))), None],
        Devices::Share(share) => [Some((fraction_level(share), 0)), Some((0, 1))],
    };
    let level = kind.cores_level(ask.cores_milli);
    for (fraction, least) in starts.into_iter().flatten() {
        for fraction in kind.fractions_from(fraction) {
            for wholes in kind.wholes_from(fraction, least) {
                for cores in kind.cores_from(fraction, wholes, level) {
                    if let Some(node) = kind.cell(Key { fraction, wholes, cores }).first(fleet, ask) {
                        return Some(node);
                    }
                }
            }
        }
    }
    None
}

/// Walks fractions, then whole devices, then cores, each from the least that may fit.
fn walk(kind: &mut Kind, fleet: &Fleet, ask: &Ask, least: (usize, usize), width: Width, into: &mut Vec<u32>) {
    let level = kind.cores_level(ask.cores_milli);
    up_to(width.fractions, kind.fractions_from(least.0), into, |fraction, into| {
        up_to(width.wholes, kind.wholes_from(fraction, least.1), into, |wholes, into| {
            up_to(width.cores, kind.cores_from(fraction, wholes, level), into, |cores, into| {
                kind.cell(Key { fraction, wholes, cores }).fitting(fleet, ask, width.nodes, into);
            });
        });
    });
}

/// Takes steps until so many of them have found something.
fn up_to(most: usize, steps: Bits, into: &mut Vec<u32>, mut step: impl FnMut(usize, &mut Vec<u32>)) {
    let mut found = 0;
    for at in steps {
        let before = into.len();
        step(at, into);
        found += usize::from(into.len() > before);
        if found == most {
            break;
        }
    }
}
