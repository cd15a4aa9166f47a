//! Rows of the meter, of tariffs and of what was found odd: written here, and read for bills and reports.

use huisuan_model::{
    AttemptId, CentreId, Class, DurationMs, Energy, EnergySum, Entry, GflopPerS, JobId, Mark, MeterRecord, Money,
    Oddity, PoolId, RatedShare, Reading, TenantId, TimeMs, UnderContract,
};
use rusqlite::{Row, Transaction, params};

use crate::{Prepared, Reader, StoreError, journal, reader};

/// What one tenant used of one pool in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterTotal {
    /// Who.
    pub tenant: TenantId,
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// The class of the pool.
    pub class: Class,
    /// Work in GFLOP.
    pub work: i64,
    /// Time given, in thousandths of a core or device times milliseconds.
    pub given_ms: i128,
    /// Processor time.
    pub cpu_ms: i64,
    /// Posted, in millionths.
    pub cost: Money,
    /// Attempts.
    pub attempts: u64,
    /// Energy, of the rows that know it.
    pub energy: Option<EnergySum>,
}

/// What was found odd, with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddityRow {
    /// Counts up from 1.
    pub id: u64,
    /// Where.
    pub centre: CentreId,
    /// What.
    pub oddity: Oddity,
}

const INSERT: &str = "INSERT INTO meter (job, task, attempt, number, adjusts, tenant, project, centre, pool, class,
    version, sustained, part, whole, from_ms, until_ms, at_ms, work, cpu_ms, rule, price, cost, joules, mark, carbon,
    contract, list_price)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
    ?24, ?25, ?26, ?27)";

const COLUMNS: &str = "job, task, attempt, number, adjusts, tenant, project, centre, pool, class, version, sustained,
    part, whole, from_ms, until_ms, at_ms, work, cpu_ms, rule, price, cost, joules, mark, carbon, contract,
    list_price";

pub(crate) fn write(transaction: &Transaction<'_>, batch: &Prepared) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(INSERT)?;
    for row in &batch.meters {
        let (id, share, reading) = (row.attempt, row.share, &row.reading);
        let energy = reading.energy.as_ref();
        insert.execute(params![
            id.job.0 as i64,
            id.task,
            id.attempt,
            reading.number,
            reading.adjusts,
            row.tenant.as_str(),
            row.project.as_str(),
            row.centre.as_str(),
            row.pool.as_str(),
            share.class.as_str(),
            share.version,
            share.sustained.0 as i64,
            share.part as i64,
            share.whole as i64,
            reading.from.0,
            reading.until.0,
            reading.at.0,
            reading.work,
            reading.cpu.0 as i64,
            reading.rule,
            reading.price.0,
            reading.cost.0,
            energy.map(|energy| energy.joules as i64),
            energy.map(|energy| word(energy.mark)),
            energy.and_then(|energy| energy.carbon_g_per_kwh),
            reading.contract.map(|under| under.id),
            reading.contract.map(|under| under.list_price.0),
        ])?;
    }
    let mut tally = transaction.prepare_cached(
        "INSERT INTO tally (tenant, data) VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET data = excluded.data",
    )?;
    for (tenant, data) in &batch.tallies {
        tally.execute(params![tenant.as_str(), &batch.json[data.clone()]])?;
    }
    let mut rule = transaction.prepare_cached(
        "INSERT INTO tariff_rule (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
    )?;
    for (id, data) in &batch.rules {
        rule.execute(params![id, &batch.json[data.clone()]])?;
    }
    let mut contract = transaction.prepare_cached(
        "INSERT INTO contract (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
    )?;
    for (id, data) in &batch.contracts {
        contract.execute(params![id, &batch.json[data.clone()]])?;
    }
    let mut oddity = transaction.prepare_cached("INSERT INTO oddity (centre, at_ms, data) VALUES (?1, ?2, ?3)")?;
    for (centre, at, data) in &batch.oddities {
        oddity.execute(params![centre.as_str(), at.0, &batch.json[data.clone()]])?;
    }
    let mut entry = transaction.prepare_cached("INSERT INTO centre_entry (seq) VALUES (?1)")?;
    for row in batch.journal.iter().filter(|row| row.of_centre) {
        entry.execute([row.seq as i64])?;
    }
    Ok(())
}

impl Reader {
    /// Rows that were booked in a span of time, of one tenant or of all, by the order of booking.
    pub fn meters_of_tenant(
        &self,
        tenant: &TenantId,
        from: TimeMs,
        until: TimeMs,
    ) -> Result<Vec<MeterRecord>, StoreError> {
        let place = "tenant = ?1 AND at_ms >= ?2 AND at_ms < ?3 ORDER BY at_ms, job, task, attempt, number";
        self.meters(place, params![tenant.as_str(), from.0, until.0])
    }

    /// The same of one centre.
    pub fn meters_of_centre(
        &self,
        centre: &CentreId,
        from: TimeMs,
        until: TimeMs,
    ) -> Result<Vec<MeterRecord>, StoreError> {
        let place = "centre = ?1 AND at_ms >= ?2 AND at_ms < ?3 ORDER BY at_ms, job, task, attempt, number";
        self.meters(place, params![centre.as_str(), from.0, until.0])
    }

    /// Up to `limit` rows of all attempts after one of them, by attempt and number.
    pub fn meters_after(&self, after: Option<(AttemptId, u32)>, limit: usize) -> Result<Vec<MeterRecord>, StoreError> {
        let first = (AttemptId { job: JobId(0), task: 0, attempt: 0 }, 0);
        let (id, number) = after.unwrap_or(first);
        let place = "(job, task, attempt, number) > (?1, ?2, ?3, ?4) ORDER BY job, task, attempt, number LIMIT ?5";
        self.meters(place, params![id.job.0 as i64, id.task, id.attempt, number, limit as i64])
    }

    /// All rows of one attempt, by number.
    pub fn meters_of_attempt(&self, id: AttemptId) -> Result<Vec<MeterRecord>, StoreError> {
        let place = "job = ?1 AND task = ?2 AND attempt = ?3 ORDER BY number";
        self.meters(place, params![id.job.0 as i64, id.task, id.attempt])
    }

    /// One row.
    pub fn meter(&self, id: AttemptId, number: u32) -> Result<Option<MeterRecord>, StoreError> {
        let place = "job = ?1 AND task = ?2 AND attempt = ?3 AND number = ?4";
        Ok(self.meters(place, params![id.job.0 as i64, id.task, id.attempt, number])?.pop())
    }

    fn meters(&self, place: &str, values: impl rusqlite::Params) -> Result<Vec<MeterRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM meter WHERE {place}"))?;
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(record(row)?);
        }
        Ok(found)
    }

    /// What every tenant used at one centre and was booked in a span of time, by tenant and class.
    pub fn meter_totals(&self, centre: &CentreId, from: TimeMs, until: TimeMs) -> Result<Vec<MeterTotal>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT tenant, class, SUM(work), SUM(CASE WHEN adjusts IS NULL OR work <> 0 OR cpu_ms <> 0 THEN part * (until_ms - from_ms) ELSE 0 END),
                    SUM(cpu_ms), SUM(cost), COUNT(DISTINCT job || '.' || task || '.' || attempt), pool,
                    {ENERGY}
             FROM meter WHERE centre = ?1 AND at_ms >= ?2 AND at_ms < ?3 GROUP BY tenant, pool, class ORDER BY tenant, pool, class"
        ))?;
        let mut rows = statement.query(params![centre.as_str(), from.0, until.0])?;
        let mut totals = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let class: String = row.get(1)?;
            totals.push(MeterTotal {
                tenant: name.parse().map_err(|error| corrupt(&name, &error))?,
                centre: centre.clone(),
                class: class.parse().map_err(|error: String| corrupt(&name, &error))?,
                work: row.get(2)?,
                given_ms: i128::from(row.get::<_, i64>(3)?),
                cpu_ms: row.get(4)?,
                cost: Money(row.get(5)?),
                attempts: row.get::<_, i64>(6)?.unsigned_abs(),
                pool: row.get::<_, String>(7)?.parse().map_err(|error| corrupt(&name, &error))?,
                energy: energy_sum(row, 8)?,
            });
        }
        Ok(totals)
    }

    /// Energy of all that was read of one attempt so far.
    pub fn energy_of_attempt(&self, id: AttemptId) -> Result<Option<EnergySum>, StoreError> {
        let sql = format!("SELECT {ENERGY} FROM meter WHERE job = ?1 AND task = ?2 AND attempt = ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![id.job.0 as i64, id.task, id.attempt], |row| energy_sum(row, 0))?)
    }

    /// Energy of all that was read of a job so far.
    pub fn energy_of_job(&self, job: JobId) -> Result<Option<EnergySum>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT {ENERGY} FROM meter WHERE job = ?1"))?;
        Ok(statement.query_row([job.0 as i64], |row| energy_sum(row, 0))?)
    }

    /// Tenants with rows that were booked in a span of time, each with what was posted for them.
    pub fn billed(&self, from: TimeMs, until: TimeMs) -> Result<Vec<(TenantId, Money, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT tenant, SUM(cost), COUNT(*) FROM meter WHERE at_ms >= ?1 AND at_ms < ?2 GROUP BY tenant ORDER BY tenant",
        )?;
        let mut rows = statement.query(params![from.0, until.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let tenant = name.parse().map_err(|error| corrupt(&name, &error))?;
            found.push((tenant, Money(row.get(1)?), row.get::<_, i64>(2)?.unsigned_abs()));
        }
        Ok(found)
    }

    /// When the first and the last row of the meter were booked; `None` without any.
    pub fn metered_between(&self) -> Result<Option<(TimeMs, TimeMs)>, StoreError> {
        let sql = "SELECT MIN(at_ms), MAX(at_ms) FROM meter";
        let (first, last): (Option<i64>, Option<i64>) =
            self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(first.zip(last).map(|(first, last)| (TimeMs(first), TimeMs(last))))
    }

    /// Every entry of the journal that may have changed what a centre has, in order.
    pub fn centre_entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, at_ms, version, body FROM journal WHERE seq IN (SELECT seq FROM centre_entry) ORDER BY seq",
        )?;
        let mut rows = statement.query([])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(journal::entry_of(row)?);
        }
        Ok(entries)
    }

    /// Up to `limit` findings, the newest first.
    pub fn oddities(&self, limit: usize) -> Result<Vec<OddityRow>, StoreError> {
        let sql = "SELECT id, centre, data FROM oddity ORDER BY id DESC LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([limit as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, name, data): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let centre = name.parse().map_err(|error| corrupt(&name, &error))?;
            found.push(OddityRow { id: id.unsigned_abs(), centre, oddity: reader::parse("oddity", &name, &data)? });
        }
        Ok(found)
    }
}

fn record(row: &Row<'_>) -> Result<MeterRecord, StoreError> {
    let attempt = AttemptId { job: JobId(unsigned(row, 0)?), task: row.get(1)?, attempt: row.get(2)? };
    let name = |at| row.get::<_, String>(at);
    let bad = |error: &dyn std::fmt::Display| corrupt(&attempt.to_string(), error);
    let mark: Option<String> = row.get(23)?;
    let mark =
        mark.map(|text| mark_of(&text).ok_or_else(|| bad(&format!("mark `{text}` is not known")))).transpose()?;
    let joules = row.get::<_, Option<i64>>(22)?.map(|joules| joules as u64);
    let carbon_g_per_kwh: Option<u32> = row.get(24)?;
    let contract: Option<u32> = row.get(25)?;
    let list_price = row.get::<_, Option<i64>>(26)?.map(Money);
    if joules.is_some() != mark.is_some() || (carbon_g_per_kwh.is_some() && joules.is_none()) {
        return Err(bad(&"a part of its energy is missing"));
    }
    if contract.is_some() != list_price.is_some() {
        return Err(bad(&"a part of its contract is missing"));
    }
    Ok(MeterRecord {
        attempt,
        tenant: name(5)?.parse().map_err(|error| bad(&error))?,
        project: name(6)?.parse().map_err(|error| bad(&error))?,
        centre: name(7)?.parse().map_err(|error| bad(&error))?,
        pool: name(8)?.parse().map_err(|error| bad(&error))?,
        share: RatedShare {
            class: name(9)?.parse().map_err(|error: String| bad(&error))?,
            version: row.get(10)?,
            sustained: GflopPerS(unsigned(row, 11)?),
            part: unsigned(row, 12)?,
            whole: unsigned(row, 13)?,
        },
        reading: Reading {
            number: row.get(3)?,
            adjusts: row.get(4)?,
            from: TimeMs(row.get(14)?),
            until: TimeMs(row.get(15)?),
            at: TimeMs(row.get(16)?),
            work: row.get(17)?,
            cpu: DurationMs(unsigned(row, 18)?),
            rule: row.get(19)?,
            contract: contract.zip(list_price).map(|(id, list_price)| UnderContract { id, list_price }),
            price: Money(row.get(20)?),
            cost: Money(row.get(21)?),
            energy: joules.zip(mark).map(|(joules, mark)| Energy { joules, mark, carbon_g_per_kwh }),
        },
    })
}

/// Sums of energy, as [`energy_sum`] reads them: joules, milligrams of CO2 cut row by row as [`Energy::carbon_mg`] cuts
/// them, and the weakest mark.
const ENERGY: &str = "SUM(joules), SUM(joules * carbon / 3600),
    MAX(CASE mark WHEN 'declared' THEN 2 WHEN 'modelled' THEN 1 WHEN 'measured' THEN 0 END)";

fn energy_sum(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<EnergySum>> {
    let Some(joules) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
    let carbon_mg = row.get::<_, Option<i64>>(at + 1)?.map(i64::unsigned_abs);
    let mark = match row.get::<_, Option<i64>>(at + 2)? {
        Some(0) => Mark::Measured,
        Some(1) => Mark::Modelled,
        _ => Mark::Declared,
    };
    Ok(Some(EnergySum { joules: joules.unsigned_abs(), mark, carbon_mg }))
}

fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(|value| value as u64)
}

fn corrupt(row: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table: "meter", row: row.to_owned(), detail: error.to_string() }
}

const MARKS: [(Mark, &str); 3] =
    [(Mark::Measured, "measured"), (Mark::Modelled, "modelled"), (Mark::Declared, "declared")];

fn word(mark: Mark) -> &'static str {
    MARKS.iter().find(|(known, _)| *known == mark).map_or("declared", |(_, word)| word)
}

fn mark_of(text: &str) -> Option<Mark> {
    MARKS.iter().find(|(_, word)| *word == text).map(|(mark, _)| *mark)
}
