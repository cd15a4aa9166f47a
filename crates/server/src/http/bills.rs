//! Bills of tenants and statements of centres, made from rows of the meter when they are asked for.

use axum::{
    Extension,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use huisuan_api::{
    Amount, ErrorCode, Usage,
    bills::{BillLine, BillList, BillSummary, BillView, ExportQuery, LineQuery, MonthQuery, RecordList, RecordView},
    views::mark_word,
    wire::ClassUsage,
};
use huisuan_control::ledger::{
    invoice::{Aliases, Bill, Language, Line, Party, csv, focus, html, line_id},
    tariff::{Zone, month_text},
};
use huisuan_model::{CentreId, Gflop, MeterRecord, Money, TenantId, TimeMs, centre::CURRENCY};

use super::{
    App, Failure,
    extract::{MonthPath, Params, month},
};
use crate::{
    identity::{Identity, Scope},
    server::Shared,
};

/// Money of sums that were posted fits into 64 bits.
fn amount(millionths: i128) -> Amount {
    let nearest = if millionths < 0 { i64::MIN } else { i64::MAX };
    Amount::new(Money(i64::try_from(millionths).unwrap_or(nearest)), CURRENCY)
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn p_h(gflop: i128) -> f64 {
    gflop as f64 / huisuan_model::quantity::GFLOP_PER_P_H as f64
}

fn line(line: &Line) -> BillLine {
    BillLine {
        line: line.id.clone(),
        tenant: line.tenant.to_string(),
        centre: line.key.centre.to_string(),
        pool: line.key.pool.to_string(),
        class: line.class.to_string(),
        project: line.key.project.to_string(),
        rule: line.key.rule,
        contract: line.key.contract.map(|under| under.id),
        list_price_per_p_h: Amount::new(line.list_price(), CURRENCY),
        price_per_p_h: Amount::new(line.key.price, CURRENCY),
        correction: line.correction,
        work_gflop: narrow(line.work),
        work_p_h: p_h(line.work),
        cpu_ms: u64::try_from(line.cpu_ms).unwrap_or(u64::MAX),
        energy: line.energy.into(),
        attempts: line.attempts,
        records: line.records,
        cost: amount(line.cost),
    }
}

fn view(bill: &Bill) -> BillView {
    let work = bill.work().into_iter().map(|(class, work)| {
        let gflop = Gflop(u64::try_from(work).unwrap_or(0));
        (class, ClassUsage::from(gflop))
    });
    BillView {
        number: bill.number(),
        name: bill.party.name().to_owned(),
        month: month_text(bill.month),
        from: bill.from.into(),
        until: bill.until.into(),
        closed: bill.closed,
        total: amount(bill.total),
        work: Usage(work.collect()),
        energy: bill.energy().into(),
        lines: bill.lines.iter().map(line).collect(),
    }
}

fn record(record: &MeterRecord) -> RecordView {
    let (reading, share) = (&record.reading, record.share);
    RecordView {
        attempt: record.attempt.to_string(),
        number: reading.number,
        adjusts: reading.adjusts,
        from: reading.from.into(),
        until: reading.until.into(),
        booked_at: reading.at.into(),
        work_gflop: reading.work,
        cpu_ms: reading.cpu.0,
        energy_j: reading.energy.map(|energy| energy.joules),
        energy_mark: reading.energy.map(|energy| mark_word(energy.mark).to_owned()),
        carbon_g_per_kwh: reading.energy.and_then(|energy| energy.carbon_g_per_kwh),
        rating_version: share.version,
        sustained_gflop_per_s: share.sustained.0,
        part: share.part,
        whole: share.whole,
        rule: reading.rule,
        contract: reading.contract.map(|under| under.id),
        list_price_per_p_h: Amount::new(reading.contract.map_or(reading.price, |under| under.list_price), CURRENCY),
        price_per_p_h: Amount::new(reading.price, CURRENCY),
        cost: Amount::new(reading.cost, CURRENCY),
    }
}

/// The party of a tenant's bill, where the caller may see it.
fn tenant(identity: &Identity, name: &str) -> Result<Party, Failure> {
    let unknown = || {
        Failure::new(ErrorCode::NotFound, format!("there is no bill of `{name}`"))
            .hint("`huisuan bill ls` lists the bills of a month")
    };
    let tenant = TenantId::new(name).map_err(|_| unknown())?;
    if identity.scope().has(&tenant) { Ok(Party::Tenant(tenant)) } else { Err(unknown()) }
}

fn centre(name: &str) -> Result<Party, Failure> {
    let unknown = || {
        Failure::new(ErrorCode::NotFound, format!("there is no statement of `{name}`"))
            .hint("`huisuan bill ls --centres` lists the statements of a month")
    };
    CentreId::new(name).map(Party::Centre).map_err(|_| unknown())
}

async fn rows(shared: &Shared, party: &Party, month: i32) -> Result<Vec<MeterRecord>, Failure> {
    let (from, until) = Zone::of_bills().month_range(month);
    let party = party.clone();
    let read = move |reader: &huisuan_store::Reader| match &party {
        Party::Tenant(tenant) => reader.meters_of_tenant(tenant, from, until),
        Party::Centre(centre) => reader.meters_of_centre(centre, from, until),
    };
    Ok(shared.readers.read(read).await?)
}

async fn bill(shared: &Shared, party: Party, month: i32) -> Result<Bill, Failure> {
    known(shared, &party).await?;
    let rows = rows(shared, &party, month).await?;
    Ok(Bill::of(party, month, shared.clock.now(), &rows))
}

/// A bill of nothing is one only for somebody who is there.
async fn known(shared: &Shared, party: &Party) -> Result<(), Failure> {
    let asked = party.clone();
    let look = move |network: &huisuan_control::State| match &asked {
        Party::Tenant(tenant) => network.tenants().contains_key(tenant),
        Party::Centre(centre) => network.centres().contains_key(centre),
    };
    if shared.writer.look(look).await? {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::NotFound, format!("there is no `{}`", party.name())))
}

fn asked_month(shared: &Shared, query: &MonthQuery) -> Result<i32, Failure> {
    match &query.month {
        Some(text) => month(text),
        None => Ok(Zone::of_bills().month(shared.clock.now())),
    }
}

fn summaries(shared: &Shared, month: i32, bills: Vec<(String, Money, u64)>) -> BillList {
    let until: TimeMs = Zone::of_bills().month_range(month).1;
    let one = |(name, total, records)| BillSummary { name, total: Amount::new(total, CURRENCY), records };
    BillList {
        month: month_text(month),
        closed: shared.clock.now() >= until,
        bills: bills.into_iter().map(one).collect(),
    }
}

pub(crate) async fn list(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    Params(query): Params<MonthQuery>,
) -> Result<axum::Json<BillList>, Failure> {
    let month = asked_month(&shared, &query)?;
    let (from, until) = Zone::of_bills().month_range(month);
    let scope: Scope = identity.scope();
    let billed = shared.readers.read(move |reader| reader.billed(from, until)).await?;
    let own = billed.into_iter().filter(|(tenant, ..)| scope.has(tenant));
    let own = own.map(|(tenant, total, records)| (tenant.to_string(), total, records));
    Ok(axum::Json(summaries(&shared, month, own.collect())))
}

pub(crate) async fn statements(
    State(shared): App,
    Params(query): Params<MonthQuery>,
) -> Result<axum::Json<BillList>, Failure> {
    let month = asked_month(&shared, &query)?;
    let (from, until) = Zone::of_bills().month_range(month);
    let centres: Vec<CentreId> = shared.writer.look(|network| network.centres().keys().cloned().collect()).await?;
    let read = move |reader: &huisuan_store::Reader| {
        let mut found = Vec::new();
        for centre in centres {
            let rows = reader.meters_of_centre(&centre, from, until)?;
            let total = rows.iter().fold(Money::ZERO, |sum, row| sum.saturating_add(row.reading.cost));
            if !rows.is_empty() {
                found.push((centre.to_string(), total, rows.len() as u64));
            }
        }
        Ok(found)
    };
    Ok(axum::Json(summaries(&shared, month, shared.readers.read(read).await?)))
}

pub(crate) async fn show(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    MonthPath(month, name): MonthPath,
) -> Result<axum::Json<BillView>, Failure> {
    Ok(axum::Json(view(&bill(&shared, tenant(&identity, &name)?, month).await?)))
}

pub(crate) async fn statement(
    State(shared): App,
    MonthPath(month, name): MonthPath,
) -> Result<axum::Json<BillView>, Failure> {
    Ok(axum::Json(view(&bill(&shared, centre(&name)?, month).await?)))
}

pub(crate) async fn export(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    MonthPath(month, name): MonthPath,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Failure> {
    exported(&bill(&shared, tenant(&identity, &name)?, month).await?, &query)
}

pub(crate) async fn export_statement(
    State(shared): App,
    MonthPath(month, name): MonthPath,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Failure> {
    exported(&bill(&shared, centre(&name)?, month).await?, &query)
}

fn exported(bill: &Bill, query: &ExportQuery) -> Result<Response, Failure> {
    let language = match query.language.as_deref() {
        None | Some("en") => Language::English,
        Some("zh") => Language::Chinese,
        Some(other) => {
            let detail = format!("language `{other}` is not known");
            return Err(Failure::new(ErrorCode::BadRequest, detail).hint("use en or zh"));
        }
    };
    let (media, text) = match query.format.as_str() {
        "csv" => ("text/csv; charset=utf-8", csv(bill)),
        "focus-1.2" => ("text/csv; charset=utf-8", focus(bill, Aliases::None)),
        "focus-1.0" => ("text/csv; charset=utf-8", focus(bill, Aliases::Version1)),
        "html" => ("text/html; charset=utf-8", html(bill, language)),
        other => {
            let detail = format!("format `{other}` is not known");
            return Err(Failure::new(ErrorCode::BadRequest, detail).hint("use csv, focus-1.2, focus-1.0 or html"));
        }
    };
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

pub(crate) async fn records(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    MonthPath(month, name): MonthPath,
    Params(query): Params<LineQuery>,
) -> Result<axum::Json<RecordList>, Failure> {
    traced(&shared, tenant(&identity, &name)?, month, query.line).await
}

pub(crate) async fn statement_records(
    State(shared): App,
    MonthPath(month, name): MonthPath,
    Params(query): Params<LineQuery>,
) -> Result<axum::Json<RecordList>, Failure> {
    traced(&shared, centre(&name)?, month, query.line).await
}

async fn traced(shared: &Shared, party: Party, month: i32, line: String) -> Result<axum::Json<RecordList>, Failure> {
    let rows = rows(shared, &party, month).await?;
    let own: Vec<&MeterRecord> = rows.iter().filter(|row| line_id(&party, row) == line).collect();
    if own.is_empty() {
        let detail = format!("the bill {} of `{}` has no line `{line}`", month_text(month), party.name());
        return Err(Failure::new(ErrorCode::NotFound, detail).hint("`huisuan bill show` names the lines"));
    }
    let total = own.iter().map(|row| i128::from(row.reading.cost.0)).sum();
    let records = own.into_iter().map(record).collect();
    Ok(axum::Json(RecordList { line, total: amount(total), records }))
}
