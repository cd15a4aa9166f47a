//! `ledger audit`, `ledger days` and `ledger export`: the books for those who do not believe us.

use std::{
    io::{self, Write},
    path::Path,
};

use huisuan_api::{
    books::{AuditView, DayHeads},
    routes::ExportQuery,
};
use huisuan_server::{Format, Span, audit_data, export as begin, export_data};

use crate::{
    args::{AuditArgs, ExportArgs},
    commands::logs::copy,
    failure::{Exit, Failure},
    machine,
    output::fields,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Audits a server's books, or those of a folder; a finding is an error.
pub(crate) fn audit(session: &Session, args: &AuditArgs) -> Result<(), Failure> {
    let audit = match &args.data {
        Some(data) => audit_data(&machine::server_data(data)).map_err(cannot)?.view(),
        None => session.client()?.audit()?,
    };
    session.output.one(
        &audit,
        || checks_listing(&audit),
        |output| {
            let summary = fields(&[
                ("entries", text::grouped(audit.entries)),
                ("without hash", bare(audit.hashed_after)),
                ("journal", audit.journal.clone()),
                ("transfers", text::grouped(audit.transfers)),
                ("head", audit.head.clone()),
                ("meter records", text::grouped(audit.meters)),
            ]);
            format!("{}\n\n{summary}", output.table(&checks_listing(&audit)))
        },
    )?;
    let broken: Vec<&str> = audit.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, format!("the books break {}", broken.join(", ")))
        .hint("stop the server and keep its data folder; restore the last backup that passes"))
}

/// Entries that have no hash of their own; nothing where all have one.
fn bare(hashed_after: u64) -> String {
    if hashed_after == 0 { String::new() } else { format!("entries up to {hashed_after}, covered by the one after") }
}

fn checks_listing(audit: &AuditView) -> Listing {
    let mut listing = Listing::new(&["rule", "ok", "found"]);
    for check in &audit.checks {
        let found = check.findings.join("; ");
        listing.row(vec![Cell::text(&check.name), Cell::text(if check.ok { "yes" } else { "NO" }), Cell::text(found)]);
    }
    listing
}

/// The hash at the end of each day.
pub(crate) fn days(session: &Session) -> Result<(), Failure> {
    let heads = session.client()?.ledger_days()?;
    session.output.list(&heads, &heads.days, "nothing is booked yet", || days_listing(&heads))
}

fn days_listing(heads: &DayHeads) -> Listing {
    let mut listing = Listing::new(&["day", "transfers", "head", "entries", "journal"]);
    for day in &heads.days {
        let transfers = Cell::figure(text::grouped(day.transfers), day.transfers);
        let entries = day.entries.map_or_else(|| Cell::text(""), |last| Cell::figure(text::grouped(last), last));
        let journal = Cell::text(day.journal.as_deref().unwrap_or_default());
        listing.row(vec![Cell::text(&day.day), transfers, Cell::text(&day.head), entries, journal]);
    }
    listing
}

/// Writes the export of a folder.
fn export_folder(session: &Session, args: &ExportArgs, data: &Path) -> Result<(), Failure> {
    let format: Format = args.format.parse().map_err(|detail: String| Failure::new(Exit::Usage, detail))?;
    let span = Span { from: args.from.map(|at| at.0), until: args.to.map(|at| at.0) };
    let mut out = io::stdout().lock();
    export_data(&machine::server_data(data), begin(format, span, session.now()), |piece| {
        Ok(out.write_all(piece.as_bytes())?)
    })
    .map_err(cannot)
}

/// Writes an export to standard output, in its own format whatever `-o` says.
pub(crate) fn export(session: &Session, args: &ExportArgs) -> Result<(), Failure> {
    if let Some(data) = &args.data {
        return export_folder(session, args, data);
    }
    let bound = |at: Option<huisuan_api::Timestamp>| at.map(|at| at.to_string());
    let query = ExportQuery { format: args.format.clone(), from: bound(args.from), to: bound(args.to) };
    copy(session.client()?.export(&query)?).map(drop)
}

fn cannot(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Error, format!("{error:#}")).hint(huisuan_server::hint_of(&error))
}
