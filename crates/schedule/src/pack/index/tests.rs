//! Laws of the index, against a search that looks at every node and shares no code with it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::pack::{
    Ask, Devices, Fleet, Packer, Slot, WHOLE,
    testing::{Step, ask, rule, story},
};

use super::{dead::Dead, walk::Width};

/// Nodes by level of cores.
type Cells = BTreeMap<usize, Vec<u32>>;
/// Part, devices and logarithm of cores: what makes a kind.
type Make = (u8, u8, u32);

/// What a room's fractions, whole devices and cores come to.
fn place(fleet: &Fleet, node: u32, cores_most: &BTreeMap<Make, u32>) -> (Make, [usize; 3]) {
    let room = fleet.room(node);
    let make = (room.part, room.devices, fleet.cores_most(node).checked_ilog2().unwrap_or(0));
    let fraction = room.free().iter().filter(|&&free| free < WHOLE).max().copied().unwrap_or(0);
    let step = cores_most[&make] / 32 + 1;
    (make, [usize::from(fraction) / 20, usize::from(room.wholes()), (room.cores_milli / step) as usize])
}

/// The candidates by definition: of the fitting nodes of each kind, in the first few groups of each
/// direction that have any, the first few.
fn naive(fleet: &Fleet, ask: &Ask, width: Width, cores_each: u32) -> BTreeSet<u32> {
    let mut cores_most: BTreeMap<Make, u32> = BTreeMap::new();
    for (node, room) in fleet.rooms() {
        let make = (room.part, room.devices, fleet.cores_most(node).checked_ilog2().unwrap_or(0));
        let most = cores_most.entry(make).or_default();
        *most = fleet.cores_most(node).max(*most);
    }
    let pass = |least: [usize; 2]| -> BTreeSet<u32> {
        let mut kinds: BTreeMap<Make, BTreeMap<[usize; 2], Cells>> = BTreeMap::new();
        for (node, _) in fleet.rooms().filter(|(_, room)| room.fits(ask)) {
            let (make, [fraction, wholes, cores]) = place(fleet, node, &cores_most);
            if fraction >= least[0] && wholes >= least[1] {
                let cells = kinds.entry(make).or_default().entry([fraction, wholes]).or_default();
                cells.entry(cores).or_default().push(node);
            }
        }
        let mut found = BTreeSet::new();
        for (make, rows) in kinds {
            let step = cores_most[&make] / 32 + 1;
            let mut fractions: Vec<[usize; 2]> = Vec::new();
            for ([fraction, wholes], cells) in rows {
                match fractions.last_mut() {
                    Some([last, count]) if *last == fraction => *count += 1,
                    _ => fractions.push([fraction, 1]),
                }
                let count = fractions.last().map_or(0, |[_, count]| *count);
                if fractions.len() > width.fractions || count > width.wholes {
                    continue;
                }
                let left = (wholes as u32 * 1000 + fraction as u32 * 20).saturating_sub(ask.devices.thousandths());
                let balanced = ((ask.cores_milli + left * cores_each) / step).min(32) as usize;
                let (below, enough): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(cores, _)| *cores < balanced);
                let rest = if enough.is_empty() { width.below.max(1) } else { width.below };
                let cells = enough.into_iter().take(width.balanced).chain(below.into_iter().take(rest));
                found.extend(cells.flat_map(|(_, nodes)| nodes.into_iter().take(width.nodes)));
            }
        }
        found
    };
    match ask.devices {
        Devices::None => pass([0, 0]),
        Devices::Whole(count) => pass([0, usize::from(count)]),
        Devices::Share(share) => {
            let mut found = pass([usize::from(share) / 20, 0]);
            if found.is_empty() || width.opens {
                found.extend(pass([0, 1]));
            }
            found
        }
    }
}

fn check_story(fleet: Fleet, steps: Vec<Step>, rule: crate::pack::Rule, width: Width) -> Result<(), TestCaseError> {
    let before = fleet.clone();
    let mut packer = Packer::new(fleet, rule.clone()).with_width(width);
    let mut held: Vec<Slot> = Vec::new();
    let mut draw = 0;
    for step in steps {
        match step {
            Step::Place(ask) => {
                draw += 1;
                let slot = packer.place(&ask);
                let fits = packer.fleet().rooms().any(|(_, room)| room.fits(&ask));
                prop_assert_eq!(slot.is_some(), fits);
                let candidates = naive(packer.fleet(), &ask, width, rule.cores_per_device());
                prop_assert_eq!(&packer.candidates().iter().copied().collect::<BTreeSet<_>>(), &candidates);
                let rated = candidates.iter().map(|&node| {
                    (rule.rate(&ask, packer.fleet().room(node), draw, node).score, std::cmp::Reverse(node))
                });
                prop_assert_eq!(slot.map(|slot| slot.node), rated.max().map(|(_, node)| node.0));
                if rule.repeatable() && draw % 8 == 0 {
                    let mut anew = Packer::new(packer.fleet().clone(), rule.clone()).with_width(width);
                    prop_assert_eq!(anew.place(&ask), slot);
                }
                if let Some(slot) = slot {
                    packer.take(&slot);
                    held.push(slot);
                }
            }
            Step::Release(at) if !held.is_empty() => packer.release(&held.swap_remove(at % held.len())),
            Step::Release(_) => {}
        }
    }
    for slot in held {
        packer.release(&slot);
    }
    prop_assert_eq!(packer.fleet(), &before);
    Ok(())
}

proptest! {
    #[test]
    fn the_index_decides_like_a_search_of_its_candidates((fleet, steps) in story(), rule in rule(), width in 0usize..3) {
        check_story(fleet, steps, rule, [Width::WIDE, Width::MIDDLE, Width::NARROW][width])?;
    }

    #[test]
    fn a_gang_is_placed_whole_or_not_at_all((fleet, _) in story(), rule in rule(), ask in ask(), count in 1usize..20) {
        let before = fleet.clone();
        let mut packer = Packer::new(fleet, rule);
        match packer.settle_all(std::iter::repeat_n(&ask, count)) {
            Some(slots) => {
                prop_assert_eq!(slots.len(), count);
                slots.iter().for_each(|slot| packer.release(slot));
            }
            None => prop_assert_eq!(packer.fleet(), &before),
        }
        prop_assert_eq!(packer.fleet(), &before);
    }

    #[test]
    fn what_is_dead_fits_nowhere(asks in prop::collection::vec(ask(), 1..20), (fleet, _) in story(), probe in ask()) {
        let fits = |ask: &Ask| fleet.rooms().any(|(_, room)| room.fits(ask));
        let mut dead = Dead::default();
        asks.iter().filter(|ask| !fits(ask)).for_each(|ask| dead.add(ask));
        prop_assert!(!(dead.knows(&probe) && fits(&probe)));
        prop_assert!(asks.iter().all(|ask| dead.knows(ask) || fits(ask)));
    }
}
