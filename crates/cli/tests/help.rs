//! Help texts are reviewed like code: `HUISUAN_BLESS=1 cargo test` rewrites them.

mod support;

use std::fs;

use support::huisuan;

const COMMANDS: [&str; 39] = [
    "",
    "demo",
    "serve",
    "agent",
    "run",
    "sbatch",
    "ls",
    "show",
    "explain",
    "logs",
    "wait",
    "cancel",
    "centre",
    "centre add",
    "centre token",
    "centre ls",
    "centre show",
    "centre pause",
    "centre resume",
    "centre drain",
    "centre alarms",
    "centre measure",
    "centre accept-rating",
    "usage",
    "ledger",
    "ledger balance",
    "measure",
    "measure parts",
    "bench",
    "bench submit",
    "twin",
    "twin run",
    "twin import",
    "twin bench-cycle",
    "twin diff",
    "twin replay",
    "doctor",
    "completions",
    "api",
];

#[test]
fn help_is_as_reviewed() {
    let mut all = String::new();
    for command in COMMANDS {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.push("--help");
        let ran = huisuan(&words);
        assert_eq!((ran.exit, &*ran.stderr), (0, ""), "{command}");
        // The global options are the same everywhere: once is enough to review them.
        let own = ran.stdout.split("\nGlobal options:\n").next().filter(|_| !command.is_empty());
        all.push_str(&format!("$ huisuan {}\n{}\n", words.join(" "), own.unwrap_or(&ran.stdout)));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help.txt");
    if std::env::var_os("HUISUAN_BLESS").is_some() {
        fs::write(path, &all).expect("the golden file is written");
    }
    let golden = fs::read_to_string(path).expect("the golden file is there");
    assert!(
        all == golden,
        "help differs from tests/golden/help.txt; look at it, then bless it with HUISUAN_BLESS=1\n{all}"
    );
}

#[test]
fn help_fits_a_terminal_of_100_columns() {
    for line in huisuan(&["--help"]).stdout.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = huisuan(&["completions", shell]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        assert!(ran.stdout.contains("explain") && ran.stdout.contains("idempotency-key"), "{shell}");
        assert!(!ran.stdout.contains("unlinked"), "{shell}");
    }
}

#[test]
fn version_names_the_program() {
    let ran = huisuan(&["--version"]);
    assert_eq!((ran.exit, ran.stdout), (0, format!("huisuan {}\n", env!("CARGO_PKG_VERSION"))));
}
