//! The walls of this repository: arrows between crates, packages below the pure crates, and the bans
//! that clippy enforces inside them.

use std::fs;
use xtask::repository::Repository;
use xtask::step::cargo;
use xtask::walls::{Arrows, banned_in, differences, present};

#[test]
fn committed_lists_are_up_to_date() {
    let repository = Repository::locate().unwrap();
    let mut findings = Vec::new();
    for (path, text) in present(&repository).unwrap() {
        let committed = repository.read(&path).unwrap_or_default();
        for difference in differences(&committed, &text) {
            findings.push(format!("{path}: {difference}"));
        }
    }
    assert!(
        findings.is_empty(),
        "{}\nhint: if this is meant, run `cargo xtask bless-walls` and say why in the commit",
        findings.join("\n")
    );
}

#[test]
fn arrows_obey_the_architecture() {
    let arrows = Arrows::of(&Repository::locate().unwrap()).unwrap();
    let findings = arrows.forbidden();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn nothing_banned_lies_below_a_pure_crate() {
    let repository = Repository::locate().unwrap();
    for (path, text) in present(&repository).unwrap() {
        assert_eq!(banned_in(&text), Vec::<&str>::new(), "{path}");
    }
}

/// Each line uses one banned thing. The scratch crate gets the settings of a pure crate and must be
/// refused as many times.
const BANNED_LINES: [&str; 9] = [
    "pub fn a() { let _ = std::time::SystemTime::now(); }",
    "pub fn b() -> usize { std::collections::HashMap::<u8, u8>::new().len() }",
    "pub fn c() -> usize { std::collections::HashSet::<u8>::new().len() }",
    "pub fn d() { let _ = std::fs::read(\"x\"); }",
    "pub fn e() { let _ = std::env::var(\"x\"); }",
    "pub fn f() { let _ = std::net::TcpListener::bind(\"x\"); }",
    "pub fn g() { std::thread::spawn(|| ()); }",
    "pub fn h() { std::thread::sleep(std::time::Duration::ZERO); }",
    "pub fn i() { let _ = std::process::Command::new(\"x\"); }",
];

#[test]
fn clippy_bites_in_pure_crates() {
    let repository = Repository::locate().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    fs::create_dir(path("src")).unwrap();
    fs::write(path("src/lib.rs"), BANNED_LINES.join("\n")).unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"scratch\"\nedition = \"2024\"\n[workspace]\n").unwrap();
    fs::copy(repository.join("crates/model/clippy.toml"), path("clippy.toml")).unwrap();
    let output = cargo()
        .args(["clippy", "--offline", "--quiet", "--message-format", "short"])
        .current_dir(scratch.path())
        .env("CARGO_TARGET_DIR", path("target"))
        .env_remove("CLIPPY_CONF_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    for (index, line) in BANNED_LINES.iter().enumerate() {
        let place = format!("lib.rs:{}:", index + 1);
        let refused = text.lines().any(|warning| warning.contains(&place) && warning.contains("disallowed"));
        assert!(refused, "clippy lets this pass: {line}\n{text}");
    }
}
