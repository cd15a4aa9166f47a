//! Ours: fragmentation gradient descent with what it does not see.
//!
//! A cost in thousandths of a device, less is better. The weights were set once, on seeds 0 to 2 of the openb
//! lists, and hold for every list and fleet; what differs between fleets comes from the mix.
//!
//! - growth of fragmentation, exact instead of rounded to a hundred steps;
//! - free fractions of devices that stay on the node: they are what is never used again, because most tasks
//!   that are left want more than what is left of a device; so fractions are filled before devices are opened;
//! - cores out of balance with free devices, more than before: too few strand devices, too many strand tasks
//!   without devices elsewhere;
//! - pressure on the part: devices that other tasks are bound to are left to them (FGD sees that only as far
//!   as ties allow; without it, bound tasks find their parts taken by tasks that could have gone anywhere);
//! - free devices of the node, as a tie-break: nodes in use are used up before others are begun.

use crate::pack::{Ask, Devices, Mix, Rate, Room, weighed::Weighed};

/// Cost of a thousandth of a device that becomes unusable for a task drawn from the mix.
const GROWTH: i64 = 100;
/// Cost of a thousandth of a device left in fractions.
const FRACTION: i64 = 60;
/// Cost of the cores that a thousandth of a device would want, when they are too many.
const EXCESS_PERMILLE: i64 = 40;
/// The same when they are too few.
const LACK_PERMILLE: i64 = 400;
/// Cost of a thousandth of a device of which every one is wanted by tasks bound to its part.
const PRESSURE: i64 = 40;

/// The least cost over the devices that a share may go to, negative; the first of equals.
pub(super) fn rate(mix: &Mix, ask: &Ask, weighed: &Weighed) -> Rate {
    let with = weighed.with(mix, ask);
    let total = mix.total().max(1) as i64;
    let common = common(mix, ask, &weighed.room, weighed.free);
    let cost = |after: u64, fractions: u32| {
        let growth_millionths = (after as i64 - weighed.before as i64) * 1000 / total;
        GROWTH * growth_millionths / 1000 + FRACTION * i64::from(fractions) + common
    };
    let best = match ask.devices {
        Devices::None => (cost(with.after(ask), 0), 0),
        Devices::Whole(_) => (cost(with.after(ask), weighed.fractions), 0),
        Devices::Share(share) => {
            let choices = with.shares(share).map(|(device, after, fractions)| (cost(after, fractions), device));
            choices.min().unwrap_or((i64::MAX, 0))
        }
    };
    Rate { score: -best.0, device: best.1 }
}

/// What does not depend on the device.
fn common(mix: &Mix, ask: &Ask, room: &Room, free: u32) -> i64 {
    let taken = i64::from(ask.devices.thousandths());
    let devices = i64::from(free);
    let (cores, left) = (i64::from(room.cores_milli), i64::from(room.cores_milli - ask.cores_milli));
    let wanted = i64::from(mix.cores_per_device());
    let imbalance = |cores: i64, devices: i64| match cores - devices * wanted {
        excess @ 0.. => excess * EXCESS_PERMILLE / 1000,
        lack => -lack * LACK_PERMILLE / 1000,
    };
    let pressure = PRESSURE * i64::from(mix.pressure(room.part)) * taken / 1000;
    imbalance(left, devices - taken) - imbalance(cores, devices) + pressure + devices - taken
}
