//! Reading whole tables for a check: rows with the columns beside their data, and the database's own check.

use huisuan_model::{Attempt, AttemptId, Centre, CentreId, Contract, Job, JobId, Oddity, Tally, TariffRule, Tenant};
use rusqlite::{OptionalExtension, Row, params, types::ValueRef};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Reader, StoreError, reader::parse, schema};

/// How many rows the large tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Jobs.
    pub jobs: u64,
    /// Attempts.
    pub attempts: u64,
    /// Transfers.
    pub transfers: u64,
    /// Rows of the meter.
    pub meters: u64,
    /// Findings.
    pub oddities: u64,
    /// Entries of the journal.
    pub entries: u64,
    /// Entries that are known to be about a centre.
    pub centre_entries: u64,
}

/// What rows of the meter add up to, for one tenant at one centre in one hour of booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterHour {
    /// Who, as it is stored.
    pub tenant: String,
    /// Where, as it is stored.
    pub centre: String,
    /// Hours after 1970-01-01, in UTC.
    pub hour: i64,
    /// Rows.
    pub rows: i64,
    /// Money, in millionths.
    pub cost: i64,
    /// Work in GFLOP of all classes.
    pub work: i64,
}

impl Reader {
    /// One row of the meter as it lies there: each column that has a value, by its name.
    pub fn meter_columns(&self, id: AttemptId, number: u32) -> Result<Option<Vec<(String, String)>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM meter WHERE job = ?1 AND task = ?2 AND attempt = ?3 AND number = ?4")?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(params![id.job.0 as i64, id.task, id.attempt, number])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Vec::with_capacity(names.len());
        for (at, name) in names.into_iter().enumerate() {
            let value = match row.get_ref(at)? {
                ValueRef::Null => continue,
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            columns.push((name, value));
        }
        Ok(Some(columns))
    }

    /// What the rows of the meter add up to.
    pub fn meter_hours(&self) -> Result<Vec<MeterHour>, StoreError> {
        // The database divides towards zero, and no hour is before 1970.
        let mut statement = self.connection.prepare_cached(
            "SELECT tenant, centre, at_ms / 3600000 AS hour, COUNT(*), SUM(cost), SUM(work) FROM meter
             GROUP BY tenant, centre, hour ORDER BY tenant, centre, hour",
        )?;
        let hours = statement.query_map([], |row| {
            Ok(MeterHour {
                tenant: row.get(0)?,
                centre: row.get(1)?,
                hour: row.get(2)?,
                rows: row.get(3)?,
                cost: row.get(4)?,
                work: row.get(5)?,
            })
        })?;
        hours.map(|hour| hour.map_err(StoreError::from)).collect()
    }

    /// What the database finds wrong with its own pages, indexes and constraints, and what is wrong with its tables;
    /// `None` when all is well.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        let found: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Ok(Some(found));
        }
        let (ours, theirs) = (schema::tables(&self.connection)?, schema::fresh()?);
        let differ = ours
            .iter()
            .find(|table| !theirs.contains(table))
            .or_else(|| theirs.iter().find(|table| !ours.contains(table)));
        Ok(differ.map(|table| format!("table or index `{}` is not as this program makes it", table.name)))
    }

    /// Every note that the database has of itself, by name.
    pub fn notes(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare("SELECT name, value FROM meta ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(StoreError::from)).collect()
    }

    /// How many rows there are.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        let count = |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
        Ok(Totals {
            jobs: count("SELECT COUNT(*) FROM job")?,
            attempts: count("SELECT COUNT(*) FROM attempt")?,
            transfers: count("SELECT COUNT(*) FROM transfer")?,
            meters: count("SELECT COUNT(*) FROM meter")?,
            oddities: count("SELECT COUNT(*) FROM oddity")?,
            entries: count("SELECT COUNT(*) FROM journal")?,
            centre_entries: count("SELECT COUNT(*) FROM centre_entry")?,
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
        let job: Job = exact("job", &name, &data)?;
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
        let attempt: Attempt = exact("attempt", &name, &data)?;
        agree("attempt", &name, &columns, &[attempt.centre.as_str(), attempt.state.as_str()])?;
        Ok(Some(attempt))
    }

    /// Whether an entry is noted as one about a centre.
    pub fn centre_entry(&self, seq: u64) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM centre_entry WHERE seq = ?1")?;
        Ok(statement.exists([seq as i64])?)
    }

    /// The finding of a number, with every column as its data says it must be.
    pub fn checked_oddity(&self, id: u64) -> Result<Option<(CentreId, Oddity)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT centre, at_ms, data FROM oddity WHERE id = ?1")?;
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
        let Some((centre, at_ms, data)) = statement.query_row([id as i64], read).optional()? else { return Ok(None) };
        let name = id.to_string();
        let oddity: Oddity = exact("oddity", &name, &data)?;
        agree("oddity", &name, &[at_ms.to_string()], &[&oddity.at.0.to_string()])?;
        let centre = centre.parse().map_err(|error| corrupt("oddity", &name, format!("{error}")))?;
        Ok(Some((centre, oddity)))
    }

    /// Reads the small tables whole: every row is written as this program writes it and named as its data says.
    pub fn check_names(&self) -> Result<(), StoreError> {
        self.named::<Tenant>("tenant", "id", |tenant| tenant.id.to_string())?;
        self.named::<Centre>("centre", "id", |centre| centre.id.to_string())?;
        self.named::<TariffRule>("tariff_rule", "id", |rule| rule.id.to_string())?;
        self.named::<Contract>("contract", "id", |contract| contract.id.to_string())?;
        // A tally does not say whose it is: that shows when it is compared with what the journal comes to.
        self.named_by::<Tally>("tally", "tenant", |_, name| name.to_owned())
    }

    fn named<T: Serialize + DeserializeOwned>(
        &self,
        table: &'static str,
        column: &str,
        name_of: impl Fn(&T) -> String,
    ) -> Result<(), StoreError> {
        self.named_by(table, column, |value, _| name_of(value))
    }

    fn named_by<T: Serialize + DeserializeOwned>(
        &self,
        table: &'static str,
        column: &str,
        name_of: impl Fn(&T, &str) -> String,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(&format!("SELECT CAST({column} AS TEXT), data FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, data): (String, String) = (row.get(0)?, row.get(1)?);
            let value: T = exact(table, &name, &data)?;
            let expected = name_of(&value, &name);
            agree(table, &name, std::slice::from_ref(&name), &[&expected])?;
        }
        Ok(())
    }
}

/// Reads data that must be written as this program writes it, byte for byte: the formats only ever gain fields that are
/// left out where they say nothing.
fn exact<T: Serialize + DeserializeOwned>(table: &'static str, row: &str, data: &str) -> Result<T, StoreError> {
    let value: T = parse(table, row, data)?;
    match serde_json::to_string(&value) {
        Ok(text) if text == data => Ok(value),
        _ => Err(corrupt(table, row, "its data is not written as any version of this program writes it".to_owned())),
    }
}

fn corrupt(table: &'static str, row: &str, detail: String) -> StoreError {
    StoreError::Corrupt { table, row: row.to_owned(), detail }
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
        Some((column, data)) => Err(corrupt(table, row, format!("a column says `{column}`, its data says `{data}`"))),
    }
}
