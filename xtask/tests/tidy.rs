//! The house rules, applied to this repository.

use xtask::repository::{Repository, TextFile};
use xtask::tidy::{Finding, documents, manifests, sources};
use xtask::walls::Arrows;

fn repository() -> Repository {
    Repository::locate().expect("tests run inside the repository")
}

fn files() -> Vec<TextFile> {
    repository().text_files().expect("every text file is UTF-8 and readable")
}

#[track_caller]
fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_crate_says_what_it_does() {
    assert_none(&sources::roots_without_head(&files()));
}

#[test]
fn no_file_is_too_long() {
    let files = files();
    for finding in sources::long_files(&files, sources::LINES_AIMED_AT) {
        println!("{finding}");
    }
    assert_none(&sources::long_files(&files, sources::LINES_MAX));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(&sources::leftovers(&files()));
}

#[test]
fn one_module_alone_calls_foreign_code() {
    assert_none(&sources::unsafe_elsewhere(&files()));
}

#[test]
fn no_path_belongs_to_one_machine() {
    assert_none(&sources::machine_paths(&files()));
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = repository().read("Cargo.toml").unwrap();
    assert_none(&manifests::dependencies_without_reason("Cargo.toml", &manifest));
}

#[test]
fn manifests_follow_the_workspace() {
    let root = repository().read("Cargo.toml").unwrap();
    assert_none(&manifests::root_rules("Cargo.toml", &root).unwrap());
    for file in files() {
        if file.path.ends_with("/Cargo.toml") {
            assert_none(&manifests::member_rules(&file, &root).unwrap());
        }
    }
}

#[test]
fn pure_crates_have_the_same_bans() {
    let repository = repository();
    let arrows = Arrows::of(&repository).unwrap();
    let settings: Vec<TextFile> = arrows
        .pure()
        .map(|krate| {
            let path = format!("crates/{krate}/clippy.toml");
            let text = repository.read(&path).unwrap_or_default();
            TextFile { path, text }
        })
        .collect();
    assert!(settings.len() >= 4);
    assert_none(&manifests::unequal_bans(&settings));
}

#[test]
fn links_lead_somewhere() {
    let repository = repository();
    assert_none(&documents::broken_links(&files(), |path| repository.join(path).exists()));
}

#[test]
fn pages_exist_in_both_languages() {
    assert_none(&documents::untranslated(&files()));
}
