//! Reading the live state back: what a server starts from.

use std::path::Path;

use huisuan_model::{Attempt, Centre, Contract, Job, JobId, Tally, TariffRule, Tenant, TenantId, TimeMs};
use rusqlite::Connection;
use serde::de::DeserializeOwned;

use crate::{BalanceRow, KeyRow, StoreError, reader::parse};

/// All rows that make the live state.
#[derive(Debug, Default)]
pub struct Rows {
    /// The sequence of the last journal entry; 0 for none.
    pub version: u64,
    /// When it was decided.
    pub at: TimeMs,
    /// The number of the last job; 0 for none.
    pub job_last: u64,
    /// All tenants.
    pub tenants: Vec<Tenant>,
    /// All centres.
    pub centres: Vec<Centre>,
    /// Jobs that have not ended, by number, in pieces: a million are never moved at once, and the memory of those
    /// that were taken over comes back while the rest is.
    pub jobs: Vec<Vec<Job>>,
    /// Attempts that have not ended.
    pub attempts: Vec<Attempt>,
    /// All keys.
    pub keys: Vec<KeyRow>,
    /// All balances.
    pub balances: Vec<BalanceRow>,
    /// What is counted of tenants' spending.
    pub tallies: Vec<(TenantId, Tally)>,
    /// All rules of tariffs, by number.
    pub rules: Vec<TariffRule>,
    /// All contracts, by number.
    pub contracts: Vec<Contract>,
}

/// Jobs of one piece.
const PIECE_JOBS: usize = 4096;
/// Above this many live jobs the rows are parsed by two threads.
const PARALLEL_JOBS_MIN: i64 = 10_000;

pub(crate) fn load(connection: &Connection, path: &Path) -> Result<Rows, StoreError> {
    let (version, at): (i64, i64) = connection.query_row(
        "SELECT COALESCE(MAX(seq), 0), COALESCE((SELECT at_ms FROM journal ORDER BY seq DESC LIMIT 1), 0) FROM journal",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let job_last: i64 = connection.query_row("SELECT COALESCE(MAX(id), 0) FROM job", [], |row| row.get(0))?;
    Ok(Rows {
        version: version.unsigned_abs(),
        at: TimeMs(at),
        job_last: job_last.unsigned_abs(),
        tenants: all(connection, "tenant", "SELECT id, data FROM tenant ORDER BY id")?,
        centres: all(connection, "centre", "SELECT id, data FROM centre ORDER BY id")?,
        jobs: jobs(connection, path)?,
        attempts: all(
            connection,
            "attempt",
            "SELECT job || '.' || task || '.' || attempt, data FROM attempt
             WHERE state IN ('placed', 'running') ORDER BY job, task, attempt",
        )?,
        keys: keys(connection)?,
        balances: balances(connection)?,
        tallies: tallies(connection)?,
        contracts: all(connection, "contract", "SELECT CAST(id AS TEXT), data FROM contract ORDER BY id")?,
        rules: all(connection, "tariff_rule", "SELECT CAST(id AS TEXT), data FROM tariff_rule ORDER BY id")?,
    })
}

fn all<T: DeserializeOwned>(connection: &Connection, table: &'static str, sql: &str) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let data = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        values.push(parse(table, name, data)?);
    }
    Ok(values)
}

/// Parsing is most of the time of a start with a million jobs, so it is split between two threads.
fn jobs(connection: &Connection, path: &Path) -> Result<Vec<Vec<Job>>, StoreError> {
    let (count, first, last): (i64, i64, i64) = connection.query_row(
        "SELECT COUNT(*), COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM job WHERE state IN ('waiting', 'running')",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if count < PARALLEL_JOBS_MIN {
        return jobs_between(connection, first, last);
    }
    let middle = first + (last - first) / 2;
    let second_half = std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            jobs_between(&connection, middle + 1, last)
        });
        let first_half = jobs_between(connection, first, middle);
        (first_half, second.join().expect("a loading thread does not panic"))
    });
    let (mut jobs, rest) = (second_half.0?, second_half.1?);
    jobs.extend(rest);
    Ok(jobs)
}

fn jobs_between(connection: &Connection, first: i64, last: i64) -> Result<Vec<Vec<Job>>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT id, data FROM job WHERE state IN ('waiting', 'running') AND id BETWEEN ?1 AND ?2 ORDER BY id",
    )?;
    let mut rows = statement.query([first, last])?;
    let (mut pieces, mut jobs) = (Vec::new(), Vec::<Job>::new());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let data = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let mut job: Job = parse("job", &id.to_string(), data)?;
        if let Some(before) = jobs.last().or_else(|| pieces.last().and_then(|piece: &Vec<Job>| piece.last())) {
            job.share_with(before);
        }
        jobs.push(job);
        if jobs.len() == PIECE_JOBS {
            pieces.push(std::mem::take(&mut jobs));
        }
    }
    pieces.push(jobs);
    Ok(pieces)
}

/// A number that is never negative: one that is was altered.
pub(crate) fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn tallies(connection: &Connection) -> Result<Vec<(TenantId, Tally)>, StoreError> {
    let mut statement = connection.prepare("SELECT tenant, data FROM tally ORDER BY tenant")?;
    let mut rows = statement.query([])?;
    let mut tallies = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, data): (String, String) = (row.get(0)?, row.get(1)?);
        let corrupt = |error: huisuan_model::ids::IdError| StoreError::Corrupt {
            table: "tally",
            row: name.clone(),
            detail: error.to_string(),
        };
        tallies.push((name.parse().map_err(corrupt)?, parse("tally", &name, &data)?));
    }
    Ok(tallies)
}

fn keys(connection: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    let mut statement = connection.prepare("SELECT tenant, key, job, spec_hash, at_ms FROM idempotency_key")?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(1)?;
        let corrupt = |detail: String| StoreError::Corrupt { table: "idempotency_key", row: key.clone(), detail };
        let tenant: String = row.get(0)?;
        let hash: String = row.get(3)?;
        keys.push(KeyRow {
            tenant: tenant.parse().map_err(|error| corrupt(format!("{error}")))?,
            job: JobId(count(row, 2)?),
            spec_hash: hash.parse().map_err(corrupt)?,
            at: TimeMs(row.get(4)?),
            key: key.into(),
        });
    }
    Ok(keys)
}

pub(crate) fn balances(connection: &Connection) -> Result<Vec<BalanceRow>, StoreError> {
    let mut statement = connection.prepare("SELECT account, asset, amount FROM balance ORDER BY account, asset")?;
    let mut rows = statement.query([])?;
    let mut balances = Vec::new();
    while let Some(row) = rows.next()? {
        let (account, asset): (String, String) = (row.get(0)?, row.get(1)?);
        let amount: String = row.get(2)?;
        let amount = amount.parse().map_err(|_| StoreError::Corrupt {
            table: "balance",
            row: format!("{account} {asset}"),
            detail: format!("amount `{amount}` is not an integer"),
        })?;
        balances.push(BalanceRow { account, asset, amount });
    }
    Ok(balances)
}
