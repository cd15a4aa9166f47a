//! Transfers of a span of time, piece by piece: beancount, CSV or JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use huisuan_api::wire::Timestamp;
use huisuan_control::ledger::Digest;
use huisuan_model::{AttemptId, JobId, TimeMs};
use huisuan_store::{Reader, StoreError, StoredTransfer};
use serde::Serialize;

use super::{
    beancount,
    chain::{ChainCheck, day_of},
    export::Span,
};

/// Transfers of one piece.
const PAGE: usize = 1000;

/// A form of transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Beancount,
    Csv,
    Json,
}

/// Account and asset.
pub(super) type Name = (String, String);

/// An export of transfers under way.
#[derive(Debug)]
pub(super) struct Transfers {
    form: Form,
    span: Span,
    /// The number of the last transfer when it began; `None` before.
    last: Option<u64>,
    after: u64,
    over: bool,
    day: Option<i64>,
    sheet: Sheet,
    // Rows of format 1 have no hash: it is computed. Checking is the audit's.
    chain: ChainCheck,
}

/// What is known of accounts so far.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// By account and asset, in smallest units.
    pub(super) balances: BTreeMap<Name, i128>,
    /// Those that changed since the last end of a day.
    pub(super) changed: BTreeSet<Name>,
    /// Accounts and assets that were introduced to the reader.
    pub(super) known: BTreeSet<String>,
}

/// A transfer as it is exported.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    pub(super) number: u64,
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) at_ms: i64,
    pub(super) kind: &'a str,
    pub(super) asset: &'a str,
    pub(super) debit: &'a str,
    pub(super) credit: &'a str,
    pub(super) amount: i64,
    pub(super) job: Option<JobId>,
    #[serde(serialize_with = "as_text")]
    pub(super) attempt: Option<AttemptId>,
    pub(super) hash: String,
}

fn as_text<S: serde::Serializer>(attempt: &Option<AttemptId>, serializer: S) -> Result<S::Ok, S::Error> {
    match attempt {
        Some(attempt) => serializer.collect_str(attempt),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
struct Balance<'a> {
    account: &'a str,
    asset: &'a str,
    balance: String,
}

impl Transfers {
    pub(super) fn new(form: Form, span: Span) -> Self {
        let (sheet, chain) = (Sheet::default(), ChainCheck::from_start(&[]));
        Transfers { form, span, last: None, after: 0, over: false, day: None, sheet, chain }
    }

    /// The next piece; `None` when all was given. Transfers that come meanwhile are left out.
    pub(super) fn next(&mut self, reader: &Reader) -> Result<Option<String>, StoreError> {
        if self.over {
            return Ok(None);
        }
        let mut text = String::new();
        let Some(last) = self.last else {
            self.last = Some(reader.transfers_total()?);
            self.skip(reader)?;
            self.head(&mut text);
            return Ok(Some(text));
        };
        let page = reader.transfers(self.after, PAGE)?;
        let wanted = |row: &&StoredTransfer| row.id <= last && self.span.until.is_none_or(|until| row.at < until);
        let taken = page.iter().take_while(wanted).count();
        for transfer in &page[..taken] {
            self.transfer(transfer, &mut text);
        }
        if taken < PAGE {
            self.tail(&mut text);
            self.over = true;
        }
        Ok(Some(text))
    }

    /// Adds up what is before the span.
    fn skip(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let Some(from) = self.span.from else { return Ok(()) };
        loop {
            let page = reader.transfers(self.after, PAGE)?;
            for transfer in &page {
                if transfer.at >= from {
                    self.sheet.changed.clear();
                    return Ok(());
                }
                self.book(transfer);
            }
            if page.len() < PAGE {
                self.sheet.changed.clear();
                return Ok(());
            }
        }
    }

    /// Adds a transfer to the balances and gives its hash.
    fn book(&mut self, transfer: &StoredTransfer) -> Digest {
        self.after = transfer.id;
        let row = &transfer.row;
        for (account, amount) in [(&row.debit, -i128::from(row.amount)), (&row.credit, i128::from(row.amount))] {
            let name = (account.clone(), row.asset.clone());
            *self.sheet.balances.entry(name.clone()).or_default() += amount;
            self.sheet.changed.insert(name);
        }
        let computed = self.chain.take(transfer).unwrap_or_default();
        row.hash.map_or(computed, Digest)
    }

    fn head(&mut self, text: &mut String) {
        match self.form {
            Form::Beancount => beancount::head(text, &mut self.sheet, self.span.from),
            Form::Csv => text.push_str("number,seq,at,at_ms,kind,asset,debit,credit,amount,job,attempt,hash\n"),
            Form::Json => {
                let bound = |at: Option<TimeMs>| json(&at.map(Timestamp));
                let (from, until) = (bound(self.span.from), bound(self.span.until));
                let opening = self.balances();
                put(text, format_args!("{{\"from\":{from},\"to\":{until},\"opening\":{opening},\"transfers\":["));
            }
        }
    }

    fn transfer(&mut self, transfer: &StoredTransfer, text: &mut String) {
        let (day, first) = (day_of(transfer.at), self.day.is_none());
        if let Some(before) = self.day.replace(day).filter(|before| *before != day) {
            self.end_day(before, text);
        }
        let hash = self.book(transfer).to_string();
        let row = &transfer.row;
        let row = Row {
            number: transfer.id,
            seq: row.seq,
            at: transfer.at.into(),
            at_ms: transfer.at.0,
            kind: &row.kind,
            asset: &row.asset,
            debit: &row.debit,
            credit: &row.credit,
            amount: row.amount,
            job: row.job,
            attempt: row.attempt,
            hash,
        };
        match self.form {
            Form::Beancount => beancount::transfer(text, &mut self.sheet, &row),
            Form::Csv => csv(text, &row),
            Form::Json => put(text, format_args!("{}\n{}", if first { "" } else { "," }, json(&row))),
        }
    }

    fn end_day(&mut self, day: i64, text: &mut String) {
        if self.form == Form::Beancount {
            beancount::end_of_day(text, &self.sheet, day);
        }
        self.sheet.changed.clear();
    }

    fn tail(&mut self, text: &mut String) {
        if let Some(day) = self.day {
            self.end_day(day, text);
        }
        if self.form == Form::Json {
            let closing = self.balances();
            put(text, format_args!("\n],\"closing\":{closing}}}\n"));
        }
    }

    fn balances(&self) -> String {
        let rows = self.sheet.balances.iter().map(|((account, asset), balance)| Balance {
            account,
            asset,
            balance: balance.to_string(),
        });
        json(&rows.collect::<Vec<_>>())
    }
}

/// No field can hold a comma or a quote: names have a narrow alphabet.
fn csv(text: &mut String, row: &Row<'_>) {
    let Row { number, seq, at, at_ms, kind, asset, debit, credit, amount, job, attempt, hash } = row;
    put(text, format_args!("{number},{seq},{at},{at_ms},{kind},{asset},{debit},{credit},{amount},"));
    if let Some(job) = job {
        put(text, format_args!("{job}"));
    }
    text.push(',');
    if let Some(attempt) = attempt {
        put(text, format_args!("{attempt}"));
    }
    put(text, format_args!(",{hash}\n"));
}

pub(super) fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a text takes what is written");
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("exports have string keys and integers only")
}
