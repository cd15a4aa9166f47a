//! Which nodes of a kind are candidates for an ask.
//!
//! What a policy likes best is in one of three places, and each has a walk of its own: where a fraction of a device is
//! filled; where few whole devices and few cores are left, which is of little use to others; and where least is left in
//! fractions.

use crate::pack::{Ask, Devices, Fleet};

use super::kind::{Bits, Key, Kind, fraction_level};

/// How far a walk goes in each direction. Counted are only steps that found a node: a walk that goes anywhere never
/// ends empty-handed while a node of the kind fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Numbers of whole devices.
    pub(super) wholes: usize,
    /// Levels of free fractions.
    pub(super) fractions: usize,
    /// Levels of cores that leave fewer than the devices want that stay free.
    pub(super) tight: usize,
    /// Levels of cores that leave enough.
    pub(super) balanced: usize,
    /// Nodes of each cell.
    pub(super) nodes: usize,
}

/// How far the walks of one kind go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    /// Devices in use that a share fits: by fraction, whole devices, cores.
    pub(super) filling: Reach,
    /// The fewest whole devices: by these, cores, fraction.
    pub(super) fullest: Reach,
    /// The smallest fractions: by whole devices, fraction, cores.
    pub(super) cleanest: Reach,
}

/// No limit.
const ALL: usize = usize::MAX;

/// How kinds are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    /// At every kind.
    pub(super) first: Width,
    /// At as many of them, those whose first candidates were best.
    pub(super) second: Option<(usize, Width)>,
}

impl Looks {
    /// For small fleets: few nodes to choose from, and time to look at more of them.
    pub(super) const WIDE: Looks = Looks {
        first: Width {
            filling: Reach { fractions: 4, wholes: ALL, tight: ALL, balanced: ALL, nodes: 4 },
            fullest: Reach { wholes: 4, tight: ALL, balanced: ALL, fractions: 8, nodes: 2 },
            cleanest: Reach { wholes: ALL, fractions: 4, tight: ALL, balanced: ALL, nodes: 2 },
        },
        second: None,
    };
    /// For large fleets.
    ///
    /// Emptier nodes are better only than a bad choice among the fullest ones: to be
    /// offered them leads to more of them being begun, and then none is left for what needs a whole node. But where
    /// cores are scarce what is best lies anywhere: a task that is frugal with cores belongs where devices are left and
    /// cores are not, so the smallest fractions are looked at for every number of whole devices and every level of
    /// cores.
    pub(super) const MIDDLE: Looks = Looks {
        first: Width {
            filling: Reach { fractions: 1, wholes: 1, tight: 1, balanced: 0, nodes: 1 },
            fullest: Reach { wholes: 1, tight: 1, balanced: 1, fractions: 1, nodes: 1 },
            cleanest: Reach { wholes: ALL, fractions: 1, tight: 1, balanced: 1, nodes: 1 },
        },
        second: Some((
            2,
            Width {
                filling: Reach { fractions: 4, wholes: ALL, tight: 1, balanced: 1, nodes: 1 },
                fullest: Reach { wholes: 2, tight: 2, balanced: 1, fractions: 4, nodes: 1 },
                cleanest: Reach { wholes: ALL, fractions: 4, tight: ALL, balanced: ALL, nodes: 1 },
            },
        )),
    };
    /// The looks for a fleet of so many nodes.
    pub(super) fn of(nodes: usize) -> Self {
        if nodes <= 4096 { Self::WIDE } else { Self::MIDDLE }
    }
}

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) ask: &'a Ask,
    /// Cores that a free device wants, in thousandths of a core: what balance means.
    pub(super) cores_each: u32,
    /// Where candidates go. A node may come twice.
    pub(super) into: &'a mut Vec<u32>,
}

impl Search<'_> {
    /// Adds the candidates of one kind, spread over fractions, whole devices and cores.
    pub(super) fn candidates(&mut self, kind: &mut Kind, width: &Width) {
        let least = match self.ask.devices {
            Devices::Share(share) => {
                self.filling(kind, fraction_level(share), width.filling);
                1
            }
            Devices::Whole(count) => usize::from(count),
            Devices::None => 0,
        };
        self.fullest(kind, least, width.fullest);
        // What wants no device strands the fewest where cores are left over, however many devices are free there.
        let wholes = if self.ask.devices == Devices::None { ALL } else { width.cleanest.wholes };
        self.cleanest(kind, least, Reach { wholes, ..width.cleanest });
    }

    fn filling(&mut self, kind: &mut Kind, least: usize, reach: Reach) {
        self.up_to(reach.fractions, kind.fractions_from(least), |search, fraction| {
            search.up_to(reach.wholes, kind.wholes_at(fraction), |search, wholes| {
                let cores = kind.cores_for((fraction, wholes), search.ask, search.cores_each);
                search.levels(cores, reach, |search, cores| {
                    search.cell(kind, Key { fraction, wholes, cores }, reach.nodes);
                });
            });
        });
    }

    fn fullest(&mut self, kind: &mut Kind, least: usize, reach: Reach) {
        self.up_to(reach.wholes, kind.wholes_from(least), |search, wholes| {
            let cores = kind.any_cores_for(wholes, search.ask, search.cores_each);
            search.levels(cores, reach, |search, cores| {
                search.up_to(reach.fractions, kind.fractions_at(wholes, cores), |search, fraction| {
                    search.cell(kind, Key { fraction, wholes, cores }, reach.nodes);
                });
            });
        });
    }

    fn cleanest(&mut self, kind: &mut Kind, least: usize, reach: Reach) {
        self.up_to(reach.wholes, kind.wholes_from(least), |search, wholes| {
            search.up_to(reach.fractions, kind.fractions_with(wholes), |search, fraction| {
                let cores = kind.cores_for((fraction, wholes), search.ask, search.cores_each);
                search.levels(cores, reach, |search, cores| {
                    search.cell(kind, Key { fraction, wholes, cores }, reach.nodes);
                });
            });
        });
    }

    /// Levels of cores, first those that leave too few. What is missing of these comes from the others.
    fn levels(&mut self, (below, enough): (Bits, Bits), reach: Reach, mut step: impl FnMut(&mut Self, usize)) {
        let found = self.up_to(reach.tight, below, &mut step);
        let missing = reach.tight - found;
        let found = found + self.up_to(reach.balanced.saturating_add(missing), enough, &mut step);
        if found == 0 {
            self.up_to(1, below, &mut step);
        }
    }

    fn cell(&mut self, kind: &mut Kind, key: Key, nodes: usize) {
        kind.cell(key).fitting(self.fleet, self.ask, nodes, self.into);
    }

    /// Takes steps until so many of them have found something, and says how many have.
    fn up_to(&mut self, most: usize, mut steps: Bits, mut step: impl FnMut(&mut Self, usize)) -> usize {
        let mut found = 0;
        while found < most
            && let Some(at) = steps.next()
        {
            let before = self.into.len();
            step(self, at);
            found += usize::from(self.into.len() > before);
        }
        found
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
            for wholes in kind.wholes_at(fraction).filter(|&wholes| wholes >= least) {
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
