//! How soon an opaque centre starts work, learnt from what it did.
//!
//! Slurm and Kubernetes do not say when they will start a job. What can be seen is when work was handed over and when
//! it started, how large it was, and how full the centre was. Delays are counted in buckets of a fixed scale, by band
//! of size and of load; a quantile is the upper edge of the bucket that reaches it. Old observations expire whole
//! spans at a time, so that the model follows a centre that changes. Integers only: the same observations give the
//! same quantiles everywhere.

use std::collections::{BTreeMap, VecDeque};

use huisuan_model::{CentreId, DurationMs, TimeMs};
use serde::{Deserialize, Serialize};

use crate::network::model::StartDelay;

/// Buckets of the scale; the last one is open.
const BUCKETS: u64 = 128;
/// Bands of size: powers of two of a thousandth of the pool, from 1/1024 of it up.
const SIZE_BANDS: u8 = 11;
/// Bands of load: eighths.
const LOAD_BANDS: u8 = 8;

/// How a centre's delays are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpaquePolicy {
    /// Observations are kept for this long, in milliseconds.
    pub keep_ms: u64,
    /// They expire in this many spans.
    pub spans: u32,
    /// A band with fewer observations borrows from wider ones.
    pub observations_min: u32,
    /// What is assumed before anything is known.
    pub prior: StartDelay,
    /// The most tasks that may be in flight at once, however fast the centre is.
    pub in_flight_max: u64,
    /// No more is handed over than the centre is seen to start in this time, in milliseconds, but for one probe.
    pub ahead_ms: u64,
}

impl Default for OpaquePolicy {
    fn default() -> Self {
        const HOUR_MS: u64 = 3_600_000;
        OpaquePolicy {
            keep_ms: 14 * 24 * HOUR_MS,
            spans: 14,
            observations_min: 20,
            prior: StartDelay { p50_ms: HOUR_MS / 4, p90_ms: 2 * HOUR_MS },
            in_flight_max: 10_000,
            ahead_ms: HOUR_MS,
        }
    }
}

/// Where work stands when it is handed over: how large it is, and how full the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Band {
    /// Of the size, from 0 for the smallest.
    pub size: u8,
    /// Of the load, from 0 for an idle centre.
    pub load: u8,
}

impl Band {
    /// Of work that needs `width` of a pool of `whole` thousandths of devices, of which `used` are in use or asked
    /// for. An unknown pool counts as full.
    pub fn of(width: u64, used: u64, whole: u64) -> Self {
        let part = |amount: u64, of: u128| {
            let all = u128::from(whole).max(1);
            u64::try_from(u128::from(amount) * of / all).unwrap_or(u64::MAX)
        };
        let thousandths = part(width, 1_024);
        let size = u8::try_from(u64::BITS - thousandths.leading_zeros()).unwrap_or(SIZE_BANDS).min(SIZE_BANDS - 1);
        let eighths = if whole == 0 { u64::MAX } else { part(used, u128::from(LOAD_BANDS)) };
        let load = u8::try_from(eighths).unwrap_or(LOAD_BANDS).min(LOAD_BANDS - 1);
        Band { size, load }
    }
}

/// Delays of one band, counted by bucket.
type Counts = BTreeMap<u8, u32>;

/// What was seen in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    begin_at: TimeMs,
    counts: BTreeMap<Band, Counts>,
    started: u64,
}

/// What is known of one opaque centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartModel {
    /// Which.
    pub centre: CentreId,
    policy: OpaquePolicy,
    /// Oldest first.
    spans: VecDeque<Span>,
}

impl StartModel {
    /// A model that knows nothing yet.
    pub fn new(centre: CentreId, policy: OpaquePolicy) -> Self {
        StartModel { centre, policy, spans: VecDeque::new() }
    }

    /// Work of this band was handed over at `submitted_at` and started at `started_at`. Observations come in the
    /// order of their starts; an older one counts for the newest span.
    pub fn observe(&mut self, band: Band, submitted_at: TimeMs, started_at: TimeMs) {
        self.expire(started_at);
        let span_ms = i64::try_from(self.span_ms()).unwrap_or(i64::MAX);
        let begin_at = TimeMs(started_at.0 - started_at.0.rem_euclid(span_ms));
        if self.spans.back().is_none_or(|span| span.begin_at < begin_at) {
            self.spans.push_back(Span { begin_at, counts: BTreeMap::new(), started: 0 });
        }
        let span = self.spans.back_mut().expect("one was just added");
        let count = span.counts.entry(band).or_default().entry(bucket(started_at.since(submitted_at))).or_default();
        *count = count.saturating_add(1);
        span.started += 1;
    }

    /// Forgets what is older than the policy keeps.
    pub fn expire(&mut self, now: TimeMs) {
        let keep_ms = self.policy.keep_ms;
        while self.spans.front().is_some_and(|span| now.since(span.begin_at).0 > keep_ms) {
            self.spans.pop_front();
        }
    }

    /// How soon work of a band starts. Where the band has too few observations, those of nearby sizes are added, then
    /// of nearby loads, then all; and before there are enough of them at all, the prior holds.
    pub fn delay(&self, band: Band) -> StartDelay {
        let steps = SIZE_BANDS.max(LOAD_BANDS);
        for (near_size, near_load) in (0..steps).map(|size| (size, 0)).chain((1..steps).map(|load| (steps, load))) {
            let mut all = Counts::new();
            for (other, counts) in self.spans.iter().flat_map(|span| &span.counts) {
                if other.size.abs_diff(band.size) <= near_size && other.load.abs_diff(band.load) <= near_load {
                    for (&bucket, &count) in counts {
                        *all.entry(bucket).or_default() += count;
                    }
                }
            }
            let sum: u64 = all.values().map(|&count| u64::from(count)).sum();
            if sum >= u64::from(self.policy.observations_min.max(1)) {
                return StartDelay { p50_ms: quantile(&all, sum, 500), p90_ms: quantile(&all, sum, 900) };
            }
        }
        self.policy.prior
    }

    /// How many more tasks may be handed over while `in_flight` wait there: what the centre has lately started in the
    /// time that the policy looks ahead, and always one as a probe of a centre that has nothing of ours.
    pub fn in_flight_left(&self, in_flight: u64, now: TimeMs) -> u64 {
        let started: u64 = self.spans.iter().map(|span| span.started).sum();
        let since_ms = self.spans.front().map_or(0, |span| now.since(span.begin_at).0).max(self.span_ms());
        let ahead = u128::from(started) * u128::from(self.policy.ahead_ms) / u128::from(since_ms);
        let most = u64::try_from(ahead).unwrap_or(u64::MAX).clamp(1, self.policy.in_flight_max.max(1));
        most.saturating_sub(in_flight)
    }

    /// How many observations count.
    pub fn observations(&self) -> u64 {
        self.spans.iter().map(|span| span.started).sum()
    }

    fn span_ms(&self) -> u64 {
        (self.policy.keep_ms / u64::from(self.policy.spans.max(1))).max(1)
    }
}

/// The scale: steps of 16 ms at first, then four steps for every doubling, to beyond four years.
fn bucket(delay: DurationMs) -> u8 {
    let units = delay.0 / 16 + 4;
    let doublings = units.ilog2() - 2;
    let number = u64::from(doublings) * 4 + ((units >> doublings) & 3);
    u8::try_from(number.min(BUCKETS - 1)).expect("a bucket is below 128")
}

/// The end of a bucket, in milliseconds: every delay in it is shorter.
fn bucket_end_ms(bucket: u8) -> u64 {
    let (doublings, quarter) = (u32::from(bucket) / 4, u64::from(bucket) % 4);
    (((5 + quarter) << doublings) - 4) * 16
}

/// The end of the bucket in which the quantile lies.
fn quantile(counts: &Counts, sum: u64, permille: u64) -> u64 {
    let rank = (u128::from(sum) * u128::from(permille)).div_ceil(1_000);
    let mut seen = 0_u128;
    for (&bucket, &count) in counts {
        seen += u128::from(count);
        if seen >= rank {
            return bucket_end_ms(bucket);
        }
    }
    0
}
