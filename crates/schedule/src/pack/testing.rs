//! Random rooms, asks and fleets for the tests of this folder.

use proptest::{collection::vec, prelude::*};

use super::{Ask, Devices, Fleet, Mix, Packing, Parts, Room, Rule, WHOLE};

/// Any room: a node of 0 to 8 devices in any state.
pub(super) fn room() -> impl Strategy<Value = Room> {
    let free = prop_oneof![Just(WHOLE), Just(0), 0..=WHOLE];
    (0u32..128, 0u32..64, 0u8..3, vec(free, 0..8)).prop_map(|(cores, memory, part, devices)| {
        let mut room = Room::empty(cores * 1000, memory * 4096, part, devices.len() as u8);
        room.free[..devices.len()].copy_from_slice(&devices);
        room
    })
}

/// An empty node of one of a few kinds.
pub(super) fn node() -> impl Strategy<Value = Room> {
    prop_oneof![
        Just(Room::empty(96_000, 262_144, 0, 8)),
        Just(Room::empty(64_000, 262_144, 1, 2)),
        Just(Room::empty(32_000, 65_536, 2, 4)),
        Just(Room::empty(64_000, 131_072, 63, 0)),
    ]
}

/// Any ask.
pub(super) fn ask() -> impl Strategy<Value = Ask> {
    let devices = prop_oneof![
        Just(Devices::None),
        prop_oneof![Just(100), Just(250), Just(470), Just(500), Just(810), 1..WHOLE].prop_map(Devices::Share),
        prop_oneof![Just(1), 1u8..=8].prop_map(Devices::Whole),
    ];
    let parts = prop_oneof![3 => Just(Parts::ANY), 1 => (1u64..8).prop_map(Parts)];
    (0u32..24, 0u32..16, devices, parts).prop_map(|(cores, memory, devices, parts)| Ask {
        cores_milli: cores * 500,
        memory_mib: memory * 2048,
        devices,
        parts,
    })
}

/// A mix of up to a dozen shapes.
pub(super) fn mix() -> impl Strategy<Value = Mix> {
    vec((ask(), 1u64..100), 1..12).prop_map(|mut shapes| {
        shapes.sort_by_key(|&(ask, _)| ask);
        shapes.dedup_by_key(|&mut (ask, _)| ask);
        Mix::of(shapes)
    })
}

/// Any policy with a mix.
pub(super) fn rule() -> impl Strategy<Value = Rule> {
    (0..Packing::ALL.len(), mix(), any::<u64>()).prop_map(|(at, mix, seed)| Rule::new(Packing::ALL[at], mix, seed))
}

/// One thing that happens to a fleet.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Place an ask and take the slot.
    Place(Ask),
    /// Give one of the slots that are held back.
    Release(usize),
}

/// A fleet and what happens to it.
pub(super) fn story() -> impl Strategy<Value = (Fleet, Vec<Step>)> {
    let step = prop_oneof![
        3 => ask().prop_map(Step::Place),
        1 => any::<usize>().prop_map(Step::Release),
    ];
    (vec(node(), 1..12), vec(step, 0..120)).prop_map(|(nodes, steps)| (Fleet::new(nodes), steps))
}
