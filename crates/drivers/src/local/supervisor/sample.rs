//! Looks at the memory and processor time of what runs, and ends what uses more memory than it asked for.
//!
//! This is the memory mode `watched`: resident memory of the attempt's process group and of all
//! descendants of its first process, summed every 100 ms. Pages that several of them share count for
//! each. A burst shorter than the interval is not seen.
//!
//! Where the kernel counts the energy of the processors, each attempt gets its part of it at every look (`power`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use huisuan_model::{Bytes, DurationMs, EndCause};

use super::{
    attempt::Attempt,
    power::Meter,
    process::{ProcessStat, pids, stat},
    shared::{Shared, lock},
};
use crate::container::Container;

/// The name of this way to keep a memory limit.
pub(crate) const MEMORY_MODE: &str = "watched";

/// Between two looks, and before the first look at an attempt: shorter ones cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// A look may take one part in this many of the time, however many processes the machine has.
const COST_MAX: u32 = 20;

/// Between two reports of usage.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The sampler's loop; never returns. It sleeps while nothing runs.
pub(crate) fn sample(shared: &Shared) {
    let mut interval = INTERVAL;
    let mut reported = Instant::now();
    let mut meter = Meter::of_machine();
    loop {
        let attempts: Vec<Arc<Attempt>> = {
            let state = lock(&shared.state);
            if state.running.is_empty() {
                meter.rest();
            }
            let state = shared.sampling.wait_while(state, |state| state.running.is_empty());
            let state = state.unwrap_or_else(PoisonError::into_inner);
            // Nobody ends this wait early; the condition variable is only a clock here.
            let state = shared.sampling.wait_timeout_while(state, interval, |_| true);
            let state = state.unwrap_or_else(PoisonError::into_inner).0;
            let old = |attempt: &&Arc<Attempt>| attempt.process.get().is_some_and(|p| p.since.elapsed() >= INTERVAL);
            state.running.values().filter(old).cloned().collect()
        };
        if attempts.is_empty() {
            continue;
        }
        let from = Instant::now();
        find_containers(shared, &attempts);
        look(&attempts, &mut meter);
        interval = INTERVAL.max(from.elapsed() * COST_MAX);
        if reported.elapsed() >= REPORT_INTERVAL {
            reported = Instant::now();
            let mut state = lock(&shared.state);
            attempts.iter().for_each(|attempt| state.note_used(attempt.order.attempt));
            shared.reports.notify_all();
        }
    }
}

/// An attempt in a container has started when the container has: before that podman makes it, or pulls its image.
fn find_containers(shared: &Shared, attempts: &[Arc<Attempt>]) {
    let unknown = |attempt: &&Arc<Attempt>| attempt.order.spec.image.is_some() && attempt.container.get().is_none();
    for attempt in attempts.iter().filter(unknown) {
        let id = attempt.order.attempt;
        if let Some(pid) = Container::first_process(&shared.paths.attempt(id)) {
            let _ = attempt.container.set(pid);
            lock(&shared.state).note_started(id);
            shared.reports.notify_all();
        }
    }
}

fn look(attempts: &[Arc<Attempt>], meter: &mut Meter) {
    let processes: Vec<ProcessStat> = pids().into_iter().filter_map(stat).collect();
    let family = Family::new(&processes);
    let page = rustix::param::page_size() as u64;
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut used = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        // A container is no child of the process that was started for it.
        let leader = match attempt.order.spec.image {
            Some(_) => attempt.container.get().copied(),
            None => attempt.process.get().map(|process| process.pid),
        };
        let Some(leader) = leader else { continue };
        let (mut pages, mut ticks) = (0, 0);
        for index in family.members(leader) {
            pages += processes[index].resident_pages;
            ticks += processes[index].cpu_ticks;
        }
        let memory = Bytes(pages * page);
        used.push((attempt, attempt.sample(memory, DurationMs(ticks * 1000 / ticks_per_second))));
        if memory > attempt.order.memory() {
            attempt.wish(EndCause::Memory);
        }
    }
    let parts = meter.parts(&used.iter().map(|(_, used)| *used).collect::<Vec<_>>());
    used.iter().zip(parts).for_each(|((attempt, _), microjoules)| attempt.add_energy(microjoules));
}

/// Who belongs to whom, by place in the list of processes.
struct Family {
    groups: BTreeMap<i32, Vec<usize>>,
    children: BTreeMap<i32, Vec<usize>>,
    pids: Vec<i32>,
}

impl Family {
    fn new(processes: &[ProcessStat]) -> Self {
        let (mut groups, mut children) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (index, process) in processes.iter().enumerate() {
            groups.entry(process.group).or_default().push(index);
            children.entry(process.parent).or_default().push(index);
        }
        Family { groups, children, pids: processes.iter().map(|process| process.pid).collect() }
    }

    /// The members of the group that `leader` leads, and all descendants of any of them.
    fn members(&self, leader: i32) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut new = self.groups.get(&leader).cloned().unwrap_or_default();
        while let Some(index) = new.pop() {
            if found.insert(index) {
                new.extend(self.children.get(&self.pids[index]).into_iter().flatten());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_group_and_all_descendants() {
        let process = |pid, parent, group| ProcessStat {
            pid,
            parent,
            group,
            cpu_ticks: 0,
            start_ticks: 0,
            resident_pages: 0,
            zombie: false,
        };
        // 12 left the group, 13 is its child; 14 stayed in the group when its parent went.
        let processes = [
            process(1, 0, 1),
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(13, 12, 12),
            process(14, 1, 10),
            process(20, 1, 20),
        ];
        let family = Family::new(&processes);
        let pids = |leader| family.members(leader).into_iter().map(|index| processes[index].pid).collect::<Vec<_>>();
        assert_eq!(pids(10), [10, 11, 12, 13, 14]);
        assert_eq!(pids(20), [20]);
        assert_eq!(pids(99), Vec::<i32>::new());
    }
}
