//! One virtual task: what it takes, how long it would run, how it would end.

use huisuan_model::{
    AttemptId, Bytes, DurationMs, EndCause, MilliDevices, Millicores, Outcome, Pool, PoolId, StartOrder, TimeMs, Usage,
    spec::Need,
};
use serde::{Deserialize, Serialize};

/// What will become of a task, which nobody knows before: neither the scheduler nor the engine's reports tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// How long it runs, in milliseconds.
    pub run_ms: u64,
    /// The code that it exits with.
    pub exit_code: i32,
    /// How much of its processors it keeps busy, in hundredths.
    pub busy_percent: u64,
}

/// Tells the fate of a task in a pool. The same order has the same fate.
pub type Oracle = Box<dyn Fn(&StartOrder, &Pool) -> Fate + Send + Sync>;

/// What a task takes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Takes {
    pub(super) cores: Millicores,
    pub(super) memory: Bytes,
    pub(super) devices: MilliDevices,
}

impl Takes {
    pub(super) fn of_order(order: &StartOrder) -> Takes {
        Takes { cores: order.cores, memory: order.memory(), devices: order.devices }
    }

    pub(super) fn of_pool(pool: &Pool) -> Takes {
        Takes { cores: pool.cores, memory: pool.memory, devices: pool.devices }
    }

    pub(super) fn fits(self, free: Takes) -> bool {
        self.cores <= free.cores && self.memory <= free.memory && self.devices <= free.devices
    }

    pub(super) fn plus(self, other: Takes) -> Takes {
        Takes {
            cores: self.cores.saturating_add(other.cores),
            memory: self.memory.saturating_add(other.memory),
            devices: self.devices.saturating_add(other.devices),
        }
    }

    pub(super) fn minus(self, other: Takes) -> Takes {
        Takes {
            cores: self.cores.saturating_sub(other.cores),
            memory: self.memory.saturating_sub(other.memory),
            devices: self.devices.saturating_sub(other.devices),
        }
    }
}

/// A task that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) attempt: AttemptId,
    pub(super) takes: Takes,
    /// The pools that could hold it, in the order of their names: an order does not say which one was meant.
    pub(super) pools: Vec<PoolId>,
    pub(super) walltime: DurationMs,
    pub(super) fate: Fate,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) at: TimeMs,
    /// `None` when it never began.
    pub(super) started_at: Option<TimeMs>,
    pub(super) outcome: Outcome,
    pub(super) usage: Usage,
}

impl Task {
    /// The task of an order; an error says in words why no pool could ever hold it.
    pub(super) fn new(order: &StartOrder, pools: &[Pool], fate: &Oracle) -> Result<Task, String> {
        let takes = Takes::of_order(order);
        let suits = |pool: &&Pool| takes.fits(Takes::of_pool(pool)) && named(order, pool);
        let found: Vec<&Pool> = pools.iter().filter(suits).collect();
        let Some(first) = found.first() else { return Err(refusal(takes, pools)) };
        Ok(Task {
            attempt: order.attempt,
            takes,
            walltime: order.walltime(),
            fate: fate(order, first),
            pools: found.into_iter().map(|pool| pool.id.clone()).collect(),
        })
    }

    /// How long it runs at most, by itself or by its walltime.
    pub(super) fn span(&self) -> DurationMs {
        DurationMs(self.fate.run_ms.min(self.walltime.0))
    }

    /// How it ends when nobody ends it before.
    pub(super) fn outcome(&self) -> Outcome {
        if self.fate.run_ms > self.walltime.0 {
            return ended_by(EndCause::Walltime);
        }
        Outcome { exit_code: Some(self.fate.exit_code), signal: None, ..ended_by(EndCause::Exited) }
    }

    /// What it used after it ran for `wall`.
    pub(super) fn usage(&self, wall: DurationMs) -> Usage {
        let cpu = u128::from(wall.0) * u128::from(self.takes.cores.0) * u128::from(self.fate.busy_percent) / 100_000;
        let cpu = DurationMs(u64::try_from(cpu).unwrap_or(u64::MAX));
        Usage { wall, cpu, memory_peak: self.takes.memory, ..Usage::default() }
    }
}

/// The end of a task that ran and was ended from outside.
pub(super) fn ended_by(cause: EndCause) -> Outcome {
    Outcome { cause, exit_code: None, signal: Some(15), detail: String::new() }
}

/// The end of a task that never began.
pub(super) fn never_began(at: TimeMs) -> End {
    let outcome = Outcome { signal: None, ..ended_by(EndCause::Cancelled) };
    End { at, started_at: None, outcome, usage: Usage::default() }
}

/// Whether a pool is one of those that the job names.
fn named(order: &StartOrder, pool: &Pool) -> bool {
    let (parts, memory_min) = match &order.spec.need {
        Need::Hardware { devices: Some(devices), .. } => (devices.any_of.as_slice(), devices.memory_min),
        Need::Hardware { devices: None, .. } => (&[][..], Bytes::ZERO),
        Need::Rate { device_memory_min, .. } => (&[][..], *device_memory_min),
    };
    (parts.is_empty() || parts.contains(&pool.id)) && (order.devices.is_zero() || memory_min <= pool.device_memory)
}

fn refusal(takes: Takes, pools: &[Pool]) -> String {
    let beyond = |what: fn(&Takes) -> u64| pools.iter().all(|pool| what(&takes) > what(&Takes::of_pool(pool)));
    let what = match () {
        () if beyond(|takes| takes.cores.0) => format!("{} cores", takes.cores.cores_up()),
        () if beyond(|takes| takes.memory.0) => format!("{} of memory", takes.memory),
        () if beyond(|takes| takes.devices.0) => format!("{}", takes.devices),
        () => "this hardware".to_owned(),
    };
    format!("no pool of this centre has {what}")
}
