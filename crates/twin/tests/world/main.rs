//! Whole runs: the same every time, through snapshots too, and true to what was ordered.

mod faults;
mod moving;
mod network;
mod opaque;
mod replays;

use std::collections::{BTreeMap, BTreeSet};

use huisuan_control::{Refusal, State, Stored};
use huisuan_model::{AttemptId, Command, Entry, Event, TimeMs, command::Origin};
use huisuan_twin::{
    Observer, World,
    setup::Setup,
    workload::{Arrival, Family, Workload},
};
use proptest::prelude::*;

use crate::network::{START, busy};

/// Keeps the journal that a live server would have written.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    pub(crate) refusals: u64,
}

impl Observer for Journal {
    fn arrived(&mut self, _: TimeMs, _: &Arrival, refusal: Option<&Refusal>) {
        self.refusals += u64::from(refusal.is_some());
    }

    fn decided(&mut self, now: TimeMs, state: &State, origin: &Origin, command: &Command, events: &[Event]) {
        if !events.is_empty() {
            let (seq, version) = (state.version(), huisuan_model::command::ENTRY_VERSION);
            let (origin, command, events) = (origin.clone(), command.clone(), events.to_vec());
            self.entries.push(Entry { seq, at: now, version, origin, command, events });
        }
    }

    fn sampled(&mut self, _: TimeMs, _: &State) {}
}

pub(crate) fn world(seed: u64) -> World<Journal> {
    of(busy(seed), seed)
}

pub(crate) fn of((setup, families): (Setup, Vec<Family>), seed: u64) -> World<Journal> {
    let workload = Workload::new(families, Vec::new(), setup.start, setup.end, seed);
    World::new(setup, workload, Journal::default())
}

/// The state as a database would give it back.
fn restored(state: &State) -> State {
    let stored = Stored {
        version: state.version(),
        job_last: state.jobs_total(),
        tenants: state.tenants().values().cloned().collect(),
        centres: state.centres().values().cloned().collect(),
        jobs: vec![state.jobs().cloned().collect()],
        attempts: state.attempts().cloned().collect(),
        keys: Vec::new(),
        balances: state.ledger().balances().map(|(account, asset, sum)| ((account.clone(), asset), sum)).collect(),
        tallies: state.tenants().keys().filter_map(|id| Some((id.clone(), state.tally(id)?.clone()))).collect(),
        rules: state.tariffs().rules().into_iter().cloned().collect(),
        contracts: state.tariffs().contracts.all().into_iter().cloned().collect(),
    };
    let again = State::restore(stored).expect("books that balance");
    assert!(again == *state, "what is stored is not all of the state");
    again
}

#[test]
fn a_seed_gives_one_run() {
    let run = |seed| {
        let mut world = world(seed);
        world.run();
        (world.decisions().hash(), world.counts(), world.happened())
    };
    let first = run(7);
    assert!(first.1.jobs > 100 && first.1.events > 5_000, "{first:?}");
    assert_eq!(first, run(7));
    assert_ne!(first.0, run(8).0);
}

#[test]
fn a_restart_at_every_thousandth_event_changes_nothing() {
    let mut plain = world(3);
    plain.run();
    let mut restarted = world(3);
    let mut next = 1_000;
    while restarted.step().is_some() {
        if restarted.counts().events >= next {
            next += 1_000;
            restarted.replace_control(restored);
        }
    }
    assert_eq!(restarted.decisions().hash(), plain.decisions().hash());
    assert!(restarted.control() == plain.control());
}

/// What must be true of every journal: reports follow orders, no room is given twice, nothing ends before it begins.
fn judge(world: &World<Journal>) {
    let mut live: BTreeMap<AttemptId, Option<TimeMs>> = BTreeMap::new();
    let mut ended: BTreeSet<AttemptId> = BTreeSet::new();
    let mut attempts: BTreeMap<_, u32> = BTreeMap::new();
    for entry in &world.observer().entries {
        for event in &entry.events {
            match event {
                Event::TasksPlaced { job, tasks, .. } => {
                    for task in tasks.iter() {
                        let number = attempts.entry((*job, task)).or_default();
                        *number += 1;
                        let id = AttemptId { job: *job, task, attempt: *number };
                        assert!(live.insert(id, None).is_none() && !ended.contains(&id), "{id} is placed twice");
                    }
                }
                Event::AttemptStarted { attempt, at } => {
                    assert_eq!(live.insert(*attempt, Some(*at)), Some(None), "{attempt} starts once, after its order");
                    assert!(*at <= entry.at);
                }
                Event::AttemptEnded { attempt, started_at, at, usage, .. } => {
                    let started = live.remove(attempt).unwrap_or_else(|| panic!("{attempt} ends without an order"));
                    assert_eq!(started, *started_at, "{attempt}");
                    assert!(started.is_none_or(|start| at.since(start) == usage.wall), "{attempt}");
                    ended.insert(*attempt);
                }
                _ => {}
            }
        }
    }
    assert_eq!(live.len() as u64, world.control().attempts_live());
    world.control().ledger().audit().expect("books that balance");
    for centre in world.control().centres().values() {
        for pool in centre.pools.values() {
            let used = world.control().used(&centre.id, &pool.id).all;
            assert!(used.cores.0 <= pool.cores.0 * 65, "no more is placed than the look-ahead allows");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_run_is_true_to_its_orders(seed: u64) {
        let mut world = world(seed);
        world.run();
        judge(&world);
        prop_assert_eq!(world.observer().refusals, world.counts().refused);
        prop_assert!(world.observer().entries.iter().is_sorted_by_key(|entry| (entry.seq, entry.at)));
        prop_assert!(world.observer().entries.iter().all(|entry| entry.at >= START));
    }
}
