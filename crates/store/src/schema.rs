//! Opening a database: settings, migrations, format check.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;

/// The newest stored format that this version reads, and the one that it writes.
pub const FORMAT: u32 = 5;

/// Migrations in order; the position is the format that each leads to, from 1.
const MIGRATIONS: [&str; FORMAT as usize] = [
    include_str!("../migrations/sqlite/0001_first.sql"),
    include_str!("../migrations/sqlite/0002_chain.sql"),
    include_str!("../migrations/sqlite/0003_meter.sql"),
    include_str!("../migrations/sqlite/0004_contract.sql"),
    include_str!("../migrations/sqlite/0005_journal_chain.sql"),
];

/// Settings of every connection that writes. `synchronous=FULL` makes a commit durable before it returns.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000;
";

pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let named = |error| StoreError::of(error, path);
    let mut connection = Connection::open(path).map_err(named)?;
    connection.execute_batch(SETTINGS).map_err(named)?;
    migrate(&mut connection).map_err(|error| match error {
        StoreError::Database(error) => named(error),
        other => other,
    })?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A connection to a database that is open already, for checkpoints.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|error| StoreError::of(error, path))?;
    connection.execute_batch(SETTINGS).map_err(|error| StoreError::of(error, path))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = format(connection)?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { found, known: FORMAT });
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO meta (name, value) VALUES ('format', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(index + 1).to_string()],
        )?;
        transaction.commit()?;
    }
    Ok(())
}

/// A table or an index as the database keeps it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    kind: String,
    pub(crate) name: String,
    of: String,
    /// How it was made; what the database made by itself has none.
    sql: Option<String>,
}

/// All tables and indexes, but for the statistics of somebody who had the database analysed.
pub(crate) fn tables(connection: &Connection) -> Result<Vec<Table>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_stat[0-9]' ORDER BY name",
    )?;
    let rows = statement
        .query_map([], |row| Ok(Table { kind: row.get(0)?, name: row.get(1)?, of: row.get(2)?, sql: row.get(3)? }))?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}

/// Those of a database that is new: one that came here by migrations has the same.
pub(crate) fn fresh() -> Result<Vec<Table>, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection)?;
    tables(&connection)
}

/// The format of a database; 0 for an empty one.
fn format(connection: &Connection) -> Result<u32, StoreError> {
    let has_meta: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta')",
        [],
        |row| row.get(0),
    )?;
    if !has_meta {
        return Ok(0);
    }
    let text: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0)).optional()?;
    let corrupt = |detail: &str| StoreError::Corrupt { table: "meta", row: "format".into(), detail: detail.into() };
    text.ok_or_else(|| corrupt("is missing"))?.parse().map_err(|_| corrupt("is not a number"))
}
