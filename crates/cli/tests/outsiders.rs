//! The books of a demo before programs that are not ours: beancount from the Python package index, and plain Python.
//!
//! Run by `cargo xtask test`, which makes the environment and names its interpreter in `HUISUAN_PYTHON`.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use support::{Ran, running::Home};

/// The folder of a demo that has ended, and what it left in the books.
struct Books {
    home: Home,
    data: String,
}

impl Books {
    fn new() -> Books {
        let home = Home::new();
        let data = home.path("data");
        let ran = home.run(&["demo", "--once", "--data", &data, "-o", "json"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        Books { home, data }
    }

    fn ledger(&self, arguments: &[&str]) -> Ran {
        let ran = self.home.run(&[&["ledger"], arguments, &["--data", &self.data]].concat());
        assert_eq!(ran.exit, 0, "{arguments:?}: {ran:?}");
        ran
    }

    fn export(&self, format: &str, more: &[&str]) -> String {
        self.ledger(&[&["export", "--format", format], more].concat()).stdout
    }

    /// A text as a file of its own.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = PathBuf::from(self.home.path(name));
        fs::write(&path, text).expect("a scratch file");
        path
    }
}

fn python() -> PathBuf {
    PathBuf::from(std::env::var_os("HUISUAN_PYTHON").expect("HUISUAN_PYTHON: run `cargo xtask test`"))
}

/// What `bean-check` finds; nothing when it accepts the file.
fn bean_check(file: &Path) -> String {
    let program = python().with_file_name("bean-check");
    let Output { status, stdout, stderr } =
        Command::new(program).args(["--no-cache"]).arg(file).output().expect("bean-check starts");
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.success(), text.trim().is_empty(), "{text}");
    text
}

/// The text with its first line that has `part` changed.
fn tampered(text: &str, part: &str, change: impl Fn(&str) -> String) -> String {
    let line = text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("a line with {part}"));
    text.replacen(line, &change(line), 1)
}

/// A number that is the smallest unit away.
fn next(line: &str) -> String {
    let (digits, after) = line.rsplit_once(" CNY").map_or((line, ""), |(digits, _)| (digits, " CNY"));
    let last = digits.chars().last().and_then(|digit| digit.to_digit(10)).expect("a number before its currency");
    format!("{}{}{after}", &digits[..digits.len() - 1], (last + 1) % 10)
}

#[test]
fn beancount_accepts_the_books_and_rejects_tampered_copies() {
    let books = Books::new();
    let text = books.export("beancount", &[]);
    assert!(text.matches(" * \"post\" ").count() >= 5 && text.contains("balance Assets:Funding"), "{text}");
    assert_eq!(bean_check(&books.file("good.beancount", &text)), "");
    let post = " * \"post\" ";
    let whole = text.split("\n\n").find(|piece| piece.contains(post)).expect("a transaction").to_owned();
    let legs: Vec<&str> = whole.lines().filter(|line| line.ends_with(" CNY")).collect();
    let both = legs.iter().fold(whole.clone(), |piece, leg| piece.replacen(*leg, &next(leg), 1));
    for (name, copy, expected) in [
        ("one-leg", text.replacen(legs[0], &next(legs[0]), 1), "does not balance"),
        ("both-legs", text.replacen(&whole, &both, 1), "Balance failed"),
        ("dropped", text.replacen(&whole, "", 1), "Balance failed"),
        ("twice", text.replacen(&whole, &format!("{whole}\n\n{whole}"), 1), "Balance failed"),
        ("other-account", text.replacen(legs[1], &legs[1].replace(":Centre:", ":Nobody:"), 1), "unknown account"),
        (
            "assertion",
            tampered(&text, "balance Assets:Funding", |line| line.replacen(".000000 ~", ".000001 ~", 1)),
            "Balance failed",
        ),
    ] {
        assert_ne!(copy, text, "{name}");
        let found = bean_check(&books.file(&format!("{name}.beancount"), &copy));
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn a_part_of_the_books_stands_for_itself() {
    let books = Books::new();
    let transfers: Value = serde_json::from_str(&books.export("json", &[])).expect("JSON");
    let transfers = transfers["transfers"].as_array().expect("a list");
    let middle = transfers[transfers.len() / 2]["at"].as_str().expect("a time");
    let (before, after) =
        (books.export("beancount", &["--to", middle]), books.export("beancount", &["--from", middle]));
    assert_eq!(bean_check(&books.file("before.beancount", &before)), "");
    assert!(after.contains("opening balances"), "{after}");
    assert_eq!(bean_check(&books.file("after.beancount", &after)), "");
    let lines = |more: &[&str]| books.export("csv", more).lines().count() - 1;
    assert_eq!(lines(&["--to", middle]) + lines(&["--from", middle]), transfers.len());
}

/// Adds up a FOCUS file in decimals, with nothing of ours: millionths by account.
const FOCUS: &str = "
import collections, csv, json, sys
from decimal import Decimal
costs = collections.Counter()
with open(sys.argv[1], newline='') as file:
    for row in csv.DictReader(file):
        for column in ['BilledCost', 'EffectiveCost', 'ListCost', 'ContractedCost']:
            assert row[column] == row['BilledCost'], row
        costs[row['BillingAccountId']] += int(Decimal(row['BilledCost']) * 1000000)
print(json.dumps(costs))
";

#[test]
fn plain_python_adds_the_bills_of_all_tenants_up_to_the_ledger() {
    let books = Books::new();
    let file = books.file("focus.csv", &books.export("focus-1.2", &[]));
    let output = Command::new(python()).args(["-c", FOCUS]).arg(file).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let billed: BTreeMap<String, i64> = serde_json::from_slice(&output.stdout).expect("JSON");
    let json: Value = serde_json::from_str(&books.export("json", &[])).expect("JSON");
    let earned = json["closing"].as_array().expect("a list").iter().filter(|row| {
        let account = row["account"].as_str().unwrap_or_default();
        account.starts_with("centre:") && row["asset"] == "CNY"
    });
    let earned: i64 = earned.map(|row| row["balance"].as_str().expect("text").parse::<i64>().expect("a number")).sum();
    assert_eq!(billed.values().sum::<i64>(), earned, "{billed:?}");
    assert!(earned > 0);
}

#[test]
fn plain_python_adds_up_and_follows_the_chain_to_the_same_end() {
    let books = Books::new();
    let csv = books.export("csv", &[]);
    let check = |file: &Path| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outsiders/check.py");
        Command::new(python()).arg(script).arg(file).output().expect("python starts")
    };
    let output = check(&books.file("good.csv", &csv));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let json: Value = serde_json::from_str(&books.export("json", &[])).expect("JSON");
    let closing: BTreeMap<String, &Value> = json["closing"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            (
                format!("{} {}", row["account"].as_str().unwrap_or(""), row["asset"].as_str().unwrap_or("")),
                &row["balance"],
            )
        })
        .collect();
    assert_eq!(found["balances"], serde_json::json!(closing));
    let audit = books.ledger(&["audit", "-o", "json"]).json();
    assert_eq!(
        (&audit["ok"], &audit["head"], &audit["transfers"]),
        (&Value::Bool(true), &found["head"], &found["transfers"])
    );
    let line = csv.lines().nth(2).expect("a transfer");
    let altered = csv.replacen(line, &line.replacen("CNY", "EUR", 1), 1);
    let output = check(&books.file("bad.csv", &altered));
    assert!(String::from_utf8_lossy(&output.stderr).contains("transfer 2 has another hash"));
}
