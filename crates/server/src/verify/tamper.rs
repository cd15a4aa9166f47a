//! One stored byte changed is found, wherever it lies: by `doctor --data` or by `ledger audit`. Networks with all that
//! can happen in one are altered by column, by row and by byte of the file. `HUISUAN_TAMPER=N` alters N times as much as
//! usual, `HUISUAN_SEED` chooses what.

use std::{collections::BTreeMap, env, fs};

use huisuan_store::Reader;
use rusqlite::Connection;

use super::tests::directory;
use crate::audit_data;

use alter::{Dice, Tally, bent, by_bit, by_column, by_row};
use desk::{Desk, EVERYTHING, FIRST, rows, settle, tables, told};

mod alter;
mod desk;

fn dice() -> Dice {
    Dice::of(number("HUISUAN_SEED", 1))
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn report(tallies: &BTreeMap<String, Tally>) -> u64 {
    let altered = tallies.values().map(|tally| tally.altered).sum();
    let missed: Vec<_> = tallies.iter().filter(|(_, tally)| !tally.missed.is_empty()).collect();
    assert!(missed.is_empty(), "of {altered} alterations: {missed:#?}");
    altered
}

#[test]
fn one_altered_value_of_any_column_is_found() {
    let (mut dice, times) = (dice(), number("HUISUAN_TAMPER", 1) as usize);
    for folder in [directory(), told(FIRST, 0), told(EVERYTHING, 0), told(EVERYTHING, 60)] {
        let altered = report(&by_column(&Desk::of(&folder), times, &mut dice));
        eprintln!("{altered} values altered, all found");
        assert!(altered > 40, "{altered}");
    }
}

#[test]
fn a_row_that_is_gone_added_or_elsewhere_is_found() {
    let (mut dice, times) = (dice(), number("HUISUAN_TAMPER", 1) as usize);
    for folder in [directory(), told(EVERYTHING, 60)] {
        let altered = report(&by_row(&Desk::of(&folder), times, &mut dice));
        eprintln!("{altered} rows dropped, copied or swapped, all found");
        assert!(altered > 20, "{altered}");
    }
}

#[test]
fn one_flipped_bit_of_the_file_is_found_or_changes_no_value() {
    let (mut dice, times) = (dice(), number("HUISUAN_TAMPER", 1) as usize * 40);
    let flips = by_bit(&Desk::of(&told(EVERYTHING, 0)), times, &mut dice);
    eprintln!("of {times} bits flipped {:?} were found, {} changed no value", flips.found, flips.harmless);
    assert_eq!(flips.missed, Vec::<String>::new());
    assert!(flips.found.values().sum::<u64>() > 0);
}

/// Bills are made from rows of the meter: the audit finds a changed one without the help of `doctor`, and names it.
#[test]
fn the_audit_alone_finds_altered_rows_of_the_meter() {
    let (desk, mut dice) = (Desk::of(&told(EVERYTHING, 0)), dice());
    desk.lay(&desk.sound);
    let connection = Connection::open(desk.database()).expect("a database");
    let (_, columns) = tables(&connection).expect("tables").into_iter().find(|(name, _)| name == "meter").expect("it");
    let rows = rows(&connection, "meter", columns.len());
    connection.close().expect("closed");
    let mut altered = 0;
    let audited = || {
        let audit = audit_data(desk.bench.path()).expect("readable");
        let found = audit.checks.iter().filter(|check| ["metered", "billed"].contains(&check.name));
        found.flat_map(|check| check.findings.clone()).collect::<Vec<_>>().join("; ")
    };
    for (at, (column, kind, key)) in columns.iter().enumerate() {
        let row = &rows[dice.roll(rows.len())];
        let sql =
            format!("UPDATE meter SET {column} = ?1 WHERE job = ?2 AND task = ?3 AND attempt = ?4 AND number = ?5");
        let value = bent(&row[at], kind, &mut dice);
        if value != row[at] && desk.alter(&sql, &[&[value], &row[..4]].concat()) {
            altered += 1;
            let found = audited();
            let named = found.contains("meter record ") && (*key || found.contains(&format!(": {column} is")));
            assert!(named, "{column} of {row:?}: {found}");
        }
    }
    assert!(altered > 20, "{altered}");
    assert!(
        desk.alter("DELETE FROM meter WHERE job = ?1 AND task = ?2 AND attempt = ?3 AND number = ?4", &rows[1][..4])
    );
    let found = audited();
    assert!(found.contains("is missing") && found.contains("records of `") && found.contains("the bill "), "{found}");
    let copy = "INSERT INTO meter SELECT job + 1000, task, attempt, number, adjusts, tenant, project, centre, pool, class,
        version, sustained, part, whole, from_ms, until_ms, at_ms, work, cpu_ms, rule, price, cost, joules, mark, carbon,
        contract, list_price FROM meter LIMIT 1";
    assert!(desk.alter(copy, &[]));
    assert!(audited().contains("-1 too few"), "{}", audited());
}

/// The last seconds of a journal cut off, with all rows as they were: who did it knew what to change, but for the
/// hashes.
#[test]
fn entries_that_are_gone_from_the_end_are_found_by_a_start() {
    let folder = directory();
    let path = folder.path().join("huisuan.db");
    settle(&path);
    let start = || crate::books::resume(&Reader::open(&path).expect("a reader")).map(drop);
    start().expect("it is sound");
    for (sql, expected) in [
        ("DELETE FROM journal WHERE seq = (SELECT MAX(seq) FROM journal)", "the journal ends with entry"),
        ("UPDATE journal SET body = body || ' ' WHERE seq = (SELECT MAX(seq) - 3 FROM journal)", "was altered"),
        ("UPDATE journal SET hash = NULL WHERE seq = (SELECT MAX(seq) - 3 FROM journal)", "has no hash"),
        (
            "UPDATE ledger_day SET entry_hash = zeroblob(32) WHERE day = (SELECT MAX(day) FROM ledger_day)",
            "was altered",
        ),
        ("UPDATE ledger_day SET entry = entry + 1 WHERE day = (SELECT MAX(day) FROM ledger_day)", "and there were"),
    ] {
        let sound = fs::read(&path).expect("a database");
        let connection = Connection::open(&path).expect("a database");
        assert_eq!(connection.execute(sql, []), Ok(1), "{sql}");
        connection.close().expect("closed");
        let error = start().expect_err(sql).to_string();
        assert!(error.contains(expected), "{sql}: {error}");
        fs::write(&path, sound).expect("put back");
    }
}
