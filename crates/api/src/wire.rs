//! Times, money and work as they are written in JSON.

use std::{collections::BTreeMap, fmt, str::FromStr};

use huisuan_model::{Class, Gflop, Money, TimeMs};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

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
    fn usage_is_a_map_by_class() {
        let usage = Usage::from(&BTreeMap::from([(Class::Hpc, Gflop(3_600_000_000))]));
        let json = serde_json::to_string(&usage).expect("JSON");
        assert_eq!(json, r#"{"hpc":{"gflop":3600000000,"p_h":1.0}}"#);
        assert_eq!(serde_json::from_str::<Usage>(&json).expect("usage"), usage);
    }
}
