//! Which nodes of a kind are candidates for an ask.

use crate::pack::{Ask, Devices, Fleet};

use super::kind::{Bits, Key, Kind, fraction_level};

/// How far a walk goes in each direction. Counted are only steps that found a node: a walk never ends
/// empty-handed while a node of the kind fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    /// Levels of free fractions.
    pub(super) fractions: usize,
    /// Numbers of whole devices at each of them.
    pub(super) wholes: usize,
    /// Levels of free cores for each of these, from the one on that leaves the node balanced.
    pub(super) balanced: usize,
    /// Levels of free cores below it.
    pub(super) below: usize,
    /// Nodes of each cell.
    pub(super) nodes: usize,
    /// Whether a share looks at whole devices even when a fraction fits it.
    pub(super) opens: bool,
    /// Cores that a free device wants, in thousandths of a core: what balance means.
    pub(super) cores_each: u32,
}

impl Width {
    /// For small fleets: few nodes to choose from, and time to look at more of them.
    pub(super) const WIDE: Width =
        Width { fractions: 4, wholes: 17, balanced: 32, below: 32, nodes: 4, opens: true, cores_each: 0 };
    /// For large fleets of few kinds.
    pub(super) const MIDDLE: Width =
        Width { fractions: 4, wholes: 4, balanced: 2, below: 1, nodes: 2, opens: true, cores_each: 0 };
    /// For large fleets of many kinds: each of them adds its candidates.
    pub(super) const NARROW: Width =
        Width { fractions: 2, wholes: 2, balanced: 1, below: 0, nodes: 1, opens: false, cores_each: 0 };

    /// The width for a fleet of so many nodes and kinds.
    pub(super) fn of(nodes: usize, kinds: usize) -> Self {
        match (nodes, kinds) {
            (..=4096, _) => Self::WIDE,
            (_, ..=16) => Self::MIDDLE,
            _ => Self::NARROW,
        }
    }
}

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
    up_to(width.fractions, kind.fractions_from(least.0), into, |fraction, into| {
        up_to(width.wholes, kind.wholes_from(fraction, least.1), into, |wholes, into| {
            let (below, balanced) = kind.cores_for((fraction, wholes), ask, width.cores_each);
            let mut cell = |cores, into: &mut Vec<u32>| {
                kind.cell(Key { fraction, wholes, cores }).fitting(fleet, ask, width.nodes, into);
            };
            let before = into.len();
            up_to(width.balanced, balanced, into, &mut cell);
            let least = usize::from(into.len() == before);
            up_to(width.below.max(least), below, into, &mut cell);
        });
    });
}

/// Takes steps until so many of them have found something.
fn up_to(most: usize, mut steps: Bits, into: &mut Vec<u32>, mut step: impl FnMut(usize, &mut Vec<u32>)) {
    let mut found = 0;
    while found < most
        && let Some(at) = steps.next()
    {
        let before = into.len();
        step(at, into);
        found += usize::from(into.len() > before);
    }
}
