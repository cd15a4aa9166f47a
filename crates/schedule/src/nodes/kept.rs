//! A rack or pod kept for a gang that must lie in one: nothing is placed there that outlasts the promised start.
//! Otherwise small tasks, refilled in every cycle, would keep it out for ever.

use std::{cmp::Reverse, ops::Range};

use huisuan_model::{JobId, Level, TimeMs};

use super::{Nodes, ask, together};
use crate::{
    fit::Demand,
    pack::{DEVICES_MAX, Room, Slot, WHOLE},
};

/// A domain and for whom it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) job: JobId,
    pub(crate) start_at: TimeMs,
    /// How many of the gang's tasks fitted into the roomiest domain when it found no room.
    pub(crate) fits: u64,
    nodes: Range<u32>,
    /// What is free there, taken so that nothing finds it.
    slots: Vec<Slot>,
    rooms: Vec<Room>,
}

/// When a domain has room for a gang, and its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainOpening {
    pub(crate) at: TimeMs,
    pub(crate) nodes: Range<u32>,
}

impl Nodes {
    /// The domain of a level that first has room for so many tasks, `empty` of them on an empty node; `None` where
    /// nobody knows when nodes come free. What is placed there until then ends by then.
    pub(crate) fn opening(
        &self,
        demand: &Demand,
        level: Level,
        tasks: u64,
        empty: u64,
        now: TimeMs,
    ) -> Option<DomainOpening> {
        let (racks, ask) = (self.racks.as_ref()?, ask(demand)?);
        if self.ends.len() != self.packer.fleet().len() {
            return None;
        }
        let soon = TimeMs(now.0.saturating_add(1));
        let mut best: Option<DomainOpening> = None;
        for domain in racks.domains(Some(level)) {
            let nodes = racks.nodes_of(&domain);
            if self.kept.iter().any(|kept| kept.nodes.start < nodes.end && nodes.start < kept.nodes.end) {
                continue;
            }
            let mut fits = 0;
            let mut gains: Vec<(Reverse<TimeMs>, u64)> = Vec::new();
            for node in nodes.clone() {
                let now_fit = together::times(self.packer.fleet().room(node), &ask);
                fits += now_fit;
                gains.push((Reverse(self.ends[node as usize].max(soon)), empty.saturating_sub(now_fit)));
            }
            gains.retain(|&(_, gain)| gain > 0);
            gains.sort_unstable();
            let mut at = soon;
            while fits < tasks {
                let Some((Reverse(end), gain)) = gains.pop() else { break };
                fits += gain;
                at = end;
            }
            let sooner = best.as_ref().is_none_or(|best| at < best.at);
            if fits >= tasks && at < TimeMs(i64::MAX) && sooner {
                best = Some(DomainOpening { at, nodes });
            }
        }
        best
    }

    /// Keeps a domain for a job from a moment on.
    pub(crate) fn keep(&mut self, job: JobId, start_at: TimeMs, nodes: Range<u32>, fits: u64) {
        let mut kept = Kept { job, start_at, fits, nodes, slots: Vec::new(), rooms: Vec::new() };
        self.close(&mut kept);
        self.kept.push(kept);
    }

    /// The domain with room for a task that ends at `end` and would outlast the moment from which it is kept.
    pub(crate) fn kept_from(&self, demand: &Demand, end: TimeMs) -> Option<&Kept> {
        let ask = ask(demand)?;
        let room = |kept: &Kept| kept.rooms.iter().any(|room| together::times(room, &ask) > 0);
        self.kept.iter().find(|kept| kept.start_at < end && room(kept))
    }

    /// What is kept for a job.
    pub(crate) fn kept_for(&self, job: JobId) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.job == job)
    }

    /// Lets what ends at `end` into the domains that are kept from later on.
    pub(super) fn open_until(&mut self, end: TimeMs) -> Vec<Kept> {
        let (mut open, shut): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| end <= kept.start_at);
        self.kept = shut;
        for kept in &mut open {
            let slots = std::mem::take(&mut kept.slots);
            slots.iter().rev().for_each(|slot| self.release(slot));
        }
        open
    }

    /// Keeps them again, with what is left of them.
    pub(super) fn close_again(&mut self, open: Vec<Kept>) {
        for mut kept in open {
            self.close(&mut kept);
            self.kept.push(kept);
        }
        self.kept.sort_by_key(|kept| (kept.start_at, kept.job));
    }

    fn close(&mut self, kept: &mut Kept) {
        (kept.slots, kept.rooms) = (Vec::new(), Vec::new());
        for node in kept.nodes.clone() {
            let room = *self.packer.fleet().room(node);
            kept.rooms.push(room);
            for slot in all_of(node, &room) {
                self.occupy(&slot);
                kept.slots.push(slot);
            }
        }
    }
}

/// Everything that is free on a node.
fn all_of(node: u32, room: &Room) -> Vec<Slot> {
    let whole =
        (0..DEVICES_MAX).filter(|&device| room.free[device] == WHOLE).fold(0, |mask, device| mask | 1 << device);
    let (cores_milli, memory_mib) = (room.cores_milli, room.memory_mib);
    let mut slots = vec![Slot { node, cores_milli, memory_mib, mask: whole, each: WHOLE }];
    for device in (0..DEVICES_MAX).filter(|&device| (1..WHOLE).contains(&room.free[device])) {
        slots.push(Slot { node, cores_milli: 0, memory_mib: 0, mask: 1 << device, each: room.free[device] });
    }
    slots
}
