//! How soon an opaque centre starts work, learnt from what it did.
//!
//! Slurm and Kubernetes do not say when they will start a job. What can be seen is when work was handed over and when
//! it started, how large it was, and how full the centre was. Delays are counted in buckets of a fixed scale, by band
//! of size and of load; a quantile is the upper edge of the bucket that reaches it. Old observations expire whole
//! spans at a time, so that the model follows a centre that changes. Integers only: the same observations give the
//! same quantiles everywhere.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::quantity::{DurationMs, TimeMs};

/// Buckets of the scale; the last one is open.
const BUCKETS: u64 = 128;
/// Bands of size: powers of two of a thousandth of the pool, from 1/1024 of it up.
pub const SIZE_BANDS: u8 = 11;
/// Bands of load: eighths.
const LOAD_BANDS: u8 = 8;
const HOUR_MS: u64 = 3_600_000;

/// Quantiles of the delay from submission to start, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartDelay {
    /// Half of the work starts within this.
    pub p50_ms: u64,
    /// Nine tenths do; deadlines are held against it.
    pub p90_ms: u64,
}

/// How a centre's delays are learnt, and how much is handed over to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpaquePolicy {
    /// Observations are kept for this long, in milliseconds.
    pub keep_ms: u64,
    /// They expire in this many spans.
    pub spans: u32,
    /// A band with fewer observations borrows from wider ones.
    pub observations_min: u32,
    /// What is assumed before anything is known.
    pub prior: StartDelay,
    /// The tasks that may always be in flight at once: handed over and not started.
    pub in_flight_min: u64,
    /// The most tasks that may be in flight at once, however fast the centre is.
    pub in_flight_max: u64,
    /// Beside the least, no more is in flight than the centre has started in the last such time, in milliseconds.
    pub ahead_ms: u64,
}

impl OpaquePolicy {
    /// Two weeks of observations, and an hour's starts in flight.
    pub const DEFAULT: OpaquePolicy = OpaquePolicy {
        keep_ms: 14 * 24 * HOUR_MS,
        spans: 14,
        observations_min: 20,
        prior: StartDelay { p50_ms: HOUR_MS / 4, p90_ms: 2 * HOUR_MS },
        in_flight_min: 64,
        in_flight_max: 10_000,
        ahead_ms: HOUR_MS,
    };
}

impl Default for OpaquePolicy {
    fn default() -> Self {
        OpaquePolicy::DEFAULT
    }
}

/// Where work stands when it is handed over: how large it is, and how full the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
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

/// One number in stored form: eight times the band of size, and that of load.
impl From<Band> for u8 {
    fn from(band: Band) -> u8 {
        band.size * LOAD_BANDS + band.load
    }
}

impl From<u8> for Band {
    fn from(number: u8) -> Band {
        Band { size: (number / LOAD_BANDS).min(SIZE_BANDS - 1), load: number % LOAD_BANDS }
    }
}

/// Delays of one band, counted by bucket.
type Counts = BTreeMap<u8, u32>;

/// What was seen in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    begin_at: TimeMs,
    counts: BTreeMap<Band, Counts>,
}

/// How many started in this span of the time that is looked ahead, and in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Pace {
    begin_at: TimeMs,
    now: u64,
    before: u64,
}

/// What is known of how soon one opaque centre starts work. It is a part of the centre's row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Starts {
    /// Oldest first.
    spans: VecDeque<Span>,
    pace: Pace,
}

impl Starts {
    /// Work of this band was handed over at `submitted_at` and started at `started_at`. Observations come in the
    /// order of their starts; an older one counts for the newest span.
    pub fn observe(&mut self, policy: &OpaquePolicy, band: Band, submitted_at: TimeMs, started_at: TimeMs) {
        self.expire(policy, started_at);
        let begin_at = beginning(started_at, span_ms(policy));
        if self.spans.back().is_none_or(|span| span.begin_at < begin_at) {
            self.spans.push_back(Span { begin_at, counts: BTreeMap::new() });
        }
        let span = self.spans.back_mut().expect("one was just added");
        let count = span.counts.entry(band).or_default().entry(bucket(started_at.since(submitted_at))).or_default();
        *count = count.saturating_add(1);
        self.pace = self.pace.at(policy, started_at);
        self.pace.now += 1;
    }

    /// Forgets what is older than the policy keeps.
    fn expire(&mut self, policy: &OpaquePolicy, now: TimeMs) {
        while self.spans.front().is_some_and(|span| now.since(span.begin_at).0 > policy.keep_ms) {
            self.spans.pop_front();
        }
    }

    /// How soon work of a band starts. Where the band has too few observations, those of nearby sizes are added, then
    /// of nearby loads, then all; and before there are enough of them at all, the prior holds.
    pub fn delay(&self, policy: &OpaquePolicy, band: Band) -> StartDelay {
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
            if sum >= u64::from(policy.observations_min.max(1)) {
                return StartDelay { p50_ms: quantile(&all, sum, 500), p90_ms: quantile(&all, sum, 900) };
            }
        }
        policy.prior
    }

    /// How many tasks may be in flight at once: a few always, and as many more as the centre has lately started, so
    /// that what is handed over doubles from report to report while the centre keeps up, and falls back when it does
    /// not.
    pub fn in_flight_most(&self, policy: &OpaquePolicy, now: TimeMs) -> u64 {
        let Pace { begin_at, now: started, before } = self.pace.at(policy, now);
        let span_ms = policy.ahead_ms.max(1);
        // Of the span before, the part counts that lies within one span of now; in eighths, so that a plan of a moment
        // ago nearly always holds.
        let left_ms = u128::from(span_ms.saturating_sub(now.since(begin_at).0));
        let before = u128::from(before) * (left_ms * 8).div_ceil(u128::from(span_ms)) / 8;
        let recent = started.saturating_add(u64::try_from(before).unwrap_or(u64::MAX));
        policy.in_flight_min.max(1).saturating_add(recent).min(policy.in_flight_max.max(1))
    }

    /// How many observations count.
    pub fn observations(&self) -> u64 {
        self.spans.iter().flat_map(|span| span.counts.values().flat_map(BTreeMap::values)).map(|&n| u64::from(n)).sum()
    }

    /// Whether nothing was ever seen.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

impl Pace {
    /// The same seen at a later moment.
    fn at(self, policy: &OpaquePolicy, now: TimeMs) -> Pace {
        let span_ms = policy.ahead_ms.max(1);
        let begin_at = beginning(now, span_ms);
        match begin_at.since(self.begin_at).0 / span_ms {
            // A start may be reported after a later one.
            _ if begin_at <= self.begin_at => self,
            1 => Pace { begin_at, now: 0, before: self.now },
            _ => Pace { begin_at, now: 0, before: 0 },
        }
    }
}

/// When the span of a moment begins.
fn beginning(TimeMs(at): TimeMs, span_ms: u64) -> TimeMs {
    TimeMs(at - at.rem_euclid(i64::try_from(span_ms).unwrap_or(i64::MAX)))
}

fn span_ms(policy: &OpaquePolicy) -> u64 {
    (policy.keep_ms / u64::from(policy.spans.max(1))).max(1)
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

#[cfg(test)]
mod tests;
