//! Laws of fleets, mixes and placers.

use proptest::prelude::*;

use super::testing::{Step, ask, mix, room, rule, story};
use super::*;

/// Fragmentation by its definition, shape by shape and device by device.
fn fragmentation(mix: &Mix, room: &Room) -> u64 {
    let lost = |ask: &Ask| -> u64 {
        let needed = match ask.devices {
            Devices::None => return u64::from(room.free_total()),
            Devices::Share(share) => (share, 1),
            Devices::Whole(count) => (WHOLE, usize::from(count)),
        };
        let fitting = room.free().iter().filter(|&&free| free >= needed.0).count();
        if room.cores_milli < ask.cores_milli || !ask.parts.contains(room.part) || fitting < needed.1 {
            return u64::from(room.free_total());
        }
        room.free().iter().filter(|&&free| free < needed.0).map(|&free| u64::from(free)).sum()
    };
    mix.shapes().iter().map(|(ask, count)| count * lost(ask)).sum()
}

/// The best node by looking at every one without any memory.
fn best(fleet: &Fleet, rule: &Rule, ask: &Ask, draw: u64) -> Option<u32> {
    let rated = fleet.rooms().filter(|(_, room)| room.fits(ask));
    let rated = rated.map(|(node, room)| (rule.rate(ask, room, draw, node).score, std::cmp::Reverse(node)));
    rated.max().map(|(_, node)| node.0)
}

proptest! {
    #[test]
    fn the_tables_of_a_mix_are_the_definition(mix in mix(), room in room()) {
        prop_assert_eq!(mix.fragmentation(&room), fragmentation(&mix, &room));
    }

    #[test]
    fn what_dominates_fits_only_where_the_other_does(more in ask(), less in ask(), room in room()) {
        if more.dominates(&less) && room.fits(&more) {
            prop_assert!(room.fits(&less));
        }
    }

    #[test]
    fn a_rate_names_a_device_that_fits(rule in rule(), ask in ask(), room in room(), draw: u64) {
        if room.fits(&ask) {
            let rate = rule.rate(&ask, &room, draw, 3);
            if let Devices::Share(share) = ask.devices {
                prop_assert!(room.free[usize::from(rate.device)] >= share);
            }
            let slot = Slot::of(0, &room, &ask, rate.device);
            let mut fleet = Fleet::new([room]);
            fleet.take(&slot);
            prop_assert_eq!(*fleet.room(0), room.after(&ask, rate.device));
            fleet.release(&slot);
            prop_assert_eq!(*fleet.room(0), room);
        }
    }

    #[test]
    fn a_scan_with_memory_decides_like_one_without((fleet, steps) in story(), rule in rule()) {
        let before = fleet.clone();
        let mut scan = Scan::new(fleet, rule.clone());
        let mut held: Vec<Slot> = Vec::new();
        let mut draw = 0;
        for step in steps {
            match step {
                Step::Place(ask) => {
                    draw += 1;
                    let expected = best(scan.fleet(), &rule, &ask, draw);
                    let slot = scan.place(&ask);
                    prop_assert_eq!(slot.map(|slot| slot.node), expected);
                    if let Some(slot) = slot {
                        scan.take(&slot);
                        held.push(slot);
                    }
                }
                Step::Release(at) if !held.is_empty() => scan.release(&held.swap_remove(at % held.len())),
                Step::Release(_) => {}
            }
        }
        for slot in held {
            scan.release(&slot);
        }
        prop_assert_eq!(scan.fleet(), &before);
    }
}

#[test]
fn typical_shapes_are_the_most_frequent_ones() {
    let ask = |cores_milli| Ask { cores_milli, memory_mib: 7, devices: Devices::Whole(1), parts: Parts::ANY };
    let tasks: Vec<Ask> =
        [(1, 60), (2, 30), (3, 6), (4, 4)].iter().flat_map(|&(cores, count)| vec![ask(cores); count]).collect();
    let cores = |percent| -> Vec<u32> {
        Mix::typical(&tasks, percent).shapes().iter().map(|(ask, _)| ask.cores_milli).collect()
    };
    assert_eq!(cores(50), [1]);
    assert_eq!(cores(95), [1, 2, 3]);
    assert_eq!(cores(100), [1, 2, 3, 4]);
}

#[test]
fn a_thousandth_of_the_work_is_frequent_whatever_its_memory() {
    let ask = |cores_milli, memory_mib| Ask { cores_milli, memory_mib, devices: Devices::Whole(1), parts: Parts::ANY };
    let mut tasks = vec![ask(1, 7); 1996];
    tasks.extend([ask(2, 7), ask(2, 8), ask(3, 7), ask(4, 7)]);
    let mix = Mix::typical(&tasks, 95);
    assert_eq!([1, 2, 3, 5].map(|cores| mix.is_frequent(&ask(cores, 9))), [true, true, false, false]);
    // The tables know the first one alone.
    assert_eq!(mix.shapes().len(), 1);
    assert!(!Mix::of(Vec::new()).is_frequent(&ask(1, 7)));
}

#[test]
#[should_panic(expected = "given back twice")]
fn a_slot_is_given_back_once() {
    let mut fleet = Fleet::new([Room::empty(1, 1, 0, 1)]);
    fleet.release(&Slot { node: 0, cores_milli: 0, memory_mib: 0, mask: 1, each: 1 });
}
