//! The mix of work that a fleet is used for, and how much of a node's free devices it cannot use.

use std::collections::BTreeMap;

use super::{
    ask::{Ask, Devices, Parts, WHOLE},
    fleet::Fleet,
    room::Room,
};

/// Part numbers that an ask can name.
const PARTS_MAX: usize = 64;

/// Most shapes of a typical mix: the tables grow with their square, and rare shapes say little.
const SHAPES_MAX: usize = 256;

/// Thousandths of a core between two places where a search for a level may begin.
const CORES_STEP: u32 = 64;

/// One in so many asks is frequent.
const FREQUENT: u64 = 1000;

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
    /// For each step of thousandths of a core, the level to begin the search at.
    first_level: Vec<u16>,
    /// For each amount of free thousandths, its level among the distinct shares.
    free_level: Vec<u16>,
    /// How many levels of free thousandths there are.
    free_levels: usize,
    /// Largest number of whole devices that a shape asks for.
    wholes_max: usize,
    /// For each part, which of the distinct sets of shapes accepts it.
    class_of: Vec<u8>,
    /// `[class][cores level][free level]`: weight of shapes that cannot use a device.
    useless: Vec<u32>,
    /// `[class][cores level][whole devices free]`: weight of the shapes for which these are too few.
    too_few: Vec<u32>,
    /// For each part, thousandths of its devices that shapes bound to it would take of a fleet in full use.
    pressure: Vec<u32>,
    /// Cores that the shapes with devices ask for with each device.
    cores_per_device: u32,
    /// What makes up at least a thousandth of the work, without memory, ascending.
    frequent: Vec<Ask>,
}

impl Mix {
    /// The most frequent shapes that together make up at least `cover_percent` of the tasks, as the paper
    /// takes them: 95 for its results; never more than 256 of them. Memory does not tell shapes apart.
    pub fn typical<'a>(asks: impl IntoIterator<Item = &'a Ask>, cover_percent: u64) -> Self {
        let counts = counted(asks.into_iter().map(|ask| (ask, 1)));
        let total: u64 = counts.values().sum();
        let frequent = frequent(&counts);
        let mut shapes: Vec<(Ask, u64)> = counts.into_iter().collect();
        shapes.sort_by_key(|&(ask, count)| std::cmp::Reverse((count, ask)));
        let mut covered = 0;
        let kept = shapes.iter().take_while(|(_, count)| {
            let wanted = covered * 100 < cover_percent * total;
            covered += count;
            wanted
        });
        let kept = kept.count().min(SHAPES_MAX);
        shapes.truncate(kept);
        Mix { frequent, ..Mix::of(shapes) }
    }

    /// A mix of shapes with their counts; larger counts than 32 bits hold are scaled down together.
    pub fn of(mut shapes: Vec<(Ask, u64)>) -> Self {
        while shapes.iter().map(|(_, count)| u128::from(*count)).sum::<u128>() > u128::from(u32::MAX) {
            shapes.iter_mut().for_each(|(_, count)| *count = count.div_ceil(2));
        }
        let with_devices = || shapes.iter().filter(|(ask, _)| ask.devices != Devices::None);
        let mut cores_milli: Vec<u32> = with_devices().map(|(ask, _)| ask.cores_milli).collect();
        cores_milli.sort_unstable();
        cores_milli.dedup();
        let mut shares: Vec<u16> = with_devices().map(|(ask, _)| share(ask)).collect();
        shares.push(WHOLE);
        shares.sort_unstable();
        shares.dedup();
        let level = |free: u16| shares.partition_point(|&share| share <= free) as u16;
        let free_level = (0..=WHOLE).map(level).collect();
        let steps = cores_milli.last().map_or(0, |&most| most / CORES_STEP + 1);
        let first_level =
            (0..=steps).map(|step| cores_milli.partition_point(|&cores| cores <= step * CORES_STEP) as u16);
        let wholes_max = with_devices().map(|(ask, _)| wholes(ask)).max().unwrap_or(0);
        let sum = |of: &dyn Fn(&Ask) -> u32| -> u128 {
            with_devices().map(|(ask, count)| u128::from(*count) * u128::from(of(ask))).sum()
        };
        // Thousandths of cores over thousandths of devices.
        let cores_per_device = sum(&|ask| ask.cores_milli) / sum(&|ask| ask.devices.thousandths()).max(1);
        let cores_per_device = u32::try_from(cores_per_device).unwrap_or(u32::MAX);
        let total = shapes.iter().map(|(_, count)| count).sum();
        let frequent = frequent(&counted(shapes.iter().map(|(ask, count)| (ask, *count))));
        let mut mix = Mix {
            total,
            frequent,
            first_level: first_level.collect(),
            cores_milli,
            free_level,
            free_levels: shares.len() + 1,
            wholes_max,
            class_of: Vec::new(),
            useless: Vec::new(),
            too_few: Vec::new(),
            pressure: vec![0; PARTS_MAX],
            cores_per_device,
            shapes,
        };
        mix.fill();
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

    /// Fills the tables row by row. Parts that the same shapes accept share their rows.
    fn fill(&mut self) {
        let accepts = |part: u8| -> Vec<bool> { self.shapes.iter().map(|(ask, _)| ask.parts.contains(part)).collect() };
        let mut classes: Vec<Vec<bool>> = Vec::new();
        for part in 0..PARTS_MAX as u8 {
            let accepted = accepts(part);
            let class = classes.iter().position(|known| *known == accepted);
            self.class_of.push(class.unwrap_or(classes.len()) as u8);
            if class.is_none() {
                classes.push(accepted);
            }
        }
        for accepted in classes {
            for cores in 0..=self.cores_milli.len() {
                self.fill_row(&accepted, cores);
            }
        }
    }

    fn fill_row(&mut self, accepted: &[bool], cores: usize) {
        let mut by_level = vec![0u32; self.free_levels];
        let mut by_wholes = vec![0u32; self.wholes_max + 1];
        let enough = cores.checked_sub(1).map(|last| self.cores_milli[last]);
        for ((ask, count), _) in self.shapes.iter().zip(accepted).filter(|(_, accepted)| **accepted) {
            if ask.devices != Devices::None && enough.is_some_and(|enough| ask.cores_milli <= enough) {
                by_level[usize::from(self.free_level[usize::from(share(ask))])] += *count as u32;
                by_wholes[wholes(ask)] += *count as u32;
            }
        }
        let mut useless = self.total as u32;
        self.useless.extend(by_level.iter().map(|count| {
            useless -= count;
            useless
        }));
        let mut too_few: u32 = by_wholes.iter().sum();
        self.too_few.extend(by_wholes.iter().map(|count| {
            too_few -= count;
            too_few
        }));
    }

    /// The shapes told apart, the most frequent first, with their counts.
    pub fn shapes(&self) -> &[(Ask, u64)] {
        &self.shapes
    }

    /// Whether an ask makes up at least a thousandth of the work, whatever memory it wants.
    pub fn is_frequent(&self, ask: &Ask) -> bool {
        self.frequent.binary_search(&Ask { memory_mib: 0, ..*ask }).is_ok()
    }

    /// Sum of the counts: fragmentation in thousandths is [`Self::fragmentation`] divided by this.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many distinct processor demands an amount of cores satisfies.
    pub fn cores_level(&self, cores_milli: u32) -> usize {
        let Some(&first) = self.first_level.get((cores_milli / CORES_STEP) as usize) else {
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
        let class = usize::from(self.class_of[usize::from(part)]);
        let row = class * (self.cores_milli.len() + 1) + self.cores_level(cores_milli);
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
    useless: &'a [u32],
    too_few: &'a [u32],
    free_level: &'a [u16],
}

impl Row<'_> {
    /// What a device with so many free thousandths adds, while enough others are whole.
    pub fn device(&self, free: u16) -> u64 {
        u64::from(free) * u64::from(self.useless[usize::from(self.free_level[usize::from(free)])])
    }

    /// What so many whole devices add for the shapes that ask for more of them.
    pub fn wholes(&self, wholes: u8) -> u64 {
        match self.too_few.get(usize::from(wholes)) {
            Some(weight) => u64::from(wholes) * u64::from(WHOLE) * u64::from(*weight),
            None => 0,
        }
    }

    /// The whole sum for a room.
    pub fn of(&self, room: &Room) -> u64 {
        let devices: u64 = room.free().iter().map(|&free| self.device(free)).sum();
        devices + self.wholes(room.wholes())
    }
}

/// How often each ask comes, whatever memory it wants.
fn counted<'a>(asks: impl Iterator<Item = (&'a Ask, u64)>) -> BTreeMap<Ask, u64> {
    let mut counts = BTreeMap::new();
    for (ask, count) in asks {
        *counts.entry(Ask { memory_mib: 0, ..*ask }).or_default() += count;
    }
    counts
}

fn frequent(counts: &BTreeMap<Ask, u64>) -> Vec<Ask> {
    let total: u64 = counts.values().sum();
    counts.iter().filter(|&(_, &count)| count * FREQUENT >= total).map(|(ask, _)| *ask).collect()
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
