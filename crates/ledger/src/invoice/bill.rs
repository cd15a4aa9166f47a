//! Adding rows up to lines.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{
    AttemptId, CentreId, Class, EnergySum, LineKey, MeterRecord, Money, TenantId, TimeMs, quantity::GFLOP_PER_P_H,
};

use crate::tariff::{Zone, month_text};

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A tenant's bill.
    Tenant(TenantId),
    /// A centre's statement.
    Centre(CentreId),
}

impl Party {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Party::Tenant(tenant) => tenant.as_str(),
            Party::Centre(centre) => centre.as_str(),
        }
    }
}

/// A month's bill or statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Whose.
    pub party: Party,
    /// Years times 12 and months from 0.
    pub month: i32,
    /// The first moment of the month.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// True once the month is over: it never changes again.
    pub closed: bool,
    /// ISO 4217 code.
    pub currency: &'static str,
    /// By what they are apart by.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: i128,
}

/// All of a month that is priced alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Names it on its bill, and for good once the month is over: see [`line_id`].
    pub id: String,
    /// Who pays.
    pub tenant: TenantId,
    /// Where, on what, what for, at which price.
    pub key: LineKey,
    /// The class of the work.
    pub class: Class,
    /// True for corrections of what was billed before.
    pub correction: bool,
    /// Work in GFLOP.
    pub work: i128,
    /// Processor time in milliseconds.
    pub cpu_ms: i128,
    /// Time given, in thousandths of a core or device times milliseconds.
    pub given_ms: i128,
    /// Rows of the meter.
    pub records: u64,
    /// Attempts.
    pub attempts: u64,
    /// Energy, of the rows that know it.
    pub energy: Option<EnergySum>,
    /// Versions of ratings that its work was counted with.
    pub ratings: BTreeSet<u32>,
    /// The same by the day of use in UTC, in days since 1970-01-01.
    pub days: BTreeMap<i64, Day>,
    /// The sum of what was posted, in millionths.
    pub cost: i128,
}

/// A line's share of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Work in GFLOP.
    pub work: i128,
    /// Posted, in millionths.
    pub cost: i128,
    /// Rows of the meter.
    pub records: u64,
    /// Energy, of the rows that know it.
    pub energy: Option<EnergySum>,
}

/// The name of a line on its bill: `centre/pool/project/base@price` or `.../rule-3@price`, with `contract-2:` before
/// what the contract went before and `/list` behind the price, `+correction` where it corrects; on a statement with the
/// tenant in front.
pub fn line_id(party: &Party, record: &MeterRecord) -> String {
    let key = record.line();
    let rule = if key.rule == 0 { "base".to_owned() } else { format!("rule-{}", key.rule) };
    let (contract, list) =
        key.contract.map_or_else(Default::default, |under| (format!("{under}:"), format!("/{}", under.list_price.0)));
    let correction = if record.reading.adjusts.is_some() { "+correction" } else { "" };
    let first = match party {
        Party::Tenant(_) => key.centre.as_str(),
        Party::Centre(_) => record.tenant.as_str(),
    };
    format!("{first}/{}/{}/{contract}{rule}@{}{list}{correction}", key.pool, key.project, key.price.0)
}

const DAY_MS: i64 = 86_400_000;

impl Bill {
    /// The bill or statement of a month from the rows that were booked in it; others are left out.
    pub fn of<'a>(party: Party, month: i32, now: TimeMs, records: impl IntoIterator<Item = &'a MeterRecord>) -> Self {
        let (from, until) = Zone::of_bills().month_range(month);
        let mut lines: BTreeMap<String, (Line, BTreeSet<AttemptId>)> = BTreeMap::new();
        let own = |record: &&MeterRecord| match &party {
            Party::Tenant(tenant) => record.tenant == *tenant,
            Party::Centre(centre) => record.centre == *centre,
        };
        for record in records.into_iter().filter(own) {
            if !(from..until).contains(&record.reading.at) {
                continue;
            }
            let id = line_id(&party, record);
            let (line, attempts) = lines.entry(id.clone()).or_insert_with(|| (Line::new(id, record), BTreeSet::new()));
            line.add(record);
            attempts.insert(record.attempt);
            line.attempts = attempts.len() as u64;
        }
        let lines: Vec<Line> = lines.into_values().map(|(line, _)| line).collect();
        let total = lines.iter().map(|line| line.cost).sum();
        Bill {
            party,
            month,
            from,
            until,
            closed: now >= until,
            currency: huisuan_model::centre::CURRENCY,
            lines,
            total,
        }
    }

    /// The number that it is filed under.
    pub fn number(&self) -> String {
        let kind = match self.party {
            Party::Tenant(_) => "B",
            Party::Centre(_) => "S",
        };
        format!("{kind}-{}-{}", month_text(self.month), self.party.name())
    }

    /// Work by class; classes are never added.
    pub fn work(&self) -> BTreeMap<Class, i128> {
        let mut work = BTreeMap::new();
        for line in &self.lines {
            *work.entry(line.class).or_default() += line.work;
        }
        work
    }

    /// Energy of all lines that know it.
    pub fn energy(&self) -> Option<EnergySum> {
        let mut sum = None;
        self.lines.iter().for_each(|line| EnergySum::add(&mut sum, line.energy));
        sum
    }
}

impl Line {
    fn new(id: String, record: &MeterRecord) -> Self {
        Line {
            id,
            tenant: record.tenant.clone(),
            key: record.line(),
            class: record.share.class,
            correction: record.reading.adjusts.is_some(),
            work: 0,
            cpu_ms: 0,
            given_ms: 0,
            records: 0,
            attempts: 0,
            energy: None,
            ratings: BTreeSet::new(),
            days: BTreeMap::new(),
            cost: 0,
        }
    }

    fn add(&mut self, record: &MeterRecord) {
        let reading = &record.reading;
        let (work, cost) = (i128::from(reading.work), i128::from(reading.cost.0));
        self.work += work;
        self.cost += cost;
        self.cpu_ms += i128::from(reading.cpu.0);
        self.given_ms += i128::from(record.wall_ms()) * i128::from(record.share.part);
        self.records += 1;
        self.ratings.insert(record.share.version);
        EnergySum::add(&mut self.energy, reading.energy);
        let day = self.days.entry(reading.from.0.div_euclid(DAY_MS)).or_default();
        (day.work, day.cost, day.records) = (day.work + work, day.cost + cost, day.records + 1);
        EnergySum::add(&mut day.energy, reading.energy);
    }

    /// The price of one P·h in millionths.
    pub fn price(&self) -> Money {
        self.key.price
    }

    /// What the tariff asks for one P·h, in millionths: the price itself where no contract is.
    pub fn list_price(&self) -> Money {
        self.key.contract.map_or(self.key.price, |under| under.list_price)
    }

    /// What work of this line would have cost by the tariff, in millionths: rounded down, and what was posted where no
    /// contract is.
    pub fn list_cost(&self, work: i128, cost: i128) -> i128 {
        match self.key.contract {
            Some(under) => work * i128::from(under.list_price.0) / i128::from(GFLOP_PER_P_H),
            None => cost,
        }
    }
}

/// The first moment of a day and the first one after it.
pub(super) fn day_range(day: i64) -> (TimeMs, TimeMs) {
    (TimeMs(day.saturating_mul(DAY_MS)), TimeMs(day.saturating_add(1).saturating_mul(DAY_MS)))
}

#[cfg(test)]
pub(super) mod tests {
    use huisuan_model::{Energy, Mark, Money, PoolId, ProjectId};
    use proptest::prelude::*;

    use super::*;
    use crate::{meter::tests_record as record, tariff::month_of_text};

    /// Rows of two tenants at two centres, in November and December.
    pub(crate) fn any_records() -> impl Strategy<Value = Vec<MeterRecord>> {
        let row = (0..2_u8, 0..2_u8, 0..2_u8, 1..4_i64, 0..60_i64, -9..1_000_000_000_i64, any::<bool>());
        prop::collection::vec(row, 0..60).prop_map(|rows| {
            let begin = Zone::of_bills().month_range(month_of_text("2026-11").expect("a month")).0;
            let make = |(number, (tenant, centre, project, price, day, cost, late)): (usize, _)| {
                let mut row = record(number as u64 + 1, 1, 0);
                let name = |letter: u8, kind| format!("{kind}{letter}");
                row.tenant = TenantId::new(&name(tenant, "t")).expect("a name");
                row.centre = CentreId::new(&name(centre, "c")).expect("a name");
                row.project = ProjectId::new(&name(project, "p,\"")[..1]).expect("a name");
                row.pool = PoolId::new("cpu:x").expect("a name");
                let from = begin.0 + day * DAY_MS;
                (row.reading.from, row.reading.until) = (TimeMs(from), TimeMs(from + 3_600_000));
                row.reading.at = TimeMs(from + if late { 20 * DAY_MS } else { 3_600_001 });
                (row.reading.price, row.reading.cost, row.reading.work) = (Money(price), Money(cost), cost.abs());
                row.reading.adjusts = (cost < 0).then_some(1);
                row.reading.energy = (cost > 0 && late).then(|| Energy {
                    joules: cost.unsigned_abs(),
                    mark: if price == 1 { Mark::Declared } else { Mark::Modelled },
                    carbon_g_per_kwh: (price > 1).then_some(560),
                });
                row
            };
            rows.into_iter().enumerate().map(make).collect()
        })
    }

    proptest! {
        /// Every row is on one bill and on one statement, and all add up to the same, month by month.
        #[test]
        fn bills_and_statements_add_up_to_the_rows(rows in any_records()) {
            let zone = Zone::of_bills();
            let first = month_of_text("2026-11").expect("a month");
            let sum = |parties: &dyn Fn(&MeterRecord) -> Party| {
                let named: BTreeSet<Party> = rows.iter().map(parties).collect();
                let months = first..first + 4;
                let bills: Vec<Bill> = named.into_iter()
                    .flat_map(|party| months.clone().map(move |month| (party.clone(), month)))
                    .map(|(party, month)| Bill::of(party, month, TimeMs(0), &rows))
                    .collect();
                for bill in &bills {
                    assert_eq!(bill.total, bill.lines.iter().map(|line| line.cost).sum::<i128>());
                    for line in &bill.lines {
                        assert_eq!(line.cost, line.days.values().map(|day| day.cost).sum::<i128>());
                        assert_eq!(line.work, line.days.values().map(|day| day.work).sum::<i128>());
                        let mut energy = None;
                        line.days.values().for_each(|day| EnergySum::add(&mut energy, day.energy));
                        assert_eq!(line.energy, energy);
                        let own = rows.iter().filter(|row| line_id(&bill.party, row) == line.id);
                        let own = own.filter(|row| zone.month(row.reading.at) == bill.month);
                        let own = own.filter(|row| match &bill.party {
                            Party::Tenant(tenant) => row.tenant == *tenant,
                            Party::Centre(centre) => row.centre == *centre,
                        });
                        assert_eq!(line.cost, own.map(|row| i128::from(row.reading.cost.0)).sum::<i128>());
                    }
                }
                bills.iter().map(|bill| bill.total).sum::<i128>()
            };
            let all: i128 = rows.iter().map(|row| i128::from(row.reading.cost.0)).sum();
            prop_assert_eq!(sum(&|row| Party::Tenant(row.tenant.clone())), all);
            prop_assert_eq!(sum(&|row| Party::Centre(row.centre.clone())), all);
        }
    }
}
