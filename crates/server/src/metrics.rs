//! Figures for monitoring, in OpenMetrics text. Everything is counted; nothing leaves the machine unasked.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use huisuan_control::{State, schedule::network::Figures};
use huisuan_model::{Entry, Event, JobState};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::reasons::Reasons;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

type GaugeU64 = Gauge<u64, AtomicU64>;

/// All figures of one server.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    commands: Family<CommandLabels, Counter>,
    commits: Counter,
    batch: Histogram,
    jobs_live: GaugeU64,
    jobs_ended: Family<StateLabel, Counter>,
    attempts_live: GaugeU64,
    waiting: Family<ReasonLabel, GaugeU64>,
    cycles: Histogram,
    placed: Counter,
    judged: Family<VerdictLabel, Counter>,
    network_plans: GaugeU64,
    network_gap_ppm: GaugeU64,
    requests: Family<StatusLabel, Counter>,
}

impl Metrics {
    pub(crate) fn new(state: &State) -> Self {
        let metrics = Metrics {
            registry: Mutex::new(Registry::with_prefix("huisuan")),
            commands: Family::default(),
            commits: Counter::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            jobs_live: GaugeU64::default(),
            jobs_ended: Family::default(),
            attempts_live: GaugeU64::default(),
            waiting: Family::default(),
            cycles: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
            placed: Counter::default(),
            judged: Family::default(),
            network_plans: GaugeU64::default(),
            network_gap_ppm: GaugeU64::default(),
            requests: Family::default(),
        };
        metrics.jobs_live.set(state.jobs().count() as u64);
        metrics.attempts_live.set(state.attempts().count() as u64);
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register("commands", "Commands by kind and outcome", self.commands.clone());
        registry.register("commits", "Transactions committed", self.commits.clone());
        registry.register("commit_entries", "Journal entries of one transaction", self.batch.clone());
        registry.register("jobs_live", "Jobs that have not ended", self.jobs_live.clone());
        registry.register("jobs_ended", "Jobs that ended, by state", self.jobs_ended.clone());
        registry.register("attempts_live", "Attempts placed or running", self.attempts_live.clone());
        registry.register("waiting_shapes", "Shapes of waiting jobs by dominant reason", self.waiting.clone());
        let cycle = "Time of a scheduling cycle, its snapshot left out";
        registry.register_with_unit("cycle", cycle, Unit::Seconds, self.cycles.clone());
        registry.register("tasks_placed", "Tasks placed", self.placed.clone());
        let judged = "Plans that the independent judge looked at, by verdict";
        registry.register("plans_judged", judged, self.judged.clone());
        let plans = "Plans of the network level since the server started";
        registry.register("network_plans", plans, self.network_plans.clone());
        let gap = "Gap of the last plan of the network level to its proven bound, in millionths";
        registry.register("network_gap_ppm", gap, self.network_gap_ppm.clone());
        registry.register("http_requests", "Requests by status", self.requests.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
    }

    pub(crate) fn command(&self, command: &'static str, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "refused" };
        self.commands.get_or_create(&CommandLabels { command, outcome }).inc();
    }

    /// Counts a commit; `live` are the jobs and attempts that had not ended as of it.
    pub(crate) fn committed(&self, live: (u64, u64), entries: &[Arc<Entry>]) {
        self.commits.inc();
        self.batch.observe(entries.len() as f64);
        self.jobs_live.set(live.0);
        self.attempts_live.set(live.1);
        for event in entries.iter().flat_map(|entry| &entry.events) {
            match event {
                Event::JobEnded { state, .. } => self.ended(*state),
                Event::TasksPlaced { tasks, .. } => _ = self.placed.inc_by(tasks.len()),
                _ => {}
            }
        }
    }

    fn ended(&self, state: JobState) {
        self.jobs_ended.get_or_create(&StateLabel { state: state.as_str() }).inc();
    }

    pub(crate) fn cycle(&self, took: Duration, placements: usize) {
        self.cycles.observe(took.as_secs_f64());
        tracing::debug!(took_us = took.as_micros() as u64, placements, "cycle");
    }

    pub(crate) fn judged(&self, good: bool) {
        let verdict = if good { "good" } else { "refused" };
        self.judged.get_or_create(&VerdictLabel { verdict }).inc();
    }

    pub(crate) fn network_level(&self, figures: Figures) {
        self.network_plans.set(figures.plans);
        self.network_gap_ppm.set(u64::from(figures.gap_ppm));
    }

    pub(crate) fn reasons(&self, reasons: &Reasons) {
        self.waiting.clear();
        for (reason, shapes) in reasons.count_by_code() {
            self.waiting.get_or_create(&ReasonLabel { reason }).set(shapes);
        }
    }

    pub(crate) fn request(&self, status: u16) {
        self.requests.get_or_create(&StatusLabel { status }).inc();
    }

    /// The figures as OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut written = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut written, &registry).expect("writing to memory does not fail");
        written
    }
}
