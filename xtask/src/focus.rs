//! The environment of `focus-validator`, the FinOps foundation's check of FOCUS files.

use crate::python::venv;
use crate::repository::Repository;
use crate::step::{Outcome, status};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// What the validator uses, as wheels.
const WHEELS: [&str; 14] = [
    "PyYAML==6.0.3",
    "SQLAlchemy==2.1.9",
    "multimethod==1.11.2",
    "numpy==1.26.4",
    "packaging==26.3",
    "pandas==2.3.3",
    "pandera==0.17.2",
    "pyarrow==26.0.1",
    "pydantic==2.14.3",
    "requests==2.34.2",
    "setuptools",
    "sqlglot==18.17.0",
    "tabulate==0.10.0",
    "typeguard==4.6.0",
];
/// Both are published as source only; neither runs anything but its own setup.
const SOURCES: [&str; 2] = ["pandasql==0.7.3", "focus-validator==1.0.0"];

/// The interpreter of an environment that has the validator, made once.
///
/// # Errors
///
/// When there is no Python with `venv`, or a package cannot be had; the message says what to do.
pub fn environment(repository: &Repository) -> Result<PathBuf> {
    let python = venv(repository, "focus", &WHEELS)?;
    if python.with_file_name("focus-validator").is_file() {
        return Ok(python);
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    if status(Command::new(&python).args(pip).args(SOURCES)) != Outcome::Passed {
        bail!("focus-validator cannot be installed; hint: is the package index reachable?");
    }
    Ok(python)
}
