//! The balances and the operations on them: fund, hold, then settle or void.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, CentreId, Class, Gflop, Money, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, Asset, Currency},
    audit::{self, AuditError},
    error::LedgerError,
    transfer::{Transfer, TransferKind},
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

/// All balances of a network and what is held for its attempts.
///
/// Every operation returns the transfers it made, for the rows of the store, or an error, and then
/// nothing has changed. Transfers of nothing are left out. After each operation the balances that it
/// touched are checked against the rules of [`audit`], in all builds: a ledger that
/// broke a rule stops the process instead of being stored.
///
/// All money of one currency together fits into 64 bits, as funding beyond that is refused; so does
/// every balance of money. Balances of work are 128 bits wide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    balances: BTreeMap<(Account, Asset), i128>,
    holds: BTreeMap<AttemptId, Hold>,
    /// The sum of `holds` by tenant, kept apart from the balances so that the two can be compared.
    held_sums: BTreeMap<(TenantId, Currency), i128>,
}

impl Ledger {
    /// No account has a balance.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger of stored rows, after a full [`audit`](Self::audit).
    pub fn restore(
        balances: impl IntoIterator<Item = ((Account, Asset), i128)>,
        holds: impl IntoIterator<Item = (AttemptId, Hold)>,
    ) -> Result<Self, AuditError> {
        let mut ledger = Self::new();
        for ((account, asset), balance) in balances {
            if ledger.balances.insert((account.clone(), asset), balance).is_some() {
                return Err(AuditError::BalanceTwice { account, asset });
            }
        }
        for (attempt, hold) in holds {
            ledger.add_held(&hold.tenant, hold.currency, i128::from(hold.amount.0));
            if ledger.holds.insert(attempt, hold).is_some() {
                return Err(AuditError::HoldTwice { attempt });
            }
        }
        ledger.audit()?;
        Ok(ledger)
    }

    /// Recomputes every sum from nothing; O(balances + holds).
    pub fn audit(&self) -> Result<(), AuditError> {
        audit::audit(&self.balances, &self.holds)?;
        for ((tenant, currency), sum) in &self.held_sums {
            audit::held_is(tenant, *currency, self.held_balance(tenant, *currency), *sum)?;
        }
        Ok(())
    }

    /// Gives a tenant money to spend. The amount is positive.
    pub fn fund(&mut self, tenant: &TenantId, currency: Currency, amount: Money) -> Result<Vec<Transfer>, LedgerError> {
        if amount.0 <= 0 {
            return Err(LedgerError::Sign { operation: "fund", amount, expected: "more than nothing" });
        }
        let sum = i128::from(amount.0) - self.balance(&Account::Funding, Asset::Currency(currency));
        if sum > i128::from(i64::MAX) {
            return Err(LedgerError::TooLarge { operation: "fund", sum });
        }
        let transfer = Transfer {
            kind: TransferKind::Fund,
            asset: Asset::Currency(currency),
            debit: Account::Funding,
            credit: Account::Tenant(tenant.clone()),
            amount: amount.0,
            attempt: None,
            job: None,
        };
        Ok(self.book(vec![transfer]))
    }

    /// Sets `amount_each` aside for every one of `attempts`, or refuses all of them. One transfer moves
    /// the sum; it names the job when all attempts are of one, and the attempt when it is one.
    pub fn hold(
        &mut self,
        tenant: &TenantId,
        currency: Currency,
        attempts: impl IntoIterator<Item = AttemptId>,
        amount_each: Money,
    ) -> Result<Vec<Transfer>, LedgerError> {
        if amount_each.0 < 0 {
            return Err(LedgerError::Sign { operation: "hold", amount: amount_each, expected: "nothing or more" });
        }
        let attempts: Vec<AttemptId> = attempts.into_iter().collect();
        let count = i128::try_from(attempts.len()).expect("a count of elements in memory fits into 128 bits");
        let sum = i128::from(amount_each.0) * count;
        let sum = i64::try_from(sum).map_err(|_| LedgerError::TooLarge { operation: "hold", sum })?;
        let available = self.available(tenant, currency);
        if sum > available.0 {
            let (tenant, needed) = (tenant.clone(), Money(sum));
            return Err(LedgerError::Unaffordable { tenant, currency, needed, available });
        }
        self.remember(tenant, currency, &attempts, amount_each)?;
        let job = attempts.first().map(|first| first.job);
        let transfer = Transfer {
            kind: TransferKind::Hold,
            asset: Asset::Currency(currency),
            debit: Account::Tenant(tenant.clone()),
            credit: Account::Held(tenant.clone()),
            amount: sum,
            attempt: if attempts.len() == 1 { attempts.first().copied() } else { None },
            job: job.filter(|&job| attempts.iter().all(|attempt| attempt.job == job)),
        };
        Ok(self.book(vec![transfer]))
    }

    /// Ends an attempt: posts `cost` from its hold to the centre, gives the rest back to the tenant and
    /// books `work` as delivered by the centre and used by the tenant. The hold is gone afterwards, so a
    /// second settlement of the same attempt is [`LedgerError::NotHeld`].
    pub fn settle(
        &mut self,
        attempt: AttemptId,
        centre: &CentreId,
        cost: Money,
        class: Class,
        work: Gflop,
    ) -> Result<Vec<Transfer>, LedgerError> {
        let hold = self.find(attempt)?;
        if cost.0 < 0 {
            return Err(LedgerError::Sign { operation: "post", amount: cost, expected: "nothing or more" });
        }
        if cost > hold.amount {
            return Err(LedgerError::AboveHold { attempt, cost, hold: hold.amount });
        }
        let sum = i128::from(work.0);
        let work = i64::try_from(sum).map_err(|_| LedgerError::TooLarge { operation: "book as work", sum })?;
        let money = Asset::Currency(hold.currency);
        let held = || Account::Held(hold.tenant.clone());
        let transfer = |kind, asset, debit, credit, amount| Transfer {
            kind,
            asset,
            debit,
            credit,
            amount,
            attempt: Some(attempt),
            job: Some(attempt.job),
        };
        let transfers = vec![
            transfer(TransferKind::Post, money, held(), Account::Centre(centre.clone()), cost.0),
            transfer(TransferKind::Void, money, held(), Account::Tenant(hold.tenant.clone()), hold.amount.0 - cost.0),
            transfer(
                TransferKind::Work,
                Asset::Work(class),
                Account::Delivered(centre.clone()),
                Account::Used(hold.tenant.clone()),
                work,
            ),
        ];
        self.forget(attempt);
        Ok(self.book(transfers))
    }

    /// Gives the whole hold of an attempt back to its tenant: it cost nothing and did nothing.
    pub fn void(&mut self, attempt: AttemptId) -> Result<Vec<Transfer>, LedgerError> {
        let hold = self.find(attempt)?;
        let transfer = Transfer {
            kind: TransferKind::Void,
            asset: Asset::Currency(hold.currency),
            debit: Account::Held(hold.tenant.clone()),
            credit: Account::Tenant(hold.tenant),
            amount: hold.amount.0,
            attempt: Some(attempt),
            job: Some(attempt.job),
        };
        self.forget(attempt);
        Ok(self.book(vec![transfer]))
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

    /// Every balance that was ever touched, in the order of accounts and assets.
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

    fn held_balance(&self, tenant: &TenantId, currency: Currency) -> i128 {
        self.balance(&Account::Held(tenant.clone()), Asset::Currency(currency))
    }

    fn find(&self, attempt: AttemptId) -> Result<Hold, LedgerError> {
        let hold = self.holds.get(&attempt).cloned();
        hold.ok_or(LedgerError::NotHeld { attempt })
    }

    /// Adds the holds of all attempts or of none.
    fn remember(
        &mut self,
        tenant: &TenantId,
        currency: Currency,
        attempts: &[AttemptId],
        amount: Money,
    ) -> Result<(), LedgerError> {
        for (done, attempt) in attempts.iter().enumerate() {
            if self.holds.contains_key(attempt) {
                for undone in &attempts[..done] {
                    self.holds.remove(undone);
                }
                return Err(LedgerError::AlreadyHeld { attempt: *attempt });
            }
            self.holds.insert(*attempt, Hold { tenant: tenant.clone(), currency, amount });
        }
        let count = i128::try_from(attempts.len()).expect("a count of elements in memory fits into 128 bits");
        self.add_held(tenant, currency, i128::from(amount.0) * count);
        Ok(())
    }

    fn forget(&mut self, attempt: AttemptId) {
        let hold = self.holds.remove(&attempt).expect("the caller has found this hold");
        self.add_held(&hold.tenant, hold.currency, -i128::from(hold.amount.0));
    }

    /// Sums of zero are not kept, so that a restored ledger equals the one it was stored from.
    fn add_held(&mut self, tenant: &TenantId, currency: Currency, amount: i128) {
        let key = (tenant.clone(), currency);
        let sum = self.held_sums.get(&key).copied().unwrap_or(0) + amount;
        if sum == 0 {
            self.held_sums.remove(&key);
        } else {
            self.held_sums.insert(key, sum);
        }
    }

    /// Moves the amounts and checks every balance that was touched. Transfers of nothing are dropped.
    fn book(&mut self, mut transfers: Vec<Transfer>) -> Vec<Transfer> {
        transfers.retain(|transfer| transfer.amount != 0);
        for posting in transfers.iter().flat_map(Transfer::postings) {
            let balance = self.balances.entry((posting.account, posting.asset)).or_default();
            *balance = balance
                .checked_add(i128::from(posting.amount))
                .expect("2^64 postings of 64 bits are needed to overflow 128 bits");
        }
        for posting in transfers.iter().flat_map(Transfer::postings) {
            self.assert_balance(&posting.account, posting.asset);
        }
        transfers
    }

    /// Panics when a balance breaks a rule: the process must not go on, as it would store the damage.
    fn assert_balance(&self, account: &Account, asset: Asset) {
        let balance = self.balance(account, asset);
        if let Err(error) = audit::balance_is_legal(account, asset, balance) {
            panic!("{error}");
        }
        if let (Account::Held(tenant), Asset::Currency(currency)) = (account, asset) {
            let sum = self.held_sums.get(&(tenant.clone(), currency)).copied().unwrap_or(0);
            if let Err(error) = audit::held_is(tenant, currency, balance, sum) {
                panic!("{error}");
            }
        }
    }
}

fn money(balance: i128) -> Money {
    Money(i64::try_from(balance).expect("all money of a currency fits into 64 bits: `fund` refuses more"))
}
