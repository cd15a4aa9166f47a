//! Steps that belong together: all of them are done or none, so that a delivery and its payment cannot part.

use std::collections::BTreeSet;

use huisuan_model::{CentreId, Money, TimeMs};

use crate::{
    account::Account,
    asset::{Asset, Contract},
    error::LedgerError,
    ledger::Ledger,
    reservation::Reservation,
    transfer::{Transfer, TransferKind},
};

/// One of several steps that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Moves an amount.
    Move(Transfer),
    /// Sets an amount aside under a number that is higher than all before it.
    Reserve(u64, Reservation),
    /// Gives so much of a reservation to whom it is for and the rest back.
    Post(u64, i64),
    /// Gives a whole reservation back.
    Void(u64),
}

impl Ledger {
    /// Takes all steps or none, each on what those before it left. A reservation is named by one step at most. What
    /// is reserved a second time under the same number is left as it is.
    pub fn linked(&mut self, steps: Vec<Step>, now: TimeMs) -> Result<Vec<Transfer>, LedgerError> {
        let (mut transfers, mut opened, mut resolved) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut once = BTreeSet::new();
        for step in steps {
            if let Step::Reserve(number, _) | Step::Post(number, _) | Step::Void(number) = &step
                && !once.insert(*number)
            {
                return Err(LedgerError::OtherReservation { reservation: *number });
            }
            match step {
                Step::Move(transfer) => {
                    not_set_aside([&transfer.debit, &transfer.credit])?;
                    transfers.push(transfer);
                }
                Step::Reserve(number, reservation) => {
                    if self.may_reserve(number, &reservation, &opened, now)? {
                        transfers.push(reservation.reserved());
                        opened.push((number, reservation));
                    }
                }
                Step::Post(number, amount) => {
                    let found = self.reservations.find(number)?;
                    may_post(number, found, amount, now)?;
                    transfers.extend(found.resolved(amount, TransferKind::Void));
                    resolved.insert(number);
                }
                Step::Void(number) => {
                    transfers.extend(self.reservations.find(number)?.resolved(0, TransferKind::Void));
                    resolved.insert(number);
                }
            }
        }
        let transfers = self.book(transfers)?;
        resolved.into_iter().for_each(|number| self.reservations.remove(number));
        opened.into_iter().for_each(|(number, reservation)| self.reservations.insert(number, reservation));
        self.assert_set_aside(&transfers);
        Ok(transfers)
    }

    /// Gives back every reservation whose time is over at `now`.
    pub fn expire(&mut self, now: TimeMs) -> Vec<Transfer> {
        let mut transfers = Vec::new();
        for number in self.reservations.expired(now) {
            let found = self.reservations.find(number).expect("a deadline has its reservation");
            let back = found.resolved(0, TransferKind::Expire);
            let booked = self.book(back.into()).expect("what was set aside can go back where it came from");
            self.reservations.remove(number);
            self.assert_set_aside(&booked);
            transfers.extend(booked);
        }
        transfers
    }

    /// Makes contracts of a centre for one hour, up to `cap` in all: what its rated capacity can do in that hour.
    pub fn issue(
        &mut self,
        centre: &CentreId,
        contract: Contract,
        amount: i64,
        cap: i64,
    ) -> Result<Vec<Transfer>, LedgerError> {
        let (asset, source) = (Asset::Contract(contract), Account::Issued(centre.clone()));
        let issued = i128::from(amount) - self.balance(&source, asset);
        if issued > i128::from(cap) {
            return Err(LedgerError::AboveCap { centre: centre.clone(), asset, issued, cap });
        }
        self.book(vec![Transfer::new(TransferKind::Issue, asset, source, Account::Stock(centre.clone()), amount)])
    }

    /// Whether it is to be reserved, and not already.
    fn may_reserve(
        &self,
        number: u64,
        wanted: &Reservation,
        opened: &[(u64, Reservation)],
        now: TimeMs,
    ) -> Result<bool, LedgerError> {
        if !self.reservations.is_new(number, wanted)? {
            return Ok(false);
        }
        if wanted.amount <= 0 {
            let amount = Money(wanted.amount);
            return Err(LedgerError::Sign { operation: "reserve", amount, expected: "more than nothing" });
        }
        not_set_aside([&wanted.debit, &wanted.credit])?;
        if !wanted.credit.takes(wanted.asset) {
            return Err(LedgerError::WrongAsset { account: wanted.credit.clone(), asset: wanted.asset });
        }
        // Somewhere that is closed now would leave the reservation without a way to be posted.
        if self.closed().any(|account| *account == wanted.credit) {
            return Err(LedgerError::Closed { account: wanted.credit.clone() });
        }
        if opened.last().is_some_and(|(last, _)| number < *last) {
            return Err(LedgerError::NotReserved { reservation: number });
        }
        if wanted.expires_at.is_some_and(|at| at <= now) {
            return Err(LedgerError::Expired { reservation: number });
        }
        Ok(true)
    }
}

fn not_set_aside(accounts: [&Account; 2]) -> Result<(), LedgerError> {
    match accounts.into_iter().find(|account| account.is_set_aside()) {
        Some(account) => Err(LedgerError::SetAside { account: account.clone() }),
        None => Ok(()),
    }
}

fn may_post(number: u64, found: &Reservation, amount: i64, now: TimeMs) -> Result<(), LedgerError> {
    if amount < 0 {
        return Err(LedgerError::Sign { operation: "post", amount: Money(amount), expected: "nothing or more" });
    }
    if amount > found.amount {
        return Err(LedgerError::AboveReserved { reservation: number, amount, reserved: found.amount });
    }
    if found.expires_at.is_some_and(|at| at <= now) {
        return Err(LedgerError::Expired { reservation: number });
    }
    Ok(())
}
