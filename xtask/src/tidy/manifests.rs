//! Rules for `Cargo.toml` and `clippy.toml`.

use super::Finding;
use crate::repository::TextFile;
use anyhow::{Context, Result};
use toml::Table;

/// Every dependency in the root manifest says why it is here, in a comment on its line. Our own crates
/// (with a path) need no reason.
#[must_use]
pub fn dependencies_without_reason(path: &str, manifest: &str) -> Vec<Finding> {
    let mut inside = false;
    let mut findings = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let (code, comment) = split_comment(line);
            if comment.trim().is_empty() && !code.contains("path = ") {
                let message = "dependency without a reason; hint: name = \"1\" # why it is needed";
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

/// The one crate that may deny `unsafe` code instead of forbidding it, so that one module of it can call the makers'
/// libraries of accelerators.
const UNSAFE_DENIED: &str = "crates/measure/Cargo.toml";

/// A crate's manifest takes its lints and its dependencies' versions from the workspace, whose manifest is `root`.
///
/// # Errors
///
/// When a manifest is not valid.
pub fn member_rules(file: &TextFile, root: &str) -> Result<Vec<Finding>> {
    let manifest = parse(&file.path, &file.text)?;
    let mut findings = Vec::new();
    if file.path == UNSAFE_DENIED {
        let mut lints = get(&parse("Cargo.toml", root)?, &["workspace", "lints"]).cloned();
        let level = lints.as_mut().and_then(|lints| lints.get_mut("rust")?.get_mut("unsafe_code"));
        if let Some(level) = level {
            *level = "deny".into();
        }
        if manifest.get("lints") != lints.as_ref() {
            let message = "needs the lints of the workspace, with `unsafe_code = \"deny\"`";
            findings.push(Finding::new(&file.path, 0, message));
        }
    } else if get(&manifest, &["lints", "workspace"]) != Some(&toml::Value::Boolean(true)) {
        findings.push(Finding::new(&file.path, 0, "needs `[lints] workspace = true`"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
            continue;
        };
        for (name, value) in dependencies {
            if value.get("workspace") != Some(&toml::Value::Boolean(true)) {
                let message = format!("{name} must come from [workspace.dependencies]");
                findings.push(Finding::new(&file.path, 0, message));
            }
        }
    }
    Ok(findings)
}

/// The root manifest forbids `unsafe` for all crates.
///
/// # Errors
///
/// When the manifest is not valid.
pub fn root_rules(path: &str, text: &str) -> Result<Vec<Finding>> {
    let manifest = parse(path, text)?;
    let level = get(&manifest, &["workspace", "lints", "rust", "unsafe_code"]);
    if level.and_then(toml::Value::as_str) == Some("forbid") {
        return Ok(Vec::new());
    }
    let message = "needs `unsafe_code = \"forbid\"` in [workspace.lints.rust]";
    Ok(vec![Finding::new(path, 0, message)])
}

/// The pure crates have the same bans: each file must equal the first. A missing one is given as empty.
#[must_use]
pub fn unequal_bans(settings: &[TextFile]) -> Vec<Finding> {
    let Some(first) = settings.first() else {
        return Vec::new();
    };
    settings
        .iter()
        .filter(|file| file.text.is_empty() || file.text != first.text)
        .map(|file| Finding::new(&file.path, 0, format!("must equal {}", first.path)))
        .collect()
}

fn parse(path: &str, text: &str) -> Result<Table> {
    text.parse().with_context(|| format!("{path} is not valid"))
}

fn get<'a>(table: &'a Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

/// Splits a line at the first `#` outside quotation marks.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted => return (&line[..at], &line[at + 1..]),
            _ => {}
        }
    }
    (line, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n";

    fn member(text: &str) -> Vec<Finding> {
        member_rules(&TextFile::new("crates/model/Cargo.toml", text), ROOT).unwrap()
    }

    #[test]
    fn a_dependency_without_reason_is_found() {
        let manifest = "[workspace]\nresolver = \"3\"\n[workspace.dependencies]\n\
            ours = { path = \"x\" }\n# a note\ngood = \"1\" # tables\nbad = \"1\"\n\
            empty = \"1\" #\nhash = \"1#2\"\n[profile.dev]\ndebug = 1\n";
        let lines: Vec<usize> =
            dependencies_without_reason("Cargo.toml", manifest).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [7, 8, 9]);
    }

    #[test]
    fn a_crate_without_the_common_lints_is_found() {
        assert_eq!(member("[lints]\nworkspace = true\n"), []);
        assert_eq!(member("[package]\nname = \"x\"\n").len(), 1);
        assert_eq!(member("[lints.rust]\nunsafe_code = \"allow\"\n").len(), 1);
    }

    #[test]
    fn one_crate_denies_unsafe_code_and_keeps_the_other_lints() {
        let found = |text: &str| member_rules(&TextFile::new(UNSAFE_DENIED, text), ROOT).unwrap().len();
        assert_eq!(found("[lints.rust]\nunsafe_code = \"deny\"\nmissing_docs = \"warn\"\n"), 0);
        for text in [
            "[lints.rust]\nunsafe_code = \"allow\"\nmissing_docs = \"warn\"\n",
            "[lints.rust]\nunsafe_code = \"deny\"\n",
            "[package]\nname = \"x\"\n",
        ] {
            assert_eq!(found(text), 1, "{text}");
        }
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let text = "[lints]\nworkspace = true\n[dependencies]\nserde = \"1\"\n\
            [dev-dependencies]\ntoml.workspace = true\nx = { version = \"2\" }\n";
        let findings = member(text);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].message.starts_with("serde must"));
    }

    #[test]
    fn a_root_that_permits_unsafe_code_is_found() {
        let root = |level: &str| {
            let text = format!("[workspace.lints.rust]\nunsafe_code = \"{level}\"\n");
            root_rules("Cargo.toml", &text).unwrap().len()
        };
        assert_eq!(root("forbid"), 0);
        assert_eq!(root("deny"), 1);
        assert_eq!(root_rules("Cargo.toml", "").unwrap().len(), 1);
        assert!(root_rules("Cargo.toml", "not toml").is_err());
    }

    #[test]
    fn bans_that_drift_apart_are_found() {
        let files = [TextFile::new("a", "x"), TextFile::new("b", "x"), TextFile::new("c", "y"), TextFile::new("d", "")];
        assert_eq!(unequal_bans(&files[..2]), []);
        assert_eq!(unequal_bans(&files).len(), 2);
        assert_eq!(unequal_bans(&files[3..]).len(), 1);
    }
}
