//! Why an operation on the ledger is refused. A refused operation has changed nothing.

use huisuan_model::{AttemptId, CentreId, Money, TenantId};

use crate::{
    account::Account,
    asset::{Asset, Currency},
};

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
    /// An account does not have what is to be taken from it, or a source would get more than it gave.
    #[error("account `{account}` would have {balance} of `{asset}` after {amount}; hint: it must not pass zero")]
    Overdraft {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
        /// What was to move.
        amount: i64,
        /// What would be left.
        balance: i128,
    },
    /// Debit and credit are the same.
    #[error("account `{account}` is on both sides of a transfer; hint: name two accounts")]
    SameAccount {
        /// Which.
        account: Account,
    },
    /// An asset on an account that cannot have it.
    #[error("account `{account}` cannot have `{asset}`; hint: money, work and contracts each have their own accounts")]
    WrongAsset {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
    },
    /// An account that only holds and reservations move.
    #[error("account `{account}` is moved by holds and reservations alone; hint: reserve, or name another account")]
    SetAside {
        /// Which.
        account: Account,
    },
    /// The account takes nothing any more.
    #[error("account `{account}` is closed; hint: name another account")]
    Closed {
        /// Which.
        account: Account,
    },
    /// The hour of a contract is over.
    #[error("`{asset}` is over; hint: name an hour that is still open")]
    Over {
        /// Which.
        asset: Asset,
    },
    /// An account that is to be closed, or an hour that is to end, still has something.
    #[error("account `{account}` still has {balance} of `{asset}`; hint: move it first")]
    NotEmpty {
        /// Whose.
        account: Account,
        /// In what.
        asset: Asset,
        /// How much.
        balance: i128,
    },
    /// An account that is to be closed is named by a reservation.
    #[error("account `{account}` is named by reservation {reservation}; hint: post or void it first")]
    Reserved {
        /// Whose.
        account: Account,
        /// Which.
        reservation: u64,
    },
    /// Linked transfers left something on their way.
    #[error("linked transfers leave {balance} of `{asset}` on account `clearing`; hint: what is taken must be given")]
    NotCleared {
        /// In what.
        asset: Asset,
        /// How much.
        balance: i128,
    },
    /// A centre promises more than its rated capacity can do in the hour.
    #[error(
        "centre `{centre}` would have issued {issued} of `{asset}`, above {cap}; hint: issue what its rating covers"
    )]
    AboveCap {
        /// Who.
        centre: CentreId,
        /// Which hour.
        asset: Asset,
        /// What it would have issued in all.
        issued: i128,
        /// What its rated capacity can do.
        cap: i64,
    },
    /// There is no such reservation, or it was resolved.
    #[error("reservation {reservation} is not open; hint: it was never made, or resolved before; numbers only rise")]
    NotReserved {
        /// Which.
        reservation: u64,
    },
    /// The number stands for another reservation, or is named twice in one group.
    #[error("reservation {reservation} is another one; hint: a number stands for one reservation and one step")]
    OtherReservation {
        /// Which.
        reservation: u64,
    },
    /// More is to be posted than was set aside.
    #[error("reservation {reservation} has {reserved} and {amount} is to be posted; hint: post at most what it has")]
    AboveReserved {
        /// Which.
        reservation: u64,
        /// What was to be posted.
        amount: i64,
        /// What was set aside.
        reserved: i64,
    },
    /// The time of a reservation is over.
    #[error("reservation {reservation} has expired; hint: reserve anew")]
    Expired {
        /// Which.
        reservation: u64,
    },
}
