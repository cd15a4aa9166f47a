//! Planning beside the writer: takes a snapshot, runs a cycle, sends the plan back as a command.

use std::{
    sync::{Arc, RwLock},
    thread,
    time::{Duration, Instant},
};

use huisuan_control::schedule::{Budget, Memory, Seed, cycle_with, network::Level};
use huisuan_model::{Command, Plan, command::Origin};

use crate::{
    clock::Clock, failpoint::failpoint, identity, judge::Judge, metrics::Metrics, reasons::Reasons, wake::Wake,
    writer::Writer,
};

/// The shortest rest between two cycles: what arrives meanwhile is planned together.
const REST_MIN: Duration = Duration::from_millis(1);
/// A cycle may take this part of a core at most, so that accepting commands never waits for planning.
const REST_PER_CYCLE: u32 = 4;

/// What doors read of the last cycle.
pub(crate) type SharedReasons = Arc<RwLock<Arc<Reasons>>>;

pub(crate) struct Planner {
    pub(crate) writer: Writer,
    pub(crate) wake: Arc<Wake>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) reasons: SharedReasons,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) seed: u64,
}

impl Planner {
    pub(crate) fn start(self) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name("planner".into()).spawn(move || {
            let (mut level, mut memory, mut judge) = (Level::default(), Memory::default(), Judge::default());
            while self.wake.wait() {
                let started = Instant::now();
                if self.cycle(&mut level, &mut memory, &mut judge).is_none() {
                    return;
                }
                self.wake.rest((started.elapsed() * REST_PER_CYCLE).max(REST_MIN));
            }
        })
    }

    /// One cycle; `None` when the writer has ended.
    fn cycle(&self, level: &mut Level, memory: &mut Memory, judge: &mut Judge) -> Option<()> {
        let look = |state: &huisuan_control::State| {
            (huisuan_control::snapshot(state), state.policy().clone(), state.seen_at())
        };
        let (mut snapshot, policy, seen_at) = self.writer.look_blocking(look).ok()?;
        let started = Instant::now();
        let now = self.clock.now();
        level.before(&mut snapshot, &policy, now);
        let plan = cycle_with(memory, &snapshot, &policy, now, Budget::default(), Seed(self.seed));
        let mut plan: Plan = plan.made_with(now, self.seed, &policy.name).seen_at(Some(seen_at));
        self.metrics.cycle(started.elapsed(), plan.placements.len());
        if !judge.allows(&snapshot, &policy, now, &plan, &self.metrics) {
            return Some(());
        }
        self.publish(std::mem::take(&mut plan.reasons), now);
        self.metrics.network_level(level.figures());
        level.after(&mut plan);
        if plan.changes_nothing() {
            return Some(());
        }
        failpoint!("planner-before-plan");
        let origin: Origin = identity::planner();
        self.writer.execute_blocking(origin, Command::Plan(Box::new(plan))).ok()?;
        Some(())
    }

    fn publish(&self, reasons: Vec<huisuan_model::ShapeReason>, now: huisuan_model::TimeMs) {
        let mut shared = self.reasons.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let next = shared.followed_by(reasons, now);
        self.metrics.reasons(&next);
        *shared = Arc::new(next);
    }
}
