//! What is wrong with a job as a user wrote it.

use std::fmt;

use huisuan_model::spec::SpecError;

use crate::problem::{ErrorCode, Problem};

/// The longest value that a message repeats, in characters.
const VALUE_LENGTH_MAX: usize = 80;

/// The field, its value, what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// `bad-request`, `unknown-field`, `invalid-spec` or `not-supported`.
    pub code: ErrorCode,
    /// Dotted path of the field, or the directive; empty for the text as a whole.
    pub field: String,
    /// What was found, cut to a readable length; empty when nothing was.
    pub value: String,
    /// What would be accepted.
    pub expected: String,
    /// What to do about it; empty when `expected` says all.
    pub hint: String,
}

impl SpecProblem {
    /// A field with a value that is not accepted.
    pub fn invalid(field: impl Into<String>, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        SpecProblem {
            code: ErrorCode::InvalidSpec,
            field: field.into(),
            value: shorten(value),
            expected: expected.into(),
            hint: String::new(),
        }
    }

    /// The same with another code.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.code = code;
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        if self.hint.is_empty() { self.code.hint() } else { &self.hint }
    }

    /// The same as an answer of the server.
    pub fn to_problem(&self) -> Problem {
        Problem::new(self.code, self.to_string()).with_hint(self.hint())
    }
}

/// `text` on one line and cut to a readable length.
pub(crate) fn shorten(text: impl fmt::Display) -> String {
    let text: String = text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(VALUE_LENGTH_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field.is_empty(), self.code) {
            (_, ErrorCode::UnknownField) => write!(f, "job: field `{}` is unknown", self.field),
            (true, _) => write!(f, "job: {}", self.expected),
            (_, ErrorCode::NotSupported) => write!(f, "job: `{}` is `{}`: {}", self.field, self.value, self.expected),
            _ if self.value.is_empty() => write!(f, "job: `{}` has no value, expected {}", self.field, self.expected),
            _ => write!(f, "job: `{}` is `{}`, expected {}", self.field, self.value, self.expected),
        }
    }
}

impl std::error::Error for SpecProblem {}

impl From<SpecError> for SpecProblem {
    fn from(error: SpecError) -> Self {
        SpecProblem::invalid(error.field, error.value.trim_matches('`'), error.expected)
    }
}
