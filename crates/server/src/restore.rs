//! The live state from what is stored.

use anyhow::Context as _;
use huisuan_control::{KeyRecord, State, Stored, schedule::Policy};
use huisuan_store::Rows;

/// The state that stored rows make; fails when they contradict each other.
pub(crate) fn restore(policy: Policy, rows: Rows) -> anyhow::Result<State> {
    let balances = rows
        .balances
        .into_iter()
        .map(|row| anyhow::Ok(((row.account.parse()?, row.asset.parse()?), row.amount)))
        .collect::<anyhow::Result<Vec<_>>>()
        .context("table `balance` cannot be read")?;
    let keys = rows.keys.into_iter().map(|row| KeyRecord {
        tenant: row.tenant,
        key: row.key,
        job: row.job,
        spec_hash: row.spec_hash,
        at: row.at,
    });
    let stored = Stored {
        version: rows.version,
        job_last: rows.job_last,
        tenants: rows.tenants,
        centres: rows.centres,
        jobs: rows.jobs,
        attempts: rows.attempts,
        keys: keys.collect(),
        balances,
        tallies: rows.tallies,
        rules: rows.rules,
        contracts: rows.contracts,
    };
    State::restore_under(policy, stored).context("the stored books do not balance")
}
