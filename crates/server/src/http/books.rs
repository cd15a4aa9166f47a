//! The doors for the books.

use std::collections::BTreeMap;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use huisuan_api::{
    ErrorCode,
    books::{AccountView, AuditView, DayHeads, LedgerView, MovedView, UsageView, moment},
    routes::ExportQuery,
    views::mark_word,
    wire::{Amount, Usage},
};
use huisuan_control::{
    State as Network,
    ledger::{Account, Asset},
};
use huisuan_model::{Class, EnergySum, Gflop, Mark, Money, TenantId, TimeMs, centre::CURRENCY};

use super::{App, Failure, extract::Params};
use crate::{
    books::{self, Span},
    identity::{Identity, Scope},
    server::Shared,
};

pub(crate) async fn usage(
    State(shared): App,
    Extension(identity): Extension<Identity>,
) -> Result<axum::Json<UsageView>, Failure> {
    Ok(axum::Json(usage_view(&shared, &identity.scope()).await?))
}

/// What all tenants or one of them used and paid, for the API and for pages.
pub(crate) async fn usage_view(shared: &Shared, scope: &Scope) -> Result<UsageView, Failure> {
    let own = match scope {
        Scope::Tenant(tenant) => Some(tenant.clone()),
        Scope::All | Scope::Nothing => None,
    };
    let tenant = own.clone();
    let look = move |network: &Network| {
        let tenant = tenant.as_ref();
        (used(network, tenant), energy(network, tenant), moved(network, tenant), network.jobs_total())
    };
    let ((work, mut cost), energy, data, mut jobs) = shared.writer.look(look).await?;
    if let Some(tenant) = own {
        // The books have no account of what a tenant paid; its jobs say so.
        (jobs, cost) = shared.readers.read(move |reader| reader.paid_by(&tenant)).await?;
    }
    let first = shared.readers.read(|reader| reader.entries(0, 1)).await?;
    let since = first.first().map_or(TimeMs::ZERO, |entry| entry.at).into();
    let usage = Usage::from(&work);
    Ok(UsageView { usage, cost: Amount::new(cost, CURRENCY), energy: energy.into(), data, jobs, since })
}

/// Energy of all that one tenant or all of them used and was metered.
fn energy(network: &Network, own: Option<&TenantId>) -> Option<EnergySum> {
    let tenants = network.tenants().keys().filter(|tenant| own.is_none_or(|own| own == *tenant));
    let mut sum = None;
    for tally in tenants.filter_map(|tenant| network.tally(tenant)) {
        EnergySum::add(&mut sum, tally.energy);
    }
    sum
}

/// Data moved for one tenant or all of them.
fn moved(network: &Network, own: Option<&TenantId>) -> MovedView {
    let tenants = network.tenants().keys().filter(|tenant| own.is_none_or(|own| own == *tenant));
    let mut moved = MovedView { mark: mark_word(Mark::Measured).to_owned(), ..MovedView::default() };
    for tally in tenants.filter_map(|tenant| network.tally(tenant)) {
        moved.bytes_in = moved.bytes_in.saturating_add(tally.bytes_in.0);
        moved.bytes_out = moved.bytes_out.saturating_add(tally.bytes_out.0);
    }
    moved
}

/// Work used by one tenant or all, and what centres earned of all.
fn used(network: &Network, own: Option<&TenantId>) -> (BTreeMap<Class, Gflop>, Money) {
    let tenants = || network.tenants().keys().filter(|tenant| own.is_none_or(|own| own == *tenant));
    let work = Class::ALL.into_iter().filter_map(|class| {
        let of = |tenant: &TenantId| network.ledger().balance(&Account::Used(tenant.clone()), Asset::Work(class));
        let work: i128 = tenants().map(of).sum();
        (work > 0).then(|| (class, Gflop(u64::try_from(work).unwrap_or(u64::MAX))))
    });
    let earned = network.ledger().balances().filter_map(|(account, asset, amount)| match (account, asset) {
        (Account::Centre(_), Asset::Currency(_)) => Some(amount),
        _ => None,
    });
    (work.collect(), Money(i64::try_from(earned.sum::<i128>()).unwrap_or(i64::MAX)))
}

pub(crate) async fn ledger(State(shared): App) -> Result<axum::Json<LedgerView>, Failure> {
    Ok(axum::Json(ledger_view(&shared).await?))
}

/// The books, for the API and for pages. Whether they balance is computed anew.
pub(crate) async fn ledger_view(shared: &Shared) -> Result<LedgerView, Failure> {
    let read = |network: &Network| {
        let accounts = network.ledger().balances().map(|(account, asset, balance)| AccountView {
            account: account.to_string(),
            asset: asset.to_string(),
            balance: balance.to_string(),
        });
        (network.ledger().audit(), accounts.collect::<Vec<_>>())
    };
    let (audit, accounts) = shared.writer.look(read).await?;
    if let Err(error) = &audit {
        tracing::error!(%error, "the books do not balance");
    }
    // Every transfer is two postings.
    let postings = 2 * shared.readers.read(|reader| reader.transfers_total()).await?;
    Ok(LedgerView { balanced: audit.is_ok(), accounts, postings })
}

pub(crate) async fn audit(State(shared): App) -> Result<axum::Json<AuditView>, Failure> {
    let audit = shared.readers.read(books::audit).await?;
    for check in audit.checks.iter().filter(|check| !check.findings.is_empty()) {
        tracing::error!(rule = check.name, finding = check.findings[0], "the stored books break a rule");
    }
    Ok(axum::Json(audit.view()))
}

pub(crate) async fn days(State(shared): App) -> Result<axum::Json<DayHeads>, Failure> {
    Ok(axum::Json(shared.readers.read(books::heads).await?))
}

/// Streams an export piece by piece: it may be larger than memory.
pub(crate) async fn export(State(shared): App, Params(query): Params<ExportQuery>) -> Result<Response, Failure> {
    let bad = |detail: String| Failure::new(ErrorCode::BadRequest, detail);
    let format: books::Format = query.format.parse().map_err(bad)?;
    let bound = |text: Option<String>| text.map(|text| moment(&text).map(|at| at.0)).transpose().map_err(bad);
    let span = Span { from: bound(query.from)?, until: bound(query.to)? };
    let export = books::export(format, span, shared.clock.now());
    let readers = shared.readers.clone();
    let pieces = stream::try_unfold(export, move |mut export| {
        let readers = readers.clone();
        async move {
            let next = readers.read(move |reader| Ok(export.next(reader)?.map(|piece| (piece, export)))).await;
            next.inspect_err(|error| tracing::error!(%error, "an export broke off")).map_err(std::io::Error::other)
        }
    });
    let kind = [(header::CONTENT_TYPE, format.content_type())];
    Ok((kind, Body::from_stream(pieces)).into_response())
}
