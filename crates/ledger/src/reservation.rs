//! Amounts that are set aside for a while: reserved, then posted, voided or expired. The time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::TimeMs;
use serde::{Deserialize, Serialize};

use crate::{
    account::Account,
    asset::Asset,
    audit::AuditError,
    error::LedgerError,
    transfer::{Transfer, TransferKind},
};

/// An amount that is set aside on [`Account::Escrow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Whose it was; what is not posted goes back there.
    pub debit: Account,
    /// Who gets what is posted.
    pub credit: Account,
    /// What.
    pub asset: Asset,
    /// How much: millionths of the currency, or GFLOP; more than nothing.
    pub amount: i64,
    /// From when on it cannot be posted any more; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<TimeMs>,
}

impl Reservation {
    pub(crate) fn reserved(&self) -> Transfer {
        Transfer::new(TransferKind::Reserve, self.asset, self.debit.clone(), Account::Escrow, self.amount)
    }

    /// What is posted, then what goes back.
    pub(crate) fn resolved(&self, posted: i64, rest: TransferKind) -> [Transfer; 2] {
        [
            Transfer::new(TransferKind::Post, self.asset, Account::Escrow, self.credit.clone(), posted),
            Transfer::new(rest, self.asset, Account::Escrow, self.debit.clone(), self.amount - posted),
        ]
    }
}

/// All open reservations. Numbers are given by the caller and only rise, so that a number that was resolved is
/// known as such without being kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reservations {
    open: BTreeMap<u64, Reservation>,
    last: u64,
    deadlines: BTreeSet<(TimeMs, u64)>,
    /// The sums of `open`, kept apart from the balances so that the two can be compared. Zeros are not kept.
    sums: BTreeMap<Asset, i128>,
}

impl Reservations {
    pub(crate) fn restore(rows: Vec<(u64, Reservation)>, last: u64) -> Result<Self, AuditError> {
        let mut all = Self::default();
        for (number, reservation) in rows {
            if number > last || reservation.amount <= 0 || all.open.contains_key(&number) {
                return Err(AuditError::Reservation { reservation: number, last });
            }
            all.insert(number, reservation);
        }
        all.last = last;
        Ok(all)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Reservation)> + '_ {
        self.open.iter().map(|(number, reservation)| (*number, reservation))
    }

    /// The highest number ever given.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn sum(&self, asset: Asset) -> i128 {
        self.sums.get(&asset).copied().unwrap_or(0)
    }

    /// A reservation that names the account on one of its sides.
    pub(crate) fn naming(&self, account: &Account) -> Option<u64> {
        self.iter().find(|(_, found)| found.debit == *account || found.credit == *account).map(|(number, _)| number)
    }

    pub(crate) fn find(&self, number: u64) -> Result<&Reservation, LedgerError> {
        self.open.get(&number).ok_or(LedgerError::NotReserved { reservation: number })
    }

    /// Whether the number is new. The same reservation under the same number is an order that came twice.
    pub(crate) fn is_new(&self, number: u64, wanted: &Reservation) -> Result<bool, LedgerError> {
        match self.open.get(&number) {
            Some(found) if found == wanted => Ok(false),
            Some(_) => Err(LedgerError::OtherReservation { reservation: number }),
            None if number <= self.last => Err(LedgerError::NotReserved { reservation: number }),
            None => Ok(true),
        }
    }

    /// The numbers of what has expired, those that did first before the others.
    pub(crate) fn expired(&self, now: TimeMs) -> Vec<u64> {
        self.deadlines.range(..=(now, u64::MAX)).map(|(_, number)| *number).collect()
    }

    pub(crate) fn insert(&mut self, number: u64, reservation: Reservation) {
        self.add(reservation.asset, i128::from(reservation.amount));
        self.deadlines.extend(reservation.expires_at.map(|at| (at, number)));
        self.last = self.last.max(number);
        self.open.insert(number, reservation);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        let found = self.open.remove(&number).expect("a resolved reservation was found before");
        self.add(found.asset, -i128::from(found.amount));
        if let Some(at) = found.expires_at {
            self.deadlines.remove(&(at, number));
        }
    }

    fn add(&mut self, asset: Asset, amount: i128) {
        let sum = self.sum(asset) + amount;
        if sum == 0 {
            self.sums.remove(&asset);
        } else {
            self.sums.insert(asset, sum);
        }
    }
}
