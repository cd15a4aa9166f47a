//! The mix of work that a fleet is used for, and how much of a node's free devices it cannot use.

use super::{
    ask::{Ask, Devices, Parts, WHOLE},
    fleet::Fleet,
    room::Room,
};

/// Part numbers that an ask can name.
const PARTS_MAX: usize = 64;

/// Shapes of work with their frequency, prepared so that the fragmentation of a room is a handful of look-ups.
///
/// The fragmentation of a room is the expected amount of free device thousandths that a task drawn from
/// the mix could not use there (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): all of them when
/// the task does not fit the node's processor, part or devices, else those of devices too full for it.
/// It is a sum over devices of `free x weight of the shapes that cannot use a device with that much free`,
/// and that weight depends only on part, processor level and free thousandths: one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The shapes told apart, with their counts, the most frequent first.
    shapes: Vec<(Ask, u64)>,
    /// Sum of the counts.
    total: u64,
    /// Distinct processor demands of shapes with devices, ascending; a level is how many are satisfied.
    cores_milli: Vec<u32>,
    /// For each 256 thousandths of a core, the level to begin the search at.
    first_level: Vec<u16>,
    /// For each amount of free thousandths, its level among the distinct shares.
    free_level: Vec<u8>,
    /// How many levels of free thousandths there are.
    free_levels: usize,
    /// Largest number of whole devices that a shape asks for.
    wholes_max: usize,
    /// `[part][cores level][free level]`: weight of shapes that cannot use a device.
    useless: Vec<u64>,
    /// `[part][cores level][whole devices free]`: weight of the shapes for which these are too few.
    too_few: Vec<u64>,
    /// For each part, thousandths of its devices that shapes bound to it would take of a fleet in full use.
    pressure: Vec<u32>,
    /// Cores that the shapes with devices ask for with each device.
    cores_per_device: u32,
}

impl Mix {
    /// The most frequent shapes that together make up at least `cover_percent` of the tasks, as the paper
    /// takes them: 95 for its results. Memory does not tell shapes apart.
    pub fn typical<'a>(asks: impl IntoIterator<Item = &'a Ask>, cover_percent: u64) -> Self {
        let mut counts = std::collections::BTreeMap::new();
        for ask in asks {
            *counts.entry(Ask { memory_mib: 0, ..*ask }).or_insert(0u64) += 1;
        }
        let total: u64 = counts.values().sum();
        let mut shapes: Vec<(Ask, u64)> = counts.into_iter().collect();
        shapes.sort_by_key(|&(ask, count)| std::cmp::Reverse((count, ask)));
        let mut covered = 0;
        let kept = shapes.iter().take_while(|(_, count)| {
            let wanted = covered * 100 < cover_percent * total;
            covered += count;
            wanted
        });
        let kept = kept.count();
        shapes.truncate(kept);
        Mix::of(shapes)
    }

    /// A mix of shapes with their counts.
    pub fn of(shapes: Vec<(Ask, u64)>) -> Self {
        let with_devices = || shapes.iter().filter(|(ask, _)| ask.devices != Devices::None);
        let mut cores_milli: Vec<u32> = with_devices().map(|(ask, _)| ask.cores_milli).collect();
        cores_milli.sort_unstable();
        cores_milli.dedup();
        let mut shares: Vec<u16> = with_devices().map(|(ask, _)| share(ask)).collect();
        shares.push(WHOLE);
        shares.sort_unstable();
        shares.dedup();
        let level = |free: u16| u8::try_from(shares.partition_point(|&share| share <= free)).unwrap_or(u8::MAX);
        let free_level = (0..=WHOLE).map(level).collect();
        let steps = cores_milli.last().map_or(0, |&most| most / 256 + 1);
        let first_level = (0..=steps).map(|step| cores_milli.partition_point(|&cores| cores <= step * 256) as u16);
        let wholes_max = with_devices().map(|(ask, _)| wholes(ask)).max().unwrap_or(0);
        let sum = |of: &dyn Fn(&Ask) -> u32| -> u128 {
            with_devices().map(|(ask, count)| u128::from(*count) * u128::from(of(ask))).sum()
        };
        // Thousandths of cores over thousandths of devices.
        let cores_per_device = sum(&|ask| ask.cores_milli) / sum(&|ask| ask.devices.thousandths()).max(1);
        let cores_per_device = u32::try_from(cores_per_device).unwrap_or(u32::MAX);
        let total = shapes.iter().map(|(_, count)| count).sum();
        let mut mix = Mix {
            total,
            first_level: first_level.collect(),
            cores_milli,
            free_level,
            free_levels: shares.len() + 1,
            wholes_max,
            useless: Vec::new(),
            too_few: Vec::new(),
            pressure: vec![0; PARTS_MAX],
            cores_per_device,
            shapes,
        };
        mix.fill(&shares);
        mix
    }

    /// The same for a fleet: what shapes that name their parts would take of each part's devices if the
    /// fleet were asked for exactly as many devices as it has.
    #[must_use]
    pub fn on(mut self, fleet: &Fleet) -> Self {
        let mut devices = [0u64; PARTS_MAX];
        for (_, room) in fleet.rooms() {
            devices[usize::from(room.part)] += u64::from(room.devices);
        }
        let all: u64 = devices.iter().sum();
        let asked = |&(ask, count): &(Ask, u64)| count * u64::from(ask.devices.thousandths());
        let asked_all: u64 = self.shapes.iter().map(asked).sum();
        self.pressure = vec![0; PARTS_MAX];
        for shape in self.shapes.iter().filter(|(ask, _)| ask.parts != Parts::ANY) {
            let named = || (0u8..64).filter(|&part| shape.0.parts.contains(part)).map(usize::from);
            let capacity: u64 = named().map(|part| devices[part]).sum();
            if capacity > 0 && asked_all > 0 {
                let pressure = 1000 * u128::from(asked(shape)) * u128::from(all);
                let pressure = pressure / (u128::from(asked_all) * u128::from(capacity));
                for part in named() {
                    self.pressure[part] += pressure as u32;
                }
            }
        }
        self
    }

    /// Cores that the shapes with devices ask for with each device, on average.
    pub fn cores_per_device(&self) -> u32 {
        self.cores_per_device
    }

    /// Thousandths of a part's devices that shapes bound to it would take of a fleet in full use.
    pub fn pressure(&self, part: u8) -> u32 {
        self.pressure[usize::from(part)]
    }

    fn fill(&mut self, shares: &[u16]) {
        let levels = self.cores_milli.len() + 1;
        let mut useless = Vec::with_capacity(PARTS_MAX * levels * self.free_levels);
        let mut too_few = Vec::with_capacity(PARTS_MAX * levels * (self.wholes_max + 1));
        for (part, cores) in (0..PARTS_MAX).flat_map(|part| (0..levels).map(move |cores| (part, cores))) {
            let weight = |counts: &dyn Fn(&Ask, bool) -> bool| -> u64 {
                let counted = self.shapes.iter().filter(|(ask, _)| counts(ask, self.usable(ask, part, cores)));
                counted.map(|(_, count)| count).sum()
            };
            // On level `free` exactly the first `free` shares fit.
            let most = [0].iter().chain(shares);
            useless.extend(most.map(|&most| weight(&|ask, usable| !usable || share(ask) > most)));
            too_few.extend((0..=self.wholes_max).map(|free| weight(&|ask, usable| usable && wholes(ask) > free)));
        }
        (self.useless, self.too_few) = (useless, too_few);
    }

    fn usable(&self, ask: &Ask, part: usize, cores: usize) -> bool {
        ask.devices != Devices::None
            && ask.parts.contains(part as u8)
            && cores > 0
            && ask.cores_milli <= self.cores_milli[cores - 1]
    }

    /// The shapes told apart, the most frequent first, with their counts.
    pub fn shapes(&self) -> &[(Ask, u64)] {
        &self.shapes
    }

    /// Sum of the counts: fragmentation in thousandths is [`Self::fragmentation`] divided by this.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many distinct processor demands an amount of cores satisfies.
    pub fn cores_level(&self, cores_milli: u32) -> usize {
        let Some(&first) = self.first_level.get((cores_milli / 256) as usize) else {
            return self.cores_milli.len();
        };
        let mut level = usize::from(first);
        while level < self.cores_milli.len() && self.cores_milli[level] <= cores_milli {
            level += 1;
        }
        level
    }

    /// The row of the tables for a part at a level of cores.
    pub fn row(&self, part: u8, cores_milli: u32) -> Row<'_> {
        let row = usize::from(part) * (self.cores_milli.len() + 1) + self.cores_level(cores_milli);
        let few = self.wholes_max + 1;
        Row {
            useless: &self.useless[row * self.free_levels..][..self.free_levels],
            too_few: &self.too_few[row * few..][..few],
            free_level: &self.free_level,
        }
    }

    /// The expected free device thousandths that a task drawn from the mix cannot use, times [`Self::total`].
    pub fn fragmentation(&self, room: &Room) -> u64 {
        self.row(room.part, room.cores_milli).of(room)
    }
}

/// The tables of a mix for one part and level of cores.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    useless: &'a [u64],
    too_few: &'a [u64],
    free_level: &'a [u8],
}

impl Row<'_> {
    /// What a device with so many free thousandths adds, while enough others are whole.
    pub fn device(&self, free: u16) -> u64 {
        u64::from(free) * self.useless[usize::from(self.free_level[usize::from(free)])]
    }

    /// What so many whole devices add for the shapes that ask for more of them.
    pub fn wholes(&self, wholes: u8) -> u64 {
        match self.too_few.get(usize::from(wholes)) {
            Some(weight) => u64::from(wholes) * u64::from(WHOLE) * weight,
            None => 0,
        }
    }

    /// The whole sum for a room.
    pub fn of(&self, room: &Room) -> u64 {
        let devices: u64 = room.free().iter().map(|&free| self.device(free)).sum();
        devices + self.wholes(room.wholes())
    }
}

/// Thousandths that a device must have free to serve a shape.
fn share(ask: &Ask) -> u16 {
    match ask.devices {
        Devices::None => 0,
        Devices::Share(share) => share,
        Devices::Whole(_) => WHOLE,
    }
}

fn wholes(ask: &Ask) -> usize {
    match ask.devices {
        Devices::Whole(count) => usize::from(count),
        _ => 0,
    }
}
