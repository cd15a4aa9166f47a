//! House rules that a machine can check. Each rule is a function from files to findings, with a test
//! that shows it finding something; `xtask/tests/tidy.rs` runs them over this repository.
//!
//! - `sources.rs`: what stands in source files.
//! - `manifests.rs`: what stands in `Cargo.toml` and `clippy.toml`.
//! - `documents.rs`: links and translations.

pub mod documents;
pub mod manifests;
pub mod sources;

use std::fmt;

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the root of the repository.
    pub path: String,
    /// The line, from 1; 0 means the file as a whole.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}
