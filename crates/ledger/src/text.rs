//! Texts that stand for values in rows and on the wire.

/// A text that names no account, asset, currency, zone or kind of transfer.
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

/// Types whose stored form is their text.
macro_rules! serde_as_text {
    ($($name:ident)*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: String = serde::Deserialize::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use serde_as_text;
