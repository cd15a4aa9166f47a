//! Why an operation on the ledger is refused. A refused operation has changed nothing.

use huisuan_model::{AttemptId, Money, TenantId};

use crate::account::Currency;

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The tenant's free balance does not cover a hold.
    #[error(
        "tenant `{tenant}` has {available} of {currency} free and needs {needed}; hint: give the tenant money, or wait \
         until held money comes back"
    )]
    Unaffordable {
        /// Who would pay.
        tenant: TenantId,
        /// In what.
        currency: Currency,
        /// The sum of the holds.
        needed: Money,
        /// The tenant's free balance.
        available: Money,
    },
    /// An amount of money has a sign that it must not have.
    #[error("amount to {operation} is {amount}; hint: it must be {expected}")]
    Sign {
        /// What was to be done.
        operation: &'static str,
        /// The amount.
        amount: Money,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A sum does not fit into 64 bits.
    #[error("sum to {operation} is {sum}, more than 9223372036854775807; hint: split it into smaller amounts")]
    TooLarge {
        /// What was to be done.
        operation: &'static str,
        /// The sum, in millionths of a currency or GFLOP.
        sum: i128,
    },
    /// The attempt has a hold already.
    #[error("attempt `{attempt}` has a hold already; hint: an attempt is placed once, a retry has its own number")]
    AlreadyHeld {
        /// Which.
        attempt: AttemptId,
    },
    /// The attempt has no hold.
    #[error("attempt `{attempt}` has no hold; hint: it was never placed, or its end was booked before")]
    NotHeld {
        /// Which.
        attempt: AttemptId,
    },
    /// The cost of an attempt is above what was held for it.
    #[error("attempt `{attempt}` costs {cost}, above its hold of {hold}; hint: cap the cost at the hold")]
    AboveHold {
        /// Which.
        attempt: AttemptId,
        /// What was to be posted.
        cost: Money,
        /// What is held.
        hold: Money,
    },
}
