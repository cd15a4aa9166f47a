//! Periods beside each other: capacity, delivery, growth against the period before and against the year before, and
//! cumulative for the year to date, as cities publish their indicators.

use std::collections::BTreeMap;

use huisuan_model::{Class, EnergySum, TenantId, TimeMs};

use crate::tariff::{Zone, month_text};

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Periods {
    /// A calendar month.
    #[default]
    Month,
    /// A calendar quarter.
    Quarter,
}

impl Periods {
    fn months(self) -> i32 {
        match self {
            Periods::Month => 1,
            Periods::Quarter => 3,
        }
    }

    /// The first month of the period that a month is in.
    pub fn first(self, month: i32) -> i32 {
        month - month.rem_euclid(self.months())
    }

    /// The name of the period: `2026-11` or `2026-Q4`.
    pub fn label(self, first: i32) -> String {
        match self {
            Periods::Month => month_text(first),
            Periods::Quarter => format!("{:04}-Q{}", first.div_euclid(12), first.rem_euclid(12) / 3 + 1),
        }
    }

    /// Every period from the one that `from` is in to the one that `until` is in: its first month, its first moment and
    /// the first moment after it.
    pub fn between(self, from: TimeMs, until: TimeMs) -> Vec<(i32, TimeMs, TimeMs)> {
        let zone = Zone::of_bills();
        let mut found = Vec::new();
        let mut month = self.first(zone.month(from));
        while month <= zone.month(until) {
            let next = month + self.months();
            found.push((month, zone.month_range(month).0, zone.month_range(next).0));
            month = next;
        }
        found
    }
}

/// What one tenant used of one class in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Who.
    pub tenant: TenantId,
    /// Of what.
    pub class: Class,
    /// Work in GFLOP.
    pub work: i128,
    /// Time given of cores, in thousandths times milliseconds; of pools without devices alone.
    pub given_ms: i128,
    /// Processor time used of that, in milliseconds.
    pub cpu_ms: i128,
    /// Energy, of what knows it.
    pub energy: Option<EnergySum>,
}

/// A period as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its first month.
    pub month: i32,
    /// Its first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// What was there, in GFLOP by class.
    pub capacity: BTreeMap<Class, i128>,
    /// What was used.
    pub delivered: Vec<Delivered>,
}

/// The figures of one class in one period. Growth is told by pairs: now, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// What was there, in GFLOP.
    pub capacity: i128,
    /// What was used, in GFLOP.
    pub delivered: i128,
    /// Time given of cores, in thousandths times milliseconds.
    pub given_ms: i128,
    /// Processor time used of that, in milliseconds.
    pub cpu_ms: i128,
    /// Energy of what was used, of what knows it.
    pub energy: Option<EnergySum>,
    /// What was used in the period before; nothing known when absent.
    pub before: Option<i128>,
    /// What was used in the same period of the year before.
    pub year_before: Option<i128>,
    /// What was used in the year up to and with this period.
    pub to_date: i128,
    /// The same of the year before, where that year is known from its beginning.
    pub to_date_before: Option<i128>,
    /// Tenants by what they used, the most first, then by name.
    pub tenants: Vec<(TenantId, i128)>,
}

/// The figures of every period by class. Periods come in their order without gaps; classes are never added.
pub fn table(by: Periods, periods: &[Period]) -> Vec<BTreeMap<Class, Figures>> {
    let sums: Vec<BTreeMap<Class, Figures>> = periods.iter().map(measured).collect();
    let delivered = |at: usize, class: Class| sums[at].get(&class).map_or(0, |figures| figures.delivered);
    let year = usize::try_from(12 / by.months()).expect("a year has periods");
    let first_of_year = |at: usize| {
        let into = usize::try_from(periods[at].month.rem_euclid(12) / by.months()).expect("a period of a year");
        at.checked_sub(into)
    };
    let mut table = sums.clone();
    for (at, row) in table.iter_mut().enumerate() {
        for class in Class::ALL {
            let known = sums.iter().any(|period| period.contains_key(&class));
            if !known {
                continue;
            }
            let figures = row.entry(class).or_default();
            let sum = |from: usize, to: usize| (from..=to).map(|at| delivered(at, class)).sum::<i128>();
            figures.before = at.checked_sub(1).map(|before| delivered(before, class));
            figures.year_before = at.checked_sub(year).map(|before| delivered(before, class));
            figures.to_date = sum(first_of_year(at).unwrap_or(0), at);
            let last_year = at.checked_sub(year).and_then(|before| Some((first_of_year(before)?, before)));
            figures.to_date_before = last_year.map(|(from, to)| sum(from, to));
        }
    }
    table
}

fn measured(period: &Period) -> BTreeMap<Class, Figures> {
    let mut sums: BTreeMap<Class, Figures> = BTreeMap::new();
    for (class, capacity) in &period.capacity {
        sums.entry(*class).or_default().capacity = *capacity;
    }
    let mut tenants: BTreeMap<(Class, TenantId), i128> = BTreeMap::new();
    for one in &period.delivered {
        let figures = sums.entry(one.class).or_default();
        figures.delivered += one.work;
        figures.given_ms += one.given_ms;
        figures.cpu_ms += one.cpu_ms;
        EnergySum::add(&mut figures.energy, one.energy);
        *tenants.entry((one.class, one.tenant.clone())).or_default() += one.work;
    }
    for ((class, tenant), work) in tenants {
        sums.entry(class).or_default().tenants.push((tenant, work));
    }
    for figures in sums.values_mut() {
        figures.tenants.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::month_of_text;

    fn period(by: Periods, month: i32, work: &[(&str, Class, i128)]) -> Period {
        let zone = Zone::of_bills();
        let one = |(tenant, class, work): &(&str, Class, i128)| Delivered {
            tenant: TenantId::new(tenant).expect("a name"),
            class: *class,
            work: *work,
            given_ms: 0,
            cpu_ms: 0,
            energy: None,
        };
        Period {
            month,
            from: zone.month_range(month).0,
            until: zone.month_range(month + by.months()).0,
            capacity: BTreeMap::from([(Class::Hpc, 1000)]),
            delivered: work.iter().map(one).collect(),
        }
    }

    #[test]
    fn periods_are_compared_with_the_one_before_and_the_year_before() {
        let by = Periods::Month;
        let first = month_of_text("2025-11").expect("a month");
        let work = |at: i32| if at < 12 { 10 + i128::from(at) } else { 100 };
        let periods: Vec<Period> =
            (0..14).map(|at| period(by, first + at, &[("b", Class::Hpc, work(at)), ("a", Class::Hpc, 1)])).collect();
        let table = table(by, &periods);
        let at = |row: usize| &table[row][&Class::Hpc];
        assert_eq!((at(0).before, at(0).year_before, at(0).to_date), (None, None, 11));
        assert_eq!((at(1).before, at(1).to_date, at(2).to_date), (Some(11), 23, 13));
        assert_eq!((at(12).delivered, at(12).before, at(12).year_before), (101, Some(22), Some(11)));
        // 2025 is not known from its January on: nothing is claimed about it.
        assert_eq!(at(13).to_date_before, None);
        assert_eq!(at(13).tenants[0], (TenantId::new("b").expect("a name"), 100));
        assert_eq!(table[0].get(&Class::Ai), None);
    }

    #[test]
    fn quarters_follow_each_other() {
        let by = Periods::Quarter;
        let zone = Zone::of_bills();
        let month = |text| month_of_text(text).expect("a month");
        let from = zone.month_range(month("2025-05")).0;
        let until = zone.month_range(month("2026-08")).0;
        let between = by.between(from, until);
        let labels: Vec<String> = between.iter().map(|(first, ..)| by.label(*first)).collect();
        assert_eq!(labels, ["2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3"]);
        let periods: Vec<Period> =
            (0..8).map(|at| period(by, month("2025-01") + 3 * at, &[("a", Class::Ai, i128::from(at) + 1)])).collect();
        let table = table(by, &periods);
        let last = &table[7][&Class::Ai];
        assert_eq!((last.year_before, last.to_date, last.to_date_before), (Some(4), 26, Some(10)));
    }
}
