//! The reference model: maps of numbers, every operation on a copy that is kept when all of it was possible.

use std::collections::{BTreeMap, BTreeSet};

use crate::draw::{HOUR_0, Operation, What, Who};

/// An amount that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(crate) debit: Who,
    pub(crate) credit: Who,
    pub(crate) asset: What,
    pub(crate) amount: i64,
    pub(crate) expires_at: Option<i64>,
}

/// Books without any cleverness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) balances: BTreeMap<(Who, What), i128>,
    /// Attempt: tenant, currency, amount.
    pub(crate) holds: BTreeMap<u32, (u8, u8, i64)>,
    pub(crate) reserved: BTreeMap<u64, Reserved>,
    last: u64,
    closed: BTreeSet<Who>,
    open_from: What,
}

impl Reference {
    /// Takes an operation at `now`; false when it is refused, and then nothing has changed.
    pub(crate) fn take(&mut self, operation: &Operation, now: i64) -> bool {
        let mut copy = self.clone();
        let taken = copy.attempt(operation, now).is_some();
        if taken {
            *self = copy;
        }
        taken
    }

    pub(crate) fn balance(&self, who: Who, what: What) -> i128 {
        self.balances.get(&(who, what)).copied().unwrap_or(0)
    }

    fn attempt(&mut self, operation: &Operation, now: i64) -> Option<()> {
        match operation {
            Operation::Fund { tenant, currency, amount } => {
                yes(*amount > 0)?;
                self.shift(('F', 0), ('T', *tenant), *currency, *amount)
            }
            Operation::Hold { tenant, currency, attempts, each } => {
                yes(*each >= 0)?;
                let sum = i64::try_from(i128::from(*each) * attempts.len() as i128).ok()?;
                yes(i128::from(sum) <= self.balance(('T', *tenant), *currency))?;
                for attempt in attempts {
                    yes(self.holds.insert(*attempt, (*tenant, *currency, *each)).is_none())?;
                }
                self.shift(('T', *tenant), ('H', *tenant), *currency, sum)
            }
            Operation::Settle { attempt, centre, cost, work } => {
                let (tenant, currency, amount) = self.holds.remove(attempt)?;
                yes((0..=amount).contains(cost))?;
                self.shift(('H', tenant), ('C', *centre), currency, *cost)?;
                self.shift(('H', tenant), ('T', tenant), currency, amount - cost)?;
                self.shift(('D', *centre), ('U', tenant), 2, i64::try_from(*work).ok()?)
            }
            Operation::Void { attempt } => {
                let (tenant, currency, amount) = self.holds.remove(attempt)?;
                self.shift(('H', tenant), ('T', tenant), currency, amount)
            }
            _ => self.attempt_market(operation, now),
        }
    }

    fn attempt_market(&mut self, operation: &Operation, now: i64) -> Option<()> {
        match operation {
            Operation::Reserve { number, debit, credit, asset, amount, expires_at } => {
                let (debit, credit, expires_at) = (*debit, *credit, *expires_at);
                self.reserve(*number, Reserved { debit, credit, asset: *asset, amount: *amount, expires_at }, now)
            }
            Operation::PostReserved { number, amount } => {
                let found = self.reserved.remove(number)?;
                yes((0..=found.amount).contains(amount) && found.expires_at.is_none_or(|at| now < at))?;
                self.shift(('E', 0), found.credit, found.asset, *amount)?;
                self.shift(('E', 0), found.debit, found.asset, found.amount - amount)?;
                yes(self.balance(('L', 0), found.asset) == 0)
            }
            Operation::VoidReserved { number } => {
                let found = self.reserved.remove(number)?;
                self.shift(('E', 0), found.debit, found.asset, found.amount)
            }
            Operation::Expire => {
                let over = |found: &Reserved| found.expires_at.is_some_and(|at| at <= now);
                for found in self.reserved.values().filter(|found| over(found)).cloned().collect::<Vec<_>>() {
                    self.shift(('E', 0), found.debit, found.asset, found.amount)?;
                }
                self.reserved.retain(|_, found| !over(found));
                Some(())
            }
            Operation::Issue { centre, hour, amount, cap } => {
                let issued = i128::from(*amount) - self.balance(('I', *centre), *hour);
                yes(issued <= i128::from(*cap))?;
                self.shift(('I', *centre), ('S', *centre), *hour, *amount)
            }
            Operation::Trade { buyer, seller, hour, units, price, fee } => {
                self.shift(('T', *buyer), ('L', 0), 0, *price)?;
                self.shift(('S', *seller), ('O', *buyer), *hour, *units)?;
                self.shift(('L', 0), ('C', *seller), 0, price.checked_sub(*fee)?)?;
                self.shift(('L', 0), ('P', 0), 0, *fee)?;
                yes(self.balance(('L', 0), 0) == 0)
            }
            Operation::Return { who, centre, hour, units } => self.shift(*who, ('I', *centre), *hour, *units),
            Operation::CloseHours { open_from } => {
                let over = |what: What| (HOUR_0..*open_from).contains(&what);
                yes(!self.balances.iter().any(|((_, what), sum)| over(*what) && *sum != 0))?;
                self.balances.retain(|(_, what), _| !over(*what));
                self.open_from = self.open_from.max(*open_from);
                Some(())
            }
            Operation::Close { who } => {
                yes(!self.balances.iter().any(|((found, _), sum)| found == who && *sum != 0))?;
                yes(!self.reserved.values().any(|found| found.debit == *who || found.credit == *who))?;
                self.closed.insert(*who);
                Some(())
            }
            _ => unreachable!("the other operations are those of attempts"),
        }
    }

    fn reserve(&mut self, number: u64, wanted: Reserved, now: i64) -> Option<()> {
        if let Some(found) = self.reserved.get(&number) {
            return yes(*found == wanted);
        }
        yes(number > self.last && wanted.amount > 0 && wanted.expires_at.is_none_or(|at| now < at))?;
        yes([wanted.debit, wanted.credit].iter().all(|who| !matches!(who.0, 'E' | 'H')))?;
        yes(takes(wanted.credit, wanted.asset) && !self.closed.contains(&wanted.credit))?;
        self.shift(wanted.debit, ('E', 0), wanted.asset, wanted.amount)?;
        self.last = number;
        self.reserved.insert(number, wanted);
        Some(())
    }

    /// Moves an amount; nothing is moved by an amount of nothing.
    fn shift(&mut self, from: Who, to: Who, what: What, amount: i64) -> Option<()> {
        if amount == 0 {
            return Some(());
        }
        yes(amount > 0 && from != to && takes(from, what) && takes(to, what))?;
        yes(!self.closed.contains(&from) && !self.closed.contains(&to))?;
        yes(what < HOUR_0 || what >= self.open_from)?;
        for (who, by) in [(from, -i128::from(amount)), (to, i128::from(amount))] {
            let balance = self.balances.entry((who, what)).or_default();
            *balance += by;
            yes(match who.0 {
                'F' | 'D' | 'I' => *balance <= 0,
                'L' => true,
                _ => *balance >= 0,
            })?;
            yes(what >= 2 || who.0 == 'L' || balance.unsigned_abs() <= i64::MAX as u128)?;
        }
        Some(())
    }
}

fn takes(who: Who, what: What) -> bool {
    match who.0 {
        'U' | 'D' => what == 2,
        'I' | 'S' | 'O' => what >= HOUR_0,
        'E' | 'L' => what != 2,
        _ => what < 2,
    }
}

fn yes(holds: bool) -> Option<()> {
    holds.then_some(())
}
