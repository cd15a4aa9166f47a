//! What holds for every ledger at every moment, recomputed from the rows alone:
//!
//! - the balances of an asset add up to zero;
//! - funding, delivered and issued are never positive, clearing is empty, all others never negative;
//! - money, work and contracts stand on their own accounts, and money fits into 64 bits;
//! - what an account holds for a tenant is the sum of the tenant's holds, none of which is negative;
//! - what is in escrow is the sum of the reservations; a closed account is empty.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, TenantId};

use crate::{
    account::{Account, Side},
    asset::{Asset, Currency},
    ledger::Hold,
    reservation::Reservations,
};

/// A rule that a ledger breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// An asset came from nowhere or was lost.
    #[error("balances of asset `{asset}` add up to {sum}, not to zero; hint: restore the rows from a backup")]
    Sum {
        /// Which.
        asset: Asset,
        /// Millionths of the currency, or GFLOP.
        sum: i128,
    },
    /// A balance is on the wrong side of zero or, being money, does not fit into 64 bits.
    #[error("account `{account}` has {balance} of `{asset}`; hint: restore the rows from a backup")]
    Balance {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
        /// Millionths of the currency, or GFLOP.
        balance: i128,
    },
    /// Money stands on an account of work, or work on an account of money.
    #[error("account `{account}` cannot have `{asset}`; hint: restore the rows from a backup")]
    Asset {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
    },
    /// A tenant's held balance is not the sum of its holds.
    #[error(
        "tenant `{tenant}` has {balance} {currency} held, its holds are {holds}; hint: restore the rows from a backup"
    )]
    Held {
        /// Whose.
        tenant: TenantId,
        /// In what.
        currency: Currency,
        /// The balance of its held account, in millionths.
        balance: i128,
        /// The sum of its holds, in millionths.
        holds: i128,
    },
    /// A hold is negative.
    #[error("attempt `{attempt}` has a hold of {amount}; hint: restore the rows from a backup")]
    Hold {
        /// Which.
        attempt: AttemptId,
        /// Millionths of its currency.
        amount: i64,
    },
    /// Two rows give the balance of one account in one asset.
    #[error("account `{account}` has two rows for `{asset}`; hint: restore the rows from a backup")]
    BalanceTwice {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
    },
    /// Escrow is not the sum of the reservations.
    #[error("escrow has {balance} of `{asset}`, reservations are {sum}; hint: restore the rows from a backup")]
    Escrow {
        /// In what.
        asset: Asset,
        /// The balance.
        balance: i128,
        /// The sum of the reservations.
        sum: i128,
    },
    /// A reservation is given twice, sets nothing aside, or its number was never given.
    #[error("reservation {reservation} is damaged, the last one was {last}; hint: restore the rows from a backup")]
    Reservation {
        /// Which.
        reservation: u64,
        /// The highest number ever given.
        last: u64,
    },
    /// A closed account has something.
    #[error("closed account `{account}` is not empty; hint: restore the rows from a backup")]
    Closed {
        /// Which.
        account: Account,
    },
    /// Two rows give the hold of one attempt.
    #[error("attempt `{attempt}` has two rows of holds; hint: restore the rows from a backup")]
    HoldTwice {
        /// Which.
        attempt: AttemptId,
    },
}

/// Checks every rule over all rows.
pub(crate) fn audit(
    balances: &BTreeMap<(Account, Asset), i128>,
    holds: &BTreeMap<AttemptId, Hold>,
    reservations: &Reservations,
) -> Result<(), AuditError> {
    let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
    let mut held: BTreeMap<(TenantId, Currency), i128> = BTreeMap::new();
    for ((account, asset), balance) in balances {
        balance_is_legal(account, *asset, *balance)?;
        let sum = sums.entry(*asset).or_default();
        // A restored row may hold any number; saturating keeps a wrong sum wrong instead of panicking.
        *sum = sum.saturating_add(*balance);
        if let (Account::Held(tenant), Asset::Currency(currency)) = (account, asset) {
            held.insert((tenant.clone(), *currency), 0);
        }
    }
    if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
        return Err(AuditError::Sum { asset, sum });
    }
    for (attempt, hold) in holds {
        if hold.amount.0 < 0 {
            return Err(AuditError::Hold { attempt: *attempt, amount: hold.amount.0 });
        }
        *held.entry((hold.tenant.clone(), hold.currency)).or_default() += i128::from(hold.amount.0);
    }
    for ((tenant, currency), sum) in held {
        let key = (Account::Held(tenant.clone()), Asset::Currency(currency));
        held_is(&tenant, currency, balances.get(&key).copied().unwrap_or(0), sum)?;
    }
    let mut reserved: BTreeMap<Asset, i128> = BTreeMap::new();
    reserved.extend(balances.keys().filter(|(account, _)| *account == Account::Escrow).map(|(_, asset)| (*asset, 0)));
    for (_, reservation) in reservations.iter() {
        *reserved.entry(reservation.asset).or_default() += i128::from(reservation.amount);
    }
    for (asset, sum) in reserved {
        let balance = balances.get(&(Account::Escrow, asset)).copied().unwrap_or(0);
        escrow_is(asset, balance, sum)?;
    }
    Ok(())
}

/// Checks sign, kind and width of one balance.
pub(crate) fn balance_is_legal(account: &Account, asset: Asset, balance: i128) -> Result<(), AuditError> {
    if !account.takes(asset) {
        return Err(AuditError::Asset { account: account.clone(), asset });
    }
    let signed = match account.side() {
        Side::Holder => balance >= 0,
        Side::Source => balance <= 0,
        Side::Passage => balance == 0,
    };
    let wide = !matches!(asset, Asset::Currency(_)) || balance.unsigned_abs() <= i64::MAX.unsigned_abs().into();
    if signed && wide { Ok(()) } else { Err(AuditError::Balance { account: account.clone(), asset, balance }) }
}

/// Checks what is set aside in one asset against the sum of the reservations.
pub(crate) fn escrow_is(asset: Asset, balance: i128, sum: i128) -> Result<(), AuditError> {
    if balance == sum { Ok(()) } else { Err(AuditError::Escrow { asset, balance, sum }) }
}

/// Checks a tenant's held balance against the sum of its holds.
pub(crate) fn held_is(tenant: &TenantId, currency: Currency, balance: i128, holds: i128) -> Result<(), AuditError> {
    if balance == holds {
        return Ok(());
    }
    Err(AuditError::Held { tenant: tenant.clone(), currency, balance, holds })
}
