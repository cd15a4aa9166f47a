//! A room weighed once for an ask: what every way to place it there has in common.

use super::{
    ask::{Ask, Devices, WHOLE},
    mix::{Mix, Row},
    room::Room,
};

/// One pass over the devices of a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed<'a> {
    room: &'a Room,
    /// Tables at the cores that are left.
    row: Row<'a>,
    /// Fragmentation before.
    pub(super) before: u64,
    /// What the devices as they are add to fragmentation at the cores that are left.
    devices: u64,
    /// Whole devices, and the first of them.
    wholes: u8,
    first_whole: u8,
    /// Free thousandths in all, and in fractions of devices.
    pub(super) free: u32,
    pub(super) fractions: u32,
}

impl<'a> Weighed<'a> {
    /// Weighs a room that the ask fits.
    pub(super) fn new(mix: &'a Mix, ask: &Ask, room: &'a Room) -> Self {
        let now = mix.row(room.part, room.cores_milli);
        let row = mix.row(room.part, room.cores_milli - ask.cores_milli);
        let mut weighed =
            Weighed { room, row, before: 0, devices: 0, wholes: 0, first_whole: u8::MAX, free: 0, fractions: 0 };
        for (device, &free) in (0u8..).zip(room.free()) {
            if free == WHOLE {
                weighed.wholes += 1;
                weighed.first_whole = weighed.first_whole.min(device);
            } else if free > 0 {
                weighed.fractions += u32::from(free);
                weighed.before += now.device(free);
                weighed.devices += row.device(free);
            }
        }
        let wholes = u64::from(weighed.wholes);
        weighed.free = weighed.fractions + u32::from(weighed.wholes) * u32::from(WHOLE);
        weighed.before += wholes * now.device(WHOLE) + now.wholes(weighed.wholes);
        weighed.devices += wholes * row.device(WHOLE);
        weighed
    }

    /// Fragmentation after an ask that takes whole devices or none.
    pub(super) fn after(&self, ask: &Ask) -> u64 {
        let taken = if let Devices::Whole(count) = ask.devices { count } else { 0 };
        self.devices - u64::from(taken) * self.row.device(WHOLE) + self.row.wholes(self.wholes - taken)
    }

    /// For every device that fits a share, but only the first whole one, fragmentation and free thousandths in
    /// fractions after it went there.
    pub(super) fn shares(&self, share: u16) -> impl DoubleEndedIterator<Item = (u8, u64, u32)> + '_ {
        (0..self.room.devices).filter_map(move |device| {
            let free = self.room.free[usize::from(device)];
            // All whole devices are alike.
            if free < share || free == WHOLE && device != self.first_whole {
                return None;
            }
            let left = free - share;
            let opened = free == WHOLE;
            let wholes = self.row.wholes(self.wholes - u8::from(opened));
            let after = self.devices - self.row.device(free) + self.row.device(left) + wholes;
            let fractions = self.fractions + u32::from(left) - if opened { 0 } else { u32::from(free) };
            Some((device, after, fractions))
        })
    }
}
