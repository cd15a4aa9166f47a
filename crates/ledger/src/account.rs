//! Accounts and assets, and the texts by which stored rows name them.

use std::{fmt, str::FromStr};

use huisuan_model::{CentreId, Class, TenantId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that names no account, asset, currency or kind of transfer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` is not known: expected {expected}")]
pub struct TextError {
    /// What the text was to stand for.
    pub kind: &'static str,
    /// The offending text, cut to 80 characters.
    pub value: String,
    /// What would be accepted.
    pub expected: &'static str,
}

impl TextError {
    pub(crate) fn new(kind: &'static str, value: &str, expected: &'static str) -> Self {
        Self { kind, value: value.chars().take(80).collect(), expected }
    }
}

/// One side of a transfer. A balance is what was credited minus what was debited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Where money comes from; its balance is minus all money in the network.
    Funding,
    /// What a tenant may still spend; never negative.
    Tenant(TenantId),
    /// What is set aside for a tenant's attempts; never negative, always the sum of its holds.
    Held(TenantId),
    /// What a centre has earned; never negative.
    Centre(CentreId),
    /// Work that a tenant has used; never negative.
    Used(TenantId),
    /// Work that a centre has delivered; never positive.
    Delivered(CentreId),
}

impl Account {
    /// True for the accounts whose balance is never positive: what comes in is taken from them.
    pub fn is_source(&self) -> bool {
        matches!(self, Account::Funding | Account::Delivered(_))
    }

    /// True for the accounts that count work; the others count money.
    pub fn counts_work(&self) -> bool {
        matches!(self, Account::Used(_) | Account::Delivered(_))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Funding => write!(f, "funding"),
            Account::Tenant(tenant) => write!(f, "tenant:{tenant}"),
            Account::Held(tenant) => write!(f, "held:{tenant}"),
            Account::Centre(centre) => write!(f, "centre:{centre}"),
            Account::Used(tenant) => write!(f, "used:{tenant}"),
            Account::Delivered(centre) => write!(f, "delivered:{centre}"),
        }
    }
}

impl FromStr for Account {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let expected = "funding, or one of tenant: held: centre: used: delivered: and a name";
        let error = || TextError::new("account", text, expected);
        if text == "funding" {
            return Ok(Account::Funding);
        }
        // Names may hold colons themselves; only the first one separates.
        let (kind, name) = text.split_once(':').ok_or_else(error)?;
        let tenant = || TenantId::new(name).map_err(|_| error());
        let centre = || CentreId::new(name).map_err(|_| error());
        match kind {
            "tenant" => tenant().map(Account::Tenant),
            "held" => tenant().map(Account::Held),
            "centre" => centre().map(Account::Centre),
            "used" => tenant().map(Account::Used),
            "delivered" => centre().map(Account::Delivered),
            _ => Err(error()),
        }
    }
}

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

/// What is counted. Amounts of different assets are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asset {
    /// Money, in millionths of the currency.
    Currency(Currency),
    /// Work of one class, in GFLOP.
    Work(Class),
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asset::Currency(currency) => write!(f, "{currency}"),
            Asset::Work(class) => write!(f, "work:{class}"),
        }
    }
}

impl FromStr for Asset {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let expected = "a currency such as CNY, or work:ai, work:hpc, work:general";
        let error = || TextError::new("asset", text, expected);
        match text.strip_prefix("work:") {
            Some(class) => class.parse().map(Asset::Work).map_err(|_| error()),
            None => Currency::new(text).map(Asset::Currency).map_err(|_| error()),
        }
    }
}

macro_rules! serde_as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Account Asset Currency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        fn check<T: FromStr<Err = TextError> + fmt::Display>(text: &str) {
            let read = text.parse::<T>().map(|value| value.to_string());
            assert_eq!(read.as_deref(), Ok(text));
        }
        for account in ["funding", "tenant:x", "held:x", "centre:hpc-1", "used:a:b", "delivered:hpc-1"] {
            check::<Account>(account);
        }
        for asset in ["CNY", "EUR", "work:ai", "work:hpc", "work:general"] {
            check::<Asset>(asset);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "Funding", "funding:", "tenant", "tenant:", "tenant:a b", "bank:x", ":x"] {
            assert_eq!(text.parse::<Account>().map_err(|error| error.value), Err(text.to_owned()));
        }
        for text in ["", "cny", "CN", "YUAN", "work:", "work:AI", "work:ai ", "C1Y", "é1"] {
            assert_eq!(text.parse::<Asset>().map_err(|error| error.value), Err(text.to_owned()));
        }
    }

    #[test]
    fn stored_form_is_the_text() {
        let tenant = Account::Tenant(TenantId::new("lab").expect("a valid name"));
        let json = serde_json::to_string(&(&tenant, Asset::Work(Class::Ai))).expect("texts only");
        assert_eq!(json, r#"["tenant:lab","work:ai"]"#);
        let read: (Account, Asset) = serde_json::from_str(&json).expect("what was written is read");
        assert_eq!(read, (tenant, Asset::Work(Class::Ai)));
    }
}
