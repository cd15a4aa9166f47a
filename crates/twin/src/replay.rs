//! Makes every plan of a journal again, from the state at the version from which it was made.
//!
//! A journal is read twice: first for the versions at which plans were made ([`Replay::expect`]), then to fold it
//! ([`Replay::take`]). The state always follows the journal, so that one plan that differs does not make all later
//! ones differ too: under another policy each difference is what that policy would have done at that moment.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_control::{State, apply, hold_each, schedule::cycle, snapshot};
use huisuan_model::{CentreId, Command, Entry, Placement, Plan, Targets, TimeMs};
use huisuan_schedule::{Budget, Policy, Seed, network::Level};

/// A plan that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entry of the journal that has the plan.
    pub seq: u64,
    /// What it placed.
    pub before: Vec<Placement>,
    /// What was placed now.
    pub after: Vec<Placement>,
}

/// Sums over the placements of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Tasks placed, by centre.
    pub tasks: BTreeMap<CentreId, u64>,
    /// What would be held for them, in millionths of the currency.
    pub held: i128,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Entries folded.
    pub entries: u64,
    /// Plans in the journal.
    pub plans: u64,
    /// Plans that came out the same.
    pub identical: u64,
    /// Plans that came out otherwise under the very policy that they name.
    pub broken: u64,
    /// Plans of which the journal does not say what they were made with: the moment of their entry and seed 0 stood
    /// in.
    pub without_basis: u64,
    /// Plans made under a policy that nobody knows here by its name: that of the state stood in.
    pub without_policy: u64,
    /// The first plans that came out otherwise.
    pub differences: Vec<Difference>,
    /// What the journal's plans placed.
    pub before: Side,
    /// What the new plans placed.
    pub after: Side,
}

/// The most differences that are kept whole.
const DIFFERENCES_MAX: usize = 100;

/// A replay under way.
#[derive(Debug, Default)]
pub struct Replay {
    state: State,
    /// Under which policy plans are made; that of each plan of the journal when `None`.
    policy: Option<Policy>,
    /// The policies that a journal may name beside that of the state.
    named: Option<fn(&str) -> Option<Policy>>,
    /// Plans to make at each version: entry, plan of the journal, moment of the entry.
    expected: BTreeMap<u64, Vec<Expected>>,
    /// What the network level wanted, by the entries of the plans that told it.
    targets: BTreeMap<u64, Arc<Targets>>,
    /// Plans made, by entry.
    made: BTreeMap<u64, (Plan, Side, Side)>,
    found: Replayed,
}

#[derive(Debug)]
struct Expected {
    seq: u64,
    plan: Plan,
}

impl Replay {
    /// Nothing is folded yet; `policy` is that of each plan of the journal when `None`.
    pub fn new(policy: Option<Policy>) -> Self {
        // What counts as a short task is a matter of the policy, too.
        let state = State::with_policy(policy.clone().unwrap_or_default());
        Replay { state, policy, ..Replay::default() }
    }

    /// The same, with the policies that plans of the journal may name beside that of the state.
    #[must_use]
    pub fn knowing(self, named: fn(&str) -> Option<Policy>) -> Self {
        Replay { named: Some(named), ..self }
    }

    /// Notes the plan of an entry, if it is one. Called for every entry before the first is folded.
    pub fn expect(&mut self, entry: &Entry) {
        let Command::Plan(plan) = &entry.command else { return };
        let mut plan = (**plan).clone();
        self.found.plans += 1;
        if plan.basis.is_none() {
            self.found.without_basis += 1;
            plan = plan.made_with(entry.at, 0, &self.state.policy().name);
        }
        if let Some(targets) = plan.basis.as_ref().and_then(|basis| basis.targets.clone()) {
            self.targets.insert(entry.seq, targets);
        }
        self.expected.entry(plan.version).or_default().push(Expected { seq: entry.seq, plan });
        // A plan of the state before the first entry is made at once.
        if self.state.version() == 0 {
            self.make(0);
        }
    }

    /// Folds an entry, makes the plans of the version that it leads to, and compares its own plan if it is one.
    ///
    /// # Panics
    ///
    /// When the entry contradicts those before it: the journal is broken.
    pub fn take(&mut self, entry: &Entry) {
        if let Some((after, side_before, side_after)) = self.made.remove(&entry.seq) {
            self.compare(entry, after);
            add(&mut self.found.before, side_before);
            add(&mut self.found.after, side_after);
        }
        entry.events.iter().for_each(|event| apply(&mut self.state, event));
        self.state.set_version(entry.seq);
        self.state.set_seen_at(entry.at);
        self.found.entries += 1;
        self.make(entry.seq);
    }

    /// What was found so far.
    pub fn found(&self) -> &Replayed {
        &self.found
    }

    fn make(&mut self, version: u64) {
        for Expected { seq, plan } in self.expected.remove(&version).unwrap_or_default() {
            let basis = plan.basis.as_ref().expect("an expected plan has a basis");
            let policy = &self.policy_of(&basis.policy);
            let (now, seed) = (basis.now, Seed(basis.seed));
            // Targets hold until a plan tells of others.
            let told = self.targets.range(..=seq).next_back().map(|(_, targets)| targets.clone());
            // Plans of earlier versions do not tell: the moment of the last entry stands in.
            basis.seen_at.into_iter().for_each(|at| self.state.set_seen_at(at));
            let mut seen = snapshot(&self.state);
            seen.targets = told.filter(|_| Level::concerns(&seen, policy));
            let made = cycle(&seen, policy, now, Budget::default().unexplained(), seed);
            let sides = (self.side(&plan, now), self.side(&made, now));
            let mut made = made.made_with(now, seed.0, &policy.name).seen_at(basis.seen_at);
            made.basis.iter_mut().for_each(|made| made.targets = basis.targets.clone());
            self.made.insert(seq, (made, sides.0, sides.1));
        }
    }

    /// Sums up what a plan places.
    fn side(&self, plan: &Plan, now: TimeMs) -> Side {
        let mut side = Side::default();
        for placement in &plan.placements {
            let tasks = placement.tasks.len();
            *side.tasks.entry(placement.centre.clone()).or_default() += tasks;
            let held = hold_each(&self.state, placement, now).unwrap_or_default();
            side.held += i128::from(held.0) * i128::from(tasks);
        }
        side
    }

    /// The policy to make a plan under that was made under the one of this name.
    fn policy_of(&mut self, name: &str) -> Policy {
        if let Some(policy) = &self.policy {
            return policy.clone();
        }
        let of_state = self.state.policy();
        if of_state.name == name {
            return of_state.clone();
        }
        let of_state = of_state.clone();
        self.named.and_then(|named| named(name)).unwrap_or_else(|| {
            self.found.without_policy += 1;
            of_state
        })
    }

    fn compare(&mut self, entry: &Entry, after: Plan) {
        let Command::Plan(before) = &entry.command else { return };
        // Old plans do not say what they were made with: only what they decided is compared then.
        let own = |name: &str| self.policy.as_ref().is_none_or(|policy| policy.name == name);
        let own = before.basis.as_ref().map(|basis| own(&basis.policy));
        let same = match own {
            Some(true) => **before == after,
            _ => before.placements == after.placements,
        };
        self.found.broken += u64::from(!same && own.unwrap_or(self.policy.is_none()));
        if same {
            self.found.identical += 1;
        } else if self.found.differences.len() < DIFFERENCES_MAX {
            let (before, after) = (before.placements.clone(), after.placements);
            self.found.differences.push(Difference { seq: entry.seq, before, after });
        }
    }
}

fn add(sum: &mut Side, side: Side) {
    for (centre, tasks) in side.tasks {
        *sum.tasks.entry(centre).or_default() += tasks;
    }
    sum.held += side.held;
}
