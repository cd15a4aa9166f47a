//! The writing side: one connection, one transaction a batch.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{
    DataDirectory, EntryChain, EntryLine, Prepared, Rows, StoreError, books, checkpoint::Checkpointer, journal, load,
    log, meter, schema,
};

/// The database of a data directory, opened for writing. There is one in a process.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    checkpointer: Checkpointer,
    directory: DataDirectory,
    /// Where the chain over the journal is.
    chain: EntryChain,
}

/// The proof of a commit: what must not be told before it takes one as an argument. Only a commit makes it.
#[derive(Debug)]
pub struct Durable(());

impl Store {
    /// Opens or makes the database and brings it to the current format.
    ///
    /// # Errors
    /// When it cannot be opened, and when opening it would take back commits because its log was altered.
    pub fn open(directory: DataDirectory) -> Result<Self, StoreError> {
        log::check(&directory.database())?;
        let mut connection = schema::open_writer(&directory.database())?;
        let chain = journal::end_of_chain(&connection)?;
        let checkpointer = Checkpointer::start(&mut connection, &directory.database())?;
        Ok(Self { connection, checkpointer, directory, chain })
    }

    /// Where the database is, for readers.
    pub fn database(&self) -> PathBuf {
        self.directory.database()
    }

    /// Counts the starts of servers on this database: the epoch that orders carry. Durable on return.
    ///
    /// # Errors
    /// Where the note of the last one was altered: an epoch that is given twice would have agents take old orders.
    pub fn next_epoch(&mut self) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let [last, copy] = ["epoch", "epoch_copy"].map(|name| {
            let sql = "SELECT value FROM meta WHERE name = ?1";
            transaction.query_row(sql, [name], |row| row.get::<_, String>(0)).optional()
        });
        let (last, copy) = (last?, copy?);
        let number = last.as_ref().map_or(Some(0), |text| text.parse::<u64>().ok()).filter(|_| last == copy);
        let corrupt = || StoreError::Corrupt {
            table: "meta",
            row: "epoch".into(),
            detail: format!("is {}, and its copy {}", last.as_deref().unwrap_or("-"), copy.as_deref().unwrap_or("-")),
        };
        let epoch = number.ok_or_else(corrupt)? + 1;
        for name in ["epoch", "epoch_copy"] {
            let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.execute(sql, params![name, epoch.to_string()])?;
        }
        transaction.commit()?;
        Ok(epoch)
    }

    /// All rows of the live state.
    pub fn load(&self) -> Result<Rows, StoreError> {
        load::load(&self.connection, &self.database())
    }

    /// Writes batches in their order, in one transaction. When this returns `Ok`, all of it survives a power failure;
    /// on `Err` the caller must end the process: after a failed sync nothing in memory can be trusted.
    pub fn commit<'a>(&mut self, batches: impl IntoIterator<Item = &'a Prepared>) -> Result<Durable, StoreError> {
        let path = self.directory.database();
        let before = self.chain.head();
        let written = (|| {
            let transaction = self.connection.transaction()?;
            batches.into_iter().try_for_each(|batch| write(&transaction, batch, &mut self.chain))?;
            transaction.commit()
        })();
        if written.is_err() {
            self.chain = EntryChain::at(before);
        }
        written.map(|()| Durable(())).map_err(|error| StoreError::of(error, &path))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.checkpointer.end(&mut self.connection);
    }
}

fn write(transaction: &Transaction<'_>, batch: &Prepared, chain: &mut EntryChain) -> rusqlite::Result<()> {
    write_journal(transaction, batch, chain)?;
    write_jobs(transaction, batch)?;
    write_names(transaction, batch)?;
    books::write(transaction, batch)?;
    meter::write(transaction, batch)
}

/// Entries with their hashes, and where both chains are at the end of each of their days.
fn write_journal(transaction: &Transaction<'_>, batch: &Prepared, chain: &mut EntryChain) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO journal (seq, at_ms, version, actor, tenant, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut day_row = transaction.prepare_cached(
        "INSERT INTO ledger_day (day, transfers, hash, entry, entry_hash) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (day) DO UPDATE SET transfers = excluded.transfers, hash = excluded.hash,
         entry = excluded.entry, entry_hash = excluded.entry_hash",
    )?;
    let mut days = batch.ledger_days.iter().peekable();
    for row in &batch.journal {
        let (seq, at, version, body) = (row.seq, row.at, row.version, &batch.json[row.body.clone()]);
        let (actor, tenant) = (row.actor.as_str(), row.tenant.as_str());
        let hash = chain.append(&EntryLine { seq, at, version, actor, tenant, body });
        insert.execute(params![seq as i64, at.0, version, actor, tenant, body, hash])?;
        if let Some(end) = days.next_if(|end| end.entry == seq) {
            day_row.execute(params![end.day, end.transfers as i64, end.hash, seq as i64, hash])?;
        }
    }
    assert!(days.next().is_none(), "a day ends with an entry of its batch");
    Ok(())
}

fn write_jobs(transaction: &Transaction<'_>, batch: &Prepared) -> rusqlite::Result<()> {
    let mut job_row = transaction.prepare_cached(
        "INSERT INTO job (id, tenant, project, actor, state, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, data = excluded.data",
    )?;
    for row in &batch.jobs {
        let (tenant, project, actor) = (row.tenant.as_str(), row.project.as_str(), row.actor.as_str());
        job_row.execute(params![row.id.0 as i64, tenant, project, actor, row.state, &batch.json[row.data.clone()]])?;
    }
    let mut attempt_row = transaction.prepare_cached(
        "INSERT INTO attempt (job, task, attempt, centre, state, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (job, task, attempt) DO UPDATE SET state = excluded.state, data = excluded.data",
    )?;
    for row in &batch.attempts {
        let id = row.id;
        let (centre, data) = (row.centre.as_str(), &batch.json[row.data.clone()]);
        attempt_row.execute(params![id.job.0 as i64, id.task, id.attempt, centre, row.state, data])?;
    }
    let mut key_row = transaction.prepare_cached(
        "INSERT INTO idempotency_key (tenant, key, job, spec_hash, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for row in &batch.keys {
        let hash = row.spec_hash.to_string();
        key_row.execute(params![row.tenant.as_str(), row.key, row.job.0 as i64, hash, row.at.0])?;
    }
    if let Some(before) = batch.keys_forgotten_before {
        transaction.execute("DELETE FROM idempotency_key WHERE at_ms < ?1", [before.0])?;
    }
    Ok(())
}

fn write_names(transaction: &Transaction<'_>, batch: &Prepared) -> rusqlite::Result<()> {
    let mut tenant_row = transaction.prepare_cached(
        "INSERT INTO tenant (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
    )?;
    for (tenant, data) in &batch.tenants {
        tenant_row.execute(params![tenant.as_str(), &batch.json[data.clone()]])?;
    }
    let mut centre_row = transaction.prepare_cached(
        "INSERT INTO centre (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
    )?;
    for (centre, data) in &batch.centres {
        centre_row.execute(params![centre.as_str(), &batch.json[data.clone()]])?;
    }
    Ok(())
}
