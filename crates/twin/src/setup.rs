//! What a simulated network is made of.

use std::collections::BTreeMap;

use huisuan_model::{AskedReservation, AttemptId, Centre, CentreId, Money, Pool, PoolId, StartDelay, Tenant, TimeMs};
use huisuan_schedule::{Budget, Policy, Seed};

use crate::random::Stream;

/// All that a run needs besides the jobs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// When it begins.
    pub start: TimeMs,
    /// When it ends: what has not ended then is left as it is.
    pub end: TimeMs,
    /// Names the random streams.
    pub seed: u64,
    /// The tenants, each with the money it may spend.
    pub tenants: Vec<(Tenant, Money)>,
    /// The centres.
    pub sites: Vec<Site>,
    /// How the planner works.
    pub planning: Planning,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What is reserved in advance, from the beginning on; they are numbered from 1 in this order.
    pub reservations: Vec<AskedReservation>,
    /// How far a rating may lie from the true rate, either way, in millionths of it.
    pub rating_noise_ppm: u64,
    /// How often the observer is shown the state, in milliseconds.
    pub sample_every_ms: u64,
}

impl Setup {
    /// What a measurement of each pool gives, in millionths of its true rate.
    pub(crate) fn noise_ppm(&self) -> BTreeMap<(CentreId, PoolId), u64> {
        let mut stream = Stream::new(self.seed, "ratings");
        let width_ppm = self.rating_noise_ppm.min(1_000_000);
        let pools = self.sites.iter().flat_map(|site| site.pools.iter().map(|pool| (&site.centre.id, &pool.id)));
        pools
            .map(|(centre, pool)| {
                let noise_ppm = 1_000_000 - width_ppm + stream.below(2 * width_ppm + 1);
                ((centre.clone(), pool.clone()), noise_ppm)
            })
            .collect()
    }
}

/// How the planner works.
#[derive(Debug, Clone)]
pub struct Planning {
    /// The rules of choice.
    pub policy: Policy,
    /// The most that one cycle does.
    pub budget: Budget,
    /// Where its random choices begin.
    pub seed: Seed,
    /// The shortest time from one cycle to the next, in milliseconds: what arrives meanwhile is planned together.
    pub every_ms: u64,
}

/// A centre and its agent.
#[derive(Debug, Clone)]
pub struct Site {
    /// What its operator declares. Pools of it are not looked at.
    pub centre: Centre,
    /// What it has; the rating is the true rate.
    pub pools: Vec<Pool>,
    /// How long an order is under way, in milliseconds.
    pub order_delay_ms: u64,
    /// How long its agent gathers reports before it sends them, the way included, in milliseconds.
    pub report_delay_ms: u64,
    /// The queue that others fill, too, of an engine that does not tell of it.
    pub hidden: Option<HiddenQueue>,
}

/// A queue that the network does not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenQueue {
    /// How long a task waits in it: half of them no longer than the median, a tenth for longer than nine tenths do.
    pub delay: StartDelay,
    /// Names its random stream.
    pub seed: u64,
}

impl HiddenQueue {
    /// How long an attempt waits, in milliseconds: evenly up to the median, from there to nine tenths, and as far again
    /// beyond.
    pub fn wait_ms(&self, attempt: AttemptId) -> u64 {
        let AttemptId { job, task, attempt } = attempt;
        let stream = Stream::new(self.seed, "hidden queue").child(job.0);
        let mut stream = stream.child(u64::from(task) << 32 | u64::from(attempt));
        let StartDelay { p50_ms, p90_ms } = self.delay;
        let rest_ms = p90_ms.saturating_sub(p50_ms);
        let part = |whole_ms: u64, permille: u64, of: u64| {
            u64::try_from(u128::from(whole_ms) * u128::from(permille) / u128::from(of)).unwrap_or(u64::MAX)
        };
        match stream.below(1_000) {
            drawn @ ..500 => part(p50_ms, drawn, 500),
            drawn @ 500..900 => p50_ms.saturating_add(part(rest_ms, drawn - 500, 400)),
            drawn => p90_ms.saturating_add(part(rest_ms, drawn - 900, 100)),
        }
    }
}

/// Something that goes wrong, or is announced to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nodes of a pool fail one by one at random. What runs on one is lost; it comes back after its repair.
    Nodes {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
        /// How many nodes the pool is made of.
        nodes: u64,
        /// The mean time between two failures of one node, in milliseconds.
        mean_between_ms: u64,
        /// How long a repair takes, in milliseconds.
        repair_ms: u64,
    },
    /// A whole centre is dark: all that it had is lost, which its agent tells when it is back.
    Outage {
        /// Where.
        centre: CentreId,
        /// When.
        span: Span,
        /// How long until the network's operator pauses it, in milliseconds.
        noticed_after_ms: u64,
    },
    /// A centre takes no new work; what runs goes on.
    Maintenance {
        /// Where.
        centre: CentreId,
        /// When.
        span: Span,
    },
    /// Orders and reports of a centre do not arrive; both are delivered when the link is back.
    LinkLoss {
        /// Where.
        centre: CentreId,
        /// When.
        span: Span,
    },
}

/// From one moment to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
}
