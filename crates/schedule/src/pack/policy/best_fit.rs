//! Least room left: half processor, half devices, each against the largest node of the published list.

use crate::pack::{Ask, Devices, Rate, Room};

/// Weight of one thousandth of a device against one of a core: 128 cores count as much as 8 devices.
const DEVICE_WEIGHT: i64 = 16;
/// Twice 128 cores.
const SCALE: i64 = 256_000;

/// Integer score 0 to 100 as in the published comparison (Weng et al., ATC 2023): coarse on purpose, so
/// that ties go to the first node.
pub(super) fn rate(ask: &Ask, room: &Room) -> Rate {
    let cores = i64::from(room.cores_milli - ask.cores_milli);
    let devices = i64::from(room.free_total()) - i64::from(ask.devices.thousandths());
    let score = (100 * (SCALE - cores - DEVICE_WEIGHT * devices)).div_euclid(SCALE);
    Rate { score, device: tightest(ask, room) }
}

/// Where a share goes when a policy has no opinion of its own: the device with the least room.
pub(super) fn tightest(ask: &Ask, room: &Room) -> u8 {
    match ask.devices {
        Devices::Share(share) => room.tightest(share).unwrap_or(0),
        _ => 0,
    }
}
