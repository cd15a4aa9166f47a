//! Times, money and work as they are written in JSON.

use std::{collections::BTreeMap, fmt, str::FromStr};

use huisuan_model::{Class, EnergySum, Gflop, Money, TimeMs};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::views::mark_word;

/// A moment, written as RFC 3339 in UTC with milliseconds: `2026-03-01T08:30:00.250Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-03-01T08:30:00.250Z"))]
pub struct Timestamp(pub TimeMs);

impl From<TimeMs> for Timestamp {
    fn from(time: TimeMs) -> Self {
        Timestamp(time)
    }
}

impl fmt::Display for Timestamp {
    /// Moments outside the years -9999 to 9999 are written as the nearest that can be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or(if self.0.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        write!(f, "{time:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = String;

    /// Reads RFC 3339 with any offset; what is finer than a millisecond is cut.
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Timestamp(TimeMs(time.as_millisecond())))
            .map_err(|_| format!("`{text}` is not a time such as 2026-03-01T08:30:00Z"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Millionths of the currency's unit.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl Amount {
    /// An amount in `currency`.
    pub fn new(money: Money, currency: &str) -> Self {
        Amount { amount: money.0, currency: currency.to_owned() }
    }
}

impl fmt::Display for Amount {
    /// As people write it, with six digits after the point: `CNY 12.345678`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, amount) = (if self.amount < 0 { "-" } else { "" }, self.amount.unsigned_abs());
        write!(f, "{} {sign}{}.{:06}", self.currency, amount / 1_000_000, amount % 1_000_000)
    }
}

/// Work done in the unit of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassUsage {
    /// GFLOP in the precision of the class; this is what is counted.
    pub gflop: u64,
    /// The same in P·h, for people.
    pub p_h: f64,
}

impl From<Gflop> for ClassUsage {
    fn from(work: Gflop) -> Self {
        ClassUsage { gflop: work.0, p_h: work.p_h() }
    }
}

/// Energy of what was metered, with the share of the site; all `null` where nobody knows what was drawn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct EnergyFields {
    /// Energy, of what knows it.
    #[serde(default)]
    pub energy_kwh: Option<f64>,
    /// CO2 that the grid emitted for it, of what knows it.
    #[serde(default)]
    pub carbon_kg: Option<f64>,
    /// `measured`, `modelled` from the draw that is declared for the pool, or `declared`: the whole power cap of what
    /// was given. A sum has the weakest of its parts.
    #[serde(default)]
    pub energy_mark: Option<String>,
}

impl From<Option<EnergySum>> for EnergyFields {
    fn from(energy: Option<EnergySum>) -> Self {
        let Some(EnergySum { joules, mark, carbon_mg }) = energy else { return EnergyFields::default() };
        EnergyFields {
            energy_kwh: Some(joules as f64 / 3.6e6),
            carbon_kg: carbon_mg.map(|mg| mg as f64 / 1e6),
            energy_mark: Some(mark_word(mark).to_owned()),
        }
    }
}

impl EnergyFields {
    /// The energy for people: `12 J`, `1.5 Wh`, `1.5 kWh`, `3.2 MWh`.
    pub fn energy_text(&self) -> Option<String> {
        self.energy_kwh.map(|kwh| match kwh {
            ..0.001 => format!("{} J", short(kwh * 3.6e6)),
            ..1.0 => format!("{} Wh", short(kwh * 1e3)),
            ..1_000.0 => format!("{} kWh", short(kwh)),
            _ => format!("{} MWh", short(kwh / 1e3)),
        })
    }

    /// The CO2 for people: `5.6 mg`, `840 g`, `1.2 kg`, `3.4 t`.
    pub fn carbon_text(&self) -> Option<String> {
        self.carbon_kg.map(|kg| match kg {
            ..0.001 => format!("{} mg", short(kg * 1e6)),
            ..1.0 => format!("{} g", short(kg * 1e3)),
            ..1_000.0 => format!("{} kg", short(kg)),
            _ => format!("{} t", short(kg / 1e3)),
        })
    }
}

impl fmt::Display for EnergyFields {
    /// Energy with its mark, and CO2: `1.5 kWh (modelled), 840 g CO2`; nothing where nobody knows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(energy) = self.energy_text() else { return Ok(()) };
        write!(f, "{energy} ({})", self.energy_mark.as_deref().unwrap_or("unmarked"))?;
        self.carbon_text().map_or(Ok(()), |carbon| write!(f, ", {carbon} CO2"))
    }
}

/// At most three significant digits below a thousand, without trailing zeros: `1.5`, `12.3`, `840`.
pub fn short(value: f64) -> String {
    let text = match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Work by class. Classes are never added together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, ClassUsage>)]
pub struct Usage(pub BTreeMap<Class, ClassUsage>);

impl From<&BTreeMap<Class, Gflop>> for Usage {
    fn from(work: &BTreeMap<Class, Gflop>) -> Self {
        Usage(work.iter().map(|(&class, &work)| (class, work.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        let check = |text: &str, ms: i64, written: &str| {
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!((time.0.0, time.to_string().as_str()), (ms, written), "{text}");
        };
        check("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z");
        check("2026-03-01T08:30:00.2509Z", 1_772_353_800_250, "2026-03-01T08:30:00.250Z");
        check("2026-03-01T16:30:00+08:00", 1_772_353_800_000, "2026-03-01T08:30:00.000Z");
        assert_eq!(Timestamp(TimeMs(i64::MAX)).to_string().get(..5), Some("9999-"));
        for bad in ["", "2026-03-01", "yesterday", "1772353800"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_written_to_the_millionth() {
        let text = |amount: i64| Amount::new(Money(amount), "CNY").to_string();
        assert_eq!(text(12_345_678), "CNY 12.345678");
        assert_eq!(text(-5), "CNY -0.000005");
        assert_eq!(text(i64::MIN), "CNY -9223372036854.775808");
    }

    #[test]
    fn energy_says_what_it_is_and_is_null_where_nobody_knows() {
        let known = EnergySum { joules: 7_200_000, mark: huisuan_model::Mark::Modelled, carbon_mg: Some(1_120_000) };
        let check = |energy: Option<EnergySum>, expected: &str| {
            let json = serde_json::to_string(&EnergyFields::from(energy)).expect("JSON");
            assert_eq!(json, expected);
            assert_eq!(serde_json::from_str::<EnergyFields>(&json).expect("fields"), energy.into());
        };
        check(Some(known), r#"{"energy_kwh":2.0,"carbon_kg":1.12,"energy_mark":"modelled"}"#);
        check(None, r#"{"energy_kwh":null,"carbon_kg":null,"energy_mark":null}"#);
    }

    #[test]
    fn energy_is_short_for_people() {
        let check = |kwh, carbon_kg, expected: &str| {
            let fields = EnergyFields { energy_kwh: Some(kwh), carbon_kg, energy_mark: Some("modelled".to_owned()) };
            assert_eq!(fields.to_string(), expected);
        };
        check(0.000_01, Some(0.000_005_6), "36 J (modelled), 5.6 mg CO2");
        check(0.002_5, None, "2.5 Wh (modelled)");
        check(1.5, Some(0.84), "1.5 kWh (modelled), 840 g CO2");
        check(120.0, Some(67.2), "120 kWh (modelled), 67.2 kg CO2");
        check(32_000.0, Some(17_920.0), "32 MWh (modelled), 17.9 t CO2");
        assert_eq!(EnergyFields::default().to_string(), "");
    }

    #[test]
    fn usage_is_a_map_by_class() {
        let usage = Usage::from(&BTreeMap::from([(Class::Hpc, Gflop(3_600_000_000))]));
        let json = serde_json::to_string(&usage).expect("JSON");
        assert_eq!(json, r#"{"hpc":{"gflop":3600000000,"p_h":1.0}}"#);
        assert_eq!(serde_json::from_str::<Usage>(&json).expect("usage"), usage);
    }
}
