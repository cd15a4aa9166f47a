//! `usage` and `ledger balance`; the rest of `ledger` is in `ledger.rs`.

use huisuan_api::books::{LedgerView, MovedView, UsageView};

use crate::{
    args::LedgerCommand,
    commands::{jobs::amount, ledger},
    failure::{Exit, Failure},
    output::fields,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// What was used.
pub(crate) fn usage(session: &Session) -> Result<(), Failure> {
    let usage = session.client()?.usage()?;
    session.output.one(
        &usage,
        || usage_listing(&usage),
        |output| {
            let summary = fields(&[
                ("cost", amount(&usage.cost)),
                ("energy", usage.energy.to_string()),
                ("data", data_text(&usage.data)),
                ("jobs", text::grouped(usage.jobs)),
                ("since", usage.since.to_string()),
                ("work", if usage.usage.0.is_empty() { "none yet".to_owned() } else { String::new() }),
            ]);
            let classes = usage_listing(&usage);
            if classes.is_empty() { summary } else { format!("{summary}\n\n{}", output.table(&classes)) }
        },
    )
}

/// Data moved; nothing where none was.
fn data_text(data: &MovedView) -> String {
    match (data.bytes_in, data.bytes_out) {
        (0, 0) => String::new(),
        (bytes_in, bytes_out) => format!("{} in, {} out", text::memory(bytes_in), text::memory(bytes_out)),
    }
}

/// One row a class; classes are never added.
fn usage_listing(usage: &UsageView) -> Listing {
    let mut listing = Listing::new(&["class", "work_gflop", "p_h"]);
    for (class, work) in &usage.usage.0 {
        listing.row(vec![
            Cell::text(class),
            Cell::figure(text::work(work.gflop), work.gflop),
            Cell::figure(format!("{:.9}", work.p_h), work.p_h),
        ]);
    }
    listing
}

/// The books and those who look at them.
pub(crate) fn ledger(session: &Session, command: &LedgerCommand) -> Result<(), Failure> {
    match command {
        LedgerCommand::Balance => balance(session),
        LedgerCommand::Audit(args) => ledger::audit(session, args),
        LedgerCommand::Days => ledger::days(session),
        LedgerCommand::Export(args) => ledger::export(session, args),
    }
}

/// The balances; an imbalance is an error, because it must never be.
fn balance(session: &Session) -> Result<(), Failure> {
    let ledger = session.client()?.ledger()?;
    session.output.one(
        &ledger,
        || accounts_listing(&ledger),
        |output| {
            let verdict = if ledger.balanced { "balanced" } else { "NOT BALANCED" };
            let summary = format!("{} postings, {verdict}", text::grouped(ledger.postings));
            let accounts = accounts_listing(&ledger);
            if accounts.is_empty() { summary } else { format!("{}\n\n{summary}", output.table(&accounts)) }
        },
    )?;
    if ledger.balanced {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, "the ledger is not balanced")
        .hint("stop the server and keep its data folder: this is a fault of the program"))
}

/// Every account with its balance.
pub(crate) fn accounts_listing(ledger: &LedgerView) -> Listing {
    let mut listing = Listing::new(&["account", "asset", "balance"]);
    for account in &ledger.accounts {
        listing.row(vec![
            Cell::text(&account.account),
            Cell::text(&account.asset),
            Cell::figure(&account.balance, &account.balance),
        ]);
    }
    listing
}
