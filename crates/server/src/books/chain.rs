//! The chain of transfers as it is stored: checked link by link, and gone on with. That of entries is in `entries.rs`.

use huisuan_api::{
    books::{DayHead, DayHeads},
    wire::Timestamp,
};
use huisuan_control::ledger::{Chain, Digest, Line};
use huisuan_model::TimeMs;
use huisuan_store::{DayRow, Reader, StoreError, StoredTransfer, TransferRow};

use super::entries::{self, EntryError};

/// Transfers that are read at once.
const PAGE: usize = 1000;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Why the chain is not what its rows say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// A row cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is not what its hashes say.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Numbers of transfers have a gap.
    #[error("transfer {expected} is missing: the one after the last is {found}")]
    Gap {
        /// The number that must come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A transfer is not what its hash was made of.
    #[error("transfer {number} was altered, or one before it: its hash is another one")]
    Altered {
        /// Which.
        number: u64,
    },
    /// A transfer has no hash although one before it has.
    #[error("transfer {number} has no hash")]
    Bare {
        /// Which.
        number: u64,
    },
    /// The head of a day is not that of the chain.
    #[error("the books of {} end with transfer {transfers}, and the hash kept of it is another one", date(*day))]
    Day {
        /// Which.
        day: i64,
        /// How many transfers there were at its end.
        transfers: u64,
    },
    /// The chain ends elsewhere than at the last day's head.
    #[error("there are {found} transfers, and {expected} were kept of the last day")]
    End {
        /// By the head of the last day.
        expected: u64,
        /// By the rows.
        found: u64,
    },
}

/// The day of a moment, in UTC: days after 1970-01-01.
pub(crate) fn day_of(at: TimeMs) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// Where the chain was at the end of each day, as it is told.
pub(crate) fn heads(reader: &Reader) -> Result<DayHeads, StoreError> {
    let days = reader.ledger_days()?.into_iter().map(|row| DayHead {
        day: date(row.day),
        transfers: row.transfers,
        head: Digest(row.hash).to_string(),
        entries: row.entry.map(|head| head.seq),
        journal: row.entry.map(|head| Digest(head.hash).to_string()),
    });
    Ok(DayHeads { days: days.collect() })
}

/// A day as a date.
pub(super) fn date(day: i64) -> String {
    let at = Timestamp(TimeMs(day.saturating_mul(DAY_MS))).to_string();
    at.split('T').next().unwrap_or_default().to_owned()
}

/// What the chain sees of a row.
pub(crate) fn line_of(row: &TransferRow, at: TimeMs) -> Line<'_> {
    let TransferRow { seq, kind, asset, debit, credit, amount, job, attempt, .. } = row;
    Line { seq: *seq, at, kind, asset, debit, credit, amount: *amount, job: *job, attempt: *attempt }
}

/// The check of a chain, link by link.
#[derive(Debug)]
pub(crate) struct ChainCheck {
    chain: Chain,
    /// Once one has a hash, all after it must.
    hashed: bool,
    /// Heads of days that are still to come, the next one last.
    days: Vec<DayRow>,
    last_day: Option<DayRow>,
}

impl ChainCheck {
    /// From the first transfer on, with the heads of all days.
    pub(crate) fn from_start(days: &[DayRow]) -> Self {
        Self::after(None, days)
    }

    /// From the head of a day on, which is trusted, with the heads of the days after it.
    fn after(day: Option<&DayRow>, days: &[DayRow]) -> Self {
        let chain = day.map_or_else(Chain::default, |day| Chain::at(day.transfers, Digest(day.hash)));
        Self {
            chain,
            hashed: day.is_some(),
            days: days.iter().rev().copied().collect(),
            last_day: days.last().copied(),
        }
    }

    /// Takes the next transfer and gives its hash.
    pub(crate) fn take(&mut self, transfer: &StoredTransfer) -> Result<Digest, ChainError> {
        let number = self.chain.count() + 1;
        if transfer.id != number {
            return Err(ChainError::Gap { expected: number, found: transfer.id });
        }
        let before = self.chain.head();
        let hash = self.chain.append(&line_of(&transfer.row, transfer.at));
        match transfer.row.hash {
            Some(stored) if stored == hash.0 => self.hashed = true,
            Some(_) => return Err(ChainError::Altered { number }),
            None if self.hashed => return Err(ChainError::Bare { number }),
            None => {}
        }
        // Days before this one are over, and the chain was where they say.
        self.end_days(number - 1, before, Some(day_of(transfer.at)))?;
        Ok(hash)
    }

    /// Compares the ends of days, all or those before one of them.
    fn end_days(&mut self, transfers: u64, head: Digest, before: Option<i64>) -> Result<(), ChainError> {
        while let Some(day) = self.days.pop_if(|day| before.is_none_or(|before| day.day < before)) {
            if day.transfers != transfers || day.hash != head.0 {
                return Err(ChainError::Day { day: day.day, transfers: day.transfers });
            }
        }
        Ok(())
    }

    /// The end of the chain, when all was taken and it is where the last day's head says.
    pub(crate) fn finish(mut self) -> Result<Chain, ChainError> {
        if let Some(last) = self.last_day.filter(|last| last.transfers != self.chain.count()) {
            return Err(ChainError::End { expected: last.transfers, found: self.chain.count() });
        }
        self.end_days(self.chain.count(), self.chain.head(), None)?;
        Ok(self.chain)
    }
}

/// The end of the stored chain. What was booked since the end of the last day but one is checked, and the end of the
/// journal; what is older is checked by an audit.
pub(crate) fn resume(reader: &Reader) -> Result<Chain, ChainError> {
    entries::check_end(reader)?;
    let days = reader.ledger_days()?;
    let (trusted, fresh) = days.split_at(days.len().saturating_sub(2));
    // A day without transfers before there were any says nothing of hashes.
    let mut check = ChainCheck::after(trusted.last().filter(|day| day.transfers > 0), fresh);
    loop {
        let page = reader.transfers(check.chain.count(), PAGE)?;
        for transfer in &page {
            check.take(transfer)?;
        }
        if page.len() < PAGE {
            return check.finish();
        }
    }
}
