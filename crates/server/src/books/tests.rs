//! Good books pass; whatever is altered in them is found and named; exports add up.

use std::{collections::BTreeMap, path::Path};

use huisuan_control::ledger::invoice::Aliases;
use huisuan_model::TimeMs;
use huisuan_store::Reader;
use rusqlite::{Connection, params, types::Value as SqlValue};
use serde_json::Value;

use super::{Audit, Format, Span, audit, chain::resume, export};
use crate::verify::tests::directory;

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("huisuan.db")).expect("a database")
}

fn reader(folder: &Path) -> Reader {
    Reader::open(&folder.join("huisuan.db")).expect("a reader")
}

/// What an audit finds, as one text; what cannot be read at all is found, too.
fn found(folder: &Path) -> String {
    match audit(&reader(folder)) {
        Ok(audit) => audit.checks.into_iter().flat_map(|check| check.findings).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    }
}

fn good(folder: &Path) -> Audit {
    let audit = audit(&reader(folder)).expect("readable");
    assert!(audit.ok(), "{audit:?}");
    audit
}

#[test]
fn good_books_pass() {
    let folder = directory();
    let audit = good(folder.path());
    assert!(audit.transfers >= 10 && audit.entries > audit.transfers / 2, "{audit:?}");
    let names: Vec<_> = audit.checks.iter().map(|check| check.name).collect();
    let rules =
        ["zero-sum", "append-only", "no-overdraft", "holds-resolve", "settled-once", "clearing-empty", "replay"];
    assert_eq!(names, [&rules[..], &["metered", "billed"]].concat());
    assert!(audit.meters == 4 && audit.hashed_after == 0, "{audit:?}");
    let days = reader(folder.path()).ledger_days().expect("days");
    assert_eq!(days.len(), 3);
    assert_eq!(days.last().map(|day| (day.transfers, day.hash)), Some((audit.transfers, audit.head.0)));
}

/// Every value of a column altered by `change`, an expression over it; gives what was found each time with the
/// number of the row.
fn altered(folder: &Path, table: &str, column: &str, change: &str) -> Vec<(i64, String)> {
    let connection = database(folder);
    let rows: Vec<i64> = {
        let mut rows =
            connection.prepare(&format!("SELECT rowid FROM {table} WHERE {column} IS NOT NULL")).expect("SQL");
        let rows = rows.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("numbers")
    };
    assert!(!rows.is_empty(), "{table}.{column}");
    let found = rows.into_iter().map(|row| {
        let value: SqlValue = connection
            .query_row(&format!("SELECT {column} FROM {table} WHERE rowid = ?1"), [row], |row| row.get(0))
            .expect("a value");
        connection
            .execute(&format!("UPDATE {table} SET {column} = {change} WHERE rowid = ?1"), [row])
            .expect("altered");
        let text = found(folder);
        connection
            .execute(&format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1"), params![row, value])
            .expect("back");
        (row, text)
    });
    found.collect()
}

#[test]
fn an_altered_transfer_is_found_and_named() {
    let folder = directory();
    for (column, change) in [
        ("seq", "seq + 1"),
        ("kind", "'fee'"),
        ("asset", "asset || 'x'"),
        ("debit", "debit || 'x'"),
        ("credit", "credit || 'x'"),
        ("amount", "amount + 1"),
        ("job", "job + 1"),
        ("task", "task + 1"),
        ("attempt", "attempt + 1"),
        // Each of the 32 bytes of a hash, at its lowest bit, would take long: the first and the last.
        ("hash", "CAST(x'00' || substr(hash, 2) AS BLOB)"),
        ("hash", "CAST(substr(hash, 1, 31) || x'00' AS BLOB)"),
        ("hash", "NULL"),
    ] {
        for (row, text) in altered(folder.path(), "transfer", column, change) {
            let named = text.contains(&format!("transfer {row} ")) || text.contains("that is not there");
            // A hash that is gone from the first on looks like a row of format 1: the day's head tells.
            let by_day = column == "hash" && text.contains("the hash kept of it is another one");
            assert!(named || by_day || (change == "NULL" && row == 1), "{column} of {row}: {text:?}");
        }
    }
    good(folder.path());
}

#[test]
fn an_altered_balance_day_or_moment_is_found() {
    let folder = directory();
    let connection = database(folder.path());
    let balances: Vec<(String, String)> = {
        let mut rows = connection.prepare("SELECT account, asset FROM balance").expect("SQL");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    };
    for (account, asset) in balances {
        let change = |by: i64| {
            let sql = "UPDATE balance SET amount = CAST(amount AS INTEGER) + ?3 WHERE account = ?1 AND asset = ?2";
            connection.execute(sql, params![account, asset, by]).expect("altered");
        };
        change(1);
        let text = found(folder.path());
        assert!(text.contains(&format!("account `{account}` has")) && text.contains("add up to 1"), "{text}");
        change(-1);
    }
    for (column, change) in [("hash", "CAST(x'00' || substr(hash, 2) AS BLOB)"), ("transfers", "transfers - 1")] {
        for (_, text) in altered(folder.path(), "ledger_day", column, change) {
            assert!(text.contains("the books of 19") || text.contains("were kept of the last day"), "{text:?}");
        }
    }
    for (seq, text) in altered(folder.path(), "journal", "at_ms", "at_ms + 1") {
        assert!(text.contains(&format!("entry {seq} of the journal was altered")), "{seq}: {text:?}");
    }
    good(folder.path());
}

/// A value with each of its bytes altered in turn; of a number, each of its lowest bits.
fn bent(value: &SqlValue) -> Vec<SqlValue> {
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    match value {
        SqlValue::Text(text) => {
            let bent = (0..text.len()).map(|at| String::from_utf8(flipped(text.as_bytes(), at)).expect("ASCII"));
            bent.map(SqlValue::Text).collect()
        }
        SqlValue::Blob(bytes) => (0..bytes.len()).map(|at| SqlValue::Blob(flipped(bytes, at))).collect(),
        SqlValue::Integer(number) => {
            (0..20).map(|bit| number ^ (1 << bit)).filter(|bent| *bent > 0).map(SqlValue::Integer).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_altered_byte_of_the_books_is_found() {
    let folder = directory();
    let connection = database(folder.path());
    let mut altered = 0;
    for (table, key, columns) in [
        ("balance", "account || ' ' || asset", &["account", "asset", "amount"] as &[_]),
        ("ledger_day", "CAST(day AS TEXT)", &["transfers", "hash"]),
        (
            "transfer",
            "CAST(id AS TEXT)",
            &["seq", "kind", "asset", "debit", "credit", "amount", "job", "task", "attempt", "hash"],
        ),
    ] {
        for column in columns {
            let rows: Vec<(String, SqlValue)> = {
                let mut rows = connection.prepare(&format!("SELECT {key}, {column} FROM {table}")).expect("SQL");
                let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
                rows.collect::<Result<_, _>>().expect("values")
            };
            for (name, value) in rows {
                for bent in bent(&value) {
                    let alter = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1 RETURNING {key}");
                    let now: String =
                        connection.query_row(&alter, params![name, bent], |row| row.get(0)).expect("altered");
                    altered += 1;
                    assert_ne!(found(folder.path()), "", "{table}.{column} of {name}: {bent:?}");
                    connection.query_row(&alter, params![now, value], |_| Ok(())).expect("back");
                }
            }
        }
    }
    good(folder.path());
    assert!(altered > 1_000, "{altered}");
}

#[test]
fn missing_added_and_moved_transfers_are_found() {
    for (sql, expected) in [
        ("DELETE FROM transfer WHERE id = (SELECT MAX(id) FROM transfer)", "were kept of the last day"),
        ("DELETE FROM transfer WHERE id = 3", "transfer 3 is missing"),
        (
            "INSERT INTO transfer SELECT id + 1, seq, kind, asset, debit, credit, amount, job, task, attempt, hash
             FROM transfer ORDER BY id DESC LIMIT 1",
            "was altered",
        ),
        ("UPDATE transfer SET id = -1 WHERE id = 2; UPDATE transfer SET id = 2 WHERE id = 3", "transfer 2 was altered"),
        ("UPDATE transfer SET debit = credit, credit = debit WHERE id = 2", "transfer 2 was altered"),
    ] {
        let folder = directory();
        database(folder.path()).execute_batch(sql).expect("altered");
        let text = found(folder.path());
        assert!(text.contains(expected), "{sql}: {text}");
    }
}

#[test]
fn a_start_checks_what_is_new_and_goes_on_with_the_chain() {
    let folder = directory();
    let audit = good(folder.path());
    let chain = resume(&reader(folder.path())).expect("it is good");
    assert_eq!((chain.count(), chain.head()), (audit.transfers, audit.head));
    let altered = "UPDATE transfer SET amount = amount + 1 WHERE id = (SELECT MAX(id) FROM transfer)";
    database(folder.path()).execute_batch(altered).expect("altered");
    let error = resume(&reader(folder.path())).expect_err("it was altered").to_string();
    assert!(error.contains(&format!("transfer {} was altered", audit.transfers)), "{error}");
}

#[test]
fn rows_of_format_1_are_covered_by_the_first_that_has_a_hash() {
    let folder = directory();
    let audit = good(folder.path());
    database(folder.path())
        .execute_batch(
            "UPDATE transfer SET hash = NULL; UPDATE journal SET hash = NULL; DELETE FROM ledger_day;
             UPDATE meta SET value = (SELECT MAX(seq) FROM journal) WHERE name = 'hashed_after'",
        )
        .expect("as before");
    assert_eq!(good(folder.path()).head, audit.head);
    let chain = resume(&reader(folder.path())).expect("nothing contradicts it");
    assert_eq!((chain.count(), chain.head()), (audit.transfers, audit.head));
}

/// An export as one text.
fn text(folder: &Path, format: Format, span: Span) -> String {
    let (mut export, reader, mut text) = (export(format, span, TimeMs(0)), reader(folder), String::new());
    while let Some(piece) = export.next(&reader).expect("readable") {
        text.push_str(&piece);
    }
    text
}

fn sums(list: &Value) -> BTreeMap<(String, String), i128> {
    let word = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    let rows = list.as_array().expect("a list").iter();
    rows.map(|row| ((word(row, "account"), word(row, "asset")), word(row, "balance").parse().expect("a number")))
        .collect()
}

#[test]
fn an_export_leads_from_its_opening_to_its_closing_balances() {
    let folder = directory();
    let day = 86_400_000;
    let at = |from: Option<i64>, until: Option<i64>| Span { from: from.map(TimeMs), until: until.map(TimeMs) };
    let mut parts = 0;
    for span in [at(None, None), at(None, Some(day)), at(Some(day), Some(2 * day)), at(Some(2 * day), None)] {
        let json: Value = serde_json::from_str(&text(folder.path(), Format::Json, span)).expect("JSON");
        let mut sums_now = sums(&json["opening"]);
        let transfers = json["transfers"].as_array().expect("a list");
        for transfer in transfers {
            let amount = i128::from(transfer["amount"].as_i64().expect("a number"));
            for (side, amount) in [("debit", -amount), ("credit", amount)] {
                let word = |key: &str| transfer[key].as_str().expect("a text").to_owned();
                *sums_now.entry((word(side), word("asset"))).or_default() += amount;
            }
        }
        assert_eq!(sums_now, sums(&json["closing"]), "{span:?}");
        assert_eq!(text(folder.path(), Format::Csv, span).lines().count(), transfers.len() + 1);
        if span.from.is_some() || span.until.is_some() {
            parts += transfers.len();
        }
    }
    let all = text(folder.path(), Format::Csv, Span::default());
    assert_eq!(all.lines().count(), parts + 1, "the three days are all of it");
    assert_eq!(parts as u64, good(folder.path()).transfers);
    let nothing = text(folder.path(), Format::Json, at(Some(9 * day), None));
    let nothing: Value = serde_json::from_str(&nothing).expect("JSON");
    assert_eq!((&nothing["transfers"], &nothing["opening"]), (&serde_json::json!([]), &nothing["closing"]));
}

#[test]
fn all_bills_are_one_focus_file_that_adds_up_to_the_records() {
    let folder = directory();
    let day = 86_400_000;
    let at = |from: Option<i64>, until: Option<i64>| Span { from: from.map(TimeMs), until: until.map(TimeMs) };
    // Cost by tenant, without the point: six digits come after it.
    let costs = |span: Span| {
        let text = text(folder.path(), Format::Focus(Aliases::None), span);
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next().expect("a header");
        let column = |name: &str| header.iter().position(|known| *known == name).expect(name);
        let (tenant, cost) = (column("BillingAccountId"), column("BilledCost"));
        let mut sums = BTreeMap::<String, i64>::new();
        for line in lines {
            assert_eq!(line.len(), header.len(), "{line:?}");
            let cost: i64 = line[cost].replace('.', "").parse().expect("an amount");
            *sums.entry(line[tenant].to_owned()).or_default() += cost;
        }
        sums
    };
    let all = costs(Span::default());
    let mut records = BTreeMap::<String, i64>::new();
    for record in reader(folder.path()).meters_after(None, 1_000).expect("rows") {
        *records.entry(record.tenant.to_string()).or_default() += record.reading.cost.0;
    }
    assert_eq!(all, records);
    assert!(all.values().sum::<i64>() > 0, "{all:?}");
    let mut parts = BTreeMap::<String, i64>::new();
    for span in [at(None, Some(day)), at(Some(day), Some(2 * day)), at(Some(2 * day), None)] {
        costs(span).into_iter().for_each(|(tenant, cost)| *parts.entry(tenant).or_default() += cost);
    }
    assert_eq!(parts, all, "the three days are all of it");
    for empty in [at(Some(90 * day), None), at(None, Some(0)), at(Some(day), Some(day))] {
        assert_eq!(costs(empty), BTreeMap::new(), "{empty:?}");
    }
}

#[test]
fn altered_books_are_not_served() {
    let folder = directory();
    let start = || {
        crate::Server::start(crate::ServeConfig {
            data: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            seed: 1,
            funds: crate::LOCAL_FUNDS,
            discovery: None,
        })
    };
    start().expect("the books are good").stop();
    let last = good(folder.path()).transfers;
    let altered = format!("UPDATE transfer SET credit = 'tenant:thief' WHERE id = {last}");
    database(folder.path()).execute_batch(&altered).expect("altered");
    let error = start().err().expect("the books are altered");
    let named = format!("the stored books were altered: transfer {last} was altered");
    assert!(format!("{error:#}").contains(&named), "{error:#}");
    assert!(crate::hint_of(&error).contains("huisuan doctor"));
}
