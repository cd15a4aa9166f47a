//! A demand in units becomes hardware by ratings: whatever the pool, what is given reaches what was asked, nothing
//! less does, and only certified capacity of devices with enough memory serves it.

use huisuan_model::{Bytes, Class, Doubt, GflopPerS, Mark, MilliDevices, Rating, Shape, TimeMs, spec::Need};
use proptest::prelude::*;

use crate::{Demand, demand, testing::*};

const GIB: u64 = 1 << 30;

fn needing(class: Class, rate: u64, memory_gib: u64) -> Shape {
    let device_memory_min = Bytes(memory_gib * GIB);
    Shape { need: Need::Rate { class, rate: GflopPerS(rate), device_memory_min }, ..shape(1) }
}

/// `rate` of `sustained` as `amount` of `whole` would reach it.
fn reaches(amount: u64, whole: u64, sustained: u64, rate: u64) -> bool {
    u128::from(amount) * u128::from(sustained) >= u128::from(rate) * u128::from(whole)
}

proptest! {
    #[test]
    fn units_become_devices(
        devices in 0..64_u64,
        cores in 1..512_u64,
        memory_gib in 0..192_u64,
        asked_gib in prop_oneof![Just(0_u64), 1..192_u64],
        sustained in 1..2_000_000_u64,
        rate in 1..2_000_000_u64,
        same_class: bool,
        mark in prop_oneof![Just(Mark::Measured), Just(Mark::Modelled), Just(Mark::Declared)],
        doubted in prop::bool::weighted(0.2),
    ) {
        let mut pool = pool("X", Class::Ai, cores, devices).pool;
        pool.device_memory = Bytes(if devices > 0 { memory_gib * GIB } else { 0 });
        let plain = Rating::plain(GflopPerS(sustained), GflopPerS(0), "test/1", mark, TimeMs(0));
        pool.rating = Some(Rating { doubt: doubted.then_some(Doubt::Signature), ..plain });
        let class = if same_class { Class::Ai } else { Class::Hpc };
        let given = demand(&pool, &needing(class, rate, asked_gib));

        let may = same_class
            && !doubted
            && mark != Mark::Declared
            && rate <= sustained
            && (devices == 0 || memory_gib >= asked_gib);
        prop_assert_eq!(given.is_some(), may);
        if let Some(Demand { cores, devices, .. }) = given {
            prop_assert!(cores <= pool.cores && devices <= pool.devices);
            let (amount, whole) =
                if pool.devices.is_zero() { (cores.0, pool.cores.0) } else { (devices.0, pool.devices.0) };
            prop_assert!(reaches(amount, whole, sustained, rate), "what is given is enough");
            prop_assert!(!reaches(amount - 1, whole, sustained, rate), "and a thousandth less is not");
        }
    }
}

/// "2 P of ai, at least 64 GB per device" on pools of three makes.
#[test]
fn two_p_of_ai_on_devices_of_64_gib() {
    let check = |memory_gib: u64, each_gflops: u64, mark, expected: Option<u64>| {
        let mut pool = pool("X", Class::Ai, 64, 8).pool;
        pool.device_memory = Bytes(memory_gib * GIB);
        pool.rating = Some(Rating::plain(GflopPerS(8 * each_gflops), GflopPerS(0), "test/1", mark, TimeMs(0)));
        let given = demand(&pool, &needing(Class::Ai, 2_000_000, 64));
        assert_eq!(given.map(|demand| demand.devices), expected.map(MilliDevices));
    };
    check(80, 270_000, Mark::Measured, Some(7_408));
    check(64, 500_000, Mark::Measured, Some(4_000));
    check(141, 794_500, Mark::Measured, Some(2_518));
    check(40, 270_000, Mark::Measured, None);
    check(80, 240_000, Mark::Measured, None);
    check(80, 989_400, Mark::Declared, None);
}

#[test]
fn named_hardware_may_be_declared_but_not_doubted() {
    let mut pool = pool("A100", Class::Ai, 8, 1).pool;
    let mut fits = |change: fn(&mut Rating)| {
        change(pool.rating.as_mut().expect("rated"));
        demand(&pool, &device_shape(1)).is_some()
    };
    assert!(fits(|_| {}));
    assert!(fits(|rating| rating.mark = Mark::Declared));
    assert!(!fits(|rating| rating.doubt = Some(Doubt::Signature)));
}
