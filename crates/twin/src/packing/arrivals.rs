//! Who arrives in which order.

use huisuan_schedule::pack::Ask;

use crate::random::Stream;

/// The tasks of one run, by their place in the list they were drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// Places in the list, in order of arrival.
    pub order: Vec<u32>,
    /// What all of them ask for, in thousandths of a device.
    pub demand_thousandths: u64,
}

impl Arrivals {
    /// The list once, in random order, then uniform draws from it until the next one would bring demand
    /// above `load_permille` thousandths of the capacity. From a list that demands more than that, tasks
    /// drawn at random are left out instead. This is the order of the published runs: what is drawn again
    /// comes after the list, not among it.
    pub fn new(list: &[Ask], capacity_thousandths: u64, load_permille: u64, seed: u64) -> Self {
        let most = capacity_thousandths * load_permille / 1000;
        let mut order: Vec<u32> = (0u32..).take(list.len()).collect();
        let mut places = Stream::new(seed, "packing: order of the list");
        // Fisher and Yates.
        for last in (1..order.len()).rev() {
            order.swap(last, places.below(last as u64 + 1) as usize);
        }
        let of = |place: u32| u64::from(list[place as usize].devices.thousandths());
        let mut demand: u64 = order.iter().map(|&place| of(place)).sum();
        let mut draws = Stream::new(seed, "packing: draws");
        while demand > most {
            let left_out = order.remove(draws.below(order.len() as u64) as usize);
            demand -= of(left_out);
        }
        // A list without devices would never come to an end.
        while list.iter().any(|ask| ask.devices.thousandths() > 0) {
            let place = draws.below(list.len() as u64) as u32;
            if demand + of(place) > most {
                break;
            }
            demand += of(place);
            order.push(place);
        }
        Arrivals { order, demand_thousandths: demand }
    }
}

/// What a list asks for, in thousandths of a device.
pub fn demand_thousandths(list: &[Ask]) -> u64 {
    list.iter().map(|ask| u64::from(ask.devices.thousandths())).sum()
}

#[cfg(test)]
mod tests {
    use huisuan_schedule::pack::{Devices, Parts};

    use super::*;

    fn ask(devices: Devices) -> Ask {
        Ask { cores_milli: 1, memory_mib: 1, devices, parts: Parts::ANY }
    }

    fn check(list: &[Ask], capacity: u64, load: u64) -> Arrivals {
        let arrivals = Arrivals::new(list, capacity, load, 5);
        assert_eq!(arrivals, Arrivals::new(list, capacity, load, 5));
        let of = |&place: &u32| u64::from(list[place as usize].devices.thousandths());
        assert_eq!(arrivals.demand_thousandths, arrivals.order.iter().map(of).sum::<u64>());
        assert!(arrivals.demand_thousandths <= capacity * load / 1000);
        arrivals
    }

    #[test]
    fn a_short_list_is_drawn_from_until_the_load_is_reached() {
        let list = [ask(Devices::Whole(1)), ask(Devices::Share(500)), ask(Devices::None)];
        let arrivals = check(&list, 100_000, 1300);
        assert!(arrivals.demand_thousandths > 128_000);
        let mut first = arrivals.order[..3].to_vec();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let list = [ask(Devices::Whole(1)); 100];
        assert_eq!(check(&list, 10_000, 1300).order.len(), 13);
    }

    #[test]
    fn a_list_without_devices_arrives_once() {
        assert_eq!(check(&[ask(Devices::None); 4], 10_000, 1300).order.len(), 4);
    }
}
