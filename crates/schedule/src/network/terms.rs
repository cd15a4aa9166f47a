//! What one task is worth at a place, term by term, or why it may not run there.

use huisuan_model::{Bytes, CentreId, Class, Money, PoolId};
use serde::{Deserialize, Serialize};

/// The most one task counts, in millionths; see `problem` for why it is bounded.
const VALUE_MAX: i64 = 1 << 54;

/// What one task is worth at one place, term by term, in millionths. What costs is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// That it is done at all.
    pub worth: i64,
    /// Its tenant has less than its share, or more.
    pub share: i64,
    /// The time until it starts: the slot, the queue, the transfer.
    pub wait: i64,
    /// The time it runs.
    pub run: i64,
    /// The tariff.
    pub price: i64,
    /// Cost of bringing its data.
    pub transfer: i64,
    /// Electricity, and what its owner adds for every kWh.
    pub energy: i64,
    /// CO2.
    pub carbon: i64,
}

impl Terms {
    /// The sum; what the planners maximise for each task.
    pub fn value(&self) -> i64 {
        let terms = [self.worth, self.share, self.wait, self.run, self.price, self.transfer, self.energy, self.carbon];
        let sum: i128 = terms.into_iter().map(i128::from).sum();
        clamp(sum).min(VALUE_MAX)
    }

    /// Name and value of every term, in a fixed order.
    pub fn named(&self) -> [(&'static str, i64); 8] {
        [
            ("worth", self.worth),
            ("share", self.share),
            ("wait", self.wait),
            ("run", self.run),
            ("price", self.price),
            ("transfer", self.transfer),
            ("energy", self.energy),
            ("carbon", self.carbon),
        ]
    }
}

/// Why a task of a class may not run at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum WhyNot {
    /// The class names other parts.
    #[error("the class does not accept part `{pool}`")]
    Part {
        /// The part of this pool.
        pool: PoolId,
    },
    /// The class names other centres.
    #[error("the class does not accept this centre")]
    Centre,
    /// The work is counted in another class of compute.
    #[error("needs class {needed}, the pool is of class {has}")]
    Class {
        /// What the work needs.
        needed: Class,
        /// What the pool has.
        has: Class,
    },
    /// The pool has no rated speed.
    #[error("the pool is not rated")]
    Unrated,
    /// A device has too little memory.
    #[error("needs {needed} on each device, has {has}")]
    Memory {
        /// What the work needs.
        needed: Bytes,
        /// What a device has.
        has: Bytes,
    },
    /// The place is too far from those who use the work.
    #[error("one way from `{at}` takes {latency_us} us, allowed are {latency_max_us} us")]
    Latency {
        /// Where the users are.
        at: CentreId,
        /// What it takes.
        latency_us: u64,
        /// What is allowed.
        latency_max_us: u64,
    },
    /// No link leads there from where the data or the users are.
    #[error("no link leads there from `{from}`")]
    Link {
        /// Where it should begin.
        from: CentreId,
    },
    /// The data of one task does not fit through a link in the time until it starts.
    #[error("the link from `{from}` to `{to}` carries {has} in a slot, one task brings {needed}")]
    Thin {
        /// Where the link begins.
        from: CentreId,
        /// Where it ends.
        to: CentreId,
        /// Of one task in one slot.
        needed: Bytes,
        /// Of the link in one slot.
        has: Bytes,
    },
    /// The queue or the transfer outlasts the slot.
    #[error("ready after {ready_ms} ms, the slot ends after {slot_end_ms} ms")]
    Start {
        /// When it can start.
        ready_ms: u64,
        /// When the slot ends.
        slot_end_ms: u64,
    },
    /// It would end too late.
    #[error("ends after {end_ms} ms, the deadline is {deadline_ms} ms")]
    Deadline {
        /// When it ends, with the 90 % quantile of the start.
        end_ms: u64,
        /// When it must.
        deadline_ms: u64,
    },
    /// One task is larger than what is free.
    #[error("one task needs {needed} of what is free in slot {slot}, there are {has} (thousandths)")]
    Capacity {
        /// Thousandths of devices that it needs.
        needed: u64,
        /// Thousandths that are free to flexible work, on average over the slot.
        has: u64,
        /// The slot.
        slot: u32,
    },
    /// One task draws more power than the centre allows.
    #[error("one task takes {needed_mj} mJ in slot {slot}, the power cap leaves {has_mj}")]
    Power {
        /// Of the task.
        needed_mj: u64,
        /// Of the cap.
        has_mj: u64,
        /// The slot.
        slot: u32,
    },
    /// The tenant's quota is smaller than one task.
    #[error("one task is {needed} GFLOP of work, the quota leaves {has}")]
    Quota {
        /// Of the task.
        needed: u64,
        /// Of the quota.
        has: u64,
    },
    /// An opaque centre takes no more work for now.
    #[error("the centre has as much in flight as it may")]
    InFlight,
    /// It would cost more than it is worth.
    #[error("costs {} millionths more than it is worth", .loss.0)]
    NoGain {
        /// How much more; zero when it is just even.
        loss: Money,
    },
}

impl WhyNot {
    /// How many kinds of rules were passed before this one refused.
    pub(super) fn stage(&self) -> i64 {
        match self {
            WhyNot::Centre | WhyNot::Part { .. } | WhyNot::Class { .. } | WhyNot::Unrated => 0,
            WhyNot::Memory { .. } => 1,
            WhyNot::Latency { .. } | WhyNot::Link { .. } => 2,
            WhyNot::Start { .. } => 3,
            WhyNot::Deadline { .. } => 4,
            WhyNot::NoGain { .. } => 5,
            WhyNot::Capacity { .. } | WhyNot::Power { .. } => 6,
            WhyNot::Thin { .. } => 7,
            WhyNot::Quota { .. } | WhyNot::InFlight => 8,
        }
    }
}

/// Into 64 bits, capped.
pub(super) fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
