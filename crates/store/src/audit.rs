//! Reading whole tables for a check: rows with the columns beside their data, and the database's own check.

use huisuan_model::{Attempt, AttemptId, Job, JobId};
use rusqlite::{OptionalExtension, Row, params};

use crate::{Reader, StoreError, reader::parse};

/// How many rows the large tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Jobs.
    pub jobs: u64,
    /// Attempts.
    pub attempts: u64,
    /// Transfers.
    pub transfers: u64,
}

impl Reader {
    /// What the database finds wrong with its own pages and indexes; `None` when all is well.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        let found: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((found != "ok").then_some(found))
    }

    /// How many rows there are.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        let count = |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
        Ok(Totals {
            jobs: count("SELECT COUNT(*) FROM job")?,
            attempts: count("SELECT COUNT(*) FROM attempt")?,
            transfers: count("SELECT COUNT(*) FROM transfer")?,
        })
    }

    /// One job's row, with every column as its data says it must be.
    pub fn checked_job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let sql = "SELECT data, tenant, project, actor, state FROM job WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row =
            statement.query_row([id.0 as i64], |row| Ok((row.get::<_, String>(0)?, texts::<4>(row)?))).optional()?;
        let Some((data, columns)) = row else { return Ok(None) };
        let name = id.to_string();
        let job: Job = parse("job", &name, &data)?;
        let expected = [job.tenant.as_str(), job.project.as_str(), job.actor.as_str(), job.state.as_str()];
        agree("job", &name, &columns, &expected)?;
        Ok(Some(job))
    }

    /// One attempt's row, with every column as its data says it must be.
    pub fn checked_attempt(&self, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
        let sql = "SELECT data, centre, state FROM attempt WHERE job = ?1 AND task = ?2 AND attempt = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let key = params![id.job.0 as i64, id.task, id.attempt];
        let row = statement.query_row(key, |row| Ok((row.get::<_, String>(0)?, texts::<2>(row)?))).optional()?;
        let Some((data, columns)) = row else { return Ok(None) };
        let name = id.to_string();
        let attempt: Attempt = parse("attempt", &name, &data)?;
        agree("attempt", &name, &columns, &[attempt.centre.as_str(), attempt.state.as_str()])?;
        Ok(Some(attempt))
    }

    /// The actor and tenant columns of a journal entry.
    pub fn entry_columns(&self, seq: u64) -> Result<[String; 2], StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT NULL, actor, tenant FROM journal WHERE seq = ?1")?;
        Ok(statement.query_row([seq as i64], texts::<2>)?)
    }
}

/// The columns after the first.
fn texts<const N: usize>(row: &Row<'_>) -> rusqlite::Result<[String; N]> {
    let mut texts = [const { String::new() }; N];
    for (at, text) in texts.iter_mut().enumerate() {
        *text = row.get(at + 1)?;
    }
    Ok(texts)
}

fn agree(table: &'static str, row: &str, columns: &[String], data: &[&str]) -> Result<(), StoreError> {
    match columns.iter().zip(data).find(|(column, data)| column != data) {
        None => Ok(()),
        Some((column, data)) => {
            let detail = format!("a column says `{column}`, its data says `{data}`");
            Err(StoreError::Corrupt { table, row: row.to_owned(), detail })
        }
    }
}
