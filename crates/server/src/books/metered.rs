//! The rows of the meter, from which bills are made, against the journal and the transfers: every reading is one row,
//! word for word; rows of an hour cost what was posted in it; and the lines of all bills add up to that again.

use std::collections::BTreeMap;

use huisuan_api::wire::Timestamp;
use huisuan_control::ledger::{
    auditor::readings::{MustRead, Readings, Slot, Sums},
    invoice::{Bill, Party},
    tariff::{Zone, month_text},
};
use huisuan_model::{Event, TimeMs};
use huisuan_store::{Reader, StoreError, StoredTransfer};

use super::bills;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;
/// Beyond so many findings no more are looked for.
const FINDINGS_MAX: usize = 100;

/// The check, event by event.
#[derive(Debug, Default)]
pub(super) struct MeterCheck {
    readings: Readings,
    findings: Vec<String>,
}

impl MeterCheck {
    /// Takes one event of an entry that was decided `at`.
    pub(super) fn event(&mut self, reader: &Reader, at: TimeMs, event: &Event) -> Result<(), StoreError> {
        for row in self.readings.event(at, event) {
            if self.findings.len() < FINDINGS_MAX {
                let stored = reader.meter_columns(row.attempt, row.number)?;
                self.findings.extend(difference(&row, stored));
            }
        }
        Ok(())
    }

    /// Takes one stored transfer.
    pub(super) fn transfer(&mut self, transfer: &StoredTransfer) {
        let row = &transfer.row;
        self.readings.transfer(transfer.at, &row.asset, &row.debit, &row.credit, row.amount);
    }

    /// How many rows the journal has made so far.
    pub(super) fn rows(&self) -> u64 {
        self.readings.rows()
    }

    /// What was found once everything was taken: of rows, and of bills.
    ///
    /// A row that cannot be read is a finding: the rows that can be were compared before.
    pub(super) fn finish(self, reader: &Reader) -> (Vec<String>, Vec<String>) {
        let mut findings = self.findings;
        let must = self.readings.sums();
        let mut hours = must.clone();
        let sums = reader.meter_hours().unwrap_or_else(|error| {
            findings.push(format!("records cannot be added up: {error}"));
            Vec::new()
        });
        for hour in sums {
            let slot = Slot { tenant: hour.tenant, centre: hour.centre, hour: hour.hour };
            let (rows, cost, work) = (i128::from(hour.rows), i128::from(hour.cost), i128::from(hour.work));
            let left = hours.entry(slot).or_default();
            *left = Sums { rows: left.rows - rows, cost: left.cost - cost, work: left.work - work };
        }
        hours.retain(|_, off| *off != Sums::default());
        findings.extend(hours.iter().take(FINDINGS_MAX).map(|(slot, off)| {
            let at = Timestamp(TimeMs(slot.hour.saturating_mul(HOUR_MS)));
            format!(
                "records of `{}` at `{}` booked in the hour from {at}: {} too few, {} millionths and {} GFLOP less than posted",
                slot.tenant, slot.centre, off.rows, off.cost, off.work
            )
        }));
        let billed = billed(reader, &must).unwrap_or_else(|error| vec![format!("bills cannot be made: {error}")]);
        (findings, billed)
    }
}

/// The first column in which a row differs from what it must say.
fn difference(must: &MustRead, stored: Option<Vec<(String, String)>>) -> Option<String> {
    let name = format!("meter record {}/{}", must.attempt, must.number);
    let Some(stored) = stored else { return Some(format!("{name} is missing")) };
    let mut left = must.columns.clone();
    for (column, value) in &stored {
        match left.remove(column.as_str()) {
            Some(expected) if expected == *value => {}
            Some(expected) => return Some(format!("{name}: {column} is {value}, the journal says {expected}")),
            None => return Some(format!("{name}: {column} is {value}, the journal says nothing of it")),
        }
    }
    left.pop_first().map(|(column, value)| format!("{name}: {column} is not there, the journal says {value}"))
}

/// Makes every bill again, and compares its lines with what was posted between tenant and centre in its month.
fn billed(reader: &Reader, posted: &BTreeMap<Slot, Sums>) -> Result<Vec<String>, StoreError> {
    let zone = Zone::of_bills();
    let mut left: BTreeMap<(String, String, i32), (i128, i128)> = BTreeMap::new();
    for (slot, sums) in posted {
        let month = zone.month(TimeMs(slot.hour.saturating_mul(HOUR_MS)));
        let sum = left.entry((slot.tenant.clone(), slot.centre.clone(), month)).or_default();
        *sum = (sum.0 + sums.rows, sum.1 + sums.cost);
    }
    for part in bills::parts(reader, super::Span::default())? {
        let rows = reader.meters_of_tenant(&part.tenant, part.from, part.until)?;
        let bill = Bill::of(Party::Tenant(part.tenant), part.month, part.until, &rows);
        for line in &bill.lines {
            let key = (line.tenant.to_string(), line.key.centre.to_string(), part.month);
            let sum = left.entry(key).or_default();
            *sum = (sum.0 - i128::from(line.records), sum.1 - line.cost);
        }
    }
    left.retain(|_, off| *off != (0, 0));
    let finding = |((tenant, centre, month), (records, cost))| {
        let month = month_text(month);
        format!(
            "the bill {month} of `{tenant}`: its lines at `{centre}` have {records} records and {cost} millionths less than posted"
        )
    };
    Ok(left.into_iter().take(FINDINGS_MAX).map(finding).collect())
}
