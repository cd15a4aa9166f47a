//! Bills before programs that are not ours: the FinOps foundation's validator, and pandas that adds up again.
//!
//! Run by `cargo xtask test`, which makes the environment and names its interpreter in `HUISUAN_FOCUS_PYTHON`. What is
//! checked is the month of `examples/bill.rs`.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "other programs read files")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// The one rule of the validator that no file can satisfy: it looks for `ChargeType`, a column of version 0.5.
const BROKEN: [&str; 1] = ["SkuPriceId_Nullable"];

fn python() -> PathBuf {
    PathBuf::from(std::env::var_os("HUISUAN_FOCUS_PYTHON").expect("HUISUAN_FOCUS_PYTHON: run `cargo xtask test`"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The example's output.
fn example(form: &str, tenant: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "-q", "-p", "huisuan-ledger", "--example", "bill", "--", form, tenant]);
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn scratch(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("huisuan-{}-{name}", std::process::id()));
    fs::write(&path, text).expect("a scratch file");
    path
}

#[test]
fn the_validator_accepts_every_rule_but_the_broken_one() {
    let file = scratch("focus.csv", &example("focus-1.0", "t1"));
    let python = python();
    let packages = Command::new(&python).args(["-c", "import site; print(site.getsitepackages()[0])"]).output();
    let packages = String::from_utf8(packages.expect("python starts").stdout).expect("a path");
    // One of its rules opens a file by a path that is relative to its own folder.
    let output = Command::new(python.with_file_name("focus-validator"))
        .current_dir(packages.trim())
        .args(["--validate-version", "1.0", "--data-file"])
        .arg(&file)
        .output()
        .expect("the validator starts");
    fs::remove_file(&file).expect("the scratch file");
    let said = text(&output);
    let failed: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(" failed:")).collect();
    assert_eq!(failed, BROKEN, "{said}");
}

/// Adds up in decimals, with nothing of ours: the sum of each export is the bill, and the days of FOCUS are, line by
/// line, the lines of the bill.
const ADD_UP: &str = "
import sys
from decimal import Decimal
import pandas
frames = [pandas.read_csv(path, dtype=str, keep_default_na=False) for path in sys.argv[1::2]]
for frame, column in zip(frames, sys.argv[2::2]):
    frame[column] = frame[column].map(Decimal)
    print(int(frame[column].sum() * 1000000))
bill, days = frames[0], frames[1]
lines = days.groupby('x_Line')['BilledCost'].sum().to_dict()
priced = days[days['x_Contract'] != '']
assert 0 < len(priced) < len(days) and set(priced['ListUnitPrice']) == {'1250.000000'}, priced
assert lines == bill.set_index('line')['cost'].to_dict() and len(lines) > 1, lines
";

#[test]
fn pandas_adds_every_export_up_to_the_bill() {
    for tenant in ["t0", "t1", "t2"] {
        let forms =
            [("csv", "cost"), ("focus-1.2", "BilledCost"), ("focus-1.2", "ContractedCost"), ("records", "cost")];
        let files: Vec<(PathBuf, &str)> = forms
            .iter()
            .enumerate()
            .map(|(at, (form, column))| (scratch(&format!("{tenant}-{at}.csv"), &example(form, tenant)), *column))
            .collect();
        let script = scratch(&format!("{tenant}.py"), ADD_UP);
        let mut command = Command::new(python());
        command.arg(&script);
        for (path, column) in &files {
            command.arg(path).arg(column);
        }
        let said = text(&command.output().expect("python starts"));
        files.iter().map(|(path, _)| path).chain([&script]).for_each(|path| drop(fs::remove_file(path)));
        let total = example("total", tenant);
        let sums: Vec<&str> = said.lines().collect();
        assert_eq!(sums, [total.trim(); 4], "{tenant}");
        assert_ne!(total.trim(), "0");
    }
}
