//! What one task asks of one node.

/// Most devices of one node.
pub const DEVICES_MAX: usize = 16;
/// Thousandths of one whole device.
pub const WHOLE: u16 = 1000;

/// What one task takes on one node: a fraction of one device, or whole devices, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// Processor, in thousandths of a core.
    pub cores_milli: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Devices.
    pub devices: Devices,
    /// Part numbers on which it may run. They bind only a task that asks for devices.
    pub parts: Parts,
}

/// Devices of one ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Devices {
    /// None.
    None,
    /// Thousandths of one device, 1 to 999.
    Share(u16),
    /// Whole devices of one node, 1 to 16.
    Whole(u8),
}

/// A set of part numbers 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts(pub u64);

impl Parts {
    /// Every part number.
    pub const ANY: Parts = Parts(u64::MAX);

    /// The set of one part number, 0 to 63.
    pub fn one(part: u8) -> Self {
        Parts(1 << part)
    }

    /// Whether a part number is in the set.
    pub fn contains(self, part: u8) -> bool {
        self.0 >> part & 1 == 1
    }

    /// Whether every part number of this set is in the other one.
    pub fn within(self, other: Parts) -> bool {
        self.0 & !other.0 == 0
    }
}

impl Devices {
    /// The same with a full share written as one whole device and a zero one as none.
    pub fn normal(self) -> Self {
        match self {
            Devices::Share(0) | Devices::Whole(0) => Devices::None,
            Devices::Share(share) if share >= WHOLE => Devices::Whole(u8::try_from(share / WHOLE).unwrap_or(u8::MAX)),
            other => other,
        }
    }

    /// Thousandths in all.
    pub fn thousandths(self) -> u32 {
        match self {
            Devices::None => 0,
            Devices::Share(share) => u32::from(share),
            Devices::Whole(count) => u32::from(count) * u32::from(WHOLE),
        }
    }
}

impl Ask {
    /// Whether this ask fits nowhere where the other one does not: it wants as much of everything, on no
    /// more parts. What is dead for the other one is then dead for this one.
    pub fn dominates(&self, other: &Ask) -> bool {
        let devices = match (self.devices, other.devices) {
            (_, Devices::None) => true,
            (Devices::Share(more), Devices::Share(less)) => more >= less,
            (Devices::Whole(more), Devices::Whole(less)) => more >= less,
            (Devices::Whole(_), Devices::Share(_)) => true,
            (Devices::None, _) | (Devices::Share(_), Devices::Whole(_)) => false,
        };
        // Without devices the other one may go to any part.
        let parts = other.devices == Devices::None || self.parts.within(other.parts);
        devices && parts && self.cores_milli >= other.cores_milli && self.memory_mib >= other.memory_mib
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: (u32, u32, Devices, u64), less: (u32, u32, Devices, u64), expected: bool) {
        let ask =
            |(cores_milli, memory_mib, devices, parts)| Ask { cores_milli, memory_mib, devices, parts: Parts(parts) };
        assert_eq!(ask(more).dominates(&ask(less)), expected, "{more:?} {less:?}");
    }

    #[test]
    fn more_of_everything_on_fewer_parts_dominates() {
        use Devices::{None, Share, Whole};
        check((4, 4, Share(500), 1), (4, 4, Share(500), 1), true);
        check((4, 4, Share(500), 1), (4, 4, Share(500), 3), true);
        check((4, 4, Share(500), 3), (4, 4, Share(500), 1), false);
        check((4, 4, Whole(1), 1), (4, 4, Share(999), 1), true);
        check((4, 4, Share(999), 1), (4, 4, Whole(1), 1), false);
        check((4, 4, Whole(2), 3), (4, 3, None, 1), true);
        check((4, 2, Whole(2), 3), (4, 3, None, 1), false);
        check((4, 4, None, 1), (4, 4, Share(1), 1), false);
    }

    #[test]
    fn degenerate_devices_become_normal() {
        assert_eq!(Devices::Share(1000).normal(), Devices::Whole(1));
        assert_eq!(Devices::Whole(0).normal(), Devices::None);
        assert_eq!(Devices::Share(999).normal(), Devices::Share(999));
        assert_eq!(Devices::Whole(3).thousandths(), 3000);
    }
}
