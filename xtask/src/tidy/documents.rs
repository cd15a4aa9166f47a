//! Rules for documents: links lead somewhere, and every page exists in both languages.

use super::Finding;
use crate::repository::TextFile;
use std::collections::BTreeSet;

/// Relative links in Markdown files that lead to nothing. Links into the web and links within the page
/// are not followed.
#[must_use]
pub fn broken_links(files: &[TextFile], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_ending("md")) {
        for (line, target) in links(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || is_absolute(path) {
                continue;
            }
            match resolve(&file.path, path) {
                Some(resolved) if exists(&resolved) => {}
                _ => findings.push(Finding::new(&file.path, line, format!("link to `{target}` leads nowhere"))),
            }
        }
    }
    findings
}

/// Pages without their translation: `docs/en` and `docs/zh` mirror each other, and so do the two
/// README files. A language that has not begun yet is not missed.
#[must_use]
pub fn untranslated(files: &[TextFile]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let begun = |folder: &str| paths.iter().any(|path| path.starts_with(folder));
    let both = begun("docs/en/") && begun("docs/zh/");
    let mut findings = Vec::new();
    for path in &paths {
        let twin = match (path.strip_prefix("docs/en/"), path.strip_prefix("docs/zh/")) {
            (Some(page), _) if both => format!("docs/zh/{page}"),
            (_, Some(page)) if both => format!("docs/en/{page}"),
            _ if *path == "README.md" => "README.zh-CN.md".to_owned(),
            _ if *path == "README.zh-CN.md" => "README.md".to_owned(),
            _ => continue,
        };
        if path.ends_with(".md") && !paths.contains(twin.as_str()) {
            findings.push(Finding::new(path, 0, format!("has no translation {twin}")));
        }
    }
    findings
}

/// Link targets with their line numbers, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code_block = !in_code_block;
            continue;
        }
        if in_code_block {
            continue;
        }
        let line = without_inline_code(line);
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition {
            found.push((index + 1, first_word(target)));
        }
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            found.push((index + 1, first_word(&rest[..end])));
        }
    }
    found
}

/// A title may follow the target: `[text](page.md "title")`.
fn first_word(target: &str) -> String {
    let word = target.split_whitespace().next().unwrap_or_default();
    word.trim_matches(['<', '>']).to_owned()
}

/// The line without what stands between backticks.
fn without_inline_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn is_absolute(target: &str) -> bool {
    let has_scheme = target
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+'));
    has_scheme || target.starts_with("//")
}

/// The path from the root that a link in `page` leads to; `None` when it leaves the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<String> {
        let files = [TextFile::new("docs/en/page.md", text)];
        let present = ["docs/en/other.md", "README.md", "docs/en"];
        broken_links(&files, |path| present.contains(&path))
            .into_iter()
            .map(|finding| format!("{} {}", finding.line, finding.message))
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for text in [
            "[a](other.md) [b](./other.md#part) [c](../../README.md \"title\")",
            "[a](https://example.org/x) [b](mailto:a@example.org) [c](#part)",
            "`[a](nowhere.md)`",
            "```\n[a](nowhere.md)\n```",
            "[a]: other.md",
            "[folder](../en/)",
        ] {
            assert_eq!(broken(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for text in ["[a](nowhere.md)", "`code` and ![image](nowhere.md)", "[a]: nowhere.md", "[a](<nowhere.md>)"] {
            assert_eq!(broken(text), ["1 link to `nowhere.md` leads nowhere"], "{text}");
        }
        assert_eq!(broken("```\ncode\n```\n[a](../../../README.md)").len(), 1);
    }

    #[test]
    fn missing_translations_are_found() {
        let check = |paths: &[&str]| {
            let files: Vec<_> = paths.iter().map(|path| TextFile::new(path, "")).collect();
            untranslated(&files).len()
        };
        assert_eq!(check(&["README.md", "README.zh-CN.md"]), 0);
        assert_eq!(check(&["README.md"]), 1);
        assert_eq!(check(&["docs/en/a.md"]), 0);
        assert_eq!(check(&["docs/en/a.md", "docs/zh/a.md"]), 0);
        assert_eq!(check(&["docs/en/a.md", "docs/zh/b.md"]), 2);
        assert_eq!(check(&["docs/glossary.md"]), 0);
    }
}
