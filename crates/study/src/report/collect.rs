//! Watches a run and adds up what a report says.

use std::collections::BTreeMap;

use huisuan_model::{
    AttemptId, CentreId, Class, Command, EndCause, Event, JobId, JobSpec, JobState, PoolId, TenantId, TimeMs,
    command::Origin, spec::Need,
};
use huisuan_twin::{
    Observer, Transfer,
    control::{Refusal, State},
    workload::Arrival,
};

use super::{
    moves::{self, LineTally},
    series::Line,
    tally::{Away, Group, PoolTally},
};
use crate::{
    scenario::{HOURS, Scenario},
    statistics::quantile,
};

/// Collects the figures of one run.
#[derive(Debug)]
pub struct Collector<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) pools: Vec<PoolTally>,
    place_of: BTreeMap<(CentreId, PoolId), usize>,
    /// Attempts that take room.
    pub(super) attempts: BTreeMap<AttemptId, Taken>,
    /// Jobs that have not ended.
    pub(super) jobs: BTreeMap<JobId, Seen>,
    pub(super) families: Vec<Group>,
    pub(super) tenants: BTreeMap<TenantId, Group>,
    /// Waits of started jobs, in milliseconds.
    pub(super) waits: BTreeMap<Class, Vec<u64>>,
    /// The same since the last sample.
    recent: BTreeMap<Class, Vec<u64>>,
    waiting: BTreeMap<Class, u64>,
    running: BTreeMap<Class, u64>,
    pub(super) waiting_max: BTreeMap<Class, u64>,
    /// Tasks that ran away from home, by family and pool.
    pub(super) away: BTreeMap<(usize, usize), Away>,
    /// What each direction of a link carried, by the places of its ends.
    pub(super) lines_used: BTreeMap<(usize, usize), LineTally>,
    pub(super) lines: Vec<Line>,
    sampled_at: TimeMs,
    submitted: Option<JobId>,
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) family: usize,
    pub(super) tenant: TenantId,
    pub(super) at: TimeMs,
    class: Class,
    busy_percent: u64,
    gang: bool,
    placed: bool,
    pub(super) started: bool,
}

/// An attempt that takes room: its pool, its part of it, and what it keeps busy while it runs.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) pool: usize,
    part: u64,
    busy: u64,
}

impl<'a> Collector<'a> {
    /// Nothing has happened yet.
    pub fn new(scenario: &'a Scenario) -> Self {
        let start = scenario.setup.start;
        let mut pools = Vec::new();
        let mut place_of = BTreeMap::new();
        for (centre, (site, facts)) in scenario.setup.sites.iter().zip(&scenario.facts.sites).enumerate() {
            for pool in &site.pools {
                place_of.insert((site.centre.id.clone(), pool.id.clone()), pools.len());
                pools.push(PoolTally::new(centre, pool, facts.pools[&pool.id], start));
            }
        }
        let group = |_: &_| Group::default();
        Collector {
            scenario,
            pools,
            place_of,
            attempts: BTreeMap::new(),
            jobs: BTreeMap::new(),
            families: scenario.facts.families.iter().map(group).collect(),
            tenants: scenario.setup.tenants.iter().map(|(tenant, _)| (tenant.id.clone(), Group::default())).collect(),
            waits: BTreeMap::new(),
            recent: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting_max: BTreeMap::new(),
            away: BTreeMap::new(),
            lines_used: BTreeMap::new(),
            lines: Vec::new(),
            sampled_at: start,
            submitted: None,
        }
    }

    /// The time series so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The class that a job waits for: that of its spec, or of the first centre with hardware of its kind.
    fn class_of(&self, spec: &JobSpec) -> Class {
        let wants_devices = match &spec.need {
            Need::Rate { class, .. } => return *class,
            Need::Hardware { devices, .. } => devices.is_some(),
        };
        let site = self.scenario.setup.sites.iter().find(|site| {
            let named = spec.centres.is_empty() || spec.centres.contains(&site.centre.id);
            named && site.pools.iter().any(|pool| pool.devices.is_zero() != wants_devices)
        });
        spec.class.or(site.map(|site| site.centre.class)).unwrap_or(Class::General)
    }

    fn each_group(&mut self, family: usize, tenant: &TenantId, change: impl Fn(&mut Group)) {
        change(&mut self.families[family]);
        self.tenants.get_mut(tenant).into_iter().for_each(change);
    }

    fn event(&mut self, now: TimeMs, event: &Event) {
        match event {
            Event::JobSubmitted { job, .. } => self.submitted = Some(*job),
            Event::TasksPlaced { .. } => self.placed(now, event),
            Event::AttemptStarted { attempt, at } => self.started(now, *attempt, *at),
            Event::AttemptEnded { .. } => self.ended(now, event),
            Event::JobEnded { job, state, .. } => self.job_ended(*job, *state),
            _ => {}
        }
    }

    fn placed(&mut self, now: TimeMs, event: &Event) {
        let Event::TasksPlaced { job, tasks, centre, pool, cores, devices, nodes, .. } = event else { return };
        let Some(&place) = self.place_of.get(&(centre.clone(), pool.clone())) else { return };
        let Some(seen) = self.jobs.get_mut(job) else { return };
        if !std::mem::replace(&mut seen.placed, true) {
            *self.waiting.entry(seen.class).or_default() -= 1;
        }
        let tally = &mut self.pools[place];
        let part = if tally.devices { devices.0 } else { cores.0 };
        tally.placements += tasks.len();
        tally.allocated.rise(now.0, part * tasks.len());
        *self.running.entry(tally.class).or_default() += tasks.len();
        if let Some(topology) = tally.topology.filter(|_| seen.gang && !nodes.is_empty()) {
            let (family, tenant) = (seen.family, seen.tenant.clone());
            self.each_group(family, &tenant, |group| group.gangs.count(&topology, nodes));
        }
    }

    fn started(&mut self, now: TimeMs, attempt: AttemptId, at: TimeMs) {
        let Some(seen) = self.jobs.get_mut(&attempt.job) else { return };
        let Some(taken) = self.attempts.get_mut(&attempt) else { return };
        let tally = &mut self.pools[taken.pool];
        taken.busy = taken.part * seen.busy_percent / 100;
        tally.busy.rise(now.0, taken.busy);
        let facts = &self.scenario.facts.families[seen.family];
        if facts.home().is_some_and(|home| home != tally.centre) {
            self.away.entry((seen.family, taken.pool)).or_default().tasks += 1;
        }
        let group = &mut self.families[seen.family];
        group.round_trip_ms += facts.round_trip_ms[tally.centre].unwrap_or(0.0);
        group.tasks += 1;
        if !std::mem::replace(&mut seen.started, true) {
            let wait_ms = at.since(seen.at).0;
            self.waits.entry(tally.class).or_default().push(wait_ms);
            self.recent.entry(tally.class).or_default().push(wait_ms);
            let (family, tenant) = (seen.family, seen.tenant.clone());
            self.each_group(family, &tenant, |group| group.waits_ms.push(wait_ms));
        }
    }

    fn ended(&mut self, now: TimeMs, event: &Event) {
        let Event::AttemptEnded { attempt, outcome, work, cost, started_at, at, .. } = event else { return };
        let Some(taken) = self.attempts.remove(attempt) else { return };
        let tally = &mut self.pools[taken.pool];
        let class = tally.class;
        tally.allocated.fall(now.0, taken.part);
        tally.busy.fall(now.0, taken.busy);
        tally.lost += u64::from(outcome.cause == EndCause::Lost);
        tally.work += u128::from(work.0);
        tally.cost += i128::from(cost.0);
        *self.running.entry(class).or_default() -= 1;
        let Some(seen) = self.jobs.get(&attempt.job) else { return };
        let (family, tenant) = (seen.family, seen.tenant.clone());
        if let Some(away) = self.away.get_mut(&(family, taken.pool)) {
            away.work += u128::from(work.0);
            let hours = moves::by_hour(started_at.unwrap_or(*at), *at, self.scenario.facts.zone_ms);
            for (sum, ms) in away.busy_ms.iter_mut().zip(hours) {
                *sum += u128::from(taken.busy) * u128::from(ms);
            }
        }
        self.each_group(family, &tenant, |group| {
            group.cost += i128::from(cost.0);
            *group.work.entry(class).or_default() += u128::from(work.0);
        });
    }

    fn job_ended(&mut self, job: JobId, state: JobState) {
        let Some(seen) = self.jobs.remove(&job) else { return };
        if !seen.placed {
            *self.waiting.entry(seen.class).or_default() -= 1;
        }
        self.each_group(seen.family, &seen.tenant, |group| match state {
            JobState::Succeeded => group.succeeded += 1,
            _ => group.failed += 1,
        });
    }
}

impl Observer for Collector<'_> {
    fn arrived(&mut self, now: TimeMs, arrival: &Arrival, refusal: Option<&Refusal>) {
        let (family, tenant) = (arrival.truth.family, &arrival.tenant);
        self.each_group(family, tenant, |group| {
            group.jobs += 1;
            if let Some(refusal) = refusal {
                group.refused += 1;
                group.refusal.get_or_insert_with(|| refusal.to_string());
            }
        });
        if let Some(job) = self.submitted.take().filter(|_| refusal.is_none()) {
            let class = self.class_of(&arrival.spec);
            *self.waiting.entry(class).or_default() += 1;
            let busy_percent = arrival.truth.busy_percent;
            let tenant = tenant.clone();
            let gang = arrival.spec.gang && arrival.spec.tasks.len() > 1;
            let seen = Seen { family, tenant, at: now, class, busy_percent, gang, placed: false, started: false };
            self.jobs.insert(job, seen);
        }
    }

    fn decided(&mut self, now: TimeMs, state: &State, _: &Origin, _: &Command, events: &[Event]) {
        for event in events {
            self.event(now, event);
            let Event::TasksPlaced { job, tasks, centre, pool, cores, devices, .. } = event else { continue };
            let Some((row, &place)) = state.job(*job).zip(self.place_of.get(&(centre.clone(), pool.clone()))) else {
                continue;
            };
            let part = if self.pools[place].devices { devices.0 } else { cores.0 };
            for task in tasks.iter() {
                let id = AttemptId { job: *job, task, attempt: row.attempt_of(task) };
                self.attempts.insert(id, Taken { pool: place, part, busy: 0 });
            }
        }
    }

    fn moved(&mut self, transfer: &Transfer<'_>) {
        self.transferred(transfer);
    }

    fn sampled(&mut self, now: TimeMs, _: &State) {
        let start = self.scenario.setup.start;
        let span_ms = now.since(self.sampled_at).0;
        let hours = (self.sampled_at.0 + self.scenario.facts.zone_ms).div_euclid(3_600_000);
        let hour = usize::try_from(hours.rem_euclid(HOURS as i64)).expect("an hour of the day");
        let mut line = Line { at_s: now.since(start).0 as f64 / 1_000.0, ..Line::default() };
        let mut rates: BTreeMap<Class, f64> = BTreeMap::new();
        for pool in &mut self.pools {
            let facts = &self.scenario.facts.sites[pool.centre];
            let part = pool.advance(now, span_ms, hour, facts);
            *rates.entry(pool.class).or_default() += pool.rate;
            *line.allocated.entry(pool.class).or_default() += part.allocated * pool.rate;
            *line.used.entry(pool.class).or_default() += part.busy * pool.rate;
            line.power_kw += part.power_w / 1_000.0;
            let id = &self.scenario.setup.sites[pool.centre].centre.id;
            let centre = line.centres.entry(id.clone()).or_default();
            centre.cost_cny += pool.cost as f64 / 1e6;
            centre.energy_kwh += pool.energy_kwh;
            centre.energy_cny += pool.energy_cny;
            centre.carbon_kg += pool.carbon_kg;
        }
        for (class, rate) in rates {
            line.allocated.entry(class).and_modify(|sum| *sum /= rate);
            line.used.entry(class).and_modify(|sum| *sum /= rate);
            line.waiting.insert(class, self.waiting.get(&class).copied().unwrap_or(0));
            line.running.insert(class, self.running.get(&class).copied().unwrap_or(0));
        }
        for (class, waits_ms) in &mut self.recent {
            waits_ms.sort_unstable();
            let p50 = quantile(waits_ms, 500);
            line.wait_p50_s.extend(p50.map(|ms| (*class, ms as f64 / 1_000.0)));
            waits_ms.clear();
        }
        for (&class, &count) in &self.waiting {
            let most = self.waiting_max.entry(class).or_default();
            *most = count.max(*most);
        }
        self.sampled_at = now;
        self.lines.push(line);
    }
}
