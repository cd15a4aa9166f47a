//! Numbers and times as exports write them: exact, with a point, in UTC.

use huisuan_model::{EnergySum, Mark, TimeMs, quantity::GFLOP_PER_P_H};

/// An integer count of `10^-digits` as a decimal: 1234567 with 6 digits is `1.234567`.
pub fn decimal(count: i128, digits: u32) -> String {
    let unit = 10_u128.pow(digits);
    let sign = if count < 0 { "-" } else { "" };
    let (whole, part) = (count.unsigned_abs() / unit, count.unsigned_abs() % unit);
    format!("{sign}{whole}.{part:0width$}", width = digits as usize)
}

/// Work in P·h with twelve digits, cut: enough that every GFLOP shows.
pub(super) fn p_h(gflop: i128) -> String {
    decimal(gflop * 10_i128.pow(12) / i128::from(GFLOP_PER_P_H), 12)
}

/// Energy as exports tell it: kWh, kg of CO2 and where they come from; empty where nothing is known.
pub(super) struct EnergyText {
    pub(super) kwh: String,
    pub(super) carbon_kg: String,
    pub(super) mark: &'static str,
}

impl EnergyText {
    /// To the mWh and the mg, cut.
    pub(super) fn of(energy: Option<EnergySum>) -> Self {
        let mark = energy.map_or("", |energy| match energy.mark {
            Mark::Measured => "measured",
            Mark::Modelled => "modelled",
            Mark::Declared => "declared",
        });
        let carbon_mg = energy.and_then(|energy| energy.carbon_mg);
        EnergyText {
            // 36 joules are ten millionths of a kWh.
            kwh: energy.map_or_else(String::new, |energy| decimal(i128::from(energy.joules) * 10 / 36, 6)),
            carbon_kg: carbon_mg.map_or_else(String::new, |mg| decimal(mg.into(), 6)),
            mark,
        }
    }
}

/// RFC 3339 in UTC to the second: `2026-11-22T14:00:00Z`.
pub fn moment(at: TimeMs) -> String {
    let nearest = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or(nearest);
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (count, digits, text) in [
            (1_234_567, 6, "1.234567"),
            (-5, 6, "-0.000005"),
            (0, 6, "0.000000"),
            (i128::from(i64::MIN), 6, "-9223372036854.775808"),
            (7, 1, "0.7"),
        ] {
            assert_eq!(decimal(count, digits), text);
        }
        assert_eq!(p_h(3_600_000_000), "1.000000000000");
        assert_eq!(p_h(1), "0.000000000277");
        let sum = EnergySum { joules: 3_600_000, mark: Mark::Modelled, carbon_mg: Some(560_000) };
        let check = |energy, kwh, carbon_kg, mark| {
            let text = EnergyText::of(energy);
            assert_eq!((&*text.kwh, &*text.carbon_kg, text.mark), (kwh, carbon_kg, mark), "{energy:?}");
        };
        check(Some(sum), "1.000000", "0.560000", "modelled");
        check(Some(EnergySum { joules: 3_599, carbon_mg: None, mark: Mark::Declared }), "0.000999", "", "declared");
        check(None, "", "", "");
        assert_eq!(moment(TimeMs(1_793_282_400_250)), "2026-10-29T14:00:00Z");
    }
}
