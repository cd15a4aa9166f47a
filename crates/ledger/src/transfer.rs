//! The lines of the journal of accounts. A transfer is two postings whose sum is zero by construction.

use std::{fmt, str::FromStr};

use huisuan_model::{AttemptId, JobId};
use serde::{Deserialize, Serialize};

use crate::{account::Account, asset::Asset, text::TextError};

/// Why an amount moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferKind {
    /// Money comes into the network: funding to tenant.
    Fund,
    /// Money is set aside for attempts: tenant to held.
    Hold,
    /// What was set aside is given: held to centre for an ended attempt, escrow to whom a reservation is for.
    Post,
    /// What was set aside and not used goes back.
    Void,
    /// Work that was done: delivered to used.
    Work,
    /// An amount is set aside for a while: anybody to escrow.
    Reserve,
    /// What was set aside for too long goes back.
    Expire,
    /// A centre promises an hour: issued to stock.
    Issue,
    /// One leg of an exchange: money or contracts change hands.
    Trade,
    /// What the network takes for it: to surplus.
    Fee,
    /// What somebody's share of a common sum is: surplus to anybody.
    Payout,
    /// A contract whose hour is over was delivered: back to issued, as the next three.
    Deliver,
    /// Its capacity was there and nobody used it.
    Idle,
    /// Its capacity was away with notice.
    Unavailable,
    /// It was owed and not delivered.
    Shortfall,
    /// What was paid for an attempt that has ended and was priced anew since: tenant to centre, or back.
    Correct,
    /// Money goes out of the network: tenant to funding.
    Withdraw,
}

impl TransferKind {
    /// All kinds in their fixed order.
    pub const ALL: [TransferKind; 17] = [
        TransferKind::Fund,
        TransferKind::Hold,
        TransferKind::Post,
        TransferKind::Void,
        TransferKind::Work,
        TransferKind::Reserve,
        TransferKind::Expire,
        TransferKind::Issue,
        TransferKind::Trade,
        TransferKind::Fee,
        TransferKind::Payout,
        TransferKind::Deliver,
        TransferKind::Idle,
        TransferKind::Unavailable,
        TransferKind::Shortfall,
        TransferKind::Correct,
        TransferKind::Withdraw,
    ];

    /// The word used in code, rows and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            TransferKind::Fund => "fund",
            TransferKind::Hold => "hold",
            TransferKind::Post => "post",
            TransferKind::Void => "void",
            TransferKind::Work => "work",
            TransferKind::Reserve => "reserve",
            TransferKind::Expire => "expire",
            TransferKind::Issue => "issue",
            TransferKind::Trade => "trade",
            TransferKind::Fee => "fee",
            TransferKind::Payout => "payout",
            TransferKind::Deliver => "deliver",
            TransferKind::Idle => "idle",
            TransferKind::Unavailable => "unavailable",
            TransferKind::Shortfall => "shortfall",
            TransferKind::Correct => "correct",
            TransferKind::Withdraw => "withdraw",
        }
    }
}

impl fmt::Display for TransferKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TransferKind {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let known = TransferKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| TextError::new("transfer kind", text, "a word such as fund, hold, post, void, work, trade"))
    }
}

/// An amount that moves from one account to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Why.
    pub kind: TransferKind,
    /// What moves.
    pub asset: Asset,
    /// The account whose balance falls.
    pub debit: Account,
    /// The account whose balance rises.
    pub credit: Account,
    /// How much, always positive: millionths of the currency, or GFLOP.
    pub amount: i64,
    /// For which attempt, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// For which job, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

/// One half of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// Whose balance changes.
    pub account: Account,
    /// In what.
    pub asset: Asset,
    /// By how much: positive for a credit, negative for a debit.
    pub amount: i64,
}

impl Transfer {
    /// A transfer that belongs to no attempt.
    pub fn new(kind: TransferKind, asset: Asset, debit: Account, credit: Account, amount: i64) -> Self {
        Self { kind, asset, debit, credit, amount, attempt: None, job: None }
    }

    /// The same for an attempt.
    pub fn of(self, attempt: AttemptId) -> Self {
        Self { attempt: Some(attempt), job: Some(attempt.job), ..self }
    }

    /// Its two postings, the debit first. Their amounts add up to zero.
    pub fn postings(&self) -> [Posting; 2] {
        let posting = |account: &Account, amount| Posting { account: account.clone(), asset: self.asset, amount };
        [posting(&self.debit, -self.amount), posting(&self.credit, self.amount)]
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::TenantId;

    use super::*;

    #[test]
    fn kinds_are_read_back() {
        for kind in TransferKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("Fund".parse::<TransferKind>().is_err());
    }

    #[test]
    fn postings_add_up_to_zero_up_to_the_largest_amount() {
        for amount in [1, 7, i64::MAX] {
            let tenant = TenantId::new("lab").expect("a valid name");
            let transfer = Transfer {
                kind: TransferKind::Hold,
                asset: "CNY".parse().expect("a currency"),
                debit: Account::Tenant(tenant.clone()),
                credit: Account::Held(tenant),
                amount,
                attempt: None,
                job: Some(JobId(1)),
            };
            let [debit, credit] = transfer.postings();
            assert_eq!((debit.amount, credit.amount), (-amount, amount));
            assert_eq!((debit.account, credit.account), (transfer.debit, transfer.credit));
        }
    }
}
