//! The walls between our crates: who may use whom, and what the pure crates may bring in.
//!
//! Two lists are committed in `xtask/walls`, so that every new arrow and every new package below a pure
//! crate shows in review: `edges.txt` with the arrows between our crates, and one file per pure crate
//! with all packages it is built from. `cargo xtask bless-walls` rewrites them; the tests compare.
//! Against the rules of the design itself ([`ALLOWED`], [`BANNED`]) no blessing helps.

use crate::repository::Repository;
use crate::step::cargo;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

/// The arrows that the architecture allows, besides `model`, which everything may use.
/// A new arrow needs a decision record in `docs/decisions`.
pub const ALLOWED: [(&str, &[&str]); 15] = [
    ("cli", &["agent", "api", "drivers", "exchange", "measure", "server", "study"]),
    ("server", &["agent", "api", "control", "store", "study"]),
    ("agent", &["api", "drivers", "measure"]),
    ("study", &["schedule", "twin"]),
    ("twin", &["control", "schedule"]),
    ("control", &["exchange", "ledger", "schedule"]),
    ("api", &[]),
    ("drivers", &[]),
    ("exchange", &[]),
    ("ledger", &[]),
    ("measure", &[]),
    ("model", &[]),
    ("schedule", &[]),
    ("store", &[]),
    ("xtask", &[]),
];

/// Crates without clock, input, output, threads or hash order. Those that do not exist yet are checked
/// from the day they appear.
pub const PURE: [&str; 6] = ["model", "schedule", "ledger", "exchange", "control", "twin"];

/// Packages that never appear below a pure crate, directly or through others.
pub const BANNED: [&str; 9] = ["axum", "hyper", "kube", "mio", "reqwest", "rusqlite", "sqlx", "tokio", "ureq"];

/// The platform whose packages are listed. One fixed platform gives the same list everywhere, and its
/// packages are at hand after a build, which those of all platforms are not.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const EDGES: &str = "xtask/walls/edges.txt";
const EDGES_HEAD: &str = "# Our crates and those of ours that they use; (dev) only in tests, examples and benchmarks.\n\
    # Written by `cargo xtask bless-walls`, compared by `cargo test -p xtask --test walls`.\n";
const PACKAGES_HEAD: &str = "# All packages this pure crate is built from on x86-64 Linux, without test dependencies.\n\
    # Written by `cargo xtask bless-walls`, compared by `cargo test -p xtask --test walls`.\n";

/// Arrows from each of our crates to others of ours, by folder name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrows {
    /// Arrows of the crates as they are shipped.
    pub normal: BTreeMap<String, BTreeSet<String>>,
    /// Further arrows of their tests, examples and benchmarks.
    pub dev: BTreeMap<String, BTreeSet<String>>,
}

impl Arrows {
    /// Reads the arrows of this repository from its manifests.
    ///
    /// # Errors
    ///
    /// When `cargo metadata` fails.
    pub fn of(repository: &Repository) -> Result<Self> {
        let text = cargo_output(repository, &["metadata", "--offline", "--no-deps", "--format-version", "1"])?;
        Ok(Self::from_metadata(&serde_json::from_str(&text)?))
    }

    fn from_metadata(metadata: &Value) -> Self {
        let packages = list(metadata, "packages");
        let ours: BTreeSet<&str> = packages.iter().map(name).collect();
        let mut arrows = Self::default();
        for package in packages {
            let from = short(name(package));
            arrows.normal.entry(from.clone()).or_default();
            for dependency in list(package, "dependencies") {
                if !ours.contains(name(dependency)) {
                    continue;
                }
                // Build dependencies count as normal: they decide what the crate contains.
                let kind = if dependency["kind"] == "dev" { &mut arrows.dev } else { &mut arrows.normal };
                kind.entry(from.clone()).or_default().insert(short(name(dependency)));
            }
        }
        arrows
    }

    /// The text of the committed list.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = EDGES_HEAD.to_owned();
        for (from, to) in &self.normal {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", line(from, to));
        }
        for (from, to) in &self.dev {
            let _ = writeln!(text, "{}", line(&format!("{from} (dev)"), to));
        }
        text
    }

    /// Arrows that the architecture does not allow, and crates it does not know.
    #[must_use]
    pub fn forbidden(&self) -> Vec<String> {
        let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
        let mut findings = Vec::new();
        for (from, to) in &self.normal {
            let Some(targets) = allowed.get(from.as_str()) else {
                findings.push(format!("{from} is not in the architecture's map"));
                continue;
            };
            for target in to {
                if target != "model" && !targets.contains(&target.as_str()) {
                    findings.push(format!("{from} -> {target} is not an allowed arrow"));
                }
            }
        }
        for (from, to) in &self.dev {
            for target in to {
                if is_pure(from) && !is_pure(target) {
                    findings.push(format!("{from} -> {target}: tests of a pure crate are pure"));
                }
            }
        }
        findings
    }

    /// The pure crates that exist.
    pub fn pure(&self) -> impl Iterator<Item = &str> {
        self.normal.keys().map(String::as_str).filter(|krate| is_pure(krate))
    }
}

/// All packages that a crate of ours is built from, as the text of the committed list.
///
/// # Errors
///
/// When `cargo tree` fails.
pub fn packages_of(repository: &Repository, krate: &str) -> Result<String> {
    let package = format!("huisuan-{krate}");
    // `cargo tree` rather than `cargo metadata`: it switches on the features of this package alone, so
    // the list does not change when another crate asks for more.
    let text = cargo_output(
        repository,
        &[
            "tree",
            "--offline",
            "--package",
            &package,
            "--edges",
            "normal",
            "--target",
            PLATFORM,
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )?;
    let names: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != package).collect();
    let lines: Vec<&str> = names.into_iter().collect();
    Ok(format!("{PACKAGES_HEAD}{}\n", lines.join("\n")))
}

/// Banned packages that a committed or computed list names.
#[must_use]
pub fn banned_in(packages: &str) -> Vec<&str> {
    packages.lines().filter(|name| BANNED.contains(name)).collect()
}

/// The differences between a committed list and the present one, line by line; empty when equal.
#[must_use]
pub fn differences(committed: &str, present: &str) -> Vec<String> {
    let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (before, now) = (lines(committed), lines(present));
    let gone = before.difference(&now).map(|line| format!("- {line}"));
    let new = now.difference(&before).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

/// Committed lists with their paths and present content.
///
/// # Errors
///
/// When cargo cannot tell the present content.
pub fn present(repository: &Repository) -> Result<Vec<(String, String)>> {
    let arrows = Arrows::of(repository)?;
    let mut lists = vec![(EDGES.to_owned(), arrows.to_text())];
    for krate in arrows.pure() {
        lists.push((format!("xtask/walls/{krate}.txt"), packages_of(repository, krate)?));
    }
    Ok(lists)
}

/// Rewrites the committed lists and prints what changed.
///
/// # Errors
///
/// When cargo cannot tell the present content or a file cannot be written.
pub fn bless(repository: &Repository) -> Result<()> {
    for (path, text) in present(repository)? {
        let before = fs::read_to_string(repository.join(&path)).unwrap_or_default();
        for difference in differences(&before, &text) {
            println!("{path}: {difference}");
        }
        fs::write(repository.join(&path), text).with_context(|| format!("cannot write {path}"))?;
    }
    for finding in Arrows::of(repository)?.forbidden() {
        eprintln!("still forbidden by the architecture: {finding}");
    }
    Ok(())
}

fn cargo_output(repository: &Repository, arguments: &[&str]) -> Result<String> {
    let output = cargo().args(arguments).current_dir(repository.root()).output()?;
    ensure!(output.status.success(), "cargo {} failed: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn is_pure(krate: &str) -> bool {
    PURE.contains(&krate)
}

fn line(from: &str, to: &BTreeSet<String>) -> String {
    let targets: Vec<&str> = to.iter().map(String::as_str).collect();
    format!("{from} -> {}", targets.join(" ")).trim_end().to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

fn short(package: &str) -> String {
    package.strip_prefix("huisuan-").unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arrows(dependencies: &[(&str, &str, Option<&str>)]) -> Arrows {
        let names = ["model", "schedule", "api", "server", "store"];
        let packages: Vec<Value> = names
            .iter()
            .map(|krate| {
                let dependencies: Vec<Value> = dependencies
                    .iter()
                    .filter(|(from, _, _)| from == krate)
                    .map(|(_, to, kind)| json!({"name": to, "kind": kind}))
                    .collect();
                json!({"name": format!("huisuan-{krate}"), "dependencies": dependencies})
            })
            .collect();
        Arrows::from_metadata(&json!({ "packages": packages }))
    }

    #[test]
    fn allowed_arrows_pass_and_foreign_packages_are_no_arrows() {
        let arrows =
            arrows(&[("server", "huisuan-store", None), ("server", "huisuan-model", None), ("server", "tokio", None)]);
        assert_eq!(arrows.forbidden(), Vec::<String>::new());
        assert!(arrows.to_text().ends_with("\nserver -> model store\nstore ->\n"));
    }

    #[test]
    fn upward_and_sideways_arrows_are_found() {
        for (from, to) in [("model", "api"), ("schedule", "store"), ("api", "server")] {
            let target = format!("huisuan-{to}");
            let findings = arrows(&[(from, &target, None)]).forbidden();
            assert_eq!(findings, [format!("{from} -> {to} is not an allowed arrow")]);
        }
        assert_eq!(arrows(&[("api", "huisuan-server", Some("build"))]).forbidden().len(), 1);
    }

    #[test]
    fn dev_arrows_are_kept_apart() {
        let arrows = arrows(&[("api", "huisuan-server", Some("dev"))]);
        assert_eq!(arrows.forbidden(), Vec::<String>::new());
        assert!(arrows.to_text().ends_with("\napi (dev) -> server\n"));
    }

    #[test]
    fn tests_of_a_pure_crate_are_pure() {
        let findings = arrows(&[("schedule", "huisuan-store", Some("dev"))]).forbidden();
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        let metadata = json!({"packages": [{"name": "huisuan-utils", "dependencies": []}]});
        let findings = Arrows::from_metadata(&metadata).forbidden();
        assert_eq!(findings, ["utils is not in the architecture's map"]);
    }

    #[test]
    fn banned_packages_and_differences_are_found() {
        assert_eq!(banned_in("serde\ntokio\ntokio-macros\n"), ["tokio"]);
        assert_eq!(differences("a\nb\n", "b\na\n"), Vec::<String>::new());
        assert_eq!(differences("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }
}
