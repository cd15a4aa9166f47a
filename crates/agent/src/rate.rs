//! Rates a centre's pools: processors by measuring them, accelerators by what their maker declares, as long as nothing
//! here can measure them.

use std::sync::Arc;

use huisuan_drivers::Engine;
use huisuan_measure::{Host, MeasureError, MeasureSpec, Measurement, Part, Registry, measure};
use huisuan_model::{
    Bytes, Certificate, GflopPerS, Mark, Pool, PoolId, Precision, PrecisionRate, Rating, TimeMs, hex, quantity::mul_div,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A rating counts for this long; from half of it on it is renewed when nothing runs.
const VALID_MS: i64 = 90 * 24 * 3_600_000;

/// Thousandths of a whole device.
const DEVICE_MILLIS: u64 = 1_000;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The precision of the pool's class, about half a second: what joining needs.
    Class,
    /// All precisions and memory, some seconds.
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
    fn of(what: &impl Serialize) -> Self {
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
    for pool in pools {
        let cpus = engine.measurable_cpus(&pool.id);
        let cpus: Vec<u32> = cpus.into_iter().filter_map(|cpu| u32::try_from(cpu).ok()).collect();
        let rated = match (pool.devices.is_zero(), cpus.is_empty(), engine.declared_rate(&pool.id)) {
            (true, false, _) => measured(pool, cpus, depth, now)?,
            (_, true, Some(rate)) => Some(told(pool, rate, now)),
            (false, ..) => Registry::built_in().get(pool.id.as_str()).and_then(|part| declared(pool, part, now)),
            (true, true, None) => None,
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

/// What the maker declares of so many devices: shown, and good for work that names its hardware, but no certified
/// capacity.
fn declared(pool: &Pool, part: &Part, now: TimeMs) -> Option<PoolRecord> {
    let each = part.peak_of_class(pool.class)?.gflops;
    let all = |gflops: u64| GflopPerS(mul_div(gflops, pool.devices.0, DEVICE_MILLIS));
    let record = Record::of(part);
    let rate = |(precision, figure): (&Precision, &huisuan_measure::Figure)| PrecisionRate {
        precision: *precision,
        sustained: None,
        nameplate: Some(all(figure.gflops)),
    };
    let rating = Rating {
        certificate: Some(Arc::new(Certificate {
            rates: part.peak.iter().map(rate).collect(),
            memory: part.memory_gib.map_or(pool.device_memory, |gib| Bytes(u64::from(gib) << 30)),
            bandwidth_mb_per_s: None,
            watts: part
                .watts
                .and_then(|watts| u32::try_from(mul_div(u64::from(watts), pool.devices.0, DEVICE_MILLIS)).ok()),
            ..certificate(&Host::detect(), &record, now)
        })),
        ..Rating::plain(all(each), all(each), "parts/1", Mark::Declared, now)
    };
    Some(PoolRecord { pool: pool.id.clone(), rating, record })
}

fn certificate(host: &Host, record: &Record, now: TimeMs) -> Certificate {
    Certificate {
        host_hash: Record::of(host).hash,
        data_hash: record.hash.clone(),
        expires_at: TimeMs(now.0.saturating_add(VALID_MS)),
        ..Certificate::default()
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Class, Millicores};

    use super::*;

    #[test]
    fn devices_are_declared_and_not_certified() {
        let registry = Registry::built_in();
        let part = registry.get("H200-SXM5-141G").expect("a part");
        let pool = Pool {
            id: PoolId::new(&part.id).expect("a name"),
            class: Class::Ai,
            cores: Millicores(64_000),
            memory: Bytes(1 << 40),
            devices: huisuan_model::MilliDevices(8_000),
            device_memory: Bytes(141 << 30),
            rating: None,
            images: false,
            topology: None,
        };
        let rated = declared(&pool, part, TimeMs(5)).expect("a rating");
        assert_eq!((rated.rating.sustained, rated.rating.mark), (GflopPerS(8 * 989_400), Mark::Declared));
        assert!(rated.rating.trusted() && !rated.rating.certified());
        let certificate = rated.rating.certificate.expect("a certificate");
        assert_eq!((certificate.watts, certificate.memory), (Some(5_600), Bytes(141 << 30)));
        assert_eq!(certificate.data_hash, rated.record.hash);
        assert!(certificate.rates.iter().all(|rate| rate.sustained.is_none()));
        assert!(declared(&Pool { class: Class::Hpc, ..pool }, part, TimeMs(5)).is_some());
    }
}
