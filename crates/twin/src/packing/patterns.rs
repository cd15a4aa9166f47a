//! The bound of fractions, exactly: how full a device can become with the parts that tasks take of it.

use std::collections::BTreeMap;

use huisuan_schedule::pack::{Devices, WHOLE};

use super::bound::{Amounts, Kind, PLAIN, STEPS, Task};

/// What the search may do: parts tried at levels of fullness, over all rounds. A look takes some nanoseconds.
const LOOKS_MAX: usize = 20_000_000;
/// Most rounds.
const ROUNDS_MAX: usize = 1_000;
/// Rounds without a closer bound, after which steps become shorter.
const PATIENCE: u32 = 30;
/// By so much of the first value steps aim below it.
const AIM: f64 = 0.015;

/// A price for every part of a device that tasks take, so that no set of parts which together fit a device is dearer
/// than the whole device: a dual feasible function found for these very parts, not one of a few known ones. For any
/// prices of parts the whole device is given the price of the dearest set, which a knapsack finds; so every value is
/// a bound. (Gilmore and Gomory, "A linear programming approach to the cutting-stock problem", Operations Research
/// 1961, whose dual this is.)
pub(super) struct Patterns<'a> {
    kinds: &'a [Kind],
    tasks: &'a [Task],
    prices: &'a [Amounts],
    /// The parts in thousandths, rising, and what divides them and a whole device.
    parts: Vec<u16>,
    unit: u16,
    /// Of each kind, the prices of parts before they are changed. Kinds with the same ones are one group.
    bases: Vec<Vec<f64>>,
    group: Vec<usize>,
}

/// The value of some prices, and how it changes with each.
struct Valued {
    value: f64,
    slope: Vec<f64>,
}

impl<'a> Patterns<'a> {
    /// Begins at prices of resources, of which those of cores and memory stay.
    pub(super) fn new(kinds: &'a [Kind], tasks: &'a [Task], prices: &'a [Amounts]) -> Self {
        let shares = tasks.iter().filter_map(|task| match task.devices {
            Devices::Share(share) => Some(share),
            _ => None,
        });
        let mut parts: Vec<u16> = shares.collect();
        parts.sort_unstable();
        parts.dedup();
        let unit = parts.iter().fold(WHOLE, |unit, &part| common_divisor(unit, part));
        let (mut bases, mut group) = (Vec::new(), Vec::new());
        for prices in prices {
            let base: Vec<f64> = parts.iter().map(|&part| price_of(prices, part)).collect();
            let known = bases.iter().position(|known| *known == base);
            group.push(known.unwrap_or(bases.len()));
            if known.is_none() {
                bases.push(base);
            }
        }
        Patterns { kinds, tasks, prices, parts, unit, bases, group }
    }

    /// The least value found, no more than `least`.
    pub(super) fn least(&self, least: f64) -> f64 {
        let looks = self.bases.len() * self.parts.len() * usize::from(WHOLE / self.unit);
        let rounds = (LOOKS_MAX / looks.max(1)).min(ROUNDS_MAX);
        let mut best = (least, vec![1.0; self.parts.len()]);
        let (mut factors, mut reach, mut waited) = (best.1.clone(), 1.0, 0);
        for _ in 0..if self.parts.is_empty() { 0 } else { rounds } {
            let Valued { value, slope } = self.value(&factors);
            // A thousandth of a device more or less is no progress.
            if value < best.0 - 1.0 {
                best = (value, factors.clone());
                waited = 0;
            } else {
                waited += 1;
            }
            if waited > PATIENCE {
                (reach, waited) = (reach * 0.7, 0);
                factors.clone_from(&best.1);
                continue;
            }
            // Steps as long as the value is above its aim (Polyak 1969), in prices and not in parts of them: a small
            // part moves by as much as a large one.
            let square: f64 =
                slope.iter().zip(&self.parts).map(|(slope, &part)| (slope / f64::from(part)).powi(2)).sum();
            let step = reach * (value - least * (1.0 - AIM)).max(1.0) / square.max(1e-9);
            for ((factor, slope), &part) in factors.iter_mut().zip(&slope).zip(&self.parts) {
                *factor = (*factor - step * slope / f64::from(part).powi(2)).max(0.0);
            }
        }
        best.0
    }

    fn value(&self, factors: &[f64]) -> Valued {
        let priced = |base: &Vec<f64>| base.iter().zip(factors).map(|(base, factor)| base * factor).collect();
        let prices: Vec<Vec<f64>> = self.bases.iter().map(priced).collect();
        let dearest: Vec<(f64, Vec<f64>)> = prices.iter().map(|prices| self.dearest(prices)).collect();
        let mut value = 0.0;
        // Devices of each kind that no task with whole ones takes.
        let mut left = Vec::new();
        for (at, kind) in self.kinds.iter().enumerate() {
            let devices = kind.room[PLAIN] / f64::from(WHOLE);
            value += devices * dearest[self.group[at]].0;
            value += (1..PLAIN).map(|resource| kind.room[resource] * self.prices[at][resource]).sum::<f64>();
            left.push(devices);
        }
        let mut slope = vec![0.0; self.parts.len()];
        let place: BTreeMap<u16, usize> = self.parts.iter().copied().zip(0..).collect();
        for task in self.tasks {
            let gain = |at: usize| {
                let devices = match task.devices {
                    Devices::Share(share) => prices[self.group[at]][place[&share]],
                    _ => task.takes[0] / f64::from(WHOLE) * dearest[self.group[at]].0,
                };
                let rest: f64 = (1..PLAIN).map(|resource| task.takes[resource] * self.prices[at][resource]).sum();
                task.takes[0] - devices - rest
            };
            let best = task.kinds.iter().map(|&at| (gain(at), at)).max_by(|one, other| one.0.total_cmp(&other.0));
            let Some((gain, at)) = best.filter(|(gain, _)| *gain > 0.0) else { continue };
            value += task.count * gain;
            match task.devices {
                Devices::Share(share) => {
                    let part = place[&share];
                    slope[part] -= task.count * self.bases[self.group[at]][part];
                }
                _ => left[at] -= task.count * task.takes[0] / f64::from(WHOLE),
            }
        }
        for (left, &group) in left.iter().zip(&self.group) {
            let counts = dearest[group].1.iter().zip(&self.bases[group]);
            slope.iter_mut().zip(counts).for_each(|(slope, (count, base))| *slope += left * count * base);
        }
        Valued { value, slope }
    }

    /// The dearest set of parts that fits a device, and how often each part is in it; any number of each is taken to be
    /// there, which can only make it dearer.
    fn dearest(&self, prices: &[f64]) -> (f64, Vec<f64>) {
        let levels = usize::from(WHOLE / self.unit);
        let steps: Vec<usize> = self.parts.iter().map(|part| usize::from(part / self.unit)).collect();
        let mut best = vec![0.0_f64; levels + 1];
        let mut taken = vec![None; levels + 1];
        for level in 1..=levels {
            best[level] = best[level - 1];
            for (part, &step) in steps.iter().enumerate().take_while(|(_, step)| **step <= level) {
                let price = best[level - step] + prices[part];
                if price > best[level] {
                    (best[level], taken[level]) = (price, Some(part));
                }
            }
        }
        let mut counts = vec![0.0; prices.len()];
        let mut level = levels;
        while level > 0 {
            match taken[level] {
                Some(part) => {
                    counts[part] += 1.0;
                    level -= steps[part];
                }
                None => level -= 1,
            }
        }
        (best[levels], counts)
    }
}

/// What a part costs at prices of resources.
fn price_of(prices: &Amounts, part: u16) -> f64 {
    let steps: f64 = STEPS.iter().zip(&prices[PLAIN..]).map(|(step, price)| step.of(part) * price).sum();
    f64::from(part) * prices[0] + steps
}

fn common_divisor(one: u16, other: u16) -> u16 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}
