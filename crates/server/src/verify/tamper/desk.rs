//! Sound databases, and the place where altered ones are looked at.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use huisuan_control::{State, apply, ledger::Chain};
use huisuan_model::{Entry, command::ENTRY_VERSION};
use huisuan_store::{DataDirectory, Store};
use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};
use tempfile::TempDir;

use crate::{
    audit_data, commit,
    verify::{tests::quietly, verify},
};

/// The kept journal of all that was first known of a network.
pub(super) const FIRST: &str = include_str!("../../../../store/tests/golden/v1/journal.jsonl");
/// That of a network in which everything happened that one knows by now.
pub(super) const EVERYTHING: &str = include_str!("../../../../store/tests/golden/v1-more/journal.jsonl");

/// A database of a kept journal. With `old` entries of it the database was of format 4 once.
pub(super) fn told(journal: &str, old: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("huisuan.db");
    let (mut state, mut chain) = (State::new(), Chain::default());
    let mut store = Store::open(DataDirectory::open(folder.path()).expect("a free directory")).expect("a database");
    for _ in 0..3 {
        store.next_epoch().expect("an epoch");
    }
    for line in journal.lines() {
        let mut entry: Entry = serde_json::from_str(line).expect("an entry");
        entry.version = ENTRY_VERSION;
        entry.events.iter().for_each(|event| apply(&mut state, event));
        state.set_version(entry.seq);
        let rows = commit::prepare(&mut state, &[entry.into()], &mut chain);
        store.commit([&rows]).expect("committed");
        if state.version() == old {
            drop(store);
            age(&path);
            store = Store::open(DataDirectory::open(folder.path()).expect("a free directory")).expect("a database");
        }
    }
    drop(store);
    settle(&path);
    folder
}

/// Takes away what format 5 added.
pub(super) fn age(path: &Path) {
    let connection = Connection::open(path).expect("a database");
    let sql = "ALTER TABLE journal DROP COLUMN hash; ALTER TABLE ledger_day DROP COLUMN entry;
        ALTER TABLE ledger_day DROP COLUMN entry_hash; DELETE FROM meta WHERE name IN ('hashed_after', 'epoch_copy');
        UPDATE meta SET value = '4' WHERE name = 'format'";
    connection.execute_batch(sql).expect("as it was");
}

/// Brings all that is stored into one file.
pub(super) fn settle(path: &Path) {
    let connection = Connection::open(path).expect("a database");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    connection.close().expect("closed");
}

/// A sound database, and a folder in which altered ones are looked at.
pub(super) struct Desk {
    pub(super) sound: Vec<u8>,
    pub(super) dump: BTreeMap<String, Vec<String>>,
    pub(super) bench: TempDir,
}

impl Desk {
    pub(super) fn of(folder: &TempDir) -> Self {
        let path = folder.path().join("huisuan.db");
        settle(&path);
        let desk = Desk {
            sound: fs::read(&path).expect("a database"),
            dump: dump(&path).expect("a sound database"),
            bench: tempfile::tempdir().expect("a scratch folder"),
        };
        assert_eq!(desk.found_of(&desk.sound), None, "it is sound");
        desk
    }

    pub(super) fn database(&self) -> PathBuf {
        self.bench.path().join("huisuan.db")
    }

    /// Lays a database on the bench.
    pub(super) fn lay(&self, bytes: &[u8]) {
        for beside in ["huisuan.db-wal", "huisuan.db-shm"] {
            _ = fs::remove_file(self.bench.path().join(beside));
        }
        fs::write(self.database(), bytes).expect("written");
    }

    pub(super) fn found_of(&self, bytes: &[u8]) -> Option<String> {
        self.lay(bytes);
        self.found()
    }

    /// What is found wrong with the database on the bench, by one or the other.
    pub(super) fn found(&self) -> Option<String> {
        let found = quietly(|| match verify(self.bench.path()) {
            Err(error) => Some(format!("doctor: {error:#}")),
            Ok(_) => match audit_data(self.bench.path()) {
                Err(error) => Some(format!("audit: {error:#}")),
                Ok(audit) if audit.ok() => None,
                Ok(audit) => Some(format!("audit: {:?}", audit.checks)),
            },
        });
        found.filter(|text| !text.is_empty())
    }

    /// Alters the database on the bench; false when the database refuses.
    pub(super) fn alter(&self, sql: &str, values: &[Value]) -> bool {
        self.lay(&self.sound);
        let connection = Connection::open(self.database()).expect("a database");
        let changed = connection.execute(sql, params_from_iter(values)).unwrap_or(0);
        connection.close().expect("closed");
        changed > 0
    }
}

/// What the database knows of its tables, but for where on the disk they begin.
pub(super) const SCHEMA: &str = "(SELECT type, name, tbl_name, sql FROM sqlite_schema)";

/// Every value of every table, as texts that tell types apart.
pub(super) fn dump(path: &Path) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut dump = BTreeMap::new();
    for table in tables(&connection)?.into_iter().map(|(name, _)| name).chain([SCHEMA.to_owned()]) {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values = (0..columns).map(|at| row.get::<_, Value>(at).map(|value| format!("{value:?}")));
            values.collect::<Result<Vec<_>, _>>().map(|values| values.join("|"))
        })?;
        let mut rows: Vec<String> = rows.collect::<Result<_, _>>()?;
        rows.sort_unstable();
        dump.insert(table, rows);
    }
    Ok(dump)
}

/// Tables with their columns: name, type, and whether it names the row.
pub(super) type Columns = Vec<(String, String, bool)>;

pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, Columns)>> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let columns = |name: String| {
        let mut columns = connection.prepare(&format!("SELECT name, type, pk FROM pragma_table_info('{name}')"))?;
        let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? > 0)))?;
        Ok((name, columns.collect::<Result<_, _>>()?))
    };
    names.into_iter().map(columns).collect()
}

/// The rows of a table, each as its values.
pub(super) fn rows(connection: &Connection, table: &str, columns: usize) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).expect("SQL");
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect()).expect("rows");
    rows.collect::<Result<_, _>>().expect("values")
}
