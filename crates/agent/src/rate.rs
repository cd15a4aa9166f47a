//! Rates a centre's pools: processors here, accelerators in `devices.rs`.

use std::sync::Arc;

use huisuan_drivers::Engine;
use huisuan_measure::{Host, MeasureError, MeasureSpec, Measurement, measure};
use huisuan_model::{Certificate, GflopPerS, Mark, Pool, PoolId, Precision, PrecisionRate, Rating, TimeMs, hex};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::devices::Devices;

/// A rating counts for this long; from half of it on it is renewed when nothing runs.
const VALID_MS: i64 = 90 * 24 * 3_600_000;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The precision of the pool's class, about half a second, some seconds for accelerators: what joining needs.
    Class,
    /// All precisions and memory, some seconds, a quarter of a minute for accelerators.
    All,
}

/// A rating that is not signed yet, with the record that it was made from.
pub(crate) struct PoolRecord {
    pub(crate) pool: PoolId,
    pub(crate) rating: Rating,
    pub(crate) record: Record,
}

/// What a rating was made from, as JSON, and its SHA-256.
pub(crate) struct Record {
    pub(crate) hash: String,
    pub(crate) text: String,
}

impl Record {
    pub(crate) fn of(what: &impl Serialize) -> Self {
        let text = serde_json::to_string(what).expect("records have string keys");
        Record { hash: hex::encode(&Sha256::digest(text.as_bytes())), text }
    }
}

/// Rates every one of `pools` that is in this machine or whose devices are known parts.
pub(crate) fn rate_pools(
    engine: &dyn Engine,
    pools: &[Pool],
    depth: Depth,
    now: TimeMs,
) -> Result<Vec<PoolRecord>, MeasureError> {
    let mut ratings = Vec::new();
    let devices = Devices::new(depth);
    for pool in pools {
        let cpus = engine.measurable_cpus(&pool.id);
        let cpus: Vec<u32> = cpus.into_iter().filter_map(|cpu| u32::try_from(cpu).ok()).collect();
        let told = engine.declared_rate(&pool.id).map(|rate| told(pool, rate, now));
        let rated = match (pool.devices.is_zero(), cpus.is_empty()) {
            (true, false) => measured(pool, cpus, depth, now)?,
            (true, true) => told,
            (false, _) => devices.rate(pool, told, now),
        };
        match rated {
            Some(rated) => ratings.push(rated),
            None => {
                tracing::info!(pool = %pool.id, "pool is neither in this machine nor a known part, and is not rated")
            }
        }
    }
    Ok(ratings)
}

/// What the site says of a pool elsewhere: shown, and good for work that names its hardware, but no certified capacity.
fn told(pool: &Pool, rate: GflopPerS, now: TimeMs) -> PoolRecord {
    let rating = Rating::plain(rate, rate, "declared/1", Mark::Declared, now);
    PoolRecord { pool: pool.id.clone(), record: Record::of(&rate), rating }
}

fn measured(pool: &Pool, cpus: Vec<u32>, depth: Depth, now: TimeMs) -> Result<Option<PoolRecord>, MeasureError> {
    let precision = Precision::of_class(pool.class);
    let whole = MeasureSpec::on_cpus(cpus);
    let spec = match depth {
        Depth::Class => MeasureSpec { precisions: vec![precision], stream_runs: 0, ..whole },
        Depth::All => whole,
    };
    let measurement = measure(&spec)?;
    let Some(rate) = measurement.rate(precision) else { return Ok(None) };
    let record = Record::of(&measurement);
    let rating = Rating {
        certificate: Some(Arc::new(Certificate {
            rates: rates(&measurement),
            memory: pool.memory,
            bandwidth_mb_per_s: measurement.bandwidth.as_ref().map(|bandwidth| bandwidth.mb_per_s),
            watts: None,
            ..certificate(&measurement.host, &record, now)
        })),
        ..Rating::plain(
            GflopPerS(rate.sustained_gflops),
            // Zero says that the machine does not tell what a peak could be computed from.
            GflopPerS(rate.nameplate_gflops.unwrap_or(0)),
            &format!("{}/{}", measurement.method, measurement.version),
            Mark::Measured,
            now,
        )
    };
    Ok(Some(PoolRecord { pool: pool.id.clone(), rating, record }))
}

fn rates(measurement: &Measurement) -> Vec<PrecisionRate> {
    let rate = |rate: &huisuan_measure::PrecisionRate| PrecisionRate {
        precision: rate.precision,
        sustained: Some(GflopPerS(rate.sustained_gflops)),
        nameplate: rate.nameplate_gflops.map(GflopPerS),
    };
    measurement.rates.iter().map(rate).collect()
}

/// What all certificates say.
pub(crate) fn certificate(host: &Host, record: &Record, now: TimeMs) -> Certificate {
    Certificate {
        host_hash: Record::of(host).hash,
        data_hash: record.hash.clone(),
        expires_at: TimeMs(now.0.saturating_add(VALID_MS)),
        ..Certificate::default()
    }
}
