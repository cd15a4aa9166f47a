//! Least alignment of what is free with what is asked, after Tetris (Grandl et al., SIGCOMM 2014) as
//! turned into a packing score by the published comparison (Weng et al., ATC 2023).

use crate::pack::{Ask, Rate, Room};

use super::best_fit::tightest;

/// Cores and devices of the largest node of the published list: 128 and 8, in thousandths.
const CORES_MAX: i64 = 128_000;
const DEVICES_MAX: i64 = 8_000;

/// Integer score 0 to 100: one minus half the dot product of both vectors, each against the largest node.
pub(super) fn rate(ask: &Ask, room: &Room) -> Rate {
    let cores = i64::from(room.cores_milli) * i64::from(ask.cores_milli);
    let devices = i64::from(room.free_total()) * i64::from(ask.devices.thousandths());
    // Both products over one denominator: 128,000 squared is 256 times 8,000 squared.
    let scale = 2 * CORES_MAX * CORES_MAX;
    let product = cores + devices * (CORES_MAX / DEVICES_MAX) * (CORES_MAX / DEVICES_MAX);
    Rate { score: (100 * (scale - product)).div_euclid(scale), device: tightest(ask, room) }
}
