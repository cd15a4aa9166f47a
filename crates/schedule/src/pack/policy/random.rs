//! Any node that fits. The draw is a hash of seed, decision and node, so no stream has to be kept.

use crate::pack::{Ask, Devices, Rate, Room};

/// A rate that is as good as random; a share goes to a fitting device drawn alike.
pub(super) fn rate(ask: &Ask, room: &Room, key: [u64; 3]) -> Rate {
    let hash = key.iter().fold(0, |hash: u64, &word| mixed(hash ^ word));
    let device = match ask.devices {
        Devices::Share(share) => {
            let fitting = || (0u8..).zip(room.free()).filter(|&(_, &free)| free >= share);
            let place = mixed(hash) % fitting().count().max(1) as u64;
            fitting().nth(place as usize).map_or(0, |(device, _)| device)
        }
        _ => 0,
    };
    Rate { score: (hash >> 1) as i64, device }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(word: u64) -> u64 {
    let mut word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
