//! Rows of the books: balances, transfers with their chain, and where the chain was at the end of each day.

use huisuan_model::{AttemptId, JobId, TimeMs};
use rusqlite::{Row, Transaction, params, types::ValueRef};

use crate::{Prepared, Reader, StoreError, load};

/// One balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceRow {
    /// Account as text.
    pub account: String,
    /// Asset as text.
    pub asset: String,
    /// Debits are negative.
    pub amount: i128,
}

/// One transfer between two accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    /// The journal entry that made it. Rows of format 1 name the last one of their batch.
    pub seq: u64,
    /// What it was for.
    pub kind: String,
    /// Asset as text.
    pub asset: String,
    /// The account that gives.
    pub debit: String,
    /// The account that gets.
    pub credit: String,
    /// Positive.
    pub amount: i64,
    /// The job that it belongs to.
    pub job: Option<JobId>,
    /// The attempt that it belongs to.
    pub attempt: Option<AttemptId>,
    /// Its hash in the chain; rows of format 1 have none.
    pub hash: Option<[u8; 32]>,
}

/// A transfer as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTransfer {
    /// Its number, from 1 without gaps.
    pub id: u64,
    /// When its journal entry was decided.
    pub at: TimeMs,
    /// The row.
    pub row: TransferRow,
}

/// Where the chains were at the end of a day, as a batch says it: the store adds the hash of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayEnd {
    /// Days after 1970-01-01, in UTC.
    pub day: i64,
    /// How many transfers there were then.
    pub transfers: u64,
    /// The hash of the last one; zeros before the first.
    pub hash: [u8; 32],
    /// The last entry of the journal then: one of the same batch.
    pub entry: u64,
}

/// Where the chains were at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRow {
    /// Days after 1970-01-01, in UTC.
    pub day: i64,
    /// How many transfers there were then.
    pub transfers: u64,
    /// The hash of the last one; zeros before the first.
    pub hash: [u8; 32],
    /// The last entry of the journal then; days of format 4 and before name none.
    pub entry: Option<EntryHead>,
}

/// Where the chain over the journal was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// The number of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Reader {
    /// Up to `limit` transfers after number `after`, in order.
    pub fn transfers(&self, after: u64, limit: usize) -> Result<Vec<StoredTransfer>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT t.id, t.seq, t.kind, t.asset, t.debit, t.credit, t.amount, t.job, t.task, t.attempt, t.hash, j.at_ms
             FROM transfer t LEFT JOIN journal j ON j.seq = t.seq WHERE t.id > ?1 ORDER BY t.id LIMIT ?2",
        )?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, limit as i64])?;
        let mut transfers = Vec::new();
        while let Some(row) = rows.next()? {
            transfers.push(stored_transfer(row)?);
        }
        Ok(transfers)
    }

    /// Where the chains were at the end of each day, in order of days.
    pub fn ledger_days(&self) -> Result<Vec<DayRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT day, transfers, hash, entry, entry_hash FROM ledger_day ORDER BY day")?;
        let rows = statement.query_map([], |row| {
            let entry = match (row.get_ref(3)?, row.get(4)?) {
                (ValueRef::Null, None) => None,
                (_, Some(hash)) => Some(EntryHead { seq: load::count(row, 3)?, hash }),
                (_, None) => return Err(rusqlite::Error::IntegralValueOutOfRange(3, 0)),
            };
            Ok(DayRow { day: row.get(0)?, transfers: load::count(row, 1)?, hash: row.get(2)?, entry })
        })?;
        rows.map(|row| row.map_err(StoreError::from)).collect()
    }

    /// All balances by account and asset.
    pub fn balances(&self) -> Result<Vec<BalanceRow>, StoreError> {
        load::balances(&self.connection)
    }

    /// How many transfers were recorded: they are numbered from 1 and never go.
    pub fn transfers_total(&self) -> Result<u64, StoreError> {
        let count: i64 =
            self.connection.query_row("SELECT COALESCE(MAX(id), 0) FROM transfer", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Runs several queries that all see the database as it was at the first of them.
    pub fn at_once<T, E: From<StoreError>>(&self, look: impl FnOnce(&Reader) -> Result<T, E>) -> Result<T, E> {
        // Dropped at the end, which ends it: nothing was written.
        let _snapshot = self.connection.unchecked_transaction().map_err(StoreError::from)?;
        look(self)
    }
}

fn stored_transfer(row: &Row<'_>) -> Result<StoredTransfer, StoreError> {
    let (id, seq) = (load::count(row, 0)?, load::count(row, 1)?);
    let job = row.get::<_, Option<i64>>(7)?.map(|_| load::count(row, 7)).transpose()?.map(JobId);
    let corrupt = |detail: String| StoreError::Corrupt { table: "transfer", row: id.to_string(), detail };
    let attempt = match (job, row.get(8)?, row.get(9)?) {
        (Some(job), Some(task), Some(attempt)) => Some(AttemptId { job, task, attempt }),
        (_, None, None) => None,
        _ => return Err(corrupt("a part of its attempt is missing".to_owned())),
    };
    let at: Option<i64> = row.get(11)?;
    let at = at.ok_or_else(|| corrupt(format!("entry {seq} of the journal, which made it, is not there")))?;
    let read = TransferRow {
        seq,
        kind: row.get(2)?,
        asset: row.get(3)?,
        debit: row.get(4)?,
        credit: row.get(5)?,
        amount: row.get(6)?,
        job,
        attempt,
        hash: row.get(10)?,
    };
    Ok(StoredTransfer { id, at: TimeMs(at), row: read })
}

pub(crate) fn write(transaction: &Transaction<'_>, batch: &Prepared) -> rusqlite::Result<()> {
    let mut balance_row = transaction.prepare_cached(
        "INSERT INTO balance (account, asset, amount) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, asset) DO UPDATE SET amount = excluded.amount",
    )?;
    for row in &batch.balances {
        balance_row.execute(params![row.account, row.asset, row.amount.to_string()])?;
    }
    let mut transfer_row = transaction.prepare_cached(
        "INSERT INTO transfer (seq, kind, asset, debit, credit, amount, job, task, attempt, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for row in &batch.transfers {
        let TransferRow { seq, kind, asset, debit, credit, amount, job, attempt, hash } = row;
        let job = job.or(attempt.map(|id| id.job)).map(|id| id.0 as i64);
        let (task, number) = (attempt.map(|id| id.task), attempt.map(|id| id.attempt));
        transfer_row.execute(params![*seq as i64, kind, asset, debit, credit, amount, job, task, number, hash])?;
    }
    Ok(())
}
