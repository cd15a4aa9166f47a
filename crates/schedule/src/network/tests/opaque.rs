//! Learning how soon opaque centres start work.

use huisuan_model::TimeMs;
use proptest::prelude::*;

use crate::network::{Band, OpaquePolicy, StartDelay, StartModel, tests::story::centre_id};

const DAY_MS: i64 = 86_400_000;

fn model() -> StartModel {
    StartModel::new(centre_id("slurm"), OpaquePolicy::default())
}

#[test]
fn bands_are_of_size_and_load() {
    let check = |width, used, whole, size, load| assert_eq!(Band::of(width, used, whole), Band { size, load });
    check(0, 0, 1_024, 0, 0);
    check(1, 0, 1_024, 1, 0);
    check(2, 128, 1_024, 2, 1);
    check(512, 1_023, 1_024, 10, 7);
    check(u64::MAX, u64::MAX, 1_024, 10, 7);
    check(1, 1, 0, 10, 7);
}

#[test]
fn the_prior_holds_until_enough_is_seen_and_again_after_it_expired() {
    let (mut model, band) = (model(), Band { size: 3, load: 4 });
    let prior = OpaquePolicy::default().prior;
    for number in 0..20 {
        assert_eq!(model.delay(band), prior);
        model.observe(band, TimeMs(number), TimeMs(number + 1_000));
    }
    // A second lies in the bucket that ends at 1,216 ms.
    assert_eq!(model.delay(band), StartDelay { p50_ms: 1_216, p90_ms: 1_216 });
    model.expire(TimeMs(20 * DAY_MS));
    assert_eq!((model.delay(band), model.observations()), (prior, 0));
}

#[test]
fn bands_have_delays_of_their_own_and_borrow_from_near_ones() {
    let (mut model, small, large) = (model(), Band { size: 1, load: 0 }, Band { size: 9, load: 7 });
    for number in 0..40 {
        model.observe(small, TimeMs(number), TimeMs(number + 100));
        model.observe(large, TimeMs(number), TimeMs(number + 3_600_000));
    }
    assert_eq!(model.delay(small).p90_ms, 128);
    assert!(model.delay(large).p50_ms > 3_600_000);
    assert_eq!(model.delay(Band { size: 2, load: 0 }), model.delay(small));
    // Nothing is known of large work in an idle centre: what is known of its load comes first.
    assert_eq!(model.delay(Band { size: 9, load: 0 }), model.delay(small));
}

#[test]
fn what_is_in_flight_follows_what_the_centre_starts() {
    let mut model = model();
    assert_eq!(model.in_flight_left(0, TimeMs(0)), 1);
    assert_eq!(model.in_flight_left(1, TimeMs(0)), 0);
    for number in 0..2_400 {
        model.observe(Band { size: 0, load: 0 }, TimeMs(number * 36_000), TimeMs(number * 36_000));
    }
    // A hundred in an hour.
    assert_eq!(model.in_flight_left(0, TimeMs(DAY_MS)), 100);
    assert_eq!(model.in_flight_left(40, TimeMs(DAY_MS)), 60);
    assert_eq!(model.in_flight_left(400, TimeMs(DAY_MS)), 0);
}

proptest! {
    /// The quantiles of one band are those of the observations, up to the width of a bucket: a quarter, or 16 ms.
    #[test]
    fn quantiles_are_near(delays in prop::collection::vec(0_u64..100_000_000, 20..200)) {
        let mut model = model();
        let band = Band { size: 0, load: 0 };
        for &delay in &delays {
            model.observe(band, TimeMs(DAY_MS - i64::try_from(delay).unwrap()), TimeMs(DAY_MS));
        }
        let mut sorted = delays.clone();
        sorted.sort_unstable();
        let found = model.delay(band);
        for (quantile, permille) in [(found.p50_ms, 500), (found.p90_ms, 900)] {
            let exact = sorted[(sorted.len() * permille).div_ceil(1_000) - 1];
            prop_assert!(quantile > exact && quantile <= exact + exact / 4 + 32, "{quantile} for {exact}");
        }
        prop_assert!(found.p50_ms <= found.p90_ms);
    }
}
