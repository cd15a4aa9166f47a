//! `bill ls|show|export`.

use std::io::{Read as _, Write as _};

use huisuan_api::{
    bills::{BillLine, BillList, BillView, ExportQuery, LineQuery, MonthQuery, RecordList},
    routes,
};

use crate::{
    args::{BillArgs, BillCommand, BillExportArgs, BillListArgs, BillShowArgs},
    commands::jobs::{ENERGY_COLUMNS, amount, energy_cells},
    failure::Failure,
    output::fields,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The tenant of a network with one user.
const LOCAL_TENANT: &str = "local";

/// Runs one of them.
pub(crate) fn bill(session: &Session, command: &BillCommand) -> Result<(), Failure> {
    match command {
        BillCommand::Ls(args) => ls(session, args),
        BillCommand::Show(args) => show(session, args),
        BillCommand::Export(args) => export(session, args),
    }
}

fn ls(session: &Session, args: &BillListArgs) -> Result<(), Failure> {
    let route = if args.centres { routes::STATEMENTS } else { routes::BILLS };
    let query = MonthQuery { month: args.month.clone() };
    let list: BillList = session.client()?.ask(route, &[], &query)?;
    let column = if args.centres { "centre" } else { "tenant" };
    let empty = format!("nothing was booked in {}", list.month);
    session.output.list(&list, &list.bills, &empty, || {
        let mut listing =
            Listing::with_details(&[column, "month", "closed", "total_millionths", "records"], &["currency"]);
        for bill in &list.bills {
            listing.row(vec![
                Cell::text(&bill.name),
                Cell::text(&list.month),
                Cell::state(if list.closed { "yes" } else { "no" }),
                Cell::figure(amount(&bill.total), bill.total.amount),
                Cell::figure(text::grouped(bill.records), bill.records),
                Cell::text(&bill.total.currency),
            ]);
        }
        listing
    })
}

/// The routes of a bill or a statement, and what stands in their paths.
struct Named {
    one: &'static str,
    export: &'static str,
    records: &'static str,
    month: String,
    name: String,
}

impl Named {
    fn of(session: &Session, args: &BillArgs) -> Result<Self, Failure> {
        let month = match &args.month {
            Some(month) => month.clone(),
            None => {
                let list: BillList = session.client()?.ask(routes::BILLS, &[], &MonthQuery::default())?;
                list.month
            }
        };
        Ok(match &args.centre {
            Some(centre) => Named {
                one: routes::STATEMENT,
                export: routes::STATEMENT_EXPORT,
                records: routes::STATEMENT_RECORDS,
                month,
                name: centre.to_string(),
            },
            None => Named {
                one: routes::BILL,
                export: routes::BILL_EXPORT,
                records: routes::BILL_RECORDS,
                month,
                name: args.tenant.as_ref().map_or_else(|| LOCAL_TENANT.to_owned(), ToString::to_string),
            },
        })
    }

    fn parts(&self) -> [(&str, &str); 2] {
        [("month", &self.month), ("id", &self.name)]
    }
}

fn show(session: &Session, args: &BillShowArgs) -> Result<(), Failure> {
    let named = Named::of(session, &args.of)?;
    if let Some(line) = &args.trace {
        let query = LineQuery { line: line.clone() };
        let list: RecordList = session.client()?.ask(named.records, &named.parts(), &query)?;
        return session.output.one(
            &list,
            || records(&list),
            |output| format!("{}\n\ntotal  {}", output.table(&records(&list)), amount(&list.total)),
        );
    }
    let bill: BillView = session.client()?.ask(named.one, &named.parts(), &())?;
    session.output.one(
        &bill,
        || lines(&bill.lines),
        |output| {
            let work = bill.work.0.iter().map(|(class, work)| format!("{} of {class}", text::work(work.gflop)));
            let summary = fields(&[
                ("bill", bill.number.clone()),
                ("from", bill.from.to_string()),
                ("until", bill.until.to_string()),
                ("state", if bill.closed { "closed" } else { "open: what was booked so far" }.to_owned()),
                ("work", work.collect::<Vec<_>>().join(", ")),
                ("energy", bill.energy.to_string()),
                ("total", amount(&bill.total)),
            ]);
            if bill.lines.is_empty() { summary } else { format!("{}\n\n{summary}", output.table(&lines(&bill.lines))) }
        },
    )
}

fn lines(lines: &[BillLine]) -> Listing {
    let shown = ["line", "class", "attempts", "work_gflop", "price_per_p_h_millionths", "cost_millionths"];
    let details = [
        "tenant",
        "centre",
        "pool",
        "project",
        "rule",
        "contract",
        "list_price_per_p_h_millionths",
        "correction",
        "cpu_ms",
        "records",
        "currency",
    ];
    let mut listing = Listing::with_details(&shown, &[&details[..], &ENERGY_COLUMNS].concat());
    for line in lines {
        let mut row = vec![
            Cell::text(&line.line),
            Cell::text(&line.class),
            Cell::figure(text::grouped(line.attempts), line.attempts),
            Cell::figure(text::work(line.work_gflop.unsigned_abs()), line.work_gflop),
            Cell::figure(amount(&line.price_per_p_h), line.price_per_p_h.amount),
            Cell::figure(amount(&line.cost), line.cost.amount),
            Cell::text(&line.tenant),
            Cell::text(&line.centre),
            Cell::text(&line.pool),
            Cell::text(&line.project),
            Cell::text(line.rule),
            line.contract.map_or_else(Cell::none, Cell::text),
            Cell::text(line.list_price_per_p_h.amount),
            Cell::text(line.correction),
            Cell::text(line.cpu_ms),
            Cell::text(line.records),
            Cell::text(&line.cost.currency),
        ];
        row.extend(energy_cells(&line.energy));
        listing.row(row);
    }
    listing
}

fn records(list: &RecordList) -> Listing {
    let shown = ["attempt", "number", "from", "until", "work_gflop", "share", "rating", "cost_millionths"];
    let details = [
        "adjusts",
        "booked_at",
        "cpu_ms",
        "energy_j",
        "energy_mark",
        "carbon_g_per_kwh",
        "sustained_gflop_per_s",
        "rule",
        "contract",
        "list_price_per_p_h",
        "price_per_p_h",
    ];
    let mut listing = Listing::with_details(&shown, &details);
    for record in &list.records {
        let optional = |value: Option<u64>| value.map_or_else(Cell::none, |value| Cell::figure(value, value));
        listing.row(vec![
            Cell::text(&record.attempt),
            Cell::figure(record.number, record.number),
            Cell::text(record.from),
            Cell::text(record.until),
            Cell::figure(text::work(record.work_gflop.unsigned_abs()), record.work_gflop),
            Cell::text(format!("{}/{}", record.part, record.whole)),
            Cell::text(format!("v{}", record.rating_version)),
            Cell::figure(amount(&record.cost), record.cost.amount),
            optional(record.adjusts.map(u64::from)),
            Cell::text(record.booked_at),
            Cell::text(record.cpu_ms),
            optional(record.energy_j),
            record.energy_mark.as_ref().map_or_else(Cell::none, Cell::text),
            optional(record.carbon_g_per_kwh.map(u64::from)),
            Cell::text(record.sustained_gflop_per_s),
            Cell::text(record.rule),
            record.contract.map_or_else(Cell::none, Cell::text),
            Cell::text(record.list_price_per_p_h.amount),
            Cell::text(record.price_per_p_h.amount),
        ]);
    }
    listing
}

fn export(session: &Session, args: &BillExportArgs) -> Result<(), Failure> {
    let named = Named::of(session, &args.of)?;
    let query = ExportQuery { format: args.format.as_str().to_owned(), language: Some(args.language.clone()) };
    let mut text = Vec::new();
    session.client()?.ask_raw(named.export, &named.parts(), &query)?.read_to_end(&mut text)?;
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}
