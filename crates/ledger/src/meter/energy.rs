//! From use to energy: what the machines of an attempt drew, times what their site takes for it.

use huisuan_model::{
    DurationMs, Energy, Mark, PoolId, RatedShare, energy::JOULES_MAX, facts::Power, quantity::mul_div,
};

use super::Span;

/// What is known of the power of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a> {
    /// The power of its centre, where it is declared.
    pub power: Option<&'a Power>,
    /// The pool.
    pub pool: &'a PoolId,
    /// Whether it has devices; of one without them cores were given.
    pub devices: bool,
    /// The power cap of the whole pool in watts, by its rating.
    pub cap_watts: Option<u32>,
}

/// Turbo clocks and memory let a machine draw more than its processors' or devices' cap, but not more than twice of it.
const OVER_CAP: u64 = 2;

impl Draw<'_> {
    /// The most that the whole pool can have taken in a time, in joules; `None` where no cap is known.
    pub fn joules_max(&self, run: DurationMs) -> Option<u64> {
        Some(u64::from(self.cap_watts?).saturating_mul(OVER_CAP).saturating_mul(run.0.div_ceil(1_000)))
    }
}

/// The energy of an interval of at most an hour; `None` where nobody says what the pool draws.
///
/// - What meters of the machine counted is `measured`, unless it is more than the whole pool can have taken.
/// - Where the operator declares what a device or core draws at work, that counts: of a device for all of the time, of
///   a core for the processor time that was used, and never for more than was given. This is `modelled`.
/// - Otherwise the share of the power cap that the rating names counts for all of the time: the most that it can have
///   been, idling included. This is `declared`.
///
/// Either way the site's PUE comes on top where it is declared, and the carbon intensity is that of the hour.
pub fn energy(draw: &Draw<'_>, share: &RatedShare, span: &Span) -> Option<Energy> {
    let run = span.until.since(span.from);
    let carbon_g_per_kwh = draw.power.map(|power| power.carbon_mean_g_per_kwh(span.from, run));
    if span.joules > 0 && draw.joules_max(run).is_none_or(|most| span.joules <= most) {
        let pue_permille = draw.power.map_or(1_000, |power| power.pue_permille);
        let joules = mul_div(span.joules, u64::from(pue_permille), 1_000);
        return Some(Energy { joules: joules.min(JOULES_MAX), mark: Mark::Measured, carbon_g_per_kwh });
    }
    let each_mw = draw.power.and_then(|power| power.draw_mw.get(draw.pool));
    let (draw_uw, mark) = match each_mw {
        // Thousandths times milliwatts are microwatts.
        Some(each_mw) => (busy(draw, share, span) * u128::from(*each_mw), Mark::Modelled),
        None => {
            let cap_uw = u128::from(draw.cap_watts?) * 1_000_000;
            (cap_uw.saturating_mul(u128::from(share.part)) / u128::from(share.whole.max(1)), Mark::Declared)
        }
    };
    let joules = match draw.power {
        Some(power) => power.energy_of_draw(draw_uw, span.from, run).joules,
        None => {
            // Microwatts times milliseconds are nanojoules.
            let nanojoules = draw_uw.saturating_mul(u128::from(run.0));
            u64::try_from(nanojoules / 1_000_000_000).unwrap_or(u64::MAX)
        }
    };
    Some(Energy { joules: joules.min(JOULES_MAX), mark, carbon_g_per_kwh })
}

/// Thousandths of devices, or of cores, that were at work on average.
fn busy(draw: &Draw<'_>, share: &RatedShare, span: &Span) -> u128 {
    let given = u128::from(share.part);
    if draw.devices {
        return given;
    }
    let wall_ms = u128::from(span.until.since(span.from).0.max(1));
    (u128::from(span.cpu.0) * 1_000 / wall_ms).min(given)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use huisuan_model::{Class, GflopPerS, Money, TimeMs};
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn pool() -> PoolId {
        PoolId::new("cpu:x").expect("a name")
    }

    /// Five watts a core or device, a PUE of 1.2; 500 g, and 100 g at noon UTC.
    fn power() -> Power {
        let mut carbon_g_per_kwh = [500; 24];
        carbon_g_per_kwh[12] = 100;
        Power {
            offset_minutes: 0,
            price_per_kwh: [Money(1); 24],
            carbon_g_per_kwh,
            pue_permille: 1_200,
            draw_mw: BTreeMap::from([(pool(), 5_000)]),
        }
    }

    fn share(part: u64) -> RatedShare {
        RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(1), part, whole: 64_000 }
    }

    fn span(from: i64, until: i64, cpu: u64) -> Span {
        Span { from: TimeMs(from), until: TimeMs(until), work: 0, cpu: DurationMs(cpu), joules: 0 }
    }

    #[test]
    fn energy_is_draw_by_use_by_pue_by_time() {
        let check = |draw: Draw<'_>, span: Span, expected: Option<(u64, Mark, Option<u32>)>| {
            let found = energy(&draw, &share(2_000), &span);
            assert_eq!(found.map(|one| (one.joules, one.mark, one.carbon_g_per_kwh)), expected, "{draw:?} {span:?}");
        };
        let (power, pool, other) = (power(), pool(), PoolId::new("cpu:y").expect("a name"));
        let known = Draw { power: Some(&power), pool: &pool, devices: false, cap_watts: Some(64_000) };
        let hour = span(0, HOUR, 0);
        let used = |cpu| Span { cpu: DurationMs(cpu), ..hour };
        let of = |joules, grams| Some((joules, Mark::Modelled, Some(grams)));
        // Two cores of 5 W at a PUE of 1.2 are 12 W; half of the time at work they are 6 W.
        check(known, used(2 * HOUR as u64), of(43_200, 500));
        check(known, used(HOUR as u64), of(21_600, 500));
        check(known, used(0), of(0, 500));
        // More than was given is not believed.
        check(known, used(9 * HOUR as u64), of(43_200, 500));
        // Devices count as long as they are given.
        let devices = Draw { devices: true, ..known };
        check(devices, hour, of(43_200, 500));
        check(devices, span(12 * HOUR, 12 * HOUR + HOUR / 2, 0), of(21_600, 100));
        check(devices, span(12 * HOUR - HOUR / 2, 12 * HOUR + HOUR / 2, 0), of(43_200, 300));
        // 64 kW for 64 cores: a kW each.
        let capped = Draw { pool: &other, ..known };
        check(capped, hour, Some((8_640_000, Mark::Declared, Some(500))));
        check(Draw { power: None, ..capped }, hour, Some((7_200_000, Mark::Declared, None)));
        check(Draw { power: None, cap_watts: None, ..capped }, hour, None);
        check(Draw { cap_watts: None, ..capped }, hour, None);
    }

    #[test]
    fn what_meters_counted_goes_before_what_is_declared() {
        let (power, pool) = (power(), pool());
        let known = Draw { power: Some(&power), pool: &pool, devices: false, cap_watts: Some(1_000) };
        let check = |draw: &Draw<'_>, joules, expected: (u64, Mark)| {
            let span = Span { joules, ..span(0, HOUR, HOUR as u64) };
            let found = energy(draw, &share(2_000), &span).expect("its draw is known");
            assert_eq!((found.joules, found.mark), expected, "{joules} {draw:?}");
        };
        check(&known, 1_000, (1_200, Mark::Measured));
        check(&Draw { power: None, ..known }, 1_000, (1_000, Mark::Measured));
        check(&Draw { power: None, cap_watts: None, ..known }, u64::MAX, (JOULES_MAX, Mark::Measured));
        // Twice of what the whole pool may draw for an hour is the most that is believed.
        check(&known, 7_200_000, (8_640_000, Mark::Measured));
        check(&known, 7_200_001, (21_600, Mark::Modelled));
        check(&known, 0, (21_600, Mark::Modelled));
    }

    proptest! {
        /// Whatever is declared and reported: never more than all that was given at full draw, cut at the most that a
        /// reading may take, and more use never takes less.
        #[test]
        fn energy_is_bounded_and_grows_with_use(
            each_mw in 0..=huisuan_model::facts::DRAW_MW_MAX,
            part in 0..=u64::MAX,
            from in -HOUR..HOUR,
            run in 1..=HOUR,
            cpu in any::<u64>(),
            cap_watts in prop::option::of(any::<u32>()),
            pue_permille in 1_000..=100_000_u32,
        ) {
            let (pool, draw_mw) = (pool(), BTreeMap::from([(pool(), each_mw)]));
            let power = Power { draw_mw, pue_permille, ..power() };
            let cores = Draw { power: Some(&power), pool: &pool, devices: false, cap_watts };
            let at = |cpu| energy(&cores, &share(part), &span(from, from + run, cpu)).expect("its draw is declared");
            let devices = energy(&Draw { devices: true, ..cores }, &share(part), &span(from, from + run, cpu));
            let most = devices.expect("its draw is declared").joules;
            prop_assert!(at(cpu).joules <= most && most <= JOULES_MAX);
            prop_assert!(at(cpu / 2).joules <= at(cpu).joules);
            let bare = Draw { power: None, ..cores };
            let capped = energy(&bare, &share(part), &span(from, from + run, cpu));
            prop_assert_eq!(capped.is_some(), cap_watts.is_some());
            prop_assert!(capped.is_none_or(|one| one.joules <= JOULES_MAX && one.mark == Mark::Declared));
        }
    }
}
