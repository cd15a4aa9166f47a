//! Rules of a tariff: what a centre asks of a tenant, for a pool, a class, hours of the day or a priority, from a
//! moment on. The price of the centre itself is asked where no rule says otherwise.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    centre::Class,
    ids::{CentreId, PoolId, TenantId},
    quantity::{Money, TimeMs},
};

/// One rule. Which of several applies is decided by what they are about, see `huisuan-ledger`'s `tariff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffRule {
    /// Its number in the network, from 1. It is set by the network.
    pub id: u32,
    /// Whose price it is.
    pub centre: CentreId,
    /// Only for this tenant: a price that was agreed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Only for this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolId>,
    /// Only for pools of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Only in these hours of the day, in the centre's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<HourSet>,
    /// Only for jobs of this priority or a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_min: Option<i32>,
    /// The first moment: a full hour.
    pub from: TimeMs,
    /// The first moment after it; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<TimeMs>,
    /// ISO 4217 code.
    pub currency: String,
    /// Millionths of the currency for one P·h.
    pub price_per_p_h: Money,
}

/// Hours of the day, written as ranges such as `8-12,14-22` or `22-6`; the hour after a dash is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourSet(u32);

impl HourSet {
    /// No hour.
    pub const NONE: HourSet = HourSet(0);

    /// With one more hour, 0 to 23.
    pub fn with(self, hour: u8) -> Self {
        HourSet(self.0 | 1 << (hour % 24))
    }

    /// Whether an hour, 0 to 23, is in it.
    pub fn contains(self, hour: u8) -> bool {
        self.0 & 1 << (hour % 24) != 0
    }

    /// Whether both have an hour.
    pub fn meets(self, other: HourSet) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for HourSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hour = 0;
        let mut separator = "";
        while hour < 24 {
            let end = (hour..24).find(|&next| !self.contains(next)).unwrap_or(24);
            if end > hour {
                write!(f, "{separator}{hour}-{end}")?;
                separator = ",";
            }
            hour = end.max(hour + 1);
        }
        Ok(())
    }
}

impl FromStr for HourSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("hours `{text}` are not ranges of full hours such as 8-12,14-22 or 22-6");
        let mut set = HourSet::NONE;
        for range in text.split(',') {
            let (from, until) = range.trim().split_once('-').ok_or_else(error)?;
            let number = |text: &str| text.parse::<u8>().ok().filter(|hour| *hour <= 24).ok_or_else(error);
            let (from, until) = (number(from)?, number(until)?);
            if from == until || from == 24 {
                return Err(error());
            }
            let mut hour = from;
            while hour != until % 24 || !set.contains(from) {
                set = set.with(hour);
                hour = (hour + 1) % 24;
            }
        }
        Ok(set)
    }
}

impl Serialize for HourSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HourSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_written() {
        for (text, written, has, lacks) in [
            ("8-12,14-22", "8-12,14-22", 11, 12),
            ("22-6", "0-6,22-24", 5, 6),
            ("0-24", "0-24", 23, 99),
            ("23-24", "23-24", 23, 0),
            ("1-2, 2-3", "1-3", 2, 3),
        ] {
            let set: HourSet = text.parse().expect(text);
            assert_eq!(set.to_string(), written, "{text}");
            assert!(set.contains(has), "{text}");
            assert!(lacks == 99 || !set.contains(lacks), "{text}");
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        for bad in ["", "8", "8-", "8-8", "24-3", "8-25", "-1-3", "a-b", "8-9,"] {
            assert!(bad.parse::<HourSet>().is_err(), "{bad}");
        }
    }
}
