//! Which nodes of a kind are candidates for an ask.

use crate::pack::{Ask, Devices, Fleet};

use super::kind::{Key, Kind, fraction_level};

/// How far a walk goes. Counted are steps that found a node: a walk never ends empty-handed while a node
/// of the kind fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Levels of free fractions.
    fractions: usize,
    /// Numbers of whole devices at each of them.
    wholes: usize,
}

/// Where an ask fits tightly.
const TIGHT: Limits = Limits { fractions: 3, wholes: 3 };
/// Where a share opens a whole device.
const OPEN: Limits = Limits { fractions: 2, wholes: 2 };

/// Cores for each free device that leave a node balanced, in thousandths; only which nodes are compared
/// depends on it, not how they are rated.
const CORES_PER_DEVICE_MILLI: u32 = 12_000;

/// Adds the candidates of one kind: the tightest first in every direction, so that each differs from the
/// others in fraction, whole devices or cores.
pub(super) fn candidates(kind: &mut Kind, fleet: &Fleet, ask: &Ask, into: &mut Vec<u32>) {
    match ask.devices {
        Devices::None => walk(kind, fleet, ask, (0, 0), TIGHT, into),
        _ if !ask.parts.contains(kind.make.part) => {}
        Devices::Whole(count) => walk(kind, fleet, ask, (0, usize::from(count)), TIGHT, into),
        Devices::Share(share) => {
            walk(kind, fleet, ask, (fraction_level(share), 0), TIGHT, into);
            walk(kind, fleet, ask, (0, 1), OPEN, into);
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
fn walk(kind: &mut Kind, fleet: &Fleet, ask: &Ask, least: (usize, usize), limits: Limits, into: &mut Vec<u32>) {
    let level = kind.cores_level(ask.cores_milli);
    let mut fractions = 0;
    for fraction in kind.fractions_from(least.0) {
        let mut numbers = 0;
        for wholes in kind.wholes_from(fraction, least.1) {
            let before = into.len();
            row(kind, fleet, ask, (fraction, wholes, level), into);
            numbers += usize::from(into.len() > before);
            if numbers == limits.wholes {
                break;
            }
        }
        fractions += usize::from(numbers > 0);
        if fractions == limits.fractions {
            break;
        }
    }
}

/// Adds the node with the fewest cores that fits, and one that stays balanced.
fn row(kind: &mut Kind, fleet: &Fleet, ask: &Ask, at: (usize, usize, usize), into: &mut Vec<u32>) {
    let (fraction, wholes, mut level) = at;
    let devices = (wholes as u32).saturating_sub(ask.devices.thousandths() / 1000);
    let balanced = kind.cores_level(ask.cores_milli.saturating_add(devices * CORES_PER_DEVICE_MILLI));
    for _ in 0..2 {
        let found = kind.cores_from(fraction, wholes, level).find_map(|cores| {
            let node = kind.cell(Key { fraction, wholes, cores }).first(fleet, ask)?;
            Some((node, cores))
        });
        let Some((node, cores)) = found else { return };
        into.push(node);
        level = balanced.max(cores + 1);
    }
}
