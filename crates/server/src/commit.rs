//! From what `apply` touched to the rows of one transaction, in their stored form.

use std::{collections::BTreeSet, sync::Arc};

use huisuan_control::{State, ledger::Transfer};
use huisuan_model::Entry;
use huisuan_store::{BalanceRow, Batch, KeyRow, Prepared, TransferRow};

/// The entries and every row that they changed.
pub(crate) fn prepare(state: &mut State, entries: &[Arc<Entry>]) -> Prepared {
    let touched = state.take_touched();
    let state = &*state;
    let accounts: BTreeSet<_> = touched
        .transfers
        .iter()
        .flat_map(|transfer| [(&transfer.debit, transfer.asset), (&transfer.credit, transfer.asset)])
        .collect();
    let balances = accounts.into_iter().map(|(account, asset)| BalanceRow {
        account: account.to_string(),
        asset: asset.to_string(),
        amount: state.ledger().balance(account, asset),
    });
    let transfers = touched.transfers.iter().map(transfer_row);
    let keys = touched.keys.iter().map(|record| KeyRow {
        tenant: record.tenant.clone(),
        key: record.key.clone(),
        job: record.job,
        spec_hash: record.spec_hash,
        at: record.at,
    });
    let batch = Batch {
        entries: entries.iter().map(|entry| &**entry).collect(),
        jobs: touched.jobs.iter().filter_map(|id| state.job(*id)).chain(touched.jobs_ended.values()).collect(),
        attempts: touched
            .attempts
            .iter()
            .filter_map(|id| state.attempt(*id))
            .chain(touched.attempts_ended.values())
            .collect(),
        centres: touched.centres.iter().filter_map(|id| state.centres().get(id)).collect(),
        tenants: touched.tenants.iter().filter_map(|id| state.tenants().get(id)).collect(),
        keys: keys.collect(),
        keys_forgotten_before: touched.keys_forgotten_before,
        balances: balances.collect(),
        transfers: transfers.collect(),
        meters: touched.meters,
        tallies: touched.tallies.iter().filter_map(|tenant| Some((tenant, state.tally(tenant)?))).collect(),
        rules: touched.rules.iter().filter_map(|id| state.tariffs().rule(*id)).collect(),
        oddities: touched.oddities,
    };
    batch.prepare()
}

/// A transfer as it is stored.
pub(crate) fn transfer_row(transfer: &Transfer) -> TransferRow {
    TransferRow {
        kind: transfer.kind.to_string(),
        asset: transfer.asset.to_string(),
        debit: transfer.debit.to_string(),
        credit: transfer.credit.to_string(),
        amount: transfer.amount,
        job: transfer.job,
        attempt: transfer.attempt,
    }
}
