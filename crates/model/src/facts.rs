//! What an operator declares of a centre as a part of the network: its links to others, its power, and how well kinds
//! of work do there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ApplicationId, CentreId, PoolId},
    quantity::{Bytes, DurationMs, Money, TimeMs},
};

/// One figure for every hour of the local day.
pub type Curve<T> = [T; 24];

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The longest round trip of a link: a minute.
pub const ROUND_TRIP_US_MAX: u64 = 60_000_000;
/// The most that a link carries: 10^15 bytes each second.
pub const BYTES_PER_S_MAX: u64 = 1_000_000_000_000_000;
/// The dearest kWh or gigabyte: a million currency units.
pub const PRICE_MAX: Money = Money(1_000_000_000_000);
/// The most that one device or core draws: a megawatt, in milliwatts.
pub const DRAW_MW_MAX: u64 = 1_000_000_000;
/// The least and the most that work may reach of a rating, in thousandths.
pub const FACTOR_PERMILLE: std::ops::RangeInclusive<u32> = 10..=10_000;
/// The most factors of a centre.
pub const FACTORS_MAX: usize = 1_000;
/// The most links of a centre.
pub const LINKS_MAX: usize = 1_000;

/// All of it; what is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Links to other centres, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Where its power comes from and how much it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Box<Power>>,
    /// What kinds of work were measured to reach on a pool, in thousandths of its rating. Quotes are refined by them;
    /// accounts never are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub factors: BTreeMap<PoolId, BTreeMap<ApplicationId, u32>>,
}

/// A connection to another centre. It goes both ways, unless the other one declares its own way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The other end.
    pub to: CentreId,
    /// There and back, in microseconds.
    pub round_trip_us: u64,
    /// What it carries for the network, in bytes a second.
    pub bytes_per_s: u64,
    /// What 10^9 bytes cost, in millionths.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub price_per_gb: Money,
}

/// The power of a centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Minutes that the local hours of the curves are ahead of UTC.
    pub offset_minutes: i32,
    /// What a kWh costs, in millionths. It may be negative, as it is in markets at times.
    pub price_per_kwh: Curve<Money>,
    /// Carbon intensity, in grams of CO2 for a kWh.
    pub carbon_g_per_kwh: Curve<u32>,
    /// Power of the whole site for each part that reaches machines, in thousandths: 1,250 is a PUE of 1.25.
    pub pue_permille: u32,
    /// What one device of a pool draws at work beyond idling, in milliwatts; of a pool without devices one core.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub draw_mw: BTreeMap<PoolId, u64>,
}

/// What some energy costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Energy {
    /// In joules, of the whole site.
    pub joules: u64,
    /// The bill, in millionths.
    pub price: Money,
    /// CO2, in milligrams.
    pub carbon_mg: u64,
}

impl Facts {
    /// What is wrong with the facts of `centre`, in words; `None` when nothing is.
    pub fn fault(&self, centre: &CentreId) -> Option<String> {
        let mut seen = BTreeSet::new();
        if self.links.len() > LINKS_MAX {
            return Some(format!("it has {} links, at most {LINKS_MAX} are allowed", self.links.len()));
        }
        for Link { to, round_trip_us, bytes_per_s, price_per_gb } in &self.links {
            let wrong = match () {
                () if to == centre => "leads back to itself",
                () if !seen.insert(to) => "is there twice",
                () if *round_trip_us > ROUND_TRIP_US_MAX => "has a round trip above a minute",
                () if !(1..=BYTES_PER_S_MAX).contains(bytes_per_s) => {
                    "carries nothing, or more than 10^15 bytes a second"
                }
                () if *price_per_gb < Money::ZERO || *price_per_gb > PRICE_MAX => {
                    "has a negative price or one above 10^6"
                }
                () => continue,
            };
            return Some(format!("the link to `{to}` {wrong}"));
        }
        self.power.as_ref().and_then(|power| power.fault()).or_else(|| self.factor_fault())
    }

    fn factor_fault(&self) -> Option<String> {
        let count = self.factors.values().map(BTreeMap::len).sum::<usize>();
        if count > FACTORS_MAX {
            return Some(format!("it has {count} factors, at most {FACTORS_MAX} are allowed"));
        }
        let each = self.factors.iter().flat_map(|(pool, own)| own.iter().map(move |one| (pool, one)));
        let mut wrong = each.filter(|(_, (_, permille))| !FACTOR_PERMILLE.contains(permille));
        let (pool, (application, permille)) = wrong.next()?;
        let (least, most) = (FACTOR_PERMILLE.start(), FACTOR_PERMILLE.end());
        Some(format!(
            "`{application}` reaches {permille} thousandths of what pool `{pool}` is rated, allowed are {least} to {most}"
        ))
    }

    /// What a kind of work reaches on a pool, in thousandths of its rating; `None` where nobody measured that.
    pub fn factor(&self, pool: &PoolId, application: &ApplicationId) -> Option<u32> {
        self.factors.get(pool)?.get(application).copied()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.power.is_none() && self.factors.is_empty()
    }
}

impl Power {
    fn fault(&self) -> Option<String> {
        let dear = |price: &&Money| **price > PRICE_MAX || **price < Money(-PRICE_MAX.0);
        if self.offset_minutes.abs() > 14 * 60 {
            return Some(format!("its hours are {} minutes ahead of UTC, at most 840 are", self.offset_minutes));
        }
        if let Some(price) = self.price_per_kwh.iter().find(dear) {
            return Some(format!("a kWh costs {price}, at most a million is allowed"));
        }
        if let Some(grams) = self.carbon_g_per_kwh.iter().find(|grams| **grams > 10_000) {
            return Some(format!("a kWh emits {grams} g, at most 10,000 g are allowed"));
        }
        if !(1_000..=100_000).contains(&self.pue_permille) {
            return Some(format!("its PUE is {} thousandths, allowed are 1,000 to 100,000", self.pue_permille));
        }
        let (pool, draw) = self.draw_mw.iter().find(|(_, draw)| **draw > DRAW_MW_MAX)?;
        Some(format!("pool `{pool}` draws {draw} mW for each device or core, at most {DRAW_MW_MAX} are allowed"))
    }

    /// What it takes to run `parts` thousandths of devices (or cores) of a pool from `at` on for a time, PUE included;
    /// `None` where the pool's draw is not known. Rounded down; amounts beyond 64 bits are capped.
    pub fn energy(&self, pool: &PoolId, parts: u64, at: TimeMs, run: DurationMs) -> Option<Energy> {
        // Thousandths times milliwatts are microwatts.
        let draw_uw = u128::from(parts) * u128::from(*self.draw_mw.get(pool)?);
        Some(self.energy_of_draw(draw_uw, at, run))
    }

    /// What the site takes while its machines draw so many microwatts from `at` on for a time, PUE included.
    pub fn energy_of_draw(&self, draw_uw: u128, at: TimeMs, run: DurationMs) -> Energy {
        let site_uw = draw_uw.saturating_mul(u128::from(self.pue_permille)) / 1_000;
        let (mut price, mut grams) = (0_i128, 0_u128);
        for (hour, ms) in self.hours(at, run).into_iter().enumerate() {
            price += i128::from(ms) * i128::from(self.price_per_kwh[hour].0);
            grams += u128::from(ms) * u128::from(self.carbon_g_per_kwh[hour]);
        }
        // Microwatts times milliseconds are nanojoules; a kWh has 3.6 * 10^15 of them.
        const NANOJOULE_PER_KWH: u128 = 3_600_000_000_000_000;
        let narrow = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
        let signed = i128::try_from(site_uw).unwrap_or(i128::MAX).saturating_mul(price);
        let bill = signed / i128::try_from(NANOJOULE_PER_KWH).expect("it fits into 128 bits");
        Energy {
            joules: narrow(site_uw.saturating_mul(u128::from(run.0)) / 1_000_000_000),
            price: Money(i64::try_from(bill).unwrap_or(if bill < 0 { i64::MIN } else { i64::MAX })),
            carbon_mg: narrow(site_uw.saturating_mul(grams).saturating_mul(1_000) / NANOJOULE_PER_KWH),
        }
    }

    /// Grams of CO2 for each kWh from `at` on for a time: the mean over it, rounded to whole ones.
    pub fn carbon_mean_g_per_kwh(&self, at: TimeMs, run: DurationMs) -> u32 {
        let hours = self.hours(at, DurationMs(run.0.max(1)));
        let grams = hours.iter().zip(&self.carbon_g_per_kwh).map(|(ms, grams)| u128::from(*ms) * u128::from(*grams));
        let (sum, whole) = (grams.sum::<u128>(), u128::from(run.0.max(1)));
        u32::try_from((sum + whole / 2) / whole).expect("a mean is within its figures")
    }

    /// The local hour of the day at a moment, and how long it has gone on, in milliseconds.
    pub fn hour(&self, at: TimeMs) -> (u8, u64) {
        let day_ms = i64::try_from(DAY_MS).expect("a day is short");
        let of_day = (at.0.saturating_add(i64::from(self.offset_minutes) * 60_000)).rem_euclid(day_ms);
        let of_day = u64::try_from(of_day).expect("a remainder is not negative");
        (u8::try_from(of_day / HOUR_MS).expect("an hour of the day"), of_day % HOUR_MS)
    }

    /// Milliseconds of a run in each hour of the day.
    fn hours(&self, at: TimeMs, run: DurationMs) -> Curve<u64> {
        let mut hours = [run.0 / DAY_MS * HOUR_MS; 24];
        let (hour, begun_ms) = self.hour(at);
        let (mut hour, mut left_in_hour) = (usize::from(hour), HOUR_MS - begun_ms);
        let mut left_ms = run.0 % DAY_MS;
        while left_ms > 0 {
            let here_ms = left_ms.min(left_in_hour);
            hours[hour] += here_ms;
            left_ms -= here_ms;
            (hour, left_in_hour) = ((hour + 1) % 24, HOUR_MS);
        }
        hours
    }
}

/// How long bytes take over so many bytes a second, in milliseconds, rounded up; a century where nothing is carried.
pub fn transfer_ms(bytes: Bytes, bytes_per_s: u64) -> u64 {
    const CENTURY_MS: u64 = 100 * 366 * DAY_MS;
    let ms = (u128::from(bytes.0) * 1_000).div_ceil(u128::from(bytes_per_s.max(1)));
    u64::try_from(ms).unwrap_or(u64::MAX).min(CENTURY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power() -> Power {
        let pool = PoolId::new("A100").expect("a name");
        let mut price_per_kwh = [Money(500_000); 24];
        price_per_kwh[12] = Money(100_000);
        Power {
            offset_minutes: 480,
            price_per_kwh,
            carbon_g_per_kwh: std::array::from_fn(|hour| if hour == 12 { 100 } else { 600 }),
            pue_permille: 1_250,
            draw_mw: BTreeMap::from([(pool, 400_000)]),
        }
    }

    #[test]
    fn energy_follows_the_hours_of_the_centre() {
        let pool = PoolId::new("A100").expect("a name");
        // 2 devices of 400 W at a PUE of 1.25 are one kW.
        let check = |at_hour: i64, hours: u64, price: i64, carbon_mg: u64| {
            let at = TimeMs(at_hour * 3_600_000);
            let energy = power().energy(&pool, 2_000, at, DurationMs(hours * 3_600_000)).expect("its draw is known");
            assert_eq!(energy, Energy { joules: hours * 3_600_000, price: Money(price), carbon_mg });
        };
        check(0, 1, 500_000, 600_000);
        check(4, 1, 100_000, 100_000); // 04:00 UTC is noon in China.
        check(3, 2, 600_000, 700_000);
        check(4, 24, 11_600_000, 13_900_000);
        check(4, 49, 23_300_000, 27_900_000);
        for (at_minute, minutes, mean) in [(0, 60, 600), (240, 60, 100), (225, 30, 350), (230, 15, 433), (240, 0, 100)]
        {
            let (at, run) = (TimeMs(at_minute * 60_000), DurationMs(minutes * 60_000));
            assert_eq!(power().carbon_mean_g_per_kwh(at, run), mean, "{at_minute} {minutes}");
        }
        let other = PoolId::new("H100").expect("a name");
        assert_eq!(power().energy(&other, 1, TimeMs(0), DurationMs(1)), None);
    }

    #[test]
    fn faults_are_told() {
        let id = |name: &str| CentreId::new(name).expect("a name");
        let link = |to: &str| Link { to: id(to), round_trip_us: 1, bytes_per_s: 1, price_per_gb: Money::ZERO };
        let check = |facts: Facts, part: &str| match facts.fault(&id("a")) {
            Some(fault) => assert!(!part.is_empty() && fault.contains(part), "{fault}"),
            None => assert_eq!(part, ""),
        };
        check(Facts::default(), "");
        let powered = |power| Facts { power: Some(Box::new(power)), ..Facts::default() };
        let linked = |links| Facts { links, ..Facts::default() };
        check(Facts { links: vec![link("b"), link("c")], ..powered(power()) }, "");
        check(linked(vec![link("a")]), "itself");
        check(linked(vec![link("b"), link("b")]), "twice");
        check(linked(vec![Link { bytes_per_s: 0, ..link("b") }]), "carries");
        check(powered(Power { pue_permille: 999, ..power() }), "PUE");
        check(powered(Power { offset_minutes: 900, ..power() }), "UTC");
        let factors = |permille| {
            let application = ApplicationId::new("llm").expect("a name");
            let own = BTreeMap::from([(application, permille)]);
            Facts { factors: [(PoolId::new("A100").expect("a name"), own)].into(), ..Facts::default() }
        };
        check(factors(860), "");
        check(factors(9), "`llm` reaches 9 thousandths of what pool `A100` is rated");
    }

    #[test]
    fn a_transfer_takes_bytes_by_rate() {
        assert_eq!(transfer_ms(Bytes(0), 10), 0);
        assert_eq!(transfer_ms(Bytes(1), 1_000), 1);
        assert_eq!(transfer_ms(Bytes(25_000_000_000), 25_000_000_000), 1_000);
        assert_eq!(transfer_ms(Bytes(u64::MAX), 0), 100 * 366 * DAY_MS);
    }
}
