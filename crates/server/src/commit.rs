//! From what `apply` touched to the rows of one transaction, in their stored form.

use std::{collections::BTreeSet, sync::Arc};

use huisuan_control::{
    State,
    ledger::{Chain, Transfer},
};
use huisuan_model::Entry;
use huisuan_store::{BalanceRow, Batch, DayEnd, KeyRow, Prepared, TransferRow};

use crate::books::{day_of, line_of};

/// The entries and every row that they changed. The chain goes on over the transfers among them.
pub(crate) fn prepare(state: &mut State, entries: &[Arc<Entry>], chain: &mut Chain) -> Prepared {
    let touched = state.take_touched();
    let state = &*state;
    let accounts: BTreeSet<_> = touched
        .transfers
        .iter()
        .flat_map(|(_, transfer)| [(&transfer.debit, transfer.asset), (&transfer.credit, transfer.asset)])
        .collect();
    let balances = accounts.into_iter().map(|(account, asset)| BalanceRow {
        account: account.to_string(),
        asset: asset.to_string(),
        amount: state.ledger().balance(account, asset),
    });
    let (transfers, ledger_days) = chained(&touched.transfers, entries, chain);
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
        transfers,
        ledger_days,
        meters: touched.meters,
        tallies: touched.tallies.iter().filter_map(|tenant| Some((tenant, state.tally(tenant)?))).collect(),
        rules: touched.rules.iter().filter_map(|id| state.tariffs().rule(*id)).collect(),
        contracts: touched.contracts.iter().filter_map(|id| state.tariffs().contracts.get(*id)).collect(),
        oddities: touched.oddities,
    };
    batch.prepare()
}

/// Transfers as they are stored, with their hashes, and where the chains are at the end of each day of the entries.
fn chained(
    transfers: &[(u64, Transfer)],
    entries: &[Arc<Entry>],
    chain: &mut Chain,
) -> (Vec<TransferRow>, Vec<DayEnd>) {
    let (mut rows, mut days) = (Vec::with_capacity(transfers.len()), Vec::<DayEnd>::new());
    let mut transfers = transfers.iter().peekable();
    for entry in entries {
        while let Some((seq, transfer)) = transfers.next_if(|(seq, _)| *seq == entry.seq) {
            let mut row = transfer_row(*seq, transfer);
            row.hash = Some(chain.append(&line_of(&row, entry.at)).0);
            rows.push(row);
        }
        let (transfers, hash) = (chain.count(), chain.head().0);
        let end = DayEnd { day: day_of(entry.at), transfers, hash, entry: entry.seq };
        match days.last_mut().filter(|last| last.day == end.day) {
            Some(last) => *last = end,
            None => days.push(end),
        }
    }
    assert!(transfers.next().is_none(), "transfers are made by the entries of their batch, in order");
    (rows, days)
}

/// A transfer as it is stored, without its hash.
pub(crate) fn transfer_row(seq: u64, transfer: &Transfer) -> TransferRow {
    TransferRow {
        seq,
        kind: transfer.kind.to_string(),
        asset: transfer.asset.to_string(),
        debit: transfer.debit.to_string(),
        credit: transfer.credit.to_string(),
        amount: transfer.amount,
        job: transfer.job,
        attempt: transfer.attempt,
        hash: None,
    }
}
