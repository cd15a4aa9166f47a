//! The world and its loop: the only place of the twin that calls `control` and `schedule`.

use std::collections::BTreeMap;

use huisuan_control::{
    Refusal, State, execute, orders_of,
    schedule::{
        Memory, check, cycle_with,
        network::{Figures, Level},
    },
    snapshot, wakes_planner,
};
use huisuan_model::{
    CentreId, Command, DurationMs, Event, JobId, JobState, Order, PoolId, ProjectId, TenantId, TimeMs, command::Origin,
};

use super::{
    Observer, faults,
    happening::{Happening, Place},
    moving::Moving,
    origins::Origins,
    site::{Later, VirtualCentre},
};
use crate::{
    decision::Decisions,
    kernel::Kernel,
    random::Stream,
    setup::Setup,
    workload::{Arrival, Truth, Workload},
};

/// Of so many plans the independent judge looks at one; at all of them in a development build.
const JUDGED_EVERY: u64 = 64;

/// How much was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs that came, refused ones included.
    pub jobs: u64,
    /// Jobs that were refused at the door.
    pub refused: u64,
    /// Events of `control`.
    pub events: u64,
    /// Cycles of the scheduler.
    pub cycles: u64,
    /// Tasks that plans let start because others of the same plan had moved.
    pub improved: u64,
}

/// A simulated network under way.
pub struct World<O> {
    pub(super) setup: Setup,
    pub(super) kernel: Kernel<Happening>,
    state: State,
    workload: Workload,
    next: Option<Arrival>,
    pub(super) centres: Vec<VirtualCentre>,
    pub(super) places: BTreeMap<CentreId, Place>,
    /// The truth about every job that has not ended, and whose it is.
    truths: BTreeMap<JobId, (Truth, TenantId, ProjectId)>,
    /// What a measurement of each pool gives, in millionths of its true rate.
    pub(super) noise_ppm: BTreeMap<(CentreId, PoolId), u64>,
    pub(super) fault_streams: Vec<Stream>,
    planned_at: Option<TimeMs>,
    plan_due: bool,
    later: Later,
    decisions: Decisions,
    counts: Counts,
    level: Level,
    memory: Memory,
    pub(super) moving: Moving,
    pub(super) origins: Origins,
    pub(super) observer: O,
}

impl<O: Observer> World<O> {
    /// A network that is about to begin: tenants and centres are known and rated, no job has come.
    ///
    /// # Panics
    ///
    /// When a centre has a name twice, a fault names a centre that is none, or `control` refuses what `setup` says:
    /// who makes a setup checks it first.
    pub fn new(setup: Setup, workload: Workload, observer: O) -> Self {
        let place = |at: usize| Place::try_from(at).expect("at most 65,536 centres");
        let centres: Vec<_> =
            setup.sites.iter().enumerate().map(|(at, site)| VirtualCentre::new(site, place(at))).collect();
        let places = centres.iter().enumerate().map(|(at, site)| (site.id.clone(), place(at))).collect();
        let streams = Stream::new(setup.seed, "faults");
        let mut world = World {
            kernel: Kernel::new(setup.start),
            state: State::with_policy(setup.planning.policy.clone()).without_rows(),
            workload,
            next: None,
            centres,
            places,
            truths: BTreeMap::new(),
            noise_ppm: setup.noise_ppm(),
            fault_streams: (0..setup.faults.len()).map(|at| streams.child(at as u64)).collect(),
            planned_at: None,
            plan_due: false,
            later: Later::new(),
            decisions: Decisions::default(),
            counts: Counts::default(),
            level: Level::default(),
            memory: Memory::default(),
            moving: Moving::new(&setup),
            origins: Origins::new(&setup),
            observer,
            setup,
        };
        world.found();
        world
    }

    /// Opens tenants and centres and puts the first events in line.
    fn found(&mut self) {
        let now = self.setup.start;
        let projects = self.workload.projects();
        for (mut tenant, funds) in self.setup.tenants.clone() {
            for project in projects.get(&tenant.id).into_iter().flatten() {
                tenant.projects.entry(project.clone()).or_insert(1);
            }
            let origin = Origin { tenant: tenant.id.clone(), ..self.origins.operator.clone() };
            self.insist(&origin, &Command::SetTenant(tenant), now);
            if !funds.is_zero() {
                self.insist(&origin, &Command::Fund { amount: funds }, now);
            }
        }
        for site in self.setup.sites.clone() {
            self.insist(&self.origins.operator.clone(), &Command::SetCentre(Box::new(site.centre.clone())), now);
            self.tell_inventory(&site.centre.id, now);
        }
        for asked in self.setup.reservations.clone() {
            self.insist(&self.origins.operator.clone(), &Command::Reserve(Box::new(asked.clone())), now);
            // Nothing changes in the state when it begins or ends, but there is room.
            self.schedule(asked.from.max(now), Happening::Turn);
            self.schedule(asked.until.max(now), Happening::Turn);
        }
        for (index, fault) in self.setup.faults.clone().iter().enumerate() {
            match faults::first(index, fault) {
                Some((at, happening)) => self.schedule(at, happening),
                None => self.next_node_failure(u32::try_from(index).expect("less than 2^32 faults"), now),
            }
        }
        self.schedule(now, Happening::Sample);
        self.await_arrival();
    }

    /// Lets the next event happen; `None` when the time is over or nothing is left to happen.
    pub fn step(&mut self) -> Option<TimeMs> {
        let (now, happening) = self.kernel.take()?;
        if now >= self.setup.end {
            return None;
        }
        match happening {
            Happening::Arrive => self.arrive(now),
            Happening::Plan => self.plan(now),
            Happening::Deliver(place) => self.at(place, |site, later| site.perform(now, later)),
            Happening::Report(place) => self.report(place, now),
            Happening::Moved(change) => self.moved(change, now),
            Happening::Brought(place, ticket) => self.at(place, |site, later| site.brought(ticket, now, later)),
            Happening::Begin(place, ticket) => self.at(place, |site, later| site.begin(ticket, now, later)),
            Happening::End(place, ticket) => self.at(place, |site, later| site.end(ticket, now, later)),
            Happening::Fault(number) => self.fault(number, now),
            Happening::Notice(number) => self.notice(number, now),
            Happening::Mend(number) => self.mend(number, now),
            Happening::Turn => self.wake(now),
            Happening::Sample => {
                self.observer.sampled(now, &self.state);
                self.schedule(now.after(DurationMs(self.setup.sample_every_ms.max(1))), Happening::Sample);
            }
        }
        Some(now)
    }

    /// Runs to the end.
    pub fn run(&mut self) {
        while self.step().is_some() {}
        self.close();
    }

    /// Shows the observer the state at the end; called once, after the last step.
    pub fn close(&mut self) {
        self.stop_moving(self.setup.end);
        self.observer.sampled(self.setup.end, &self.state);
    }

    /// The state of the control plane.
    pub fn control(&self) -> &State {
        &self.state
    }

    /// Puts another state in place of that of the control plane, which must be equal to it, such as one restored
    /// from stored rows.
    pub fn replace_control(&mut self, replace: impl FnOnce(&State) -> State) {
        self.state = replace(&self.state).without_rows();
    }

    /// What was decided.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// How good the plans of the network level were.
    pub fn network_level(&self) -> Figures {
        self.level.figures()
    }

    /// How much was done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many events of the kernel happened.
    pub fn happened(&self) -> u64 {
        self.kernel.handled()
    }

    /// Who watches.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// Ends the world and gives its observer back.
    pub fn into_observer(self) -> O {
        self.observer
    }

    pub(super) fn schedule(&mut self, at: TimeMs, happening: Happening) {
        self.kernel.schedule(at, happening.rank(), happening);
    }

    /// Lets a centre act and puts in line what it wants to happen later.
    pub(super) fn at(&mut self, place: Place, act: impl FnOnce(&mut VirtualCentre, &mut Later)) {
        let mut later = std::mem::take(&mut self.later);
        act(&mut self.centres[usize::from(place)], &mut later);
        later.drain(..).for_each(|(at, happening)| self.schedule(at, happening));
        self.later = later;
        let wishes = std::mem::take(&mut self.centres[usize::from(place)].wishes);
        if !wishes.is_empty() {
            self.carry(place, wishes);
        }
    }

    fn await_arrival(&mut self) {
        self.next = self.workload.take();
        if let Some(arrival) = &self.next {
            self.schedule(arrival.at, Happening::Arrive);
        }
    }

    fn arrive(&mut self, now: TimeMs) {
        if let Some(arrival) = self.next.take() {
            self.submit(arrival, now);
        }
        self.await_arrival();
    }

    fn submit(&mut self, arrival: Arrival, now: TimeMs) {
        let origin = Origin {
            actor: self.origins.user.clone(),
            tenant: arrival.tenant.clone(),
            project: arrival.project.clone(),
            cause: String::new(),
        };
        self.counts.jobs += 1;
        let command = Command::Submit { spec: arrival.spec.clone(), key: None, ended: Vec::new() };
        let refusal = self.execute(&origin, &command, now).err();
        self.observer.arrived(now, &arrival, refusal.as_ref());
        match refusal {
            Some(_) => self.counts.refused += 1,
            None => {
                let Arrival { truth, tenant, project, .. } = arrival;
                self.truths.insert(JobId(self.state.jobs_total()), (truth, tenant, project));
            }
        }
    }

    /// One cycle of the scheduler, as the planner makes it.
    fn plan(&mut self, now: TimeMs) {
        self.plan_due = false;
        self.planned_at = Some(now);
        self.counts.cycles += 1;
        let planning = &self.setup.planning;
        let policy = self.state.policy();
        let mut seen = snapshot(&self.state);
        self.level.before(&mut seen, policy, now);
        // Nobody asks a twin why something waits.
        let budget = planning.budget.unexplained();
        let plan = cycle_with(&mut self.memory, &seen, policy, now, budget, planning.seed);
        if cfg!(debug_assertions) || self.counts.cycles.is_multiple_of(JUDGED_EVERY) {
            let judged = check(&seen, policy, now, &plan);
            assert!(judged.is_ok(), "a plan breaks a rule at {now}, seed {}: {judged:?}", self.setup.seed);
        }
        self.moving.see(&seen.traffic);
        // What it shares with the state would be copied before it changes.
        drop(seen);
        let seen_at = Some(self.state.seen_at());
        let mut plan = plan.made_with(now, planning.seed.0, &policy.name).seen_at(seen_at);
        self.level.after(&mut plan);
        if plan.changes_nothing() {
            return;
        }
        self.counts.improved += plan.improvements.iter().map(|one| one.tasks.len()).sum::<u64>();
        let stops: u64 = plan.preemptions.iter().map(|preemption| preemption.tasks.len()).sum();
        let asked = plan.placements.len() + usize::try_from(stops).unwrap_or(usize::MAX);
        let taken = self.insist(&self.origins.planner.clone(), &Command::Plan(plan.into()), now);
        if taken < asked {
            // The world moved on under the plan: what was dropped is planned again.
            self.wake(now);
        }
    }

    fn report(&mut self, place: Place, now: TimeMs) {
        let mut batch = None;
        self.at(place, |site, later| batch = site.batch(later, now));
        let Some((seq, reports)) = batch else { return };
        let centre = self.centres[usize::from(place)].id.clone();
        let origin = self.origins.agents[usize::from(place)].clone();
        self.insist(&origin, &Command::Report { centre, seq, reports, past: None }, now);
    }

    /// Executes a command that `control` cannot refuse. Says how many events it became.
    pub(super) fn insist(&mut self, origin: &Origin, command: &Command, now: TimeMs) -> usize {
        let name = command.name();
        self.execute(origin, command, now).unwrap_or_else(|refusal| panic!("the twin's own `{name}`: {refusal}"))
    }

    pub(super) fn execute(&mut self, origin: &Origin, command: &Command, now: TimeMs) -> Result<usize, Refusal> {
        let events = execute(&mut self.state, origin, command, now)?;
        self.counts.events += events.len() as u64;
        for event in &events {
            self.decisions.take(event);
            self.give_orders(event, now);
        }
        if events.iter().any(|event| wakes_planner(&self.state, event)) {
            self.wake(now);
        }
        self.observer.decided(now, &self.state, origin, command, &events);
        for event in &events {
            match event {
                Event::AttemptStarted { attempt, .. } | Event::AttemptEnded { attempt, .. } => {
                    self.moving.forget(*attempt);
                }
                Event::JobEnded { job, state, .. } => self.ended(*job, *state, now),
                _ => {}
            }
        }
        Ok(events.len())
    }

    fn give_orders(&mut self, event: &Event, now: TimeMs) {
        for (centre, order) in orders_of(&self.state, event) {
            let attempt = match &order {
                Order::Start(start) => {
                    self.moving.expect(start.attempt, &start.spec, &centre);
                    start.attempt
                }
                Order::Stop(attempt) => *attempt,
            };
            let (Some(row), Some((truth, ..))) = (self.state.attempt(attempt), self.truths.get(&attempt.job)) else {
                continue;
            };
            let place = self.places[&centre];
            let site = &mut self.centres[usize::from(place)];
            site.inbox.push_back((row.pool.clone(), truth.clone(), order));
            let delay_ms = site.order_delay_ms;
            if site.inbox.len() == 1 {
                self.schedule(now.after(DurationMs(delay_ms)), Happening::Deliver(place));
            }
        }
    }

    /// A job has ended: nothing needs its truth any more, and others may have waited for it.
    fn ended(&mut self, job: JobId, state: JobState, now: TimeMs) {
        let Some((truth, tenant, project)) = self.truths.remove(&job) else { return };
        if state == JobState::Succeeded {
            let followers = self.workload.followers(truth.family, (&tenant, &project), now);
            followers.into_iter().for_each(|arrival| self.submit(arrival, now));
        }
    }

    /// Has a cycle made soon, if none is due.
    fn wake(&mut self, now: TimeMs) {
        if self.plan_due {
            return;
        }
        self.plan_due = true;
        let rested = self.planned_at.map_or(now, |last| last.after(DurationMs(self.setup.planning.every_ms)));
        self.schedule(rested.max(now), Happening::Plan);
    }
}
