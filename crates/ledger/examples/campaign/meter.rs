//! One round of meters: centres tell cumulative figures of attempts that run and that have ended, prices change for the
//! past, and all that is posted is held against sums that are made from nothing.

use std::collections::{BTreeMap, VecDeque};

use huisuan_ledger::{
    Ledger, Rows,
    meter::{Meters, Taken, charge, cut, exact},
    tariff::{Priced, Scope, TariffBook, Zone},
};
use huisuan_model::{
    Class, DurationMs, GflopPerS, LineKey, MeterRecord, Metered, Money, PoolId, ProjectId, RatedShare, Reading,
    TariffRule, TimeMs, Usage, quantity::GFLOP_PER_P_H,
};

use crate::{
    draw::Draw,
    faults::Faults,
    names::{attempt, centre, currency, tenant},
    pieces::Pieces,
};

const OPERATIONS: usize = 30;
const ATTEMPTS: u32 = 4;
pub(crate) const HOUR: i64 = 3_600_000;
/// All of them began so much after a full hour, and none ran longer than its walltime.
pub(crate) const BEGAN: i64 = 1_234_567;
pub(crate) const WALLTIME: u64 = 5 * HOUR as u64;
pub(crate) const BASE: i64 = 2_400_000_000;
/// What is held for each: more than its dearest price for all of its walltime.
const HOLD: i64 = 1_000_000_000;

/// What somebody says or orders.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// So much was used.
    Used { attempt: u32, wall: u64, cpu: u64 },
    /// It ended after `ran`, and had used so much.
    Ended { attempt: u32, wall: u64, cpu: u64, ran: u64 },
    /// A price holds from an hour on, which may be past.
    Rule { hour: i64, price: i64 },
    /// What was used is priced anew.
    Rerate,
    /// A row that is there comes again, word for word or with another cost.
    Again { row: usize, more: i64 },
}

/// What happened in some rounds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) records: u64,
    pub(crate) late_records: u64,
    pub(crate) corrections: u64,
    pub(crate) repeated: u64,
    pub(crate) conflicts: u64,
    pub(crate) faults: Faults,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.operations += other.operations;
        self.records += other.records;
        self.late_records += other.late_records;
        self.corrections += other.corrections;
        self.repeated += other.repeated;
        self.conflicts += other.conflicts;
        self.faults.add(&other.faults);
    }
}

/// One attempt as the books have it.
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    metered: Metered,
    usage: Usage,
    /// How long it ran, once it has ended.
    ran: Option<u64>,
}

/// What survives a crash.
#[derive(Debug, Clone, Default)]
struct Books {
    rows: Rows,
    records: Vec<String>,
    live: BTreeMap<u32, Live>,
    owed: Vec<(LineKey, u64)>,
    rules: Vec<TariffRule>,
    reference: Pieces,
}

struct Round {
    ledger: Ledger,
    meters: Meters,
    live: BTreeMap<u32, Live>,
    owed: BTreeMap<LineKey, u64>,
    tariffs: TariffBook,
    reference: Pieces,
    stored: Books,
    unacknowledged: Vec<Operation>,
    tally: Tally,
}

pub(crate) fn share() -> RatedShare {
    RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(12_345), part: 3, whole: 64 }
}

/// Runs a round; the text says what went wrong.
pub(crate) fn run(seed: u64, number: u64) -> Result<Tally, String> {
    let mut draw = Draw(!seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
    let mut round = Round::begin();
    let (mut queue, mut sent) = (VecDeque::new(), 0);
    while sent < OPERATIONS || !queue.is_empty() {
        if sent < OPERATIONS {
            sent += 1;
            round.tally.faults.send(operation(&mut draw), &mut draw, &mut queue, None);
        }
        if let Some(operation) = queue.pop_front() {
            round.deliver(operation)?;
        }
        match draw.below(16) {
            0 => round.crash(&mut queue)?,
            1..5 => round.commit(),
            _ => {}
        }
    }
    round.whole()?;
    Ok(round.tally)
}

fn operation(draw: &mut Draw) -> Operation {
    let attempt = draw.below(ATTEMPTS.into()) as u32;
    let (wall, cpu) = (draw.below(WALLTIME + HOUR as u64), draw.below(WALLTIME));
    match draw.below(16) {
        0..7 => Operation::Used { attempt, wall, cpu },
        7..10 => Operation::Ended { attempt, wall, cpu, ran: draw.below(WALLTIME) },
        10..12 => Operation::Rule { hour: draw.below(6) as i64, price: draw.below(9_000_000_000) as i64 },
        12..14 => Operation::Rerate,
        _ => Operation::Again { row: draw.below(64) as usize, more: draw.below(3) as i64 },
    }
}

impl Round {
    fn begin() -> Self {
        let mut ledger = Ledger::new();
        ledger.fund(&tenant(0), currency(0), Money(20 * HOLD)).expect("money");
        let names = (0..ATTEMPTS).map(attempt);
        ledger.hold(&tenant(0), currency(0), names, Money(HOLD)).expect("it is affordable");
        let begin = Metered { until: TimeMs(BEGAN), ..Metered::default() };
        let mut round = Round {
            ledger,
            meters: Meters::default(),
            live: (0..ATTEMPTS).map(|number| (number, Live { metered: begin, ..Live::default() })).collect(),
            owed: BTreeMap::new(),
            tariffs: TariffBook::default(),
            reference: Pieces::default(),
            stored: Books::default(),
            unacknowledged: Vec::new(),
            tally: Tally::default(),
        };
        round.commit();
        round
    }

    fn deliver(&mut self, operation: Operation) -> Result<(), String> {
        self.tally.operations += 1;
        match &operation {
            Operation::Used { attempt, wall, cpu } => {
                self.used(*attempt, (*wall, *cpu), None)?;
                self.reference.used(*attempt, *wall, None);
            }
            Operation::Ended { attempt, wall, cpu, ran } => {
                self.used(*attempt, (*wall, *cpu), Some(*ran))?;
                self.reference.used(*attempt, *wall, Some(*ran));
            }
            Operation::Rule { hour, price } => {
                let id = self.tariffs.next_id();
                self.tariffs.insert(rule(id, *hour, *price));
                self.reference.prices.push((hour * HOUR, *price));
            }
            Operation::Rerate => {
                self.rerate()?;
                self.reference.rerate();
            }
            Operation::Again { row, more } => self.again(*row, *more)?,
        }
        self.compare()?;
        self.unacknowledged.push(operation);
        Ok(())
    }

    fn price(&self, at: TimeMs) -> Priced {
        let (tenant, centre, pool) = (&tenant(0), &centre(0), &PoolId::new("cpu:x").expect("a name"));
        let scope = Scope { tenant, centre, pool, class: Class::Hpc, priority: 0 };
        self.tariffs.price(&scope, Money(BASE), at, &Zone::default())
    }

    /// What a centre says of an attempt: while it runs, at its end, or after it.
    fn used(&mut self, number: u32, (wall, cpu): (u64, u64), ended: Option<u64>) -> Result<(), String> {
        let Live { mut metered, usage, ran } = self.live[&number];
        let told = Usage { wall: DurationMs(wall), cpu: DurationMs(cpu), ..Usage::default() };
        if ran.is_some_and(|ran| wall > ran || wall <= metered.wall.0) {
            // It cannot be, or is known.
            return Ok(());
        }
        let usage = usage.merge(told);
        // Of an attempt that has ended nothing counts beyond how long it ran.
        let most = ran.unwrap_or(WALLTIME).min(WALLTIME);
        let (wall, first) = (DurationMs(usage.wall.0.min(most)), metered.number);
        let closed = ended.is_some() || ran.is_some();
        let spans = cut(&mut metered, (wall, usage), &share(), &Zone::default(), closed);
        let (mut cost, mut work) = (0, 0);
        for (at, span) in (first + 1..).zip(spans) {
            let priced = self.price(span.from);
            let mut reading = Reading {
                number: at,
                adjusts: ran.map(|_| first).filter(|first| *first > 0),
                from: span.from,
                until: span.until,
                at: span.until,
                work: span.work as i64,
                cpu: span.cpu,
                rule: priced.rule,
                contract: None,
                price: priced.price,
                cost: Money(0),
                energy: None,
            };
            let key = record(number, reading.clone()).line();
            let charged = charge(span.work, priced.price, self.owed.get(&key).copied().unwrap_or(0), Money(HOLD));
            self.owed.insert(key, charged.remainder);
            reading.cost = charged.cost;
            (cost, work) = (cost + charged.cost.0, work + span.work);
            self.tally.records += 1;
            self.tally.late_records += u64::from(reading.adjusts.is_some());
            self.meters.take(record(number, reading)).map_err(|error| error.to_string())?;
        }
        self.pay(number, (cost, work), ran.is_some(), ended.is_some())?;
        self.live.insert(number, Live { metered, usage, ran: ran.or(ended.map(|ran| ran.max(wall.0))) });
        Ok(())
    }

    /// Posts what was read: from the hold while there is one, as late use after that.
    fn pay(&mut self, number: u32, (cost, work): (i64, u64), late: bool, ended: bool) -> Result<(), String> {
        let (id, payer, home) = (attempt(number), tenant(0), currency(0));
        let text = |error: huisuan_ledger::LedgerError| error.to_string();
        if late {
            let parties = (&payer, &centre(0));
            self.ledger.late(id, parties, home, Money(cost), Class::Hpc, work as i64).map_err(text)?;
            return Ok(());
        }
        let held = self.ledger.holds().find(|(known, _)| *known == id).map(|(_, hold)| hold.amount.0);
        let rest = held.ok_or("it runs and has no hold")? - cost;
        let work = huisuan_model::Gflop(work);
        self.ledger.settle(id, &centre(0), Money(cost), Class::Hpc, work).map_err(text)?;
        if !ended {
            self.ledger.hold(&payer, home, [id], Money(rest)).map_err(text)?;
        }
        Ok(())
    }

    /// Every reading of an attempt that has ended gets the price that holds for its hour now.
    fn rerate(&mut self) -> Result<(), String> {
        let rows: Vec<MeterRecord> = self.meters.records().cloned().collect();
        for row in rows.iter().filter(|row| row.reading.timed()) {
            let number = numbered(row);
            if self.live[&number].ran.is_none() {
                continue;
            }
            let anew = rows.iter().filter(|one| {
                one.attempt == row.attempt && !one.reading.timed() && one.reading.adjusts == Some(row.reading.number)
            });
            let (mut cost, mut price) = (i128::from(row.reading.cost.0), row.reading.price);
            for one in anew {
                (cost, price) = (cost + i128::from(one.reading.cost.0), one.reading.price);
            }
            let priced = self.price(row.reading.from);
            if priced.price == price {
                continue;
            }
            let due = exact(row.reading.work, priced.price) / i128::from(GFLOP_PER_P_H) - cost;
            let metered = &mut self.live.get_mut(&number).expect("it is known").metered;
            metered.number += 1;
            let reading = Reading {
                number: metered.number,
                adjusts: Some(row.reading.number),
                work: 0,
                cpu: DurationMs(0),
                rule: priced.rule,
                price: priced.price,
                cost: Money(due as i64),
                ..row.reading.clone()
            };
            self.tally.corrections += 1;
            let correction = record(number, reading);
            self.meters.take(correction).map_err(|error| error.to_string())?;
            let paid = self.ledger.correct(row.attempt, &tenant(0), &centre(0), currency(0), Money(due as i64));
            paid.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// A row that is there: word for word it is harmless, with another body it is refused and changes nothing.
    fn again(&mut self, row: usize, more: i64) -> Result<(), String> {
        let count = self.meters.records().count();
        let Some(known) = self.meters.records().nth(row % count.max(1)).cloned() else { return Ok(()) };
        let mut told = known.clone();
        told.reading.cost.0 += more;
        let before = self.meters.clone();
        match (self.meters.take(told), more) {
            (Ok(Taken::Known), 0) => self.tally.repeated += 1,
            (Err(_), 1..) => self.tally.conflicts += 1,
            (answer, _) => return Err(format!("a row that came again with {more} more: {answer:?}")),
        }
        if self.meters != before {
            return Err("a row that came again changed something".to_owned());
        }
        Ok(())
    }

    fn commit(&mut self) {
        let text = |record: &MeterRecord| serde_json::to_string(record).expect("a row is JSON");
        self.stored = Books {
            rows: self.ledger.rows(),
            records: self.meters.records().map(text).collect(),
            live: self.live.clone(),
            owed: self.owed.iter().map(|(key, rest)| (key.clone(), *rest)).collect(),
            rules: self.tariffs.rules().into_iter().cloned().collect(),
            reference: self.reference.clone(),
        };
        self.unacknowledged.clear();
    }

    /// The process ends and starts again from its rows, which come in any order; what nobody was told of comes again.
    fn crash(&mut self, queue: &mut VecDeque<Operation>) -> Result<(), String> {
        self.tally.faults.crashes += 1;
        let Books { rows, records, live, owed, rules, reference } = self.stored.clone();
        self.ledger = Ledger::restore(rows).map_err(|error| format!("after a crash: {error}"))?;
        self.meters = Meters::default();
        for text in records.iter().rev() {
            let record = serde_json::from_str(text).map_err(|error| error.to_string())?;
            self.meters.take(record).map_err(|error| format!("after a crash: {error}"))?;
        }
        self.tariffs = TariffBook::default();
        rules.into_iter().for_each(|rule| self.tariffs.insert(rule));
        (self.live, self.owed, self.reference) = (live, owed.into_iter().collect(), reference);
        self.unacknowledged.drain(..).rev().for_each(|operation| queue.push_front(operation));
        Ok(())
    }

    /// What was posted, in rows and in the books, is what the reference comes to.
    fn compare(&self) -> Result<(), String> {
        let expected: i128 = self.reference.all.iter().map(|piece| piece.cost).sum();
        let earned = self.ledger.earned(&centre(0), currency(0));
        if i128::from(earned.0) != expected {
            return Err(format!("its centre earned {earned}, the reference says {expected}"));
        }
        for number in 0..ATTEMPTS {
            let rows = self.meters.records().filter(|row| row.attempt == attempt(number));
            let found: i128 = rows.map(|row| i128::from(row.reading.cost.0)).sum();
            let own = self.reference.all.iter().filter(|piece| piece.attempt == number);
            let expected: i128 = own.map(|piece| piece.cost).sum();
            if found != expected {
                return Err(format!("the rows of attempt {number} cost {found}, the reference says {expected}"));
            }
        }
        Ok(())
    }

    /// The rows are whole, no time is metered twice, every posting is of one of them, and the books balance.
    fn whole(&self) -> Result<(), String> {
        self.meters.check().map_err(|error| error.to_string())?;
        self.ledger.audit().map_err(|error| error.to_string())?;
        for (number, live) in &self.live {
            let own = || self.meters.records().filter(|row| row.attempt == attempt(*number));
            let (work, wall): (i64, u64) =
                own().fold((0, 0), |sum, row| (sum.0 + row.reading.work, sum.1 + row.wall_ms()));
            if (work, wall) != (share().work(live.metered.wall.0).0 as i64, live.metered.wall.0) {
                return Err(format!("attempt {number}: rows have {work} GFLOP in {wall} ms, its meter {live:?}"));
            }
        }
        Ok(())
    }
}

fn rule(id: u32, hour: i64, price: i64) -> TariffRule {
    TariffRule {
        id,
        centre: centre(0),
        tenant: None,
        pool: None,
        class: None,
        hours: None,
        priority_min: None,
        from: TimeMs(hour * HOUR),
        until: None,
        currency: "CNY".into(),
        price_per_p_h: Money(price),
    }
}

/// The row of a reading, or of a correction.
fn record(number: u32, reading: Reading) -> MeterRecord {
    MeterRecord {
        attempt: attempt(number),
        tenant: tenant(0),
        project: ProjectId::new("default").expect("a name"),
        centre: centre(0),
        pool: PoolId::new("cpu:x").expect("a name"),
        share: share(),
        reading,
    }
}

fn numbered(row: &MeterRecord) -> u32 {
    (row.attempt.job.0 as u32 - 1) * 4 + row.attempt.task
}
