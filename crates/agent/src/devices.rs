//! The rating of a pool of accelerators: measured where all of its devices are in this machine and a runtime reaches
//! them, else what their maker declares, with the reason in the log.

use std::{cell::OnceCell, sync::Arc};

use huisuan_measure::{
    DEVICE_METHOD, DEVICE_METHOD_VERSION, DeviceMeasurement, DeviceOutcome, DeviceRate, DeviceSpec, Figure, Host, Part,
    Registry, Unmeasured, measure_devices,
};
use huisuan_model::{
    Bytes, Certificate, Class, GflopPerS, Mark, Pool, Precision, PrecisionRate, Rating, TimeMs, quantity::mul_div,
};

use crate::rate::{Depth, PoolRecord, Record, certificate};

/// Thousandths of a whole device.
const DEVICE_MILLIS: u64 = 1_000;

/// The accelerators of this machine, measured once for all pools that are rated together, and only if one of them is a
/// pool of accelerators.
pub(crate) struct Devices {
    depth: Depth,
    registry: Registry,
    outcomes: OnceCell<Result<Vec<DeviceOutcome>, Unmeasured>>,
}

impl Devices {
    pub(crate) fn new(depth: Depth) -> Self {
        Devices { depth, registry: Registry::built_in(), outcomes: OnceCell::new() }
    }

    /// The rating of a pool; `None` where it is no known part. `told` is what the site says of it.
    pub(crate) fn rate(&self, pool: &Pool, told: Option<PoolRecord>, now: TimeMs) -> Option<PoolRecord> {
        let part = self.registry.get(pool.id.as_str());
        let declared = || told.or_else(|| declared(pool, part?, now));
        let Some(part) = part else { return declared() };
        let measured = || measure_devices(&self.spec(pool.class), &self.registry);
        let outcomes = match self.outcomes.get_or_init(measured) {
            Ok(outcomes) => measured_pool(pool, part, outcomes, now),
            Err(why) => Err(why.to_string()),
        };
        outcomes
            .inspect_err(|why| tracing::info!(pool = %pool.id, why, "devices are declared, not measured"))
            .ok()
            .or_else(declared)
    }

    fn spec(&self, class: Class) -> DeviceSpec {
        match self.depth {
            Depth::Class => DeviceSpec { precisions: units(class).to_vec(), copy_runs: 0, ..DeviceSpec::default() },
            Depth::All => DeviceSpec::default(),
        }
    }
}

/// The precisions that a class is rated in, the first that all devices have; as `Part::peak_of_class` does it.
fn units(class: Class) -> &'static [Precision] {
    match class {
        Class::Hpc => &[Precision::Fp64],
        Class::General => &[Precision::Fp32],
        Class::Ai => &[Precision::Bf16, Precision::Fp16],
    }
}

/// The sum of what was measured of every device of the pool, or why there is none.
fn measured_pool(pool: &Pool, part: &Part, outcomes: &[DeviceOutcome], now: TimeMs) -> Result<PoolRecord, String> {
    let registry = Registry::built_in();
    let here: Vec<&DeviceOutcome> =
        outcomes.iter().filter(|of| of.device.part(&registry).is_some_and(|found| found.id == part.id)).collect();
    let (count, wanted) = (here.len() as u64, pool.devices.0);
    if count * DEVICE_MILLIS != wanted {
        return Err(format!("{count} of its {} devices are in this machine", wanted.div_ceil(DEVICE_MILLIS)));
    }
    let mut found: Vec<&DeviceMeasurement> = Vec::with_capacity(here.len());
    for of in here {
        match &of.outcome {
            Ok(measurement) => found.push(measurement),
            Err(why) => return Err(format!("device {}: {why}", of.device.index)),
        }
    }
    let unit =
        units(pool.class).iter().find_map(|&unit| Some((unit, sum(&found, unit, |rate| Some(rate.sustained_gflops))?)));
    let Some((unit, sustained)) = unit else {
        return Err(format!("a device has no {} arithmetic", Precision::of_class(pool.class)));
    };
    let rates = Precision::ALL.into_iter().filter_map(|precision| {
        let sustained = sum(&found, precision, |rate| Some(rate.sustained_gflops))?;
        let nameplate = sum(&found, precision, |rate| rate.nameplate_gflops);
        Some(PrecisionRate { precision, sustained: Some(GflopPerS(sustained)), nameplate: nameplate.map(GflopPerS) })
    });
    let record = Record::of(&found);
    let copies = found.iter().map(|of| of.copy.as_ref().map(|copy| copy.mb_per_s));
    let rating = Rating {
        certificate: Some(Arc::new(Certificate {
            rates: rates.collect(),
            memory: memory(pool, part),
            bandwidth_mb_per_s: copies.sum::<Option<u64>>(),
            watts: watts(pool, part),
            ..certificate(&Host::detect(), &record, now)
        })),
        ..Rating::plain(
            GflopPerS(sustained),
            // Zero says that nobody declares a peak.
            GflopPerS(sum(&found, unit, |rate| rate.nameplate_gflops).unwrap_or(0)),
            &format!("{DEVICE_METHOD}/{DEVICE_METHOD_VERSION}"),
            Mark::Measured,
            now,
        )
    };
    Ok(PoolRecord { pool: pool.id.clone(), rating, record })
}

/// The sum of one figure over all devices; `None` where one of them has none.
fn sum(found: &[&DeviceMeasurement], of: Precision, figure: impl Fn(&DeviceRate) -> Option<u64>) -> Option<u64> {
    let one =
        |measurement: &&DeviceMeasurement| measurement.rates.iter().find(|rate| rate.precision == of).and_then(&figure);
    found.iter().map(one).sum()
}

/// What the maker declares of so many devices: shown, and good for work that names its hardware, but no certified
/// capacity.
fn declared(pool: &Pool, part: &Part, now: TimeMs) -> Option<PoolRecord> {
    let each = part.peak_of_class(pool.class)?.gflops;
    let all = |gflops: u64| GflopPerS(mul_div(gflops, pool.devices.0, DEVICE_MILLIS));
    let record = Record::of(part);
    let rate = |(precision, figure): (&Precision, &Figure)| PrecisionRate {
        precision: *precision,
        sustained: None,
        nameplate: Some(all(figure.gflops)),
    };
    let rating = Rating {
        certificate: Some(Arc::new(Certificate {
            rates: part.peak.iter().map(rate).collect(),
            memory: memory(pool, part),
            bandwidth_mb_per_s: None,
            watts: watts(pool, part),
            ..certificate(&Host::detect(), &record, now)
        })),
        ..Rating::plain(all(each), all(each), "parts/1", Mark::Declared, now)
    };
    Some(PoolRecord { pool: pool.id.clone(), rating, record })
}

fn memory(pool: &Pool, part: &Part) -> Bytes {
    part.memory_gib.map_or(pool.device_memory, |gib| Bytes(u64::from(gib) << 30))
}

/// The declared power cap of so many devices.
fn watts(pool: &Pool, part: &Part) -> Option<u32> {
    part.watts.and_then(|watts| u32::try_from(mul_div(u64::from(watts), pool.devices.0, DEVICE_MILLIS)).ok())
}

#[cfg(test)]
mod tests {
    use huisuan_measure::{CopyRate, Device, LeftOut};
    use huisuan_model::{MilliDevices, Millicores, PoolId};

    use super::*;

    const PART: &str = "H200-SXM5-141G";

    fn pool(devices: u64, class: Class) -> Pool {
        Pool {
            id: PoolId::new(PART).expect("a name"),
            class,
            cores: Millicores(64_000),
            memory: Bytes(1 << 40),
            devices: MilliDevices(devices * 1_000),
            device_memory: Bytes(141 << 30),
            rating: None,
            images: false,
            topology: None,
        }
    }

    fn device(name: &str) -> Device {
        let memory_mib = Some(143_771);
        Device { told_by: "test", index: 0, name: name.to_owned(), memory_mib, watts: None, uuid: None }
    }

    /// A device that sustains so much of each precision, in GFLOP/s.
    fn outcome(name: &str, rates: &[(Precision, u64)]) -> DeviceOutcome {
        let rate = |&(precision, sustained_gflops): &(Precision, u64)| DeviceRate {
            precision,
            sustained_gflops,
            nameplate_gflops: Some(1_000_000),
            order: 8_192,
            flop_per_run: sustained_gflops,
            runs_ns: vec![1; 5],
            median_ns: 1,
            entries_checked: 64,
            error_max: 0.0,
            watts: Some(600),
        };
        let copy = CopyRate { mb_per_s: 4_000_000, array_bytes: 8, bytes_per_run: 16, runs_ns: vec![1], median_ns: 1 };
        let measurement = DeviceMeasurement {
            method: DEVICE_METHOD,
            version: DEVICE_METHOD_VERSION,
            device: device(name),
            part: None,
            driver: 13_000,
            library: 130_100,
            rates: rates.iter().map(rate).collect(),
            left_out: Vec::<LeftOut>::new(),
            copy: Some(copy),
        };
        DeviceOutcome { device: device(name), outcome: Ok(measurement) }
    }

    fn measured(pool: &Pool, outcomes: &[DeviceOutcome]) -> Result<PoolRecord, String> {
        let registry = Registry::built_in();
        measured_pool(pool, registry.get(PART).expect("a part"), outcomes, TimeMs(5))
    }

    #[test]
    fn a_pool_whose_devices_were_all_measured_is_certified() {
        let both = [(Precision::Bf16, 700_000), (Precision::Fp64, 60_000)];
        let less = [(Precision::Bf16, 650_000), (Precision::Fp64, 50_000), (Precision::Int8, 9)];
        let outcomes = [outcome("NVIDIA H200", &both), outcome("NVIDIA L40S", &both), outcome("NVIDIA H200", &less)];
        let rated = measured(&pool(2, Class::Ai), &outcomes).expect("a rating");
        let rating = &rated.rating;
        assert_eq!((rating.sustained, rating.nameplate), (GflopPerS(1_350_000), GflopPerS(2_000_000)));
        assert_eq!((rating.method.as_str(), rating.mark, rating.certified()), ("gemm-cublas/1", Mark::Measured, true));
        let certificate = rating.certificate.as_ref().expect("a certificate");
        let rates: Vec<_> = certificate.rates.iter().map(|rate| (rate.precision, rate.sustained)).collect();
        // What only one of them was measured in is no rate of the pool.
        let all = [(Precision::Fp64, Some(GflopPerS(110_000))), (Precision::Bf16, Some(GflopPerS(1_350_000)))];
        assert_eq!(rates, all);
        assert_eq!((certificate.bandwidth_mb_per_s, certificate.watts), (Some(8_000_000), Some(1_400)));
        assert_eq!(certificate.data_hash, rated.record.hash);
        assert!(rated.record.text.contains("\"runs_ns\":[1,1,1,1,1]"), "all raw timings are kept");
        let hpc = measured(&pool(2, Class::Hpc), &outcomes).expect("a rating");
        assert_eq!(hpc.rating.sustained, GflopPerS(110_000));
    }

    #[test]
    fn without_bf16_the_rate_of_fp16_counts() {
        let rated = measured(&pool(1, Class::Ai), &[outcome("NVIDIA H200", &[(Precision::Fp16, 100)])]);
        assert_eq!(rated.expect("a rating").rating.sustained, GflopPerS(100));
    }

    #[test]
    fn what_was_not_measured_whole_is_not_certified() {
        let one = || outcome("NVIDIA H200", &[(Precision::Bf16, 100)]);
        let check = |pool: &Pool, outcomes: &[DeviceOutcome], said: &str| {
            let why = measured(pool, outcomes).err().expect("no rating");
            assert!(why.contains(said), "{why}");
        };
        check(&pool(2, Class::Ai), &[one()], "1 of its 2 devices");
        check(&pool(1, Class::Ai), &[outcome("NVIDIA L40S", &[])], "0 of its 1 devices");
        check(&pool(1, Class::Hpc), &[one()], "no fp64");
        let busy = DeviceOutcome { outcome: Err(Unmeasured::Busy { processes: 3 }), ..one() };
        check(&pool(2, Class::Ai), &[one(), busy], "3 other processes");
        // More devices than the pool has: nobody knows which are its.
        check(&pool(1, Class::Ai), &[one(), one()], "2 of its 1 devices");
    }

    #[test]
    fn devices_are_declared_and_not_certified() {
        let registry = Registry::built_in();
        let part = registry.get(PART).expect("a part");
        let rated = declared(&pool(8, Class::Ai), part, TimeMs(5)).expect("a rating");
        assert_eq!((rated.rating.sustained, rated.rating.mark), (GflopPerS(8 * 989_400), Mark::Declared));
        assert!(rated.rating.trusted() && !rated.rating.certified());
        let certificate = rated.rating.certificate.expect("a certificate");
        assert_eq!((certificate.watts, certificate.memory), (Some(5_600), Bytes(141 << 30)));
        assert_eq!(certificate.data_hash, rated.record.hash);
        assert!(certificate.rates.iter().all(|rate| rate.sustained.is_none()));
        assert!(declared(&pool(8, Class::Hpc), part, TimeMs(5)).is_some());
    }

    #[test]
    fn what_the_site_tells_comes_before_what_the_maker_declares() {
        let devices = Devices::new(Depth::Class);
        devices.outcomes.set(Err(Unmeasured::NoDevice)).expect("not measured before");
        let told = || {
            let rating = Rating::plain(GflopPerS(7), GflopPerS(7), "declared/1", Mark::Declared, TimeMs(5));
            PoolRecord { pool: pool(1, Class::Ai).id, record: Record::of(&7), rating }
        };
        let method = |told| devices.rate(&pool(1, Class::Ai), told, TimeMs(5)).expect("a rating").rating.method;
        assert_eq!((method(Some(told())), method(None)), ("declared/1".to_owned(), "parts/1".to_owned()));
        let unknown = Pool { id: PoolId::new("no-such-part").expect("a name"), ..pool(1, Class::Ai) };
        assert!(devices.rate(&unknown, None, TimeMs(5)).is_none());
        assert!(devices.rate(&unknown, Some(told()), TimeMs(5)).is_some());
    }
}
