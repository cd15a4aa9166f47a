//! A second opinion: derives every balance from the events of the journal with code of its own, and compares with
//! what the ledger stored. It shares no function with [`Ledger`](crate::Ledger): texts and sums are all it knows.
//!
//! An event that moves money and is not known here shows as a difference, which is loud and right. What must lie in the
//! meter, from which bills are made, is in [`readings`].

use std::collections::BTreeMap;

use huisuan_model::{Event, JobId};

pub mod readings;

/// Something that an auditor found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// An event speaks of something that no event before it made.
    #[error("entry {seq} of the journal: {detail}")]
    Event {
        /// The entry.
        seq: u64,
        /// What is wrong.
        detail: String,
    },
    /// Rows of transfers move something else than the journal says.
    #[error("from entry {seq} of the journal on, its transfers of `{asset}` for account `{account}` are off by {off}")]
    Transfers {
        /// The first entry after which it is so.
        seq: u64,
        /// Whose.
        account: String,
        /// In what.
        asset: String,
        /// What the transfers have too much.
        off: i128,
    },
    /// A stored balance is not what the journal comes to.
    #[error("account `{account}` has {found} of `{asset}`, the journal comes to {expected}")]
    Balance {
        /// Whose.
        account: String,
        /// In what.
        asset: String,
        /// What is stored.
        found: i128,
        /// What the journal comes to.
        expected: i128,
    },
}

type Name = (String, String);

/// One that ran.
#[derive(Debug)]
struct Placed {
    /// What is still held: hours that were posted left it.
    hold: i128,
    /// Cost and work of hours that were posted while it ran.
    posted: (i128, i128),
    currency: String,
    centre: String,
    class: &'static str,
}

/// Sums over a journal and the transfers beside it.
#[derive(Debug, Default)]
pub struct Auditor {
    balances: BTreeMap<Name, i128>,
    payers: BTreeMap<JobId, String>,
    placed: BTreeMap<(JobId, u32), Placed>,
    /// Transfers minus journal of the entry that is being taken.
    entry: (u64, BTreeMap<Name, i128>),
    /// Transfers minus journal, where that is not nothing, and since which entry.
    off: BTreeMap<Name, (u64, i128)>,
}

impl Auditor {
    /// Before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event of entry `seq`; entries come in order. `home` is the currency that tenants are funded in.
    pub fn event(&mut self, seq: u64, event: &Event, home: &str) -> Result<(), Finding> {
        match event {
            Event::Funded { tenant, amount } => {
                self.moved(seq, home, "funding", &format!("tenant:{tenant}"), i128::from(amount.0));
            }
            Event::JobSubmitted { job, tenant, .. } => _ = self.payers.insert(*job, tenant.to_string()),
            Event::JobEnded { job, .. } => _ = self.payers.remove(job),
            Event::TasksPlaced { job, tasks, centre, hold_each, terms, .. } => {
                let payer = self.payer(seq, *job)?;
                let hold = i128::from(hold_each.0);
                let posted = (0, 0);
                for task in tasks.iter() {
                    let currency = terms.tariff.currency.clone();
                    let (centre, class) = (centre.to_string(), terms.share.class.as_str());
                    let placed = Placed { hold, posted, currency, centre, class };
                    if self.placed.insert((*job, task), placed).is_some() {
                        return Err(said(seq, format!("task {job}.{task} is placed while it runs")));
                    }
                }
                let sum = hold * i128::from(tasks.len());
                self.moved(seq, &terms.tariff.currency, &format!("tenant:{payer}"), &format!("held:{payer}"), sum);
            }
            Event::AttemptEnded { attempt, work, cost, .. } => {
                let payer = self.payer(seq, attempt.job)?;
                let placed = self.placed.remove(&(attempt.job, attempt.task));
                let placed = placed.ok_or_else(|| said(seq, format!("attempt {attempt} ends and was not placed")))?;
                let rest = (i128::from(cost.0) - placed.posted.0, i128::from(work.0) - placed.posted.1);
                self.settled(seq, &payer, &placed, rest)?;
            }
            Event::AttemptUsed { attempt, readings, .. } if !readings.is_empty() => {
                let payer = self.payer(seq, attempt.job)?;
                let place = (attempt.job, attempt.task);
                let placed = self.placed.remove(&place);
                let mut placed =
                    placed.ok_or_else(|| said(seq, format!("attempt {attempt} runs and was not placed")))?;
                let cost: i128 = readings.iter().map(|reading| i128::from(reading.cost.0)).sum();
                let work: i128 = readings.iter().map(|reading| i128::from(reading.work)).sum();
                self.posted(seq, &payer, &placed, (cost, work))?;
                placed.hold -= cost;
                placed.posted = (placed.posted.0 + cost, placed.posted.1 + work);
                self.placed.insert(place, placed);
            }
            Event::CreditChanged { tenant, by } => {
                self.moved(seq, home, "funding", &format!("tenant:{tenant}"), i128::from(by.0));
            }
            Event::Rerated { corrections, .. } => {
                for correction in corrections {
                    let (payer, payee) = (&correction.tenant, &correction.centre);
                    let due = i128::from(correction.reading.cost.0);
                    self.moved(seq, home, &format!("tenant:{payer}"), &format!("centre:{payee}"), due);
                }
            }
            Event::LateUsed { records } => {
                for record in records {
                    let (payer, payee, class) = (&record.tenant, &record.centre, record.share.class.as_str());
                    let (due, work) = (i128::from(record.reading.cost.0), i128::from(record.reading.work));
                    self.moved(seq, home, &format!("tenant:{payer}"), &format!("centre:{payee}"), due);
                    let (delivered, used) = (format!("delivered:{payee}"), format!("used:{payer}"));
                    self.moved(seq, &format!("work:{class}"), &delivered, &used, work);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes one stored transfer of entry `seq`, after the events of that entry.
    pub fn transfer(&mut self, seq: u64, asset: &str, debit: &str, credit: &str, amount: i64) {
        for (account, amount) in [(debit, -i128::from(amount)), (credit, i128::from(amount))] {
            self.differ(seq, account, asset, amount);
        }
    }

    /// Every balance that the journal comes to, by account and asset; zeros are left out.
    pub fn balances(&self) -> impl Iterator<Item = (&str, &str, i128)> + '_ {
        let all = self.balances.iter().filter(|(_, balance)| **balance != 0);
        all.map(|((account, asset), balance)| (account.as_str(), asset.as_str(), *balance))
    }

    /// Payers whose held balance, by the journal, is not what their running tasks hold.
    pub fn unresolved(&self) -> Vec<String> {
        let mut held: BTreeMap<(&str, &str), i128> = BTreeMap::new();
        for ((job, _), placed) in &self.placed {
            let payer = self.payers.get(job).map_or("", String::as_str);
            *held.entry((payer, placed.currency.as_str())).or_default() += placed.hold;
        }
        for (account, asset, balance) in self.balances() {
            if let Some(payer) = account.strip_prefix("held:") {
                *held.entry((payer, asset)).or_default() -= balance;
            }
        }
        let wrong = held.into_iter().filter(|(_, off)| *off != 0);
        wrong
            .map(|((payer, asset), off)| format!("tasks of `{payer}` hold {off} {asset} more than its account"))
            .collect()
    }

    /// Compares with all stored balances, once everything was taken. Nothing is found in good books.
    pub fn compare<'a>(mut self, stored: impl IntoIterator<Item = (&'a str, &'a str, i128)>) -> Vec<Finding> {
        self.close_entry();
        let moved = self.off.iter().map(|((account, asset), (seq, off))| {
            let (account, asset) = (account.clone(), asset.clone());
            Finding::Transfers { seq: *seq, account, asset, off: *off }
        });
        let mut findings: Vec<Finding> = moved.collect();
        let name = |account: &str, asset: &str| (account.to_owned(), asset.to_owned());
        // A balance is what is stored and what is expected; each of the two may be absent.
        let mut all: BTreeMap<Name, (i128, i128)> = BTreeMap::new();
        for (account, asset, balance) in stored {
            all.entry(name(account, asset)).or_default().0 += balance;
        }
        for (account, asset, balance) in self.balances() {
            all.entry(name(account, asset)).or_default().1 = balance;
        }
        let differ = all.into_iter().filter(|(_, (found, expected))| found != expected);
        findings.extend(differ.map(|((account, asset), (found, expected))| Finding::Balance {
            account,
            asset,
            found,
            expected,
        }));
        findings
    }

    /// The last of its cost and work is posted, the rest of its hold goes back.
    fn settled(&mut self, seq: u64, payer: &str, placed: &Placed, rest: (i128, i128)) -> Result<(), Finding> {
        self.posted(seq, payer, placed, rest)?;
        let back = placed.hold - rest.0;
        self.moved(seq, &placed.currency, &format!("held:{payer}"), &format!("tenant:{payer}"), back);
        Ok(())
    }

    fn posted(&mut self, seq: u64, payer: &str, placed: &Placed, part: (i128, i128)) -> Result<(), Finding> {
        let ((cost, work), Placed { hold, currency, centre, class, .. }) = (part, placed);
        if cost < 0 || cost > *hold {
            return Err(said(seq, format!("a cost of {cost} was posted from a hold of {hold}")));
        }
        self.moved(seq, currency, &format!("held:{payer}"), &format!("centre:{centre}"), cost);
        self.moved(seq, &format!("work:{class}"), &format!("delivered:{centre}"), &format!("used:{payer}"), work);
        Ok(())
    }

    fn payer(&self, seq: u64, job: JobId) -> Result<String, Finding> {
        self.payers.get(&job).cloned().ok_or_else(|| said(seq, format!("job {job} is not there")))
    }

    fn moved(&mut self, seq: u64, asset: &str, debit: &str, credit: &str, amount: i128) {
        for (account, amount) in [(debit, -amount), (credit, amount)] {
            *self.balances.entry((account.to_owned(), asset.to_owned())).or_default() += amount;
            self.differ(seq, account, asset, -amount);
        }
    }

    fn differ(&mut self, seq: u64, account: &str, asset: &str, amount: i128) {
        if self.entry.0 != seq {
            self.close_entry();
            self.entry.0 = seq;
        }
        *self.entry.1.entry((account.to_owned(), asset.to_owned())).or_default() += amount;
    }

    /// Adds what an entry is off by. Only whole entries are compared: within one, sums pass through anything.
    fn close_entry(&mut self) {
        for (name, amount) in std::mem::take(&mut self.entry.1) {
            let off = self.off.get(&name).map_or(0, |(_, off)| *off) + amount;
            if off == 0 {
                self.off.remove(&name);
            } else {
                self.off.entry(name).or_insert((self.entry.0, 0)).1 = off;
            }
        }
    }
}

fn said(seq: u64, detail: String) -> Finding {
    Finding::Event { seq, detail }
}
