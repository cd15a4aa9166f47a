//! What one reaches that knows everything beforehand.

use std::cmp::Reverse;

use huisuan_schedule::pack::{Ask, Devices, Fleet, Mix, Packing, Rule, Scan};

use super::Arrivals;

/// What a placement with hindsight allocates, in thousandths of a device: it knows all arrivals, takes the largest and
/// then the most frugal ones first, and refuses tasks without devices. No bound can be below it, so the distance of the
/// two says how close both are; what a policy lacks to it is the price of not knowing what comes.
pub fn hindsight_thousandths(fleet: &Fleet, list: &[Ask], arrivals: &Arrivals) -> u64 {
    let mut order: Vec<u32> = arrivals.order.clone();
    order.retain(|&place| list[place as usize].devices != Devices::None);
    order.sort_by_key(|&place| {
        let Ask { devices, cores_milli, memory_mib, parts } = list[place as usize];
        (Reverse(devices.thousandths()), parts.0.count_ones(), cores_milli, memory_mib, place)
    });
    let mix = Mix::typical(order.iter().map(|&place| &list[place as usize]), 100).on(fleet);
    let mut scan = Scan::new(fleet.clone(), Rule::new(Packing::Default, mix, 0));
    let mut allocated = 0;
    for ask in order.iter().map(|&place| &list[place as usize]) {
        if let Some(slot) = scan.place(ask) {
            scan.take(&slot);
            allocated += u64::from(ask.devices.thousandths());
        }
    }
    allocated
}
