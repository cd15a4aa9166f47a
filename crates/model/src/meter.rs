//! What was used, as it was read from the cumulative meter of an attempt: one reading for each interval of at most an
//! hour, with the price of that hour and what was posted for it. A reading never changes; what was wrong is corrected
//! by another one that names it.

use serde::{Deserialize, Serialize};

use crate::{
    centre::RatedShare,
    contract::UnderContract,
    energy::{Energy, EnergySum},
    ids::{AttemptId, CentreId, PoolId, ProjectId, TenantId},
    quantity::{Bytes, DurationMs, Money, TimeMs},
};

/// What an attempt used from one moment to another within an hour. It is named by its attempt and its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Counts up from 1 for an attempt.
    pub number: u32,
    /// The reading that this one corrects: of one that came late, with work or processor time, the last before it; of
    /// one of the price the one that is priced anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusts: Option<u32>,
    /// The first moment, by the centre's clock.
    pub from: TimeMs,
    /// The first moment after it: never beyond the hour of the centre's zone.
    pub until: TimeMs,
    /// When it was booked, by the server's clock: the month of its bill.
    pub at: TimeMs,
    /// Work in GFLOP of the pool's class; of a correction what it changes.
    pub work: i64,
    /// Processor time.
    pub cpu: DurationMs,
    /// The rule of the tariff; 0 for the price of the centre itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rule: u32,
    /// The contract that set the price, and what rule or centre asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<UnderContract>,
    /// Millionths of the currency for one P·h.
    pub price: Money,
    /// What was posted for it; of a correction what it changes.
    pub cost: Money,
    /// Energy that it took, where that is known; never of a correction of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<Energy>,
}

impl Reading {
    /// Whether time was metered by it: it was read while its attempt ran, at its end, or came late. What is not is a
    /// correction of the price alone.
    pub fn timed(&self) -> bool {
        self.adjusts.is_none() || self.work != 0 || self.cpu.0 != 0
    }
}

/// One row of the meter: a reading with all that is needed to understand it later, whatever becomes of the pool, its
/// rating and the tariff. It is written once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRecord {
    /// Whose reading.
    pub attempt: AttemptId,
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// Where: the source of the reading.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// The rating that its work is counted with, of the share that was given.
    pub share: RatedShare,
    /// What was read.
    pub reading: Reading,
}

impl MeterRecord {
    /// The line of a bill that it belongs to.
    pub fn line(&self) -> LineKey {
        LineKey {
            centre: self.centre.clone(),
            pool: self.pool.clone(),
            project: self.project.clone(),
            rule: self.reading.rule,
            contract: self.reading.contract,
            price: self.reading.price,
        }
    }

    /// Time metered; none for a correction of the price alone.
    pub fn wall_ms(&self) -> u64 {
        if self.reading.timed() { self.reading.until.since(self.reading.from).0 } else { 0 }
    }
}

/// A stored reading with what pricing it anew needs; its price and cost are those after its corrections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metering {
    /// The row, its reading as it is now.
    pub of: MeterRecord,
    /// The priority of its job.
    pub priority: i32,
    /// The number after the attempt's last: its first correction gets it, the next one the one after.
    pub next: u32,
    /// Whether its attempt ran when this was read: then the number is the state's to give, and where it has ended
    /// since, the reading is left for the next order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
}

/// How far the meter of an attempt was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metered {
    /// The number of the last reading.
    pub number: u32,
    /// Where the last reading ended.
    pub until: TimeMs,
    /// Time that counted up to there.
    pub wall: DurationMs,
    /// Processor time up to there.
    pub cpu: DurationMs,
    /// Work up to there, in GFLOP.
    pub work: u64,
    /// Energy that was measured up to there, in joules.
    #[serde(default, skip_serializing_if = "no_joules")]
    pub joules: u64,
}

/// What the lines of a bill are apart by: all of one line is priced alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineKey {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// What for.
    pub project: ProjectId,
    /// The rule of the tariff; 0 for the price of the centre itself.
    pub rule: u32,
    /// The contract that set the price, and what rule or centre asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<UnderContract>,
    /// Millionths of the currency for one P·h.
    pub price: Money,
}

/// What is counted of a tenant's spending, beside its accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The month of `spent`: years times 12 and months from 0, in the zone of bills.
    pub month: i32,
    /// What was posted in that month, by project.
    pub spent: Vec<(ProjectId, Money)>,
    /// What each line owes beyond whole millionths: its work times its price, modulo a millionth's worth. It goes into
    /// the next posting of the line, so that a line as a whole is rounded once, however many readings it has.
    pub remainders: Vec<(LineKey, u64)>,
    /// Energy of all that was ever read of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergySum>,
    /// Data brought to its attempts that ended.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub bytes_in: Bytes,
    /// Data taken from them.
    #[serde(default, skip_serializing_if = "Bytes::is_zero")]
    pub bytes_out: Bytes,
}

impl Tally {
    /// What was posted in a month, of one project or of all.
    pub fn spent(&self, month: i32, project: Option<&ProjectId>) -> i128 {
        let counted = self.spent.iter().filter(|(known, _)| project.is_none_or(|project| project == known));
        if self.month == month { counted.map(|(_, amount)| i128::from(amount.0)).sum() } else { 0 }
    }

    /// Counts what was posted. A month that is over is forgotten: its bill has it.
    pub fn spend(&mut self, month: i32, project: &ProjectId, amount: Money) {
        if self.month != month {
            (self.month, self.spent) = (month, Vec::new());
        }
        match self.spent.binary_search_by(|(known, _)| known.cmp(project)) {
            Ok(at) => self.spent[at].1 = self.spent[at].1.saturating_add(amount),
            Err(at) => self.spent.insert(at, (project.clone(), amount)),
        }
    }

    /// What a line owes beyond whole millionths.
    pub fn remainder(&self, key: &LineKey) -> u64 {
        self.remainders.binary_search_by(|(known, _)| known.cmp(key)).map_or(0, |at| self.remainders[at].1)
    }

    /// Sets it; nothing is not kept.
    pub fn set_remainder(&mut self, key: LineKey, remainder: u64) {
        match self.remainders.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) if remainder == 0 => drop(self.remainders.remove(at)),
            Ok(at) => self.remainders[at].1 = remainder,
            Err(_) if remainder == 0 => {}
            Err(at) => self.remainders.insert(at, (key, remainder)),
        }
    }
}

fn no_joules(joules: &u64) -> bool {
    *joules == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_month_begins_at_nothing() {
        let (a, b) = (ProjectId::new("a").expect("a name"), ProjectId::new("b").expect("a name"));
        let mut tally = Tally::default();
        tally.spend(10, &b, Money(5));
        tally.spend(10, &a, Money(7));
        tally.spend(10, &b, Money(1));
        assert_eq!((tally.spent(10, None), tally.spent(10, Some(&b)), tally.spent(11, None)), (13, 6, 0));
        tally.spend(11, &a, Money(2));
        assert_eq!((tally.spent(10, None), tally.spent(11, None)), (0, 2));
    }

    #[test]
    fn remainders_of_nothing_are_not_kept() {
        let key = |rule| LineKey {
            centre: CentreId::new("c").expect("a name"),
            pool: PoolId::new("p").expect("a name"),
            project: ProjectId::new("default").expect("a name"),
            rule,
            contract: None,
            price: Money(1),
        };
        let mut tally = Tally::default();
        tally.set_remainder(key(2), 4);
        tally.set_remainder(key(1), 3);
        assert_eq!((tally.remainder(&key(1)), tally.remainder(&key(2)), tally.remainder(&key(3))), (3, 4, 0));
        tally.set_remainder(key(1), 0);
        tally.set_remainder(key(9), 0);
        assert_eq!(tally.remainders.len(), 1);
    }
}
