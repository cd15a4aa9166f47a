//! What the rows have of attempts that are not live, for late reports of them.

use huisuan_model::{AttemptId, Metered, Money, PastAttempt, PastRow};
use rusqlite::{OptionalExtension, params};

use crate::{Reader, StoreError, reader::parse};

impl Reader {
    /// What there is of each of some attempts that are not live: of one that has ended its row, its job and its meter.
    pub fn past(&self, attempts: &[AttemptId]) -> Result<Vec<PastAttempt>, StoreError> {
        attempts.iter().map(|id| Ok(PastAttempt { id: *id, row: self.past_row(*id)?.map(Box::new) })).collect()
    }

    fn past_row(&self, id: AttemptId) -> Result<Option<PastRow>, StoreError> {
        let Some(attempt) = self.attempt(id)? else { return Ok(None) };
        let job = self.job(id.job)?.ok_or_else(|| StoreError::Corrupt {
            table: "job",
            row: id.job.to_string(),
            detail: format!("is missing, and attempt {id} is of it"),
        })?;
        let until = attempt.started_at.unwrap_or(attempt.placed_at);
        let mut row = PastRow {
            attempt,
            tenant: job.tenant,
            project: job.project,
            priority: job.spec.priority,
            walltime: job.spec.walltime,
            budgeted: job.spec.budget.is_some(),
            metered: Metered { until, ..Metered::default() },
            paid: Money::ZERO,
        };
        self.meters_of_attempt(id)?.iter().for_each(|record| row.count(record));
        Ok(Some(row))
    }

    fn attempt(&self, id: AttemptId) -> Result<Option<huisuan_model::Attempt>, StoreError> {
        let sql = "SELECT data FROM attempt WHERE job = ?1 AND task = ?2 AND attempt = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = statement.query_row(params![id.job.0 as i64, id.task, id.attempt], |row| row.get(0));
        let data: Option<String> = row.optional()?;
        data.map(|data| parse("attempt", &id.to_string(), &data)).transpose()
    }
}
