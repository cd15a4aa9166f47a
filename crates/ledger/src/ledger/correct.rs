//! Operations beyond the life of an attempt: what it paid is corrected, and money is taken out.

use huisuan_model::{AttemptId, CentreId, Class, Money, TenantId};

use super::Ledger;
use crate::{
    account::Account,
    asset::{Asset, Currency},
    error::LedgerError,
    transfer::{Transfer, TransferKind},
};

impl Ledger {
    /// Corrects what a tenant paid a centre for an attempt that has ended: a positive amount is paid on top, a negative
    /// one is given back. Either is refused where the one who pays does not have it.
    pub fn correct(
        &mut self,
        attempt: AttemptId,
        tenant: &TenantId,
        centre: &CentreId,
        currency: Currency,
        amount: Money,
    ) -> Result<Vec<Transfer>, LedgerError> {
        let (payer, payee) = (Account::Tenant(tenant.clone()), Account::Centre(centre.clone()));
        let (debit, credit) = if amount.0 >= 0 { (payer, payee) } else { (payee, payer) };
        self.covered(&debit, tenant, currency, Money(amount.0.saturating_abs()))?;
        let (kind, asset, job) = (TransferKind::Correct, Asset::Currency(currency), Some(attempt.job));
        let amount = amount.0.saturating_abs();
        self.book(vec![Transfer { kind, asset, debit, credit, amount, attempt: Some(attempt), job }])
    }

    /// Books use that came after its attempt had ended: a tenant pays a centre, and the work is delivered. Nothing is
    /// held for it any more, so that it is refused where the tenant does not have it.
    pub fn late(
        &mut self,
        attempt: AttemptId,
        (tenant, centre): (&TenantId, &CentreId),
        currency: Currency,
        cost: Money,
        class: Class,
        work: i64,
    ) -> Result<Vec<Transfer>, LedgerError> {
        if cost.0 < 0 || work < 0 {
            let (amount, expected) = (Money(cost.0.min(work)), "nothing or more");
            return Err(LedgerError::Sign { operation: "book as late use", amount, expected });
        }
        let (payer, payee) = (Account::Tenant(tenant.clone()), Account::Centre(centre.clone()));
        self.covered(&payer, tenant, currency, cost)?;
        let (delivered, used) = (Account::Delivered(centre.clone()), Account::Used(tenant.clone()));
        let money = Transfer::new(TransferKind::Correct, Asset::Currency(currency), payer, payee, cost.0);
        let work = Transfer::new(TransferKind::Work, Asset::Work(class), delivered, used, work);
        self.book(vec![money.of(attempt), work.of(attempt)])
    }

    /// Takes money of a tenant out of the network. The amount is positive and free.
    pub fn withdraw(
        &mut self,
        tenant: &TenantId,
        currency: Currency,
        amount: Money,
    ) -> Result<Vec<Transfer>, LedgerError> {
        if amount.0 < 0 {
            return Err(LedgerError::Sign { operation: "withdraw", amount, expected: "nothing or more" });
        }
        let debit = Account::Tenant(tenant.clone());
        self.covered(&debit, tenant, currency, amount)?;
        let (kind, asset, credit) = (TransferKind::Withdraw, Asset::Currency(currency), Account::Funding);
        self.book(vec![Transfer { kind, asset, debit, credit, amount: amount.0, attempt: None, job: None }])
    }

    fn covered(&self, payer: &Account, of: &TenantId, currency: Currency, needed: Money) -> Result<(), LedgerError> {
        let available = self.balance(payer, Asset::Currency(currency));
        if available >= i128::from(needed.0) {
            return Ok(());
        }
        let available = Money(i64::try_from(available).unwrap_or(i64::MAX));
        Err(LedgerError::Unaffordable { tenant: of.clone(), currency, needed, available })
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::JobId;

    use super::*;

    #[test]
    fn late_use_is_paid_and_delivered_or_neither() {
        let (tenant, centre) = (TenantId::new("lab").expect("a name"), CentreId::new("hpc-1").expect("a name"));
        let currency = Currency::new("CNY").expect("a currency");
        let attempt = AttemptId { job: JobId(1), task: 0, attempt: 1 };
        let mut ledger = Ledger::new();
        ledger.fund(&tenant, currency, Money(10)).expect("money");
        for (cost, work, taken, earned, delivered) in
            [(11, 5, false, 0, 0), (7, 5, true, 7, 5), (-1, 5, false, 7, 5), (1, -5, false, 7, 5), (0, 2, true, 7, 7)]
        {
            let found = ledger.late(attempt, (&tenant, &centre), currency, Money(cost), Class::Hpc, work);
            assert_eq!(found.is_ok(), taken, "{cost} {work}: {found:?}");
            assert_eq!(ledger.earned(&centre, currency), Money(earned));
            assert_eq!(ledger.balance(&Account::Used(tenant.clone()), Asset::Work(Class::Hpc)), delivered);
            ledger.audit().expect("the books balance");
        }
    }

    #[test]
    fn corrections_go_both_ways_and_never_below_nothing() {
        let (tenant, centre) = (TenantId::new("lab").expect("a name"), CentreId::new("hpc-1").expect("a name"));
        let currency = Currency::new("CNY").expect("a currency");
        let attempt = AttemptId { job: JobId(1), task: 0, attempt: 1 };
        let mut ledger = Ledger::new();
        ledger.fund(&tenant, currency, Money(10)).expect("money");
        let mut check = |amount: i64, taken: bool, free: i64, earned: i64| {
            let found = ledger.correct(attempt, &tenant, &centre, currency, Money(amount));
            assert_eq!(found.is_ok(), taken, "{amount}: {found:?}");
            assert_eq!(
                (ledger.available(&tenant, currency), ledger.earned(&centre, currency)),
                (Money(free), Money(earned))
            );
            ledger.audit().expect("the books balance");
        };
        check(11, false, 10, 0);
        check(7, true, 3, 7);
        check(-8, false, 3, 7);
        check(-2, true, 5, 5);
        check(0, true, 5, 5);
        check(i64::MIN, false, 5, 5);
        for (amount, taken) in [(6, false), (-1, false), (5, true), (1, false)] {
            assert_eq!(ledger.withdraw(&tenant, currency, Money(amount)).is_ok(), taken, "{amount}");
            ledger.audit().expect("the books balance");
        }
    }
}
