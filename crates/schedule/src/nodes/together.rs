//! The nodes of a gang: all of it in one rack where one has room, else in one pod, else in the fewest racks.
//!
//! Its tasks are alike, so how many of them a node takes is known before any is placed: what is found here is room for
//! all of them, and nothing is to be undone where there is none. The fullest domain that still takes it is chosen, so
//! that the emptiest stay whole for what comes; within it the nodes with the least room. Ties go to the first number.

use std::{cmp::Reverse, ops::Range};

use huisuan_model::Level;

use super::racks::Racks;
use crate::pack::{Ask, Devices, Fleet, Room};

/// Nodes and how many tasks each takes.
pub(super) type Found = Vec<(u32, u64)>;

/// Nodes for so many tasks, within one domain of the level that is required; `None` when there is no such room.
pub(super) fn nodes(racks: &Racks, fleet: &Fleet, ask: &Ask, tasks: u64, required: Option<Level>) -> Option<Found> {
    let most = racks.most(ask);
    let levels: &[Option<Level>] = match (required, racks.topology.pod_racks) {
        (Some(Level::Rack), _) => &[Some(Level::Rack)],
        (Some(Level::Pod), Some(_)) => &[Some(Level::Rack), Some(Level::Pod)],
        (Some(Level::Pod), None) => return None,
        (None, Some(_)) => &[Some(Level::Rack), Some(Level::Pod), None],
        (None, None) => &[Some(Level::Rack), None],
    };
    for &level in levels {
        let domains =
            racks.domains(level).map(|racks| (most[racks.clone()].iter().copied().fold(0, u64::saturating_add), racks));
        let mut domains: Vec<(u64, Range<usize>)> = domains.filter(|&(most, _)| most >= tasks).collect();
        domains.sort_by_key(|(most, racks)| (*most, racks.start));
        let found = domains.into_iter().find_map(|(_, domain)| within(racks, fleet, ask, tasks, domain, &most));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// How many tasks the roomiest domain of a level takes.
pub(super) fn roomiest(racks: &Racks, fleet: &Fleet, ask: &Ask, level: Level) -> u64 {
    let most = racks.most(ask);
    let sum = |domain: &Range<usize>| most[domain.clone()].iter().copied().fold(0, u64::saturating_add);
    let mut domains: Vec<(u64, Range<usize>)> =
        racks.domains(Some(level)).map(|domain| (sum(&domain), domain)).collect();
    domains.sort_by_key(|(most, domain)| (Reverse(*most), domain.start));
    let mut best = 0;
    for (most, domain) in domains {
        if most <= best {
            break;
        }
        best = best.max(domain.map(|rack| takes(racks, fleet, ask, rack)).sum());
    }
    best
}

/// Nodes within some racks, as few of these as it takes; `None` when they have no room for all.
fn within(racks: &Racks, fleet: &Fleet, ask: &Ask, tasks: u64, domain: Range<usize>, most: &[u64]) -> Option<Found> {
    let mut order: Vec<usize> = domain.filter(|&rack| most[rack] > 0).collect();
    order.sort_by_key(|&rack| (Reverse(most[rack]), rack));
    // The racks that take the most, as far as they are needed: what is not looked at takes no more than its sums say.
    let mut known: Vec<(u64, usize)> = Vec::new();
    for (at, &rack) in order.iter().enumerate() {
        known.push((takes(racks, fleet, ask, rack), rack));
        let next = order.get(at + 1).map_or(0, |&next| most[next]);
        let sure = known.iter().map(|&(takes, _)| takes).filter(|&takes| takes >= next);
        if sure.fold(0, u64::saturating_add) >= tasks {
            break;
        }
    }
    known.sort_by_key(|&(takes, rack)| (Reverse(takes), rack));
    let mut left = tasks;
    let mut found = Found::new();
    for (at, &(room, rack)) in known.iter().enumerate() {
        if room >= left {
            // The last one is the fullest that takes the rest.
            let used = |rack: &usize| known[..at].iter().any(|(_, used)| used == rack);
            let fits = |rack: &usize| most[*rack] >= left && !used(rack) && takes(racks, fleet, ask, *rack) >= left;
            let last = order.iter().rev().copied().find(fits);
            fill(racks, fleet, ask, last.unwrap_or(rack), left, &mut found);
            return Some(found);
        }
        fill(racks, fleet, ask, rack, room, &mut found);
        left -= room;
    }
    None
}

/// So many tasks on the nodes of a rack, which takes them: those with the least room first.
fn fill(racks: &Racks, fleet: &Fleet, ask: &Ask, rack: usize, tasks: u64, into: &mut Found) {
    let room_for = |node: u32| times(fleet.room(node), ask);
    let mut nodes: Vec<(u64, u32)> = nodes_of(racks, rack).map(|node| (room_for(node), node)).collect();
    nodes.retain(|&(takes, _)| takes > 0);
    nodes.sort_unstable();
    let mut left = tasks;
    for (takes, node) in nodes {
        let count = takes.min(left);
        if count == 0 {
            break;
        }
        into.push((node, count));
        left -= count;
    }
}

/// How many tasks the nodes of a rack take.
fn takes(racks: &Racks, fleet: &Fleet, ask: &Ask, rack: usize) -> u64 {
    nodes_of(racks, rack).map(|node| times(fleet.room(node), ask)).fold(0, u64::saturating_add)
}

fn nodes_of(racks: &Racks, rack: usize) -> Range<u32> {
    racks.nodes_of(&(rack..rack + 1))
}

/// How many tasks a room takes.
pub(super) fn times(room: &Room, ask: &Ask) -> u64 {
    let within = |free: u32, each: u32| free.checked_div(each).map_or(u64::MAX, u64::from);
    let devices = match ask.devices.normal() {
        Devices::None => u64::MAX,
        Devices::Share(share) => room.free().iter().map(|&free| u64::from(free / share)).sum(),
        Devices::Whole(count) => u64::from(room.wholes() / count),
    };
    devices.min(within(room.cores_milli, ask.cores_milli)).min(within(room.memory_mib, ask.memory_mib))
}
