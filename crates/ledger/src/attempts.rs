//! What control does with the books: money is given to tenants, held for attempts, and settled when they end.

use std::collections::BTreeSet;

use huisuan_model::{AttemptId, CentreId, Class, Gflop, Money, TenantId};

use crate::{
    account::Account,
    asset::{Asset, Currency},
    error::LedgerError,
    ledger::{Hold, Ledger},
    transfer::{Transfer, TransferKind},
};

impl Ledger {
    /// Gives a tenant money to spend. The amount is positive.
    pub fn fund(&mut self, tenant: &TenantId, currency: Currency, amount: Money) -> Result<Vec<Transfer>, LedgerError> {
        if amount.0 <= 0 {
            return Err(LedgerError::Sign { operation: "fund", amount, expected: "more than nothing" });
        }
        let sum = i128::from(amount.0) - self.balance(&Account::Funding, Asset::Currency(currency));
        if sum > i128::from(i64::MAX) {
            return Err(LedgerError::TooLarge { operation: "fund", sum });
        }
        let (asset, tenant) = (Asset::Currency(currency), Account::Tenant(tenant.clone()));
        self.book(vec![Transfer::new(TransferKind::Fund, asset, Account::Funding, tenant, amount.0)])
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
        self.none_is_held(&attempts)?;
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
        let transfers = self.book(vec![transfer])?;
        for attempt in attempts {
            self.holds.insert(attempt, Hold { tenant: tenant.clone(), currency, amount: amount_each });
        }
        self.add_held(tenant, currency, i128::from(sum));
        self.assert_set_aside(&transfers);
        Ok(transfers)
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
        let (centre_account, free) = (Account::Centre(centre.clone()), Account::Tenant(hold.tenant.clone()));
        let (delivered, used) = (Account::Delivered(centre.clone()), Account::Used(hold.tenant.clone()));
        let transfers = vec![
            Transfer::new(TransferKind::Post, money, held(), centre_account, cost.0).of(attempt),
            Transfer::new(TransferKind::Void, money, held(), free, hold.amount.0 - cost.0).of(attempt),
            Transfer::new(TransferKind::Work, Asset::Work(class), delivered, used, work).of(attempt),
        ];
        self.release(attempt, &hold, transfers)
    }

    /// Gives the whole hold of an attempt back to its tenant: it cost nothing and did nothing.
    pub fn void(&mut self, attempt: AttemptId) -> Result<Vec<Transfer>, LedgerError> {
        let hold = self.find(attempt)?;
        let (held, free) = (Account::Held(hold.tenant.clone()), Account::Tenant(hold.tenant.clone()));
        let transfer = Transfer::new(TransferKind::Void, Asset::Currency(hold.currency), held, free, hold.amount.0);
        self.release(attempt, &hold, vec![transfer.of(attempt)])
    }

    fn release(
        &mut self,
        attempt: AttemptId,
        hold: &Hold,
        transfers: Vec<Transfer>,
    ) -> Result<Vec<Transfer>, LedgerError> {
        let transfers = self.book(transfers)?;
        self.holds.remove(&attempt);
        self.add_held(&hold.tenant, hold.currency, -i128::from(hold.amount.0));
        self.assert_set_aside(&transfers);
        Ok(transfers)
    }

    fn find(&self, attempt: AttemptId) -> Result<Hold, LedgerError> {
        let hold = self.holds.get(&attempt).cloned();
        hold.ok_or(LedgerError::NotHeld { attempt })
    }

    /// Refuses an attempt that has a hold or is named twice.
    fn none_is_held(&self, attempts: &[AttemptId]) -> Result<(), LedgerError> {
        let mut named = BTreeSet::new();
        let taken =
            |attempt: &&AttemptId| self.holds.contains_key(attempt) || (attempts.len() > 1 && !named.insert(**attempt));
        match attempts.iter().find(taken) {
            Some(attempt) => Err(LedgerError::AlreadyHeld { attempt: *attempt }),
            None => Ok(()),
        }
    }
}
