//! The reading side: what doors answer from. A reader sees committed state only and never waits for the writer.

use std::{collections::BTreeSet, path::Path};

use huisuan_model::{ApplicationId, Attempt, AttemptId, Job, JobId, JobState, Money, TenantId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::de::DeserializeOwned;

use crate::StoreError;

/// A read-only connection.
#[derive(Debug)]
pub struct Reader {
    pub(crate) connection: Connection,
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only this state.
    pub state: Option<JobState>,
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
}

pub(crate) fn parse<T: DeserializeOwned>(table: &'static str, row: &str, data: &str) -> Result<T, StoreError> {
    serde_json::from_str(data).map_err(|error| StoreError::Corrupt {
        table,
        row: row.to_owned(),
        detail: error.to_string(),
    })
}

impl Reader {
    /// Opens the database of a running server.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| StoreError::of(error, path))?;
        connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -8192;")?;
        Ok(Self { connection })
    }

    /// One job, ended or not.
    pub fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let data: Option<String> = self
            .connection
            .prepare_cached("SELECT data FROM job WHERE id = ?1")?
            .query_row([signed(id.0)], |row| row.get(0))
            .optional()?;
        data.map(|data| parse("job", &id.to_string(), &data)).transpose()
    }

    /// Up to `limit` jobs with numbers below `before`, the newest first.
    pub fn jobs(&self, filter: &JobFilter, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError> {
        let below = before.map_or(i64::MAX, |id| signed(id.0));
        let tenant = filter.tenant.as_ref().map(TenantId::as_str);
        // Live states name the index's own condition, so that a few live jobs are found among many ended ones.
        let condition = match filter.state {
            Some(state) if !state.terminal() => "state IN ('waiting', 'running') AND state = ?2",
            Some(_) => "state = ?2",
            None => "?2 IS NULL",
        };
        let sql = format!(
            "SELECT id, data FROM job WHERE id < ?1 AND {condition} AND (?3 IS NULL OR tenant = ?3)
             ORDER BY id DESC LIMIT ?4"
        );
        let state = filter.state.map(JobState::as_str);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![below, state, tenant, limit as i64], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| row.map_err(StoreError::from).and_then(|(id, data)| parse("job", &id.to_string(), &data)))
            .collect()
    }

    /// Up to `limit` attempts of a job after (task, attempt), in that order.
    pub fn attempts(&self, job: JobId, after: Option<(u32, u32)>, limit: usize) -> Result<Vec<Attempt>, StoreError> {
        let (task, attempt) = after.map_or((-1, -1), |(task, attempt)| (i64::from(task), i64::from(attempt)));
        let mut statement = self.connection.prepare_cached(
            "SELECT task || '.' || attempt, data FROM attempt WHERE job = ?1 AND (task, attempt) > (?2, ?3)
             ORDER BY task, attempt LIMIT ?4",
        )?;
        let rows = statement.query_map(params![signed(job.0), task, attempt, limit as i64], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            row.map_err(StoreError::from).and_then(|(name, data)| parse("attempt", &format!("{job}.{name}"), &data))
        })
        .collect()
    }

    /// The last attempt of one task.
    pub fn last_attempt(&self, job: JobId, task: u32) -> Result<Option<Attempt>, StoreError> {
        let data: Option<String> = self
            .connection
            .prepare_cached("SELECT data FROM attempt WHERE job = ?1 AND task = ?2 ORDER BY attempt DESC LIMIT 1")?
            .query_row(params![signed(job.0), task], |row| row.get(0))
            .optional()?;
        data.map(|data| parse("attempt", &format!("{job}.{task}"), &data)).transpose()
    }

    /// Those of some attempts that have ended in the books; the others run or never were.
    pub fn ended(&self, attempts: &[AttemptId]) -> Result<BTreeSet<AttemptId>, StoreError> {
        let sql = "SELECT data FROM attempt WHERE job = ?1 AND task = ?2 AND attempt = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut ended = BTreeSet::new();
        for id in attempts {
            let row = statement.query_row(params![signed(id.job.0), id.task, id.attempt], |row| row.get(0));
            let data: Option<String> = row.optional()?;
            let Some(data) = data else { continue };
            let attempt: Attempt = parse("attempt", &id.to_string(), &data)?;
            if attempt.state.terminal() {
                ended.insert(*id);
            }
        }
        Ok(ended)
    }

    /// How many jobs a tenant has submitted, and what they cost so far.
    pub fn paid_by(&self, tenant: &TenantId) -> Result<(u64, Money), StoreError> {
        let sql = "SELECT COUNT(*), COALESCE(SUM(json_extract(data, '$.cost')), 0) FROM job WHERE tenant = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (jobs, cost): (i64, i64) = statement.query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((jobs.unsigned_abs(), Money(cost)))
    }

    /// Attempts that succeeded, with their jobs, of up to so many of a tenant's latest jobs of a kind of work; the
    /// newest jobs first. Older ones than the last 20,000 of the network are not looked for.
    pub fn runs(
        &self,
        tenant: &TenantId,
        application: &ApplicationId,
        jobs_max: usize,
        attempts_max: usize,
    ) -> Result<Vec<(Job, Attempt)>, StoreError> {
        let sql = "SELECT found.id, found.data, attempt.data FROM (
                SELECT id, data FROM job WHERE id > (SELECT COALESCE(MAX(id), 0) FROM job) - 20000 AND tenant = ?1
                AND json_extract(data, '$.spec.application') = ?2 ORDER BY id DESC LIMIT ?3) AS found
            JOIN attempt ON attempt.job = found.id WHERE attempt.state = 'succeeded'
            ORDER BY found.id DESC, attempt.task LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let most = params![tenant.as_str(), application.as_str(), jobs_max as i64, attempts_max as i64];
        let rows = statement
            .query_map(most, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
        let pair = |(id, job, attempt): (i64, String, String)| {
            let name = id.to_string();
            Ok((parse("job", &name, &job)?, parse("attempt", &name, &attempt)?))
        };
        rows.map(|row| row.map_err(StoreError::from).and_then(pair)).collect()
    }

    /// How many attempts a job has had.
    pub fn attempts_total(&self, job: JobId) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT COUNT(*) FROM attempt WHERE job = ?1")?;
        let count: i64 = statement.query_row([signed(job.0)], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// Numbers beyond what SQLite can hold name nothing stored.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
