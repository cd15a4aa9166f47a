//! Takes the fields of one object apart, keeping their path for messages.

use serde_json::{Map, Value};

use super::{problem::SpecProblem, quantity::QuantityError, similar::nearest};
use crate::problem::ErrorCode;

/// The fields of an object all of whose names are known. `null` counts as absent.
pub(super) struct Fields<'a> {
    path: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Refuses what is not an object and fields that are not in `known`. `path` is empty for the job itself.
    pub(super) fn new(path: &'a str, value: &'a Value, known: &[&str]) -> Result<Self, SpecProblem> {
        let Value::Object(map) = value else {
            let path = if path.is_empty() { "job file" } else { path };
            return Err(SpecProblem::invalid(path, value, "fields with values"));
        };
        let fields = Fields { path, map };
        for name in map.keys() {
            if !known.contains(&name.as_str()) {
                return Err(fields.unknown(name, known));
            }
        }
        Ok(fields)
    }

    /// The dotted path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The field's value as it is.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The field's value, which must be there.
    pub(super) fn needed<T>(&self, name: &str, value: Option<T>, expected: &str) -> Result<T, SpecProblem> {
        value.ok_or_else(|| SpecProblem::invalid(self.path(name), "", expected))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, SpecProblem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.not_text(self.path(name), other)),
        }
    }

    /// A list of texts; empty when absent. Whole numbers are taken as their digits.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, SpecProblem> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else {
            return Err(SpecProblem::invalid(self.path(name), value, "a list"));
        };
        let item = |(at, item): (usize, &Value)| self.scalar_text(format!("{}[{at}]", self.path(name)), item);
        items.iter().enumerate().map(item).collect()
    }

    /// A text or a whole number as text. Other numbers and truth values are not: their spelling is lost
    /// when they are read (`1.10` would become `1.1`, and `0644` another number).
    pub(super) fn scalar_text(&self, path: String, value: &Value) -> Result<String, SpecProblem> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            other => Err(self.not_text(path, other)),
        }
    }

    /// A whole number from 0.
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, SpecProblem> {
        self.number(name, "a whole number from 0", |value| value.as_u64().and_then(|n| u32::try_from(n).ok()))
    }

    /// `true` or `false`; `false` when absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, SpecProblem> {
        Ok(self.number(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// A quantity, as text or as a bare number where `read` takes one.
    pub(super) fn quantity<T>(
        &self,
        name: &str,
        read: fn(&str) -> Result<T, QuantityError>,
    ) -> Result<Option<T>, SpecProblem> {
        let text = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => decimal(&number.to_string()),
            Some(other) => other.to_string(),
        };
        let problem = |error: QuantityError| SpecProblem::invalid(self.path(name), error.value, error.expected);
        read(&text).map(Some).map_err(problem)
    }

    /// A text that `read` turns into a value.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, SpecProblem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        read(&text).map(Some).map_err(|_| SpecProblem::invalid(self.path(name), text, expected))
    }

    /// A value that `read` takes from a number or truth value.
    pub(super) fn number<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, SpecProblem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let problem = || SpecProblem::invalid(self.path(name), plain(value), expected);
        read(value).map(Some).ok_or_else(problem)
    }

    fn not_text(&self, path: String, value: &Value) -> SpecProblem {
        let problem = SpecProblem::invalid(path, plain(value), "a text");
        match value {
            Value::Number(_) | Value::Bool(_) => problem.with_hint(format!("write it in quotes: \"{value}\"")),
            _ => problem,
        }
    }

    fn unknown(&self, name: &str, known: &[&str]) -> SpecProblem {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        SpecProblem::invalid(self.path(&super::problem::shorten(name)), "", "")
            .with_code(ErrorCode::UnknownField)
            .with_hint(hint)
    }
}

/// A bare number as people write it: `2.0` as `2`, which YAML and JSON write either way, and `0.000001`, which comes
/// out of them as `1e-6`.
fn decimal(number: &str) -> String {
    match number.parse::<f64>() {
        Ok(small) if number.contains("e-") => small.to_string(),
        _ => number.strip_suffix(".0").unwrap_or(number).to_owned(),
    }
}

/// A value without the quotes of a JSON text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
