//! A virtual centre: performs orders as an agent with its engine does, in simulated time.
//!
//! Orders are performed in the order in which they came. A task that finds no room waits in its pool's queue, first
//! come, first served; it runs when its data is there and a hidden queue has let it through, and ends by itself, by its
//! walltime or when it is told to.

use std::collections::{BTreeMap, VecDeque};

use huisuan_model::{
    AttemptId, AttemptReport, Bytes, CentreId, DurationMs, EndCause, MilliDevices, Millicores, Order, Outcome, Pool,
    PoolId, ReportKind, StartOrder, TimeMs, Usage,
};
use huisuan_schedule::Amounts;

use super::{
    happening::{Happening, Place, Ticket},
    moving::Wish,
};
use crate::{
    random::Stream,
    setup::{HiddenQueue, Site},
    workload::Truth,
};

/// The most reports of one batch, as an agent sends them.
const BATCH_MAX: usize = 1000;

/// What a centre wants to happen later.
pub(super) type Later = Vec<(TimeMs, Happening)>;

pub(super) struct VirtualCentre {
    pub(super) id: CentreId,
    place: Place,
    pub(super) pools: BTreeMap<PoolId, VirtualPool>,
    hidden: Option<HiddenQueue>,
    pub(super) order_delay_ms: u64,
    report_delay_ms: u64,
    /// Orders that are under way, or wait for the link.
    pub(super) inbox: VecDeque<(PoolId, Truth, Order)>,
    outbox: Vec<AttemptReport>,
    report_seq: u64,
    reporting: bool,
    /// How many faults keep orders and reports from arriving.
    pub(super) unlinked: u32,
    tasks: Vec<Slot>,
    free: Vec<u32>,
    by_attempt: BTreeMap<AttemptId, u32>,
    /// What it wants of the lines to other centres.
    pub(super) wishes: Vec<Wish>,
}

/// A pool as it really is.
pub(super) struct VirtualPool {
    /// With its true rate.
    pub(super) pool: Pool,
    used: Amounts,
    /// What failed nodes had.
    pub(super) failed: Amounts,
    queue: VecDeque<(StartOrder, Truth)>,
}

#[derive(Default)]
struct Slot {
    use_count: u32,
    task: Option<Task>,
}

/// A task that takes room.
struct Task {
    attempt: AttemptId,
    pool: PoolId,
    takes: Amounts,
    run_ms: u64,
    walltime_ms: u64,
    exit_code: i32,
    busy_percent: u64,
    /// From how many centres its data is still to come.
    awaited: usize,
    started_at: Option<TimeMs>,
}

impl VirtualPool {
    /// What it has that did not fail.
    pub(super) fn standing(&self) -> Amounts {
        let Pool { cores, memory, devices, .. } = &self.pool;
        Amounts {
            cores: cores.saturating_sub(self.failed.cores),
            memory: memory.saturating_sub(self.failed.memory),
            devices: devices.saturating_sub(self.failed.devices),
        }
    }

    fn has_room(&self, takes: Amounts) -> bool {
        let (has, then) = (self.standing(), self.used.plus(takes, 1));
        then.cores <= has.cores && then.memory <= has.memory && then.devices <= has.devices
    }
}

fn takes(order: &StartOrder) -> Amounts {
    Amounts { cores: order.cores, memory: order.memory(), devices: order.devices }
}

impl VirtualCentre {
    pub(super) fn new(site: &Site, place: Place) -> Self {
        let pool = |pool: &Pool| VirtualPool {
            pool: pool.clone(),
            used: Amounts::default(),
            failed: Amounts::default(),
            queue: VecDeque::new(),
        };
        VirtualCentre {
            id: site.centre.id.clone(),
            place,
            pools: site.pools.iter().map(|found| (found.id.clone(), pool(found))).collect(),
            hidden: site.hidden.clone(),
            order_delay_ms: site.order_delay_ms,
            report_delay_ms: site.report_delay_ms,
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            report_seq: 0,
            reporting: false,
            unlinked: 0,
            tasks: Vec::new(),
            free: Vec::new(),
            by_attempt: BTreeMap::new(),
            wishes: Vec::new(),
        }
    }

    /// Performs all orders that have come.
    pub(super) fn perform(&mut self, now: TimeMs, later: &mut Later) {
        if self.unlinked > 0 {
            return;
        }
        while let Some((pool, truth, order)) = self.inbox.pop_front() {
            match order {
                Order::Start(order) => {
                    let Some(home) = self.pools.get_mut(&pool) else { continue };
                    if home.queue.is_empty() && home.has_room(takes(&order)) {
                        self.admit(&pool, &order, &truth, now, later);
                    } else {
                        home.queue.push_back((*order, truth));
                    }
                }
                Order::Stop(attempt) => self.stop(attempt, now, later),
            }
        }
    }

    /// Gives a task its room; it begins when its data is there.
    fn admit(&mut self, pool: &PoolId, order: &StartOrder, truth: &Truth, now: TimeMs, later: &mut Later) {
        let home = self.pools.get_mut(pool).expect("the pool of a task");
        home.used = home.used.plus(takes(order), 1);
        let share = home.pool.share(order.cores, order.devices);
        let (run_ms, exit_code) = truth.of_task(order.attempt, order.spec.gang, share);
        let mut reads = order.spec.readings();
        reads.retain(|reading| reading.at != self.id && reading.bytes > Bytes::ZERO);
        let task = Task {
            attempt: order.attempt,
            pool: pool.clone(),
            takes: takes(order),
            run_ms,
            walltime_ms: order.walltime().0,
            exit_code,
            busy_percent: truth.busy_percent,
            awaited: reads.len(),
            started_at: None,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(Slot::default());
            u32::try_from(self.tasks.len() - 1).expect("less than 2^32 tasks run at once")
        });
        self.by_attempt.insert(order.attempt, slot);
        let entry = &mut self.tasks[slot as usize];
        entry.use_count = entry.use_count.wrapping_add(1);
        entry.task = Some(task);
        let ticket = Ticket { slot, use_count: entry.use_count };
        if reads.is_empty() {
            self.queue(ticket, now, later);
        } else {
            self.wishes.push(Wish::Bring { ticket, attempt: order.attempt, reads });
        }
    }

    /// The data that one centre had for a task is there.
    pub(super) fn brought(&mut self, ticket: Ticket, now: TimeMs, later: &mut Later) {
        let Some(task) = self.task(ticket) else { return };
        task.awaited -= 1;
        if task.awaited == 0 {
            self.queue(ticket, now, later);
        }
    }

    /// A task that has its data begins as soon as a hidden queue lets it.
    fn queue(&mut self, ticket: Ticket, now: TimeMs, later: &mut Later) {
        let Some(attempt) = self.task(ticket).map(|task| task.attempt) else { return };
        match self.hidden.as_ref().map_or(0, |queue| queue.wait_ms(attempt)) {
            0 => self.begin(ticket, now, later),
            wait_ms => later.push((now.after(DurationMs(wait_ms)), Happening::Begin(self.place, ticket))),
        }
    }

    /// A task runs from now on.
    pub(super) fn begin(&mut self, ticket: Ticket, now: TimeMs, later: &mut Later) {
        let Some(task) = self.task(ticket) else { return };
        task.started_at = Some(now);
        let (attempt, ends_at) = (task.attempt, now.after(DurationMs(task.run_ms.min(task.walltime_ms))));
        later.push((ends_at, Happening::End(self.place, ticket)));
        self.report(AttemptReport { attempt, at: now, what: ReportKind::Started }, now, later);
    }

    /// A task ends by itself or by its walltime; what waits for its room begins.
    pub(super) fn end(&mut self, ticket: Ticket, now: TimeMs, later: &mut Later) {
        let Some(task) = self.task(ticket) else { return };
        let pool = task.pool.clone();
        let outcome = if task.run_ms > task.walltime_ms {
            Outcome { signal: Some(15), ..outcome(EndCause::Walltime) }
        } else {
            Outcome { exit_code: Some(task.exit_code), ..outcome(EndCause::Exited) }
        };
        self.finish(ticket.slot, outcome, now, later);
        self.refill(&pool, now, later);
    }

    fn stop(&mut self, attempt: AttemptId, now: TimeMs, later: &mut Later) {
        if let Some(&slot) = self.by_attempt.get(&attempt) {
            let pool = self.tasks[slot as usize].task.as_ref().map(|task| task.pool.clone());
            self.finish(slot, Outcome { signal: Some(15), ..outcome(EndCause::Cancelled) }, now, later);
            pool.into_iter().for_each(|pool| self.refill(&pool, now, later));
            return;
        }
        let queued = self.pools.values_mut().any(|home| {
            let place = home.queue.iter().position(|(order, _)| order.attempt == attempt);
            place.is_some_and(|place| home.queue.remove(place).is_some())
        });
        if queued {
            self.report(unstarted(attempt, EndCause::Cancelled, now), now, later);
        }
    }

    /// Starts what waits for room, the first first.
    pub(super) fn refill(&mut self, pool: &PoolId, now: TimeMs, later: &mut Later) {
        while let Some(home) = self.pools.get_mut(pool)
            && home.queue.front().is_some_and(|(order, _)| home.has_room(takes(order)))
            && let Some((order, truth)) = home.queue.pop_front()
        {
            self.admit(pool, &order, &truth, now, later);
        }
    }

    /// The next batch of reports and its number; `None` when there is nothing to tell or no way to.
    pub(super) fn batch(&mut self, later: &mut Later, now: TimeMs) -> Option<(u64, Vec<AttemptReport>)> {
        self.reporting = false;
        if self.unlinked > 0 || self.outbox.is_empty() {
            return None;
        }
        let rest = self.outbox.split_off(self.outbox.len().min(BATCH_MAX));
        let batch = std::mem::replace(&mut self.outbox, rest);
        self.report_seq += 1;
        if !self.outbox.is_empty() {
            self.reporting = true;
            later.push((now, Happening::Report(self.place)));
        }
        Some((self.report_seq, batch))
    }

    /// Orders and reports may arrive again.
    pub(super) fn relink(&mut self, now: TimeMs, later: &mut Later) {
        self.reporting = true;
        later.push((now, Happening::Deliver(self.place)));
        later.push((now.after(DurationMs(self.report_delay_ms)), Happening::Report(self.place)));
    }

    /// Loses all that runs and waits.
    pub(super) fn lose_all(&mut self, now: TimeMs, later: &mut Later) {
        let running: Vec<u32> = self.by_attempt.values().copied().collect();
        running.into_iter().for_each(|slot| self.finish(slot, outcome(EndCause::Lost), now, later));
        let queued = self.pools.values_mut().flat_map(|home| home.queue.drain(..));
        let lost: Vec<AttemptId> = queued.map(|(order, _)| order.attempt).collect();
        lost.into_iter().for_each(|attempt| self.report(unstarted(attempt, EndCause::Lost, now), now, later));
    }

    /// Loses a node of `nodes` that a pool is made of, at a position that may lie beyond what is used: neighbouring
    /// tasks are lost until as much is free as the node had.
    pub(super) fn lose_node(&mut self, pool: &PoolId, nodes: u64, stream: &mut Stream, now: TimeMs, later: &mut Later) {
        let Some(home) = self.pools.get_mut(pool) else { return };
        let node = part(&home.pool, nodes);
        let weight = |amounts: &Amounts| if node.devices.is_zero() { amounts.cores.0 } else { amounts.devices.0 };
        let mut position = stream.below(weight(&home.standing()).max(1));
        home.failed = home.failed.plus(node, 1);
        let mut left = weight(&node);
        let mut lost = Vec::new();
        for &slot in self.by_attempt.values() {
            let task = self.tasks[slot as usize].task.as_ref().filter(|task| task.pool == *pool);
            let Some(size) = task.map(|task| weight(&task.takes)) else { continue };
            if position >= size {
                position -= size;
                continue;
            }
            position = 0;
            lost.push(slot);
            left = left.saturating_sub(size.max(1));
            if left == 0 {
                break;
            }
        }
        lost.into_iter().for_each(|slot| self.finish(slot, outcome(EndCause::Lost), now, later));
    }

    /// A node is back.
    pub(super) fn mend_node(&mut self, pool: &PoolId, nodes: u64, now: TimeMs, later: &mut Later) {
        if let Some(home) = self.pools.get_mut(pool) {
            home.failed = home.failed.minus(part(&home.pool, nodes));
            self.refill(pool, now, later);
        }
    }

    fn task(&mut self, ticket: Ticket) -> Option<&mut Task> {
        let slot = self.tasks.get_mut(ticket.slot as usize).filter(|slot| slot.use_count == ticket.use_count)?;
        slot.task.as_mut()
    }

    /// Ends a task and frees its room.
    fn finish(&mut self, slot: u32, outcome: Outcome, now: TimeMs, later: &mut Later) {
        let entry = &mut self.tasks[slot as usize];
        let task = entry.task.take().expect("a slot in use has a task");
        if task.awaited > 0 {
            self.wishes.push(Wish::Leave(Ticket { slot, use_count: entry.use_count }));
        }
        self.free.push(slot);
        self.by_attempt.remove(&task.attempt);
        let home = self.pools.get_mut(&task.pool).expect("the pool of a task");
        home.used = home.used.minus(task.takes);
        let wall = task.started_at.map_or(DurationMs(0), |start| now.since(start));
        let cpu_ms = u128::from(wall.0) * u128::from(task.takes.cores.0) * u128::from(task.busy_percent) / 100_000;
        let cpu = DurationMs(u64::try_from(cpu_ms).unwrap_or(u64::MAX));
        let memory_peak = if task.started_at.is_some() { task.takes.memory } else { Bytes::ZERO };
        let usage = Usage { wall, cpu, memory_peak, ..Usage::default() };
        let what = ReportKind::Ended { started_at: task.started_at, outcome, usage };
        self.report(AttemptReport { attempt: task.attempt, at: now, what }, now, later);
    }

    fn report(&mut self, report: AttemptReport, now: TimeMs, later: &mut Later) {
        self.outbox.push(report);
        if !self.reporting && self.unlinked == 0 {
            self.reporting = true;
            later.push((now.after(DurationMs(self.report_delay_ms)), Happening::Report(self.place)));
        }
    }
}

/// One node's part of a pool.
fn part(pool: &Pool, nodes: u64) -> Amounts {
    let nodes = nodes.max(1);
    Amounts {
        cores: Millicores(pool.cores.0 / nodes),
        memory: Bytes(pool.memory.0 / nodes),
        devices: MilliDevices(pool.devices.0 / nodes),
    }
}

fn outcome(cause: EndCause) -> Outcome {
    Outcome { cause, exit_code: None, signal: None, detail: String::new() }
}

fn unstarted(attempt: AttemptId, cause: EndCause, at: TimeMs) -> AttemptReport {
    let what = ReportKind::Ended { started_at: None, outcome: outcome(cause), usage: Usage::default() };
    AttemptReport { attempt, at, what }
}
