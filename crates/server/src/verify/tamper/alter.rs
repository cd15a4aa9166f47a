//! Ways to alter a database, and what became of it.

use std::collections::BTreeMap;

use rusqlite::{Connection, types::Value};

use super::desk::{Columns, Desk, dump, rows, tables};

/// Random numbers of a seed: SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number below `end`.
    pub(super) fn roll(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// Another value, near by: one character, bit or sign is different, or there is one where there was none.
pub(super) fn bent(value: &Value, kind: &str, dice: &mut Dice) -> Value {
    match value {
        Value::Null => match kind {
            "TEXT" => Value::Text("x".into()),
            "BLOB" => Value::Blob(vec![7; 32]),
            _ => Value::Integer(1),
        },
        Value::Integer(value) => Value::Integer(match dice.roll(4) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 if *value != 0 => value.wrapping_neg(),
            _ => value ^ (1 << dice.roll(63)),
        }),
        Value::Text(text) if text.is_empty() => Value::Text("x".into()),
        Value::Text(text) => {
            let mut letters: Vec<char> = text.chars().collect();
            let at = dice.roll(letters.len());
            match dice.roll(8) {
                0 => _ = letters.remove(at),
                1 => letters.insert(at, letters[at]),
                _ => {
                    let other = char::from(b'!' + dice.roll(94) as u8);
                    letters[at] = if other == letters[at] { ' ' } else { other };
                }
            }
            Value::Text(letters.into_iter().collect())
        }
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
            Value::Blob(bytes)
        }
        Value::Real(_) => unreachable!("no table has them"),
    }
}

/// What was altered, and what of it was not found.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) altered: u64,
    pub(super) missed: Vec<String>,
}

/// A row, as its values.
type Row = Vec<Value>;

/// What sound books have: each table with its columns, and its rows.
fn tables_and_rows(desk: &Desk) -> Vec<(String, Columns, Vec<Row>)> {
    desk.lay(&desk.sound);
    let connection = Connection::open(desk.database()).expect("a database");
    let tables = tables(&connection).expect("tables");
    let with_rows = |(name, columns): (String, Columns)| {
        let rows = rows(&connection, &name, columns.len());
        (name, columns, rows)
    };
    let all = tables.into_iter().map(with_rows).collect();
    connection.close().expect("closed");
    all
}

/// Alters values of every column of every table.
pub(super) fn by_column(desk: &Desk, times: usize, dice: &mut Dice) -> BTreeMap<String, Tally> {
    let mut tallies = BTreeMap::new();
    for (table, columns, rows) in tables_and_rows(desk) {
        let keys: Vec<_> = columns.iter().enumerate().filter(|(_, column)| column.2).collect();
        let named = keys.iter().enumerate().map(|(at, (_, key))| format!("{} IS ?{}", key.0, at + 2));
        let named = named.collect::<Vec<_>>().join(" AND ");
        for (at, (column, kind, _)) in columns.iter().enumerate() {
            let tally: &mut Tally = tallies.entry(format!("{table}.{column}")).or_default();
            for _ in 0..if rows.is_empty() { 0 } else { times } {
                let row = &rows[dice.roll(rows.len())];
                let value = bent(&row[at], kind, dice);
                if value == row[at] {
                    continue;
                }
                let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {named}");
                let values: Vec<Value> =
                    [value.clone()].into_iter().chain(keys.iter().map(|(at, _)| row[*at].clone())).collect();
                if desk.alter(&sql, &values) {
                    tally.altered += 1;
                    if desk.found().is_none() {
                        tally.missed.push(format!("{row:?}: {value:?}"));
                    }
                }
            }
        }
    }
    tallies
}

/// Takes rows away, adds them again under another name, and has pairs of them change places.
pub(super) fn by_row(desk: &Desk, times: usize, dice: &mut Dice) -> BTreeMap<String, Tally> {
    let mut tallies = BTreeMap::new();
    for (table, columns, rows) in tables_and_rows(desk).into_iter().filter(|(_, _, rows)| !rows.is_empty()) {
        let keys: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].2).collect();
        let named = |first: usize| {
            let names = keys.iter().enumerate().map(|(at, key)| format!("{} IS ?{}", columns[*key].0, at + first));
            names.collect::<Vec<_>>().join(" AND ")
        };
        let values = |row: &[Value]| keys.iter().map(|key| row[*key].clone()).collect::<Vec<_>>();
        let mut look = |what: &str, sql: &str, values: &[Value]| {
            let tally: &mut Tally = tallies.entry(format!("{table} {what}")).or_default();
            if desk.alter(sql, values) {
                tally.altered += 1;
                tally.missed.extend(desk.found().is_none().then(|| format!("{sql}: {values:?}")));
            }
        };
        for _ in 0..times {
            let row = &rows[dice.roll(rows.len())];
            look("drop", &format!("DELETE FROM {table} WHERE {}", named(1)), &values(row));
            let mut copy = row.clone();
            let last = *keys.last().expect("every table has a key");
            copy[last] = match &copy[last] {
                Value::Integer(_) => Value::Integer([-1, 0, i64::MAX, 1 << 40][dice.roll(4)]),
                other => bent(other, "TEXT", dice),
            };
            let places = (1..=columns.len()).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
            look("copy", &format!("INSERT INTO {table} VALUES ({places})"), &copy);
            let other = &rows[dice.roll(rows.len())];
            let rest: Vec<usize> = (0..columns.len()).filter(|at| !keys.contains(at)).collect();
            if rest.iter().all(|at| row[*at] == other[*at]) {
                continue;
            }
            // Both rows in one statement: each takes what the other has.
            let sets = rest.iter().enumerate().map(|(at, column)| {
                let (ours, theirs) = (2 * keys.len() + at + 1, 2 * keys.len() + rest.len() + at + 1);
                format!("{} = CASE WHEN {} THEN ?{theirs} ELSE ?{ours} END", columns[*column].0, named(1))
            });
            let sets = sets.collect::<Vec<_>>().join(", ");
            let sql = format!("UPDATE {table} SET {sets} WHERE ({}) OR ({})", named(1), named(1 + keys.len()));
            let pick = |row: &[Value]| rest.iter().map(|at| row[*at].clone()).collect::<Vec<_>>();
            look("swap", &sql, &[values(row), values(other), pick(row), pick(other)].concat());
        }
    }
    tallies
}

/// What became of flipped bits of a file.
#[derive(Debug, Default)]
pub(super) struct Flips {
    /// By the one that found it.
    pub(super) found: BTreeMap<&'static str, u64>,
    /// Every value is as it was: free space, or what the database does not need.
    pub(super) harmless: u64,
    pub(super) missed: Vec<String>,
}

/// Flips one bit of the file, again and again.
pub(super) fn by_bit(desk: &Desk, times: usize, dice: &mut Dice) -> Flips {
    let mut flips = Flips::default();
    let path = desk.database();
    for _ in 0..times {
        let (at, bit) = (dice.roll(desk.sound.len()), dice.roll(8));
        let mut bytes = desk.sound.clone();
        bytes[at] ^= 1 << bit;
        match desk.found_of(&bytes) {
            Some(text) if text.starts_with("doctor: the database is damaged") => {
                *flips.found.entry("pages").or_default() += 1
            }
            Some(text) if text.contains("of the journal") => *flips.found.entry("hashes").or_default() += 1,
            Some(text) if text.starts_with("audit") => *flips.found.entry("audit").or_default() += 1,
            Some(_) => *flips.found.entry("rows").or_default() += 1,
            None => {
                desk.lay(&bytes);
                match dump(&path) {
                    Ok(values) if values == desk.dump => flips.harmless += 1,
                    other => flips.missed.push(format!("byte {at}, bit {bit}: {:?}", other.err())),
                }
            }
        }
    }
    flips
}
