//! Laws of the index, against a search that looks at every node and shares no code with it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use proptest::prelude::*;

use crate::pack::{
    Ask, Devices, Fleet, Mix, Packer, Packing, Parts, Room, Rule, Slot, WHOLE,
    testing::{Step, ask, rule, story},
};

use super::{
    dead::Dead,
    walk::{Looks, Reach, Width},
};

/// Part, devices and logarithm of cores: what makes a kind.
type Make = (u8, u8, u32);
/// The fitting nodes of a kind, by level of the largest fraction, whole devices and level of cores; those of a cell by
/// fractions in all.
type Cells = BTreeMap<[usize; 3], Vec<(u32, u32)>>;

const FRACTION: usize = 0;
const WHOLES: usize = 1;
const CORES: usize = 2;

/// One kind, walked by definition.
struct Naive<'a> {
    cells: Cells,
    ask: &'a Ask,
    /// Thousandths of a core in one level.
    step: u32,
    cores_each: u32,
}

impl Naive<'_> {
    fn candidates(&self, width: &Width) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let least = match self.ask.devices {
            Devices::Share(share) => {
                for cells in split(&self.cells, FRACTION, usize::from(share) / 20, width.filling.fractions) {
                    for cells in split(&cells, WHOLES, 0, width.filling.wholes) {
                        self.cores(&cells, true, width.filling, &mut found);
                    }
                }
                1
            }
            Devices::Whole(count) => usize::from(count),
            Devices::None => 0,
        };
        for cells in split(&self.cells, WHOLES, least, width.fullest.wholes) {
            self.cores(&cells, false, width.fullest, &mut found);
        }
        let wholes = if self.ask.devices == Devices::None { usize::MAX } else { width.cleanest.wholes };
        for cells in split(&self.cells, WHOLES, least, wholes) {
            for cells in split(&cells, FRACTION, 0, width.cleanest.fractions) {
                self.cores(&cells, true, width.cleanest, &mut found);
            }
        }
        found
    }

    /// Of nodes with the same number of whole devices, those at the levels of cores that a walk takes. Where they are
    /// of one fraction, it counts as free too.
    fn cores(&self, cells: &Cells, of_fraction: bool, reach: Reach, found: &mut BTreeSet<u32>) {
        let Some([fraction, wholes, _]) = cells.keys().next() else { return };
        let free = wholes * 1000 + if of_fraction { fraction * 20 } else { 0 };
        let left = (free as u32).saturating_sub(self.ask.devices.thousandths());
        let enough = ((self.ask.cores_milli + left * self.cores_each) / self.step) as usize;
        let levels = split(cells, CORES, 0, usize::MAX);
        let level = |cells: &Cells| cells.keys().next().map_or(0, |key| key[CORES]);
        let (below, above): (Vec<Cells>, Vec<Cells>) =
            levels.into_iter().partition(|cells| level(cells) < enough.min(32));
        let tight = below.len().min(reach.tight);
        let balanced = above.len().min(reach.balanced.saturating_add(reach.tight - tight));
        let tight = if tight + balanced == 0 { below.len().min(1) } else { tight };
        for cells in below[..tight].iter().chain(&above[..balanced]) {
            for cells in split(cells, FRACTION, 0, if of_fraction { 1 } else { reach.fractions }) {
                let nodes = cells.values().next().into_iter().flatten();
                found.extend(nodes.take(reach.nodes).map(|(_, node)| node));
            }
        }
    }
}

/// The cells by one of their three levels, from the least on, as many groups as are wanted.
fn split(cells: &Cells, by: usize, least: usize, most: usize) -> Vec<Cells> {
    let mut groups: BTreeMap<usize, Cells> = BTreeMap::new();
    for (key, nodes) in cells.iter().filter(|(key, _)| key[by] >= least) {
        groups.entry(key[by]).or_default().insert(*key, nodes.clone());
    }
    groups.into_values().take(most).collect()
}

/// The kinds with their fitting nodes.
fn kinds<'a>(fleet: &Fleet, ask: &'a Ask, cores_each: u32) -> Vec<Naive<'a>> {
    let make = |node: u32| {
        let room = fleet.room(node);
        (room.part, room.devices, fleet.cores_most(node).checked_ilog2().unwrap_or(0))
    };
    let mut cores_most: BTreeMap<Make, u32> = BTreeMap::new();
    for (node, _) in fleet.rooms() {
        let most = cores_most.entry(make(node)).or_default();
        *most = fleet.cores_most(node).max(*most);
    }
    let naive = |(made, most): (&Make, &u32)| {
        let step = most / 32 + 1;
        let mut cells = Cells::new();
        for (node, room) in fleet.rooms().filter(|(node, room)| make(*node) == *made && room.fits(ask)) {
            let fractions = || room.free().iter().filter(|&&free| free < WHOLE);
            let largest = usize::from(fractions().max().copied().unwrap_or(0));
            let key = [largest / 20, usize::from(room.wholes()), (room.cores_milli / step) as usize];
            cells.entry(key).or_default().push((fractions().map(|&free| u32::from(free)).sum(), node));
        }
        cells.values_mut().for_each(|nodes| nodes.sort_unstable());
        Naive { cells, ask, step, cores_each }
    };
    cores_most.iter().map(naive).collect()
}

/// The candidates by definition: those of a first look at all kinds, and of a second one at the best of them.
fn naive(fleet: &Fleet, ask: &Ask, looks: Looks, rule: &Rule, draw: u64) -> BTreeSet<u32> {
    let kinds = kinds(fleet, ask, rule.cores_per_device());
    let rated = |node: &u32| (rule.rate(ask, fleet.room(*node), draw, *node).score, Reverse(*node));
    let mut best = Vec::new();
    let mut found = BTreeSet::new();
    for kind in &kinds {
        let candidates = kind.candidates(&looks.first);
        best.extend(candidates.iter().map(rated).max().map(|best| (best, kind)));
        found.extend(candidates);
    }
    best.sort_by_key(|(best, _)| Reverse(*best));
    if let Some((most, width)) = looks.second {
        found.extend(best.iter().take(most).flat_map(|(_, kind)| kind.candidates(&width)));
    }
    found
}

/// What happens to a fleet through the index, beside the definition; every so often beside an index made anew. How often
/// what was asked for is frequent.
fn check_story(packer: Packer, steps: Vec<Step>, rule: Rule, looks: Looks, every: u64) -> Result<u32, TestCaseError> {
    let mut packer = packer.with_looks(looks);
    let before = packer.fleet().clone();
    let mut frequent = 0;
    let mut held: Vec<Slot> = Vec::new();
    let mut draw = 0;
    for step in steps {
        match step {
            Step::Place(ask) => {
                draw += 1;
                let slot = packer.place(&ask);
                let fits = packer.fleet().rooms().any(|(_, room)| room.fits(&ask));
                prop_assert_eq!(slot.is_some(), fits);
                let candidates = if rule.ranks(&ask) {
                    frequent += 1;
                    packer.fleet().rooms().filter(|(_, room)| room.fits(&ask)).map(|(node, _)| node).collect()
                } else {
                    let candidates = naive(packer.fleet(), &ask, looks, &rule, draw);
                    prop_assert_eq!(&packer.candidates().iter().copied().collect::<BTreeSet<_>>(), &candidates);
                    candidates
                };
                let rated = candidates
                    .iter()
                    .map(|&node| (rule.rate(&ask, packer.fleet().room(node), draw, node).score, Reverse(node)));
                prop_assert_eq!(slot.map(|slot| slot.node), rated.max().map(|(_, node)| node.0));
                if rule.repeatable() && draw % every == 0 {
                    let mut anew = Packer::new(packer.fleet().clone(), rule.clone()).with_looks(looks);
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
    Ok(frequent)
}

proptest! {
    #[test]
    fn the_index_decides_like_a_search_of_its_candidates((fleet, steps) in story(), rule in rule(), wide: bool) {
        let looks = if wide { Looks::WIDE } else { Looks::MIDDLE };
        check_story(Packer::new(fleet, rule.clone()), steps, rule, looks, 8)?;
    }

    #[test]
    fn what_is_frequent_gets_the_best_of_all_nodes(
        (fleet, mut steps) in story(),
        packing in 0..Packing::ALL.len(),
        kept in 1usize..4,
        rankings in 1usize..8,
        memory in prop::collection::vec(0u32..9000, 1..8),
    ) {
        let asks: Vec<Ask> = asks_of(&steps).take(6).collect();
        // The same few asks again and again, with more or less memory.
        let again = steps.iter_mut().filter_map(|step| if let Step::Place(ask) = step { Some(ask) } else { None });
        for (at, ask) in again.enumerate() {
            *ask = asks[(at / 2) % asks.len()];
            ask.memory_mib += memory[at % memory.len()];
        }
        let placed = asks_of(&steps).count() as u32;
        let rule = Rule::new(Packing::ALL[packing], Mix::typical(&asks, 95), 0);
        let packer = Packer::new(fleet, rule.clone()).with_rankings(kept, rankings);
        let frequent = check_story(packer, steps, rule.clone(), Looks::WIDE, 8)?;
        prop_assert_eq!(frequent, if rule.repeatable() { placed } else { 0 });
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

/// Nodes of 24 kinds, eight of each: four models with 1, 2, 4 or 8 devices and few or many cores, and two of nodes
/// without devices.
fn many_kinds() -> Vec<Room> {
    let made = |part: u8, devices: u8, cores: u32| Room::empty(cores * 1000, cores * 4096, part, devices);
    let devices = (0..4_u8).flat_map(|part| [1, 2, 4, 8].map(|devices| (part, devices)));
    let mut kinds: Vec<Room> = devices.map(|(part, devices)| made(part, devices, 12 * u32::from(devices))).collect();
    kinds.extend((0..3_u8).flat_map(|part| [2, 8].map(|devices| made(part, devices, 60 * u32::from(devices)))));
    kinds.extend([made(63, 0, 64), made(62, 0, 200)]);
    kinds.iter().flat_map(|kind| [*kind; 8]).collect()
}

/// So many placements in a fleet that fills up and stays full, each fifth step a release.
fn full_fleet(placements: usize) -> Vec<Step> {
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut steps = Vec::new();
    for _ in 0..placements {
        let devices = match draw(10) {
            0 => Devices::None,
            1..=5 => Devices::Share(([110, 230, 320, 470, 550, 650, 810][draw(7) as usize]) as u16),
            6..=8 => Devices::Whole(1),
            _ => Devices::Whole(1 << draw(4)),
        };
        let cores_milli = (1 + draw(12) as u32) * 1000 * devices.thousandths().div_ceil(1000).max(1);
        let parts = if draw(4) == 0 { Parts::one(draw(4) as u8) } else { Parts::ANY };
        steps.push(Step::Place(Ask { cores_milli, memory_mib: 1 + draw(16) as u32 * 2048, devices, parts }));
        if draw(4) == 0 {
            steps.push(Step::Release(draw(1 << 30) as usize));
        }
    }
    steps
}

/// What is asked for, in order.
fn asks_of(steps: &[Step]) -> impl Iterator<Item = Ask> + '_ {
    steps.iter().filter_map(|step| if let Step::Place(ask) = step { Some(*ask) } else { None })
}

#[test]
fn ten_thousand_decisions_among_many_kinds_are_those_of_a_search() {
    let fleet = Fleet::new(many_kinds());
    let steps = full_fleet(10_000);
    let asks: Vec<Ask> = asks_of(&steps).collect();
    let rule = Rule::new(Packing::Default, Mix::typical(&asks, 95).on(&fleet), 0);
    let packer = Packer::new(fleet, rule.clone()).with_rankings(16, 1024);
    let frequent = check_story(packer, steps, rule, Looks::MIDDLE, 1_000).expect("the decisions of a search");
    assert!((5_000..9_000).contains(&frequent), "of both sorts: {frequent} are frequent");
}
