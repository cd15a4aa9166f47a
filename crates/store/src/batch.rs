//! What one commit writes.

use huisuan_model::{Attempt, AttemptId, Centre, Entry, Job, JobId, SpecHash, Tenant, TenantId, TimeMs};

/// All rows of one transaction. A row that was there is replaced.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// New journal entries, in order.
    pub entries: Vec<&'a Entry>,
    /// Jobs that are new or changed.
    pub jobs: Vec<&'a Job>,
    /// Attempts that are new or changed.
    pub attempts: Vec<&'a Attempt>,
    /// Centres that are new or changed.
    pub centres: Vec<&'a Centre>,
    /// Tenants that are new or changed.
    pub tenants: Vec<&'a Tenant>,
    /// New idempotency keys.
    pub keys: Vec<KeyRow>,
    /// Keys given before this moment go.
    pub keys_forgotten_before: Option<TimeMs>,
    /// Balances that changed.
    pub balances: Vec<BalanceRow>,
    /// New transfers, in order.
    pub transfers: Vec<TransferRow>,
}

/// One idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Whose.
    pub tenant: TenantId,
    /// The key.
    pub key: String,
    /// The job that it led to.
    pub job: JobId,
    /// The spec that it came with.
    pub spec_hash: SpecHash,
    /// When.
    pub at: TimeMs,
}

/// One balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceRow {
    /// Account as text.
    pub account: String,
    /// Asset as text.
    pub asset: String,
    /// Debits are negative.
    pub amount: i128,
}

/// One transfer between two accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    /// What it was for.
    pub kind: String,
    /// Asset as text.
    pub asset: String,
    /// The account that gives.
    pub debit: String,
    /// The account that gets.
    pub credit: String,
    /// Positive.
    pub amount: i64,
    /// The job that it belongs to.
    pub job: Option<JobId>,
    /// The attempt that it belongs to.
    pub attempt: Option<AttemptId>,
}
