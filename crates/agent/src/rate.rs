//! Rates a centre's pools by measuring them.

use huisuan_api::agent::PoolRating;
use huisuan_drivers::Engine;
use huisuan_measure::{MeasureError, MeasureSpec, measure};
use huisuan_model::{GflopPerS, Mark, Pool, Precision, Rating, TimeMs};

/// Measures every one of `pools` that is in this machine; about half a second for each. Those elsewhere are rated as
/// their site declares them, where it does.
pub(crate) fn rate_pools(engine: &dyn Engine, pools: &[Pool], now: TimeMs) -> Result<Vec<PoolRating>, MeasureError> {
    let mut ratings = Vec::new();
    for pool in pools {
        let cpus = engine.measurable_cpus(&pool.id);
        let cpus: Vec<u32> = cpus.into_iter().filter_map(|cpu| u32::try_from(cpu).ok()).collect();
        if cpus.is_empty() {
            match engine.declared_rate(&pool.id) {
                Some(rate) => ratings.push(PoolRating { pool: pool.id.clone(), rating: declared(rate, now) }),
                None => tracing::info!(pool = %pool.id, "pool is not in this machine and is not rated"),
            }
            continue;
        }
        let precision = Precision::of_class(pool.class);
        let spec = MeasureSpec { precisions: vec![precision], stream_runs: 0, ..MeasureSpec::on_cpus(cpus) };
        let measurement = measure(&spec)?;
        let Some(rate) = measurement.rate(precision) else { continue };
        ratings.push(PoolRating {
            pool: pool.id.clone(),
            rating: Rating {
                // The server counts versions.
                version: 1,
                sustained: GflopPerS(rate.sustained_gflops),
                // Zero says that the machine does not tell what a peak could be computed from.
                nameplate: GflopPerS(rate.nameplate_gflops.unwrap_or(0)),
                method: format!("{}/{}", measurement.method, measurement.version),
                mark: Mark::Measured,
                rated_at: now,
            },
        });
    }
    Ok(ratings)
}

/// What nobody measured.
fn declared(rate: GflopPerS, now: TimeMs) -> Rating {
    Rating {
        version: 1,
        sustained: rate,
        nameplate: rate,
        method: "declared/1".to_owned(),
        mark: Mark::Declared,
        rated_at: now,
    }
}
