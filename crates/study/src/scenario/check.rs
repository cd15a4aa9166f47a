//! Refusals that name file, line, field, what stands there and what was expected.

use std::{fmt::Display, ops::RangeInclusive};

use toml::Spanned;

use crate::read::{ReadError, Text};

/// Where values are checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) text: &'a Text,
}

impl Check<'_> {
    /// Whether a value that stands somewhere is good.
    pub(super) fn holds<T>(
        self,
        good: bool,
        field: &str,
        at: &Spanned<T>,
        found: impl Display,
        expected: &str,
    ) -> Result<(), ReadError> {
        if good { Ok(()) } else { Err(self.refuse(field, at, found, expected)) }
    }

    /// The refusal of a value.
    pub(super) fn refuse<T>(self, field: &str, at: &Spanned<T>, found: impl Display, expected: &str) -> ReadError {
        self.text.field(self.line(at.span().start), field, &found.to_string(), expected)
    }

    /// A number within bounds.
    pub(super) fn number(
        self,
        field: &str,
        value: &Spanned<f64>,
        bounds: RangeInclusive<f64>,
    ) -> Result<f64, ReadError> {
        let found = *value.get_ref();
        let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
        // A comparison with NaN is false, so NaN is refused too.
        self.holds(bounds.contains(&found), field, value, found, &expected)?;
        Ok(found)
    }

    /// The same where a default stands in for an absent field.
    pub(super) fn number_or(
        self,
        field: &str,
        value: Option<&Spanned<f64>>,
        default: f64,
        bounds: RangeInclusive<f64>,
    ) -> Result<f64, ReadError> {
        value.map_or(Ok(default), |value| self.number(field, value, bounds))
    }

    /// A whole number within bounds.
    pub(super) fn whole(
        self,
        field: &str,
        value: &Spanned<u64>,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, ReadError> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.holds(bounds.contains(value.get_ref()), field, value, value.get_ref(), &expected)?;
        Ok(*value.get_ref())
    }

    /// A text as a name of some kind.
    pub(super) fn name<T: std::str::FromStr>(self, field: &str, value: &Spanned<String>) -> Result<T, ReadError> {
        let expected = "a name of 1 to 64 characters of A-Z a-z 0-9 . _ : -";
        value.get_ref().parse().map_err(|_| self.refuse(field, value, value.get_ref(), expected))
    }

    /// One of known names.
    pub(super) fn known<'n>(
        self,
        field: &str,
        value: &Spanned<String>,
        kind: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<usize, ReadError> {
        let names: Vec<&str> = names.collect();
        names.iter().position(|name| name == value.get_ref()).ok_or_else(|| {
            let listed = names.iter().take(12).copied().collect::<Vec<_>>().join(", ");
            self.refuse(field, value, value.get_ref(), &format!("a {kind} of this file ({listed})"))
        })
    }

    /// The line of a place in the text, from 1.
    pub(super) fn line(self, place: usize) -> u64 {
        let before = self.text.text.as_bytes().iter().take(place);
        before.filter(|&&byte| byte == b'\n').count() as u64 + 1
    }
}

/// A figure in a smaller unit, rounded to a whole number; figures were checked to be small enough.
pub(super) fn in_units(figure: f64, units: f64) -> u64 {
    (figure * units).round() as u64
}
