//! Learning how soon opaque centres start work.

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
const POLICY: OpaquePolicy = OpaquePolicy::DEFAULT;

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
    let (mut starts, band) = (Starts::default(), Band { size: 3, load: 4 });
    let prior = POLICY.prior;
    for number in 0..20 {
        assert_eq!(starts.delay(&POLICY, band), prior);
        starts.observe(&POLICY, band, TimeMs(number), TimeMs(number + 1_000));
    }
    // A second lies in the bucket that ends at 1,216 ms.
    assert_eq!(starts.delay(&POLICY, band), StartDelay { p50_ms: 1_216, p90_ms: 1_216 });
    starts.expire(&POLICY, TimeMs(20 * DAY_MS));
    assert_eq!((starts.delay(&POLICY, band), starts.observations()), (prior, 0));
}

#[test]
fn bands_have_delays_of_their_own_and_borrow_from_near_ones() {
    let (mut starts, small, large) = (Starts::default(), Band { size: 1, load: 0 }, Band { size: 9, load: 7 });
    for number in 0..40 {
        starts.observe(&POLICY, small, TimeMs(number), TimeMs(number + 100));
        starts.observe(&POLICY, large, TimeMs(number), TimeMs(number + 3_600_000));
    }
    assert_eq!(starts.delay(&POLICY, small).p90_ms, 128);
    assert!(starts.delay(&POLICY, large).p50_ms > 3_600_000);
    assert_eq!(starts.delay(&POLICY, Band { size: 2, load: 0 }), starts.delay(&POLICY, small));
    // Nothing is known of large work in an idle centre: what is known of its load comes first.
    assert_eq!(starts.delay(&POLICY, Band { size: 9, load: 0 }), starts.delay(&POLICY, small));
}

#[test]
fn what_may_be_in_flight_follows_what_the_centre_starts() {
    let mut starts = Starts::default();
    let most = |starts: &Starts, at| starts.in_flight_most(&POLICY, TimeMs(at));
    assert_eq!(most(&starts, 0), 64);
    for number in 0..100 {
        starts.observe(&POLICY, Band { size: 0, load: 0 }, TimeMs(number), TimeMs(HOUR_MS + number));
    }
    assert_eq!(most(&starts, HOUR_MS + 100), 164);
    // Half an hour into the next hour half of them count, and after it none.
    assert_eq!(most(&starts, HOUR_MS * 5 / 2), 114);
    assert_eq!(most(&starts, HOUR_MS * 3), 64);
    for number in 0..20_000 {
        starts.observe(&POLICY, Band { size: 0, load: 0 }, TimeMs(0), TimeMs(HOUR_MS * 3 + number));
    }
    assert_eq!(most(&starts, HOUR_MS * 3 + 20_000), 10_000);
    // A report that comes late counts as of now.
    starts.observe(&POLICY, Band { size: 0, load: 0 }, TimeMs(0), TimeMs(0));
    assert_eq!((most(&starts, HOUR_MS * 3 + 20_000), starts.observations()), (10_000, 20_101));
}

#[test]
fn the_stored_form_says_all() {
    let mut starts = Starts::default();
    starts.observe(&POLICY, Band { size: 3, load: 5 }, TimeMs(0), TimeMs(DAY_MS));
    let text = serde_json::to_string(&starts).unwrap();
    let stored =
        r#"{"spans":[{"begin_at":86400000,"counts":{"29":{"81":1}}}],"pace":{"begin_at":86400000,"now":1,"before":0}}"#;
    assert_eq!(text, stored);
    assert_eq!(serde_json::from_str::<Starts>(&text).unwrap(), starts);
    for number in 0..=u8::MAX {
        let band = Band::from(number);
        assert!(band.size < SIZE_BANDS && band.load < LOAD_BANDS);
        assert_eq!(Band::from(u8::from(band)), band);
    }
}

proptest! {
    /// The quantiles of one band are those of the observations, up to the width of a bucket: a quarter, or 16 ms.
    #[test]
    fn quantiles_are_near(delays in prop::collection::vec(0_u64..100_000_000, 20..200)) {
        let mut starts = Starts::default();
        let band = Band { size: 0, load: 0 };
        for &delay in &delays {
            starts.observe(&POLICY, band, TimeMs(DAY_MS - i64::try_from(delay).unwrap()), TimeMs(DAY_MS));
        }
        let mut sorted = delays.clone();
        sorted.sort_unstable();
        let found = starts.delay(&POLICY, band);
        for (quantile, permille) in [(found.p50_ms, 500), (found.p90_ms, 900)] {
            let exact = sorted[(sorted.len() * permille).div_ceil(1_000) - 1];
            prop_assert!(quantile > exact && quantile <= exact + exact / 4 + 32, "{quantile} for {exact}");
        }
        prop_assert!(found.p50_ms <= found.p90_ms);
    }
}
