//! The balances, and the one way in which they change.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{AttemptId, CentreId, Money, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, Side},
    asset::{Asset, Currency, Hour},
    audit::{self, AuditError},
    error::LedgerError,
    reservation::{Reservation, Reservations},
    transfer::Transfer,
};

mod correct;

/// Money set aside for one attempt until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Who pays.
    pub tenant: TenantId,
    /// In what.
    pub currency: Currency,
    /// How much; zero at a centre that asks nothing.
    pub amount: Money,
}

/// What a ledger is restored from.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Every balance: millionths of a currency, or GFLOP.
    pub balances: Vec<((Account, Asset), i128)>,
    /// Every hold.
    pub holds: Vec<(AttemptId, Hold)>,
    /// Every open reservation by its number.
    pub reservations: Vec<(u64, Reservation)>,
    /// The highest number that a reservation ever had; 0 for none.
    pub reservation_last: u64,
    /// Accounts that take nothing any more.
    pub closed: Vec<Account>,
    /// Contracts for hours before this one are over.
    pub open_from: Hour,
}

/// All balances of a network and what is set aside in it.
///
/// An operation returns the transfers that it made, for the rows of the store, or an error, and then nothing has
/// changed. Transfers of nothing are left out. Every operation checks the rules of [`audit`] for the balances that
/// it touches, in all builds. Start at [`attempts`](crate::attempts) for what control does with it, at
/// [`linked`](Self::linked) for what markets do.
///
/// All money of one currency fits into 64 bits, as funding beyond that is refused; so does every balance of money
/// and of a contract. Balances of work are 128 bits wide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    pub(crate) balances: BTreeMap<(Account, Asset), i128>,
    pub(crate) holds: BTreeMap<AttemptId, Hold>,
    /// The sum of `holds` by tenant, kept apart from the balances so that the two can be compared.
    pub(crate) held_sums: BTreeMap<(TenantId, Currency), i128>,
    pub(crate) reservations: Reservations,
    closed: BTreeSet<Account>,
    open_from: Hour,
}

impl Ledger {
    /// No account has a balance.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger of stored rows, after a full [`audit`](Self::audit).
    pub fn restore(rows: Rows) -> Result<Self, AuditError> {
        let mut ledger = Self { open_from: rows.open_from, ..Self::new() };
        for ((account, asset), balance) in rows.balances {
            if balance == 0 && !ledger.is_open(asset) {
                continue;
            }
            if ledger.balances.insert((account.clone(), asset), balance).is_some() {
                return Err(AuditError::BalanceTwice { account, asset });
            }
        }
        for (attempt, hold) in rows.holds {
            ledger.add_held(&hold.tenant, hold.currency, i128::from(hold.amount.0));
            if ledger.holds.insert(attempt, hold).is_some() {
                return Err(AuditError::HoldTwice { attempt });
            }
        }
        ledger.reservations = Reservations::restore(rows.reservations, rows.reservation_last)?;
        ledger.closed = rows.closed.into_iter().collect();
        ledger.audit()?;
        Ok(ledger)
    }

    /// What it can be restored from.
    pub fn rows(&self) -> Rows {
        Rows {
            balances: self.balances.iter().map(|(key, balance)| (key.clone(), *balance)).collect(),
            holds: self.holds().map(|(attempt, hold)| (attempt, hold.clone())).collect(),
            reservations: self.reservations().map(|(number, found)| (number, found.clone())).collect(),
            reservation_last: self.reservations.last(),
            closed: self.closed.iter().cloned().collect(),
            open_from: self.open_from,
        }
    }

    /// Recomputes every sum from nothing; O(balances + holds + reservations).
    pub fn audit(&self) -> Result<(), AuditError> {
        audit::audit(&self.balances, &self.holds, &self.reservations)?;
        for ((tenant, currency), sum) in &self.held_sums {
            audit::held_is(tenant, *currency, self.held_balance(tenant, *currency), *sum)?;
        }
        let not_empty = |account: &&Account| self.balances_of(account).any(|(_, balance)| balance != 0);
        match self.closed.iter().find(not_empty) {
            Some(account) => Err(AuditError::Closed { account: account.clone() }),
            None => Ok(()),
        }
    }

    /// What a tenant may still spend, in millionths of the currency.
    pub fn available(&self, tenant: &TenantId, currency: Currency) -> Money {
        money(self.balance(&Account::Tenant(tenant.clone()), Asset::Currency(currency)))
    }

    /// What is set aside for a tenant's attempts, in millionths of the currency.
    pub fn held(&self, tenant: &TenantId, currency: Currency) -> Money {
        money(self.held_balance(tenant, currency))
    }

    /// What a centre has earned, in millionths of the currency.
    pub fn earned(&self, centre: &CentreId, currency: Currency) -> Money {
        money(self.balance(&Account::Centre(centre.clone()), Asset::Currency(currency)))
    }

    /// The balance of one account in one asset: millionths of the currency, or GFLOP; 0 when it never had one.
    pub fn balance(&self, account: &Account, asset: Asset) -> i128 {
        self.balances.get(&(account.clone(), asset)).copied().unwrap_or(0)
    }

    /// Every balance that was ever touched, in the order of accounts and assets. Those of contracts that are over
    /// are left out.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Asset, i128)> + '_ {
        self.balances.iter().map(|((account, asset), balance)| (account, *asset, *balance))
    }

    /// What is held for an attempt that has not ended.
    pub fn hold_of(&self, attempt: AttemptId) -> Option<&Hold> {
        self.holds.get(&attempt)
    }

    /// Every hold in the order of attempts.
    pub fn holds(&self) -> impl Iterator<Item = (AttemptId, &Hold)> + '_ {
        self.holds.iter().map(|(attempt, hold)| (*attempt, hold))
    }

    /// Every open reservation in the order of numbers.
    pub fn reservations(&self) -> impl Iterator<Item = (u64, &Reservation)> + '_ {
        self.reservations.iter()
    }

    /// Accounts that take nothing any more.
    pub fn closed(&self) -> impl Iterator<Item = &Account> + '_ {
        self.closed.iter()
    }

    /// Closes an account for good. It must be empty, and no reservation may name it.
    pub fn close(&mut self, account: &Account) -> Result<(), LedgerError> {
        let held = self.balances_of(account).find(|(_, balance)| *balance != 0);
        if let Some((asset, balance)) = held {
            return Err(LedgerError::NotEmpty { account: account.clone(), asset, balance });
        }
        if let Some(reservation) = self.reservations.naming(account) {
            return Err(LedgerError::Reserved { account: account.clone(), reservation });
        }
        self.closed.insert(account.clone());
        Ok(())
    }

    /// Ends all hours before `open_from`: what was issued for them must have come back. Their balances are
    /// forgotten, and nothing can be booked for them any more.
    pub fn close_hours(&mut self, open_from: Hour) -> Result<(), LedgerError> {
        let over = |asset: Asset| matches!(asset, Asset::Contract(contract) if contract.hour < open_from);
        let left = self.balances().find(|(_, asset, balance)| over(*asset) && *balance != 0);
        if let Some((account, asset, balance)) = left {
            return Err(LedgerError::NotEmpty { account: account.clone(), asset, balance });
        }
        self.balances.retain(|(_, asset), _| !over(*asset));
        self.open_from = self.open_from.max(open_from);
        Ok(())
    }

    pub(crate) fn held_balance(&self, tenant: &TenantId, currency: Currency) -> i128 {
        self.balance(&Account::Held(tenant.clone()), Asset::Currency(currency))
    }

    /// Sums of zero are not kept, so that a restored ledger equals the one it was stored from.
    pub(crate) fn add_held(&mut self, tenant: &TenantId, currency: Currency, amount: i128) {
        let key = (tenant.clone(), currency);
        let sum = self.held_sums.get(&key).copied().unwrap_or(0) + amount;
        if sum == 0 {
            self.held_sums.remove(&key);
        } else {
            self.held_sums.insert(key, sum);
        }
    }

    /// Moves all amounts or none, each on what those before it left. Transfers of nothing are dropped.
    pub(crate) fn book(&mut self, mut transfers: Vec<Transfer>) -> Result<Vec<Transfer>, LedgerError> {
        transfers.retain(|transfer| transfer.amount != 0);
        // In the order of accounts: most operations touch two or three.
        let mut after: Vec<((&Account, Asset), i128)> = Vec::with_capacity(2 * transfers.len());
        for transfer in &transfers {
            self.may_move(transfer)?;
            for (account, amount) in
                [(&transfer.debit, -i128::from(transfer.amount)), (&transfer.credit, i128::from(transfer.amount))]
            {
                let asset = transfer.asset;
                let at = after.binary_search_by(|(known, _)| known.cmp(&(account, asset))).unwrap_or_else(|at| {
                    after.insert(at, ((account, asset), self.balance(account, asset)));
                    at
                });
                let balance = &mut after[at].1;
                *balance =
                    balance.checked_add(amount).ok_or(LedgerError::TooLarge { operation: "book", sum: *balance })?;
                balance_fits(account, asset, *balance, transfer.amount)?;
            }
        }
        // What is on its way when the transfers are done has been taken from somebody and given to nobody.
        let left = after.iter().find(|((account, _), balance)| account.side() == Side::Passage && *balance != 0);
        if let Some(&((_, asset), balance)) = left {
            return Err(LedgerError::NotCleared { asset, balance });
        }
        let after: Vec<_> = after.into_iter().map(|((account, asset), sum)| ((account.clone(), asset), sum)).collect();
        self.balances.extend(after);
        Ok(transfers)
    }

    /// Panics when what is set aside is not what its accounts have: the process must not go on, as it would store
    /// the damage. Called after every operation with the transfers that it made.
    pub(crate) fn assert_set_aside(&self, transfers: &[Transfer]) {
        for transfer in transfers {
            for account in [&transfer.debit, &transfer.credit] {
                let balance = || self.balance(account, transfer.asset);
                let found = match (account, transfer.asset) {
                    (Account::Held(tenant), Asset::Currency(currency)) => {
                        let sum = self.held_sums.get(&(tenant.clone(), currency)).copied().unwrap_or(0);
                        audit::held_is(tenant, currency, balance(), sum)
                    }
                    (Account::Escrow, asset) => audit::escrow_is(asset, balance(), self.reservations.sum(asset)),
                    _ => Ok(()),
                };
                if let Err(error) = found {
                    panic!("{error}");
                }
            }
        }
    }

    fn may_move(&self, transfer: &Transfer) -> Result<(), LedgerError> {
        let Transfer { asset, debit, credit, amount, .. } = transfer;
        if *amount < 0 {
            let amount = Money(*amount);
            return Err(LedgerError::Sign { operation: "transfer", amount, expected: "more than nothing" });
        }
        if debit == credit {
            return Err(LedgerError::SameAccount { account: debit.clone() });
        }
        for account in [debit, credit] {
            if !account.takes(*asset) {
                return Err(LedgerError::WrongAsset { account: account.clone(), asset: *asset });
            }
            if self.closed.contains(account) {
                return Err(LedgerError::Closed { account: account.clone() });
            }
        }
        if self.is_open(*asset) { Ok(()) } else { Err(LedgerError::Over { asset: *asset }) }
    }

    fn is_open(&self, asset: Asset) -> bool {
        !matches!(asset, Asset::Contract(contract) if contract.hour < self.open_from)
    }

    fn balances_of(&self, account: &Account) -> impl Iterator<Item = (Asset, i128)> + '_ {
        let wanted = account.clone();
        let from = (account.clone(), Asset::FIRST);
        let all = self.balances.range(from..).take_while(move |((account, _), _)| *account == wanted);
        all.map(|((_, asset), balance)| (*asset, *balance))
    }
}

/// The rule for one balance, as a refusal.
fn balance_fits(account: &Account, asset: Asset, balance: i128, amount: i64) -> Result<(), LedgerError> {
    match audit::balance_is_legal(account, asset, balance) {
        Ok(()) => Ok(()),
        Err(_) if account.side() == Side::Passage => Ok(()),
        Err(_) if balance.unsigned_abs() > u128::from(i64::MAX.unsigned_abs()) => {
            Err(LedgerError::TooLarge { operation: "book", sum: balance })
        }
        Err(_) => Err(LedgerError::Overdraft { account: account.clone(), asset, amount, balance }),
    }
}

fn money(balance: i128) -> Money {
    Money(i64::try_from(balance).expect("all money of a currency fits into 64 bits: `fund` refuses more"))
}
