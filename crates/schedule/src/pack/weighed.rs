//! A room weighed: what every ask and every way to place it there has in common.

use super::{
    ask::{Ask, DEVICES_MAX, Devices, WHOLE},
    mix::{Mix, Row},
    room::Room,
};

/// One pass over the devices of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weighed {
    pub(crate) room: Room,
    /// The devices that are neither full nor whole, one bit each.
    partly: u16,
    /// Whole devices, and the first of them.
    wholes: u8,
    first_whole: u8,
    /// Free thousandths in all, and in fractions of devices.
    pub(super) free: u32,
    pub(super) fractions: u32,
    /// Fragmentation as it is.
    pub(super) before: u64,
}

impl Weighed {
    /// Weighs a room.
    pub(super) fn new(mix: &Mix, room: &Room) -> Self {
        let (mut partly, mut whole, mut fractions) = (0_u16, 0_u16, 0);
        for device in 0..DEVICES_MAX {
            let free = room.free[device];
            whole |= u16::from(free == WHOLE) << device;
            partly |= u16::from(free != WHOLE && free != 0) << device;
            fractions += if free == WHOLE { 0 } else { u32::from(free) };
        }
        let wholes = whole.count_ones() as u8;
        let free = fractions + u32::from(wholes) * u32::from(WHOLE);
        let first_whole = whole.trailing_zeros() as u8;
        let mut weighed = Weighed { room: *room, partly, wholes, first_whole, free, fractions, before: 0 };
        let now = mix.row(room.part, room.cores_milli);
        weighed.before = weighed.devices(now) + now.wholes(wholes);
        weighed
    }

    /// How many devices are wholly free.
    pub(crate) fn wholes(&self) -> u8 {
        self.wholes
    }

    /// What the devices as they are add to fragmentation with these tables, while enough of them are whole.
    fn devices(&self, row: Row<'_>) -> u64 {
        let mut sum = u64::from(self.wholes) * row.device(WHOLE);
        let mut partly = self.partly;
        while partly != 0 {
            sum += row.device(self.room.free[partly.trailing_zeros() as usize]);
            partly &= partly - 1;
        }
        sum
    }

    /// The room when an ask that fits has taken its cores.
    pub(super) fn with<'a>(&'a self, mix: &'a Mix, ask: &Ask) -> With<'a> {
        let row = mix.row(self.room.part, self.room.cores_milli - ask.cores_milli);
        With { weighed: self, row, devices: self.devices(row) }
    }
}

/// A room with an ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct With<'a> {
    weighed: &'a Weighed,
    /// Tables at the cores that are left.
    row: Row<'a>,
    /// What the devices as they are add to fragmentation at the cores that are left.
    devices: u64,
}

impl With<'_> {
    /// Fragmentation after an ask that takes whole devices or none.
    pub(super) fn after(&self, ask: &Ask) -> u64 {
        let taken = if let Devices::Whole(count) = ask.devices { count } else { 0 };
        self.devices - u64::from(taken) * self.row.device(WHOLE) + self.row.wholes(self.weighed.wholes - taken)
    }

    /// For every device that fits a share, but only the first whole one, fragmentation and free thousandths in
    /// fractions after it went there.
    pub(super) fn shares(&self, share: u16) -> impl DoubleEndedIterator<Item = (u8, u64, u32)> + '_ {
        let Weighed { room, partly, wholes, first_whole, fractions, .. } = self.weighed;
        (0..room.devices).filter_map(move |device| {
            let free = room.free[usize::from(device)];
            // All whole devices are alike.
            let counts = partly >> device & 1 == 1 || device == *first_whole;
            if free < share || !counts {
                return None;
            }
            let left = free - share;
            let opened = free == WHOLE;
            let wholes = self.row.wholes(wholes - u8::from(opened));
            let after = self.devices - self.row.device(free) + self.row.device(left) + wholes;
            let fractions = fractions + u32::from(left) - if opened { 0 } else { u32::from(free) };
            Some((device, after, fractions))
        })
    }
}
