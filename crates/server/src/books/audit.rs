//! The audit: one pass over journal and transfers, by code that shares nothing with what made them.

use std::{collections::BTreeMap, path::Path};

use anyhow::ensure;
use huisuan_api::books::{AuditCheck, AuditView};
use huisuan_control::ledger::{Account, Asset, Auditor, Digest, Side};
use huisuan_model::{Entry, centre::CURRENCY};
use huisuan_store::{BalanceRow, DataDirectory, Reader, Store, StoreError, StoredEntry, StoredTransfer};

use super::{chain::ChainCheck, entries::EntryCheck, metered::MeterCheck};

/// Entries and transfers that are read at once.
const PAGE: usize = 1000;
/// The most findings that are told of one rule.
const FINDINGS_MAX: usize = 5;

/// One rule that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name, as in the handbook.
    pub name: &'static str,
    /// What was found wrong; nothing when all is well.
    pub findings: Vec<String>,
}

/// What an audit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Journal entries read.
    pub entries: u64,
    /// The last of them that has no hash of its own, because an older format wrote it; 0 where all have one.
    pub hashed_after: u64,
    /// The hash of the last entry, which covers all of them; zeros when the chain is broken.
    pub journal: Digest,
    /// Transfers read.
    pub transfers: u64,
    /// The hash of the last transfer, which covers all of them.
    pub head: Digest,
    /// Rows of the meter that the journal made.
    pub meters: u64,
    /// Every rule.
    pub checks: Vec<Checked>,
}

impl Audit {
    /// True when nothing was found.
    pub fn ok(&self) -> bool {
        self.checks.iter().all(|check| check.findings.is_empty())
    }

    /// As it is told.
    pub fn view(self) -> AuditView {
        let ok = self.ok();
        let checks = self.checks.into_iter().map(|Checked { name, findings }| AuditCheck {
            name: name.to_owned(),
            ok: findings.is_empty(),
            findings,
        });
        let (entries, transfers, head) = (self.entries, self.transfers, self.head.to_string());
        let (hashed_after, journal) = (self.hashed_after, self.journal.to_string());
        let meters = self.meters;
        AuditView { ok, entries, hashed_after, journal, transfers, head, meters, checks: checks.collect() }
    }
}

/// Audits a data directory that no server holds.
///
/// # Errors
/// When the directory is in use or holds no database, or a row cannot be read at all.
pub fn audit_data(data: &Path) -> anyhow::Result<Audit> {
    ensure!(DataDirectory::has_database(data), "`{}` is no data directory of a server", data.display());
    let store = Store::open(DataDirectory::open(data)?)?;
    Ok(audit(&Reader::open(&store.database())?)?)
}

/// Audits what is committed now. Holds one view of the database until it is done.
///
/// # Errors
/// When a row cannot be read at all. What contradicts something else is a finding.
pub(crate) fn audit(reader: &Reader) -> Result<Audit, StoreError> {
    reader.at_once(|reader| Pass::new(reader)?.run())
}

/// The one pass, with what each rule has found so far.
struct Pass<'a> {
    reader: &'a Reader,
    auditor: Auditor,
    meter: MeterCheck,
    /// Until a link is broken: after it every one is, and one is enough to know.
    chain: Option<ChainCheck>,
    journal: Option<EntryCheck>,
    head: Digest,
    entries: u64,
    transfers: u64,
    replay: Vec<String>,
    append_only: Vec<String>,
    settled_once: Vec<String>,
}

impl<'a> Pass<'a> {
    fn new(reader: &'a Reader) -> Result<Self, StoreError> {
        let chain = Some(ChainCheck::from_start(&reader.ledger_days()?));
        let journal = Some(EntryCheck::from_start(reader)?);
        Ok(Pass {
            reader,
            auditor: Auditor::new(),
            meter: MeterCheck::default(),
            chain,
            journal,
            head: Digest::default(),
            entries: 0,
            transfers: 0,
            replay: Vec::new(),
            append_only: Vec::new(),
            settled_once: Vec::new(),
        })
    }

    fn run(mut self) -> Result<Audit, StoreError> {
        let mut rows = Vec::new().into_iter().peekable();
        let mut rows_end = false;
        loop {
            let entries = self.reader.stored_entries(self.entries, PAGE)?;
            if entries.is_empty() {
                break;
            }
            for stored in &entries {
                let entry = self.entry(stored)?;
                loop {
                    if rows.peek().is_none() && !rows_end {
                        let page = self.reader.transfers(self.transfers, PAGE)?;
                        rows_end = page.len() < PAGE;
                        rows = page.into_iter().peekable();
                    }
                    let Some(transfer) = rows.next_if(|row: &StoredTransfer| row.row.seq <= entry.seq) else { break };
                    self.transfer(&transfer);
                }
            }
        }
        let left = rows.next().map(|row| format!("transfer {} is of an entry that is not there", row.id));
        self.append_only.extend(left);
        self.finish()
    }

    fn entry(&mut self, stored: &StoredEntry) -> Result<Entry, StoreError> {
        if let Some(mut check) = self.journal.take() {
            match check.take(stored) {
                Ok(()) => self.journal = Some(check),
                Err(error) => self.append_only.push(error.to_string()),
            }
        }
        self.entries = stored.seq;
        let entry = stored.entry()?;
        for event in &entry.events {
            if let Err(finding) = self.auditor.event(entry.seq, event, CURRENCY) {
                self.settled_once.push(finding.to_string());
            }
            self.meter.event(self.reader, entry.at, event)?;
        }
        Ok(entry)
    }

    fn transfer(&mut self, transfer: &StoredTransfer) {
        self.transfers = transfer.id;
        let row = &transfer.row;
        self.auditor.transfer(row.seq, &row.asset, &row.debit, &row.credit, row.amount);
        self.meter.transfer(transfer);
        if let Some(mut check) = self.chain.take() {
            match check.take(transfer) {
                Ok(hash) => {
                    self.head = hash;
                    self.chain = Some(check);
                }
                Err(error) => self.append_only.push(error.to_string()),
            }
        }
    }

    fn finish(mut self) -> Result<Audit, StoreError> {
        if let Some(Err(error)) = self.chain.take().map(ChainCheck::finish) {
            self.append_only.push(error.to_string());
        }
        let journal = match self.journal.take().map(EntryCheck::finish) {
            Some(Ok(head)) => Digest(head.hash),
            Some(Err(error)) => {
                self.append_only.push(error.to_string());
                Digest::default()
            }
            None => Digest::default(),
        };
        let hashed_after = self.reader.hashed_after()?;
        let balances = self.reader.balances()?;
        let stored = balances.iter().map(|row| (row.account.as_str(), row.asset.as_str(), row.amount));
        let unresolved = self.auditor.unresolved();
        self.replay.extend(self.auditor.compare(stored).iter().map(ToString::to_string));
        let meters = self.meter.rows();
        let (metered, billed) = self.meter.finish(self.reader);
        let rules = [
            ("zero-sum", zero_sum(&balances)),
            ("append-only", self.append_only),
            ("no-overdraft", no_overdraft(&balances)),
            ("holds-resolve", unresolved),
            ("settled-once", self.settled_once),
            ("clearing-empty", clearing_empty(&balances)),
            ("replay", self.replay),
            ("metered", metered),
            ("billed", billed),
        ];
        let checks = rules.into_iter().map(|(name, mut findings)| {
            findings.truncate(FINDINGS_MAX);
            Checked { name, findings }
        });
        let (entries, transfers, head) = (self.entries, self.transfers, self.head);
        Ok(Audit { entries, hashed_after, journal, transfers, head, meters, checks: checks.collect() })
    }
}

fn zero_sum(balances: &[BalanceRow]) -> Vec<String> {
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for row in balances {
        let sum = sums.entry(&row.asset).or_default();
        *sum = sum.saturating_add(row.amount);
    }
    let wrong = sums.into_iter().filter(|(_, sum)| *sum != 0);
    wrong.map(|(asset, sum)| format!("balances of `{asset}` add up to {sum}, not to zero")).collect()
}

fn no_overdraft(balances: &[BalanceRow]) -> Vec<String> {
    let wrong = |row: &BalanceRow| match (row.account.parse::<Account>(), row.asset.parse::<Asset>()) {
        (Ok(account), Ok(asset)) if account.takes(asset) => match account.side() {
            Side::Holder => row.amount < 0,
            Side::Source => row.amount > 0,
            Side::Passage => false,
        },
        _ => true,
    };
    let wrong = balances.iter().filter(|row| wrong(row));
    wrong.map(|row| format!("account `{}` cannot have {} of `{}`", row.account, row.amount, row.asset)).collect()
}

fn clearing_empty(balances: &[BalanceRow]) -> Vec<String> {
    let left = balances.iter().filter(|row| row.account == "clearing" && row.amount != 0);
    left.map(|row| format!("account `clearing` has {} of `{}`", row.amount, row.asset)).collect()
}
