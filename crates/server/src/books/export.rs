//! What is exported of the books, in which form, piece by piece.

use std::{path::Path, str::FromStr};

use anyhow::ensure;
use huisuan_control::ledger::invoice::Aliases;
use huisuan_model::TimeMs;
use huisuan_store::{DataDirectory, Reader, Store, StoreError};

use super::{
    bills::Bills,
    transfers::{Form, Transfers},
};

/// A form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The plain-text ledger of beancount, with the balances at the end of each day asserted.
    Beancount,
    /// One line for each transfer, in smallest units.
    Csv,
    /// One document with the balances before and after.
    Json,
    /// The bills of all tenants in the FinOps Open Cost and Usage Specification, as one file.
    Focus(Aliases),
}

impl Format {
    /// The type of its content.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Beancount => "text/plain; charset=utf-8",
            Format::Csv | Format::Focus(_) => "text/csv; charset=utf-8",
            Format::Json => "application/json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beancount" => Ok(Format::Beancount),
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "focus-1.2" => Ok(Format::Focus(Aliases::None)),
            "focus-1.0" => Ok(Format::Focus(Aliases::Version1)),
            _ => Err(format!("format `{text}` is not known: beancount, csv, json, focus-1.2 or focus-1.0")),
        }
    }
}

/// Which transfers or meter records: those booked at `from` or later and before `until`; no limit when absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first moment.
    pub from: Option<TimeMs>,
    /// The first moment after.
    pub until: Option<TimeMs>,
}

/// An export under way.
#[derive(Debug)]
pub struct Export {
    format: Format,
    pieces: Pieces,
}

#[derive(Debug)]
enum Pieces {
    Transfers(Box<Transfers>),
    Bills(Bills),
}

/// Begins an export; [`Export::next`] gives its pieces. Which bills are closed is known at `now`.
pub fn export(format: Format, span: Span, now: TimeMs) -> Export {
    let transfers = |form| Pieces::Transfers(Box::new(Transfers::new(form, span)));
    let pieces = match format {
        Format::Beancount => transfers(Form::Beancount),
        Format::Csv => transfers(Form::Csv),
        Format::Json => transfers(Form::Json),
        Format::Focus(aliases) => Pieces::Bills(Bills::new(aliases, span, now)),
    };
    Export { format, pieces }
}

/// Exports from a data directory that no server holds, piece by piece.
///
/// # Errors
/// When the directory is in use or holds no database, a row cannot be read, or `each` fails.
pub fn export_data(
    data: &Path,
    mut export: Export,
    mut each: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    ensure!(DataDirectory::has_database(data), "`{}` is no data directory of a server", data.display());
    let store = Store::open(DataDirectory::open(data)?)?;
    let reader = Reader::open(&store.database())?;
    while let Some(piece) = export.next(&reader)? {
        each(&piece)?;
    }
    Ok(())
}

impl Export {
    /// The form.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next piece; `None` when all was given. What is booked meanwhile is left out.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn next(&mut self, reader: &Reader) -> Result<Option<String>, StoreError> {
        match &mut self.pieces {
            Pieces::Transfers(transfers) => transfers.next(reader),
            Pieces::Bills(bills) => bills.next(reader),
        }
    }
}
