//! What is counted: money, work, and compute of one class, zone and hour.

use std::{fmt, str::FromStr};

use huisuan_model::{Class, TimeMs};
use serde::{Deserialize, Serialize};

use crate::text::{TextError, serde_as_text};

/// A currency by its ISO 4217 code, such as `CNY`. Amounts are millionths of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Checks the form, three letters A to Z, and makes the currency.
    pub fn new(code: &str) -> Result<Self, TextError> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_uppercase) => Ok(Self(bytes)),
            _ => Err(TextError::new("currency", code, "three letters A to Z, such as CNY")),
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency code is ASCII letters")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for Currency {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// A place that contracts are delivered in, such as `east`: 1 to 16 of a-z 0-9 and `-`, a letter or digit first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone([u8; 16]);

impl Zone {
    /// Checks the form and makes the zone.
    pub fn new(name: &str) -> Result<Self, TextError> {
        let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = name.as_bytes();
        let mut zone = [0; 16];
        match bytes.first() {
            Some(first) if letter(first) && bytes.len() <= zone.len() => {}
            _ => return Err(TextError::new("zone", name, "1 to 16 of a-z 0-9 and -, such as east")),
        }
        if !bytes.iter().all(|byte| letter(byte) || *byte == b'-') {
            return Err(TextError::new("zone", name, "1 to 16 of a-z 0-9 and -, such as east"));
        }
        zone[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(zone))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..length]).expect("a zone is ASCII")
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// An hour of delivery: how many hours after 1970-01-01T00:00Z it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub u32);

impl Hour {
    /// The hour that a moment lies in; moments outside of the 490,000 years that have one get the nearest.
    pub fn of(at: TimeMs) -> Self {
        let hours = at.0.div_euclid(HOUR_MS);
        Self(u32::try_from(hours.max(0)).unwrap_or(u32::MAX))
    }

    /// When it is over.
    pub fn end(self) -> TimeMs {
        TimeMs((i64::from(self.0) + 1) * HOUR_MS)
    }
}

/// Compute of one class in one zone in one hour. Other hours, zones and classes are other assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contract {
    /// When.
    pub hour: Hour,
    /// Of what class.
    pub class: Class,
    /// Where.
    pub zone: Zone,
}

/// What is counted. Amounts of different assets are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asset {
    /// Money, in millionths of the currency.
    Currency(Currency),
    /// Work of one class, in GFLOP.
    Work(Class),
    /// Work that can be had in one hour, in GFLOP.
    Contract(Contract),
}

impl Asset {
    /// Before all others in their order.
    pub(crate) const FIRST: Asset = Asset::Currency(Currency([0; 3]));
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asset::Currency(currency) => write!(f, "{currency}"),
            Asset::Work(class) => write!(f, "work:{class}"),
            Asset::Contract(Contract { hour, class, zone }) => write!(f, "contract:{class}:{zone}:{}", hour.0),
        }
    }
}

impl FromStr for Asset {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let expected = "a currency such as CNY, a class as work:ai, or class, zone and hour as contract:ai:east:495000";
        let error = || TextError::new("asset", text, expected);
        match text.split_once(':') {
            Some(("work", class)) => class.parse().map(Asset::Work).map_err(|_| error()),
            Some(("contract", rest)) => contract(rest).ok_or_else(error),
            Some(_) => Err(error()),
            None => Currency::new(text).map(Asset::Currency).map_err(|_| error()),
        }
    }
}

fn contract(text: &str) -> Option<Asset> {
    let mut parts = text.split(':');
    let (class, zone, hour) = (parts.next()?, parts.next()?, parts.next()?);
    let contract = Contract { hour: Hour(hour.parse().ok()?), class: class.parse().ok()?, zone: Zone::new(zone).ok()? };
    // One text for one asset: `+7` and `007` are numbers, too.
    (parts.next().is_none() && contract.hour.0.to_string() == hour).then_some(Asset::Contract(contract))
}

serde_as_text!(Asset Currency Zone);

impl FromStr for Zone {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        for text in ["CNY", "EUR", "work:ai", "work:hpc", "work:general", "contract:ai:east-2:495123"] {
            assert_eq!(text.parse::<Asset>().map(|asset| asset.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "cny",
            "CN",
            "YUAN",
            "work:",
            "work:AI",
            "work:ai ",
            "C1Y",
            "é1",
            "contract:ai:east",
            "contract:ai:east:",
            "contract:ai:east:+1",
            "contract:ai:east:01",
            "contract:ai:east:1:2",
            "contract:ai:East:1",
            "contract:ai::1",
            "contract:ai:-e:1",
            "contract:ai:seventeen-letters:1",
            "contract:x:east:1",
            "contract:ai:east:4294967296",
        ] {
            assert_eq!(text.parse::<Asset>().map_err(|error| error.value), Err(text.to_owned()));
        }
    }

    #[test]
    fn hours_begin_and_end_on_the_hour() {
        fn check(at_ms: i64, hour: u32) {
            assert_eq!(Hour::of(TimeMs(at_ms)), Hour(hour));
        }
        check(-1, 0);
        check(0, 0);
        check(HOUR_MS - 1, 0);
        check(HOUR_MS, 1);
        check(i64::MAX, u32::MAX);
        assert_eq!(Hour(1).end(), TimeMs(2 * HOUR_MS));
    }
}
