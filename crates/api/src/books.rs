//! Usage and ledger on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{Amount, Timestamp, Usage};

/// What the caller's tenant used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageView {
    /// Work by class.
    pub usage: Usage,
    /// Posted cost.
    pub cost: Amount,
    /// How many jobs it comes from.
    pub jobs: u64,
    /// From when on.
    pub since: Timestamp,
}

/// The ledger's balances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerView {
    /// True when the balances of every asset add up to nothing, as they must.
    pub balanced: bool,
    /// Every account in the order of its name.
    pub accounts: Vec<AccountView>,
    /// How many postings there are.
    pub postings: u64,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// What it counts: a currency or the work of a class.
    pub asset: String,
    /// The balance in the asset's smallest unit: an integer as text, because it may have 128 bits.
    pub balance: String,
}
