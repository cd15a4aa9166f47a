//! What goes over the lines between centres: the data of tasks that start elsewhere.
//!
//! A line is one direction of a link. Data takes the way that the scheduler counts with ([`Ways`]) and shares every line
//! of it with all that is under way there; after its last byte it takes the round trip in which it was asked for.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, Bytes, CentreId, DurationMs, JobSpec, TimeMs, spec::Reading};
use huisuan_schedule::reach::{Declared, Loads, Traffic, Ways};

use super::{
    Observer, Transfer, World,
    happening::{Happening, Place, Ticket},
};
use crate::{links::Transfers, setup::Setup};

/// What a centre wants of the lines.
pub(super) enum Wish {
    /// Data is to be brought to a task.
    Bring {
        ticket: Ticket,
        attempt: AttemptId,
        /// What lies elsewhere.
        reads: Vec<Reading>,
    },
    /// A task is gone that waited for data.
    Leave(Ticket),
}

/// All that is under way between centres.
pub(super) struct Moving {
    ways: Ways,
    /// Places of the setup by their places in the ways, which are in the order of ids.
    places: Vec<usize>,
    /// Lines by their ends, as far as they were used; both are places in the ways.
    lines: BTreeMap<(usize, usize), usize>,
    /// Routes by their ends, as far as they were used; `None` where no links lead.
    routes: BTreeMap<(usize, usize), Option<Route>>,
    transfers: Transfers,
    under_way: BTreeMap<u64, Cargo>,
    /// What is under way to each task.
    of_task: BTreeMap<(Place, Ticket), Vec<u64>>,
    /// What was under way when the last plan was made.
    seen: Loads,
    /// How long the scheduler took the data of attempts to be under way that have not started, in milliseconds.
    expected_ms: BTreeMap<AttemptId, u64>,
    begun: u64,
    /// How often the next end was another one.
    changes: u32,
    due: Option<TimeMs>,
}

/// A route: its number, its round trip, and the places of the setup that it leads over.
#[derive(Clone)]
struct Route {
    number: usize,
    round_trip_us: u64,
    path: Vec<usize>,
}

/// One transfer.
struct Cargo {
    place: Place,
    ticket: Ticket,
    attempt: AttemptId,
    ends: (usize, usize),
    bytes: Bytes,
    began_at: TimeMs,
    expected_ms: u64,
}

impl Moving {
    pub(super) fn new(setup: &Setup) -> Self {
        let mut places: Vec<usize> = (0..setup.sites.len()).collect();
        places.sort_by_key(|&place| &setup.sites[place].centre.id);
        let centres = || places.iter().map(|&place| &setup.sites[place].centre);
        let linked = centres().any(|centre| centre.facts.as_ref().is_some_and(|facts| !facts.links.is_empty()));
        let declared: Vec<Declared<'_>> =
            centres().map(|centre| (&centre.id, centre.place, centre.facts.as_deref())).collect();
        Moving {
            // Where there are no links nothing can be under way, and there may be thousands of centres.
            ways: if linked { Ways::new(&declared) } else { Ways::default() },
            places,
            lines: BTreeMap::new(),
            routes: BTreeMap::new(),
            transfers: Transfers::default(),
            under_way: BTreeMap::new(),
            of_task: BTreeMap::new(),
            seen: Loads::default(),
            expected_ms: BTreeMap::new(),
            begun: 0,
            changes: 0,
            due: None,
        }
    }

    /// What is under way when a plan is made.
    pub(super) fn see(&mut self, traffic: &Traffic) {
        self.seen = Loads::of(traffic, &self.ways);
    }

    /// Notes what the last plan went by for a task that it placed.
    pub(super) fn expect(&mut self, attempt: AttemptId, spec: &JobSpec, centre: &CentreId) {
        let together = if spec.gang { spec.tasks.len() } else { 1 };
        let Some(to) = self.ways.index(centre) else { return };
        let time = |reading: Reading| {
            let from = self.ways.index(&reading.at).filter(|from| *from != to)?;
            self.seen.transfer_ms(&self.ways, (from, to), reading.bytes, together)
        };
        let longest_ms = spec.readings().into_iter().filter_map(time).max();
        self.expected_ms.extend(longest_ms.map(|ms| (attempt, ms)));
    }

    /// An attempt has started or ended: its data is of no interest any more.
    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.expected_ms.remove(&attempt);
    }

    /// The route between two places in the ways.
    fn route(&mut self, from: usize, to: usize) -> Option<&Route> {
        if !self.routes.contains_key(&(from, to)) {
            let found = self.find(from, to);
            self.routes.insert((from, to), found);
        }
        self.routes[&(from, to)].as_ref()
    }

    fn find(&mut self, from: usize, to: usize) -> Option<Route> {
        let round_trip_us = self.ways.between(from, to)?.round_trip_us;
        let path = self.ways.path(from, to)?;
        let mut lines = Vec::new();
        for ends in path.windows(2) {
            let ends = (ends[0], ends[1]);
            let bytes_per_s = self.ways.between(ends.0, ends.1)?.bytes_per_s?;
            lines.push(*self.lines.entry(ends).or_insert_with(|| self.transfers.add_line(bytes_per_s)));
        }
        let path = path.into_iter().map(|at| self.places[at]).collect();
        Some(Route { number: self.transfers.add_route(lines), round_trip_us, path })
    }
}

impl<O: Observer> World<O> {
    /// Begins and ends transfers as a centre wants it.
    pub(super) fn carry(&mut self, place: Place, wishes: Vec<Wish>) {
        let now = self.kernel.now();
        self.unload(now);
        for wish in wishes {
            match wish {
                Wish::Bring { ticket, attempt, reads } => {
                    for reading in &reads {
                        self.load((place, ticket), attempt, reading, now);
                    }
                }
                Wish::Leave(ticket) => {
                    for id in self.moving.of_task.remove(&(place, ticket)).unwrap_or_default() {
                        self.give_up(id, now);
                    }
                }
            }
        }
        self.await_next();
    }

    /// A transfer ends now, if the lines are as they were when that was said.
    pub(super) fn moved(&mut self, change: u32, now: TimeMs) {
        if change == self.moving.changes {
            self.moving.due = None;
            self.unload(now);
            self.await_next();
        }
    }

    /// Ends all that is under way, because the run ends.
    pub(super) fn stop_moving(&mut self, now: TimeMs) {
        self.unload(now);
        let left: Vec<u64> = self.moving.under_way.keys().copied().collect();
        left.into_iter().for_each(|id| self.give_up(id, now));
    }

    /// Begins one transfer. What no links lead to is brought in some other way, at once.
    fn load(&mut self, (place, ticket): (Place, Ticket), attempt: AttemptId, reading: &Reading, now: TimeMs) {
        let moving = &mut self.moving;
        let to = &self.centres[usize::from(place)].id;
        let ends = moving.ways.index(&reading.at).zip(moving.ways.index(to));
        let Some((ends, route)) = ends.and_then(|ends| Some((ends, moving.route(ends.0, ends.1)?.clone()))) else {
            return self.schedule(now, Happening::Brought(place, ticket));
        };
        moving.begun += 1;
        let (id, bytes) = (moving.begun, reading.bytes);
        moving.transfers.start(id, route.number, bytes);
        moving.of_task.entry((place, ticket)).or_default().push(id);
        let expected_ms = moving.expected_ms.get(&attempt).copied().unwrap_or(0);
        moving.under_way.insert(id, Cargo { place, ticket, attempt, ends, bytes, began_at: now, expected_ms });
    }

    /// Lets arrive what has come to its end.
    fn unload(&mut self, now: TimeMs) {
        for (at, id) in self.moving.transfers.advance(now) {
            let Some(cargo) = self.moving.under_way.remove(&id) else { continue };
            let task = (cargo.place, cargo.ticket);
            if let Some(ids) = self.moving.of_task.get_mut(&task) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.moving.of_task.remove(&task);
                }
            }
            let round_trip_us = self.tell(&cargo, cargo.bytes, at);
            let there = at.after(DurationMs(round_trip_us.div_ceil(1_000)));
            self.schedule(there, Happening::Brought(cargo.place, cargo.ticket));
        }
    }

    /// Ends a transfer early.
    fn give_up(&mut self, id: u64, now: TimeMs) {
        let bytes = self.moving.transfers.stop(id);
        if let Some(cargo) = self.moving.under_way.remove(&id) {
            self.tell(&cargo, bytes, now);
        }
    }

    /// Tells the observer of a transfer whose last byte was sent at a moment. Says the round trip of its way.
    fn tell(&mut self, cargo: &Cargo, bytes: Bytes, at: TimeMs) -> u64 {
        let route = self.moving.routes[&cargo.ends].as_ref().expect("what is under way has a route");
        let (whole, round_trip_us) = (bytes == cargo.bytes, route.round_trip_us);
        let tail_ms = if whole { round_trip_us.div_ceil(1_000) } else { 0 };
        self.observer.moved(&Transfer {
            attempt: cargo.attempt,
            path: &route.path,
            bytes,
            whole,
            began_at: cargo.began_at,
            ended_at: at.after(DurationMs(tail_ms)),
            expected_ms: cargo.expected_ms,
        });
        round_trip_us
    }

    /// Puts the next end in line.
    fn await_next(&mut self) {
        let next = self.moving.transfers.next_end();
        if next == self.moving.due {
            return;
        }
        self.moving.due = next;
        self.moving.changes = self.moving.changes.wrapping_add(1);
        if let Some(at) = next {
            self.schedule(at, Happening::Moved(self.moving.changes));
        }
    }
}
