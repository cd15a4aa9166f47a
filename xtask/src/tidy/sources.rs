//! Rules for source files.

use super::Finding;
use crate::repository::TextFile;

/// A file longer than this must be split; generated files do not lie in the checked folders.
pub const LINES_MAX: usize = 800;
/// Files longer than this are named by `cargo xtask check`, as a question to their author.
pub const LINES_AIMED_AT: usize = 400;

/// Every crate's root file opens with what the crate does, what it must never do and where to read on.
#[must_use]
pub fn roots_without_head(files: &[TextFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| is_ours(file) && is_root(&file.path))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| Finding::new(&file.path, 1, "must begin with a `//!` comment"))
        .collect()
}

/// Source files of more than so many lines.
#[must_use]
pub fn long_files(files: &[TextFile], lines_max: usize) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| is_ours(file) && file.has_ending("rs"))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > lines_max).then(|| Finding::new(&file.path, 0, format!("{lines} lines, more than {lines_max}")))
        })
        .collect()
}

/// Words that mark unfinished work or a forgotten experiment.
#[must_use]
pub fn leftovers(files: &[TextFile]) -> Vec<Finding> {
    // Written in two halves, so that this file does not find itself.
    let words = [
        (concat!("#", "[ignore"), "repair the test or delete it"),
        (concat!("to", "do!("), "do it, or refuse with a reason"),
        (concat!("unimpl", "emented!("), "do it, or refuse with a reason"),
        (concat!("db", "g!("), "remove it"),
    ];
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_ending("rs")) {
        for (number, line) in numbered(&file.text) {
            for (word, advice) in words {
                if contains_word(line, word) {
                    findings.push(Finding::new(&file.path, number, format!("`{word}`: {advice}")));
                }
            }
        }
    }
    findings
}

/// The one module that calls foreign code.
const FOREIGN_CODE: &str = "crates/measure/src/cuda/library.rs";

/// Files that allow themselves what the workspace forbids.
#[must_use]
pub fn unsafe_elsewhere(files: &[TextFile]) -> Vec<Finding> {
    let word = concat!("(unsafe", "_code)");
    let sources = files.iter().filter(|file| is_ours(file) && file.has_ending("rs") && file.path != FOREIGN_CODE);
    let lines = sources.flat_map(|file| numbered(&file.text).map(move |line| (file, line)));
    let found = lines.filter(|(_, (_, line))| line.contains(word) && !line.contains("forbid"));
    found.map(|(file, (number, _))| Finding::new(&file.path, number, format!("only {FOREIGN_CODE} may"))).collect()
}

/// Paths that exist on one machine only: somebody's home or a work folder.
#[must_use]
pub fn machine_paths(files: &[TextFile]) -> Vec<Finding> {
    let folders = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in numbered(&file.text) {
            for folder in folders.iter().filter(|folder| has_absolute(line, folder)) {
                let message = format!("`{folder}` is a path of one machine");
                findings.push(Finding::new(&file.path, number, message));
            }
        }
    }
    findings
}

/// Whether the text has the folder at the start of a path. In `a/b`, `../b`, `$X/b` or `{x}/b` the path
/// begins earlier and is relative or variable.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$}>*)~".contains(c)))
}

/// Whether the word stands by itself: `mytodo!(` is another macro.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn is_ours(file: &TextFile) -> bool {
    file.path.starts_with("crates/") || file.path.starts_with("xtask/")
}

fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Vec<TextFile> {
        vec![TextFile::new("crates/model/src/lib.rs", text)]
    }

    #[test]
    fn unsafe_code_elsewhere_is_found() {
        let allow = concat!("#![allow(unsafe", "_code)]\n");
        assert_eq!(unsafe_elsewhere(&file(allow)).len(), 1);
        assert_eq!(unsafe_elsewhere(&[TextFile::new(FOREIGN_CODE, allow)]), []);
        assert_eq!(unsafe_elsewhere(&file(concat!("#![forbid(unsafe", "_code)]\n"))), []);
    }

    #[test]
    fn a_root_without_head_is_found() {
        assert_eq!(roots_without_head(&file("use x;\n")).len(), 1);
        assert_eq!(roots_without_head(&file("//! Words.\n")).len(), 0);
        let inner = [TextFile::new("crates/model/src/id.rs", "use x;\n")];
        assert_eq!(roots_without_head(&inner).len(), 0);
    }

    #[test]
    fn long_files_are_found() {
        let findings = long_files(&file(&"//\n".repeat(801)), LINES_MAX);
        assert_eq!(findings[0].message, "801 lines, more than 800");
        assert_eq!(long_files(&file(&"//\n".repeat(800)), LINES_MAX).len(), 0);
    }

    #[test]
    fn leftovers_are_found() {
        for text in [
            concat!("#", "[ignore]"),
            concat!("#", "[ignore = \"slow\"]"),
            concat!("    to", "do!()"),
            concat!("std::unimpl", "emented!()"),
            concat!("let x = db", "g!(y);"),
        ] {
            let findings = leftovers(&file(&format!("//! x\n{text}\n")));
            assert_eq!(findings.len(), 1, "{text}");
            assert_eq!(findings[0].line, 2);
        }
        assert_eq!(leftovers(&file("tododo!(); // ignore")), []);
    }

    #[test]
    fn machine_paths_are_found() {
        for text in [concat!("\"/ho", "me/li/x\""), concat!("cd /wo", "rk/x"), concat!("(/ro", "ot/.x)")] {
            assert_eq!(machine_paths(&file(text)).len(), 1, "{text}");
        }
        for text in [
            concat!("out/wo", "rk/x"),
            concat!("../wo", "rk/x"),
            concat!("$X/ho", "me/x"),
            concat!("{x}/wo", "rk/y"),
            "/workers/x",
        ] {
            assert_eq!(machine_paths(&file(text)), [], "{text}");
        }
    }
}
