//! The chain over the journal as it is stored, checked link by link.

use std::collections::BTreeMap;

use huisuan_store::{DayRow, EntryChain, EntryHead, Reader, StoreError, StoredEntry};

use super::chain::{date, day_of};

/// How many of the last entries a start checks: some are as large as a plan. All are checked by an audit.
const START_ENTRIES: u64 = 100;

/// Why the journal is not what its hashes say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// A row cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Numbers of entries have a gap.
    #[error("entry {expected} of the journal is missing: the one after the last is {found}")]
    Gap {
        /// The number that must come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// An entry is not what its hash was made of.
    #[error("entry {seq} of the journal was altered, or one before it: its hash is another one")]
    Altered {
        /// Which.
        seq: u64,
    },
    /// An entry has no hash although entries of its time have.
    #[error("entry {seq} of the journal has no hash, and those after entry {hashed_after} must have one")]
    Bare {
        /// Which.
        seq: u64,
        /// The last that may have none.
        hashed_after: u64,
    },
    /// An entry has a hash although entries of its time had none.
    #[error("entry {seq} of the journal has a hash, and those up to entry {hashed_after} have none")]
    Early {
        /// Which.
        seq: u64,
        /// The last that may have none.
        hashed_after: u64,
    },
    /// The head of a day is not that of the chain.
    #[error("the journal of {} ends with entry {found}, and what was kept of that day is {}", date(*day), kept(expected))]
    Day {
        /// Which.
        day: i64,
        /// By the head of the day.
        expected: Option<u64>,
        /// By the rows.
        found: u64,
    },
    /// The journal ends before the last of its entries that are known of.
    #[error("the journal ends with entry {found}, and there were {expected}")]
    End {
        /// How many there were.
        expected: u64,
        /// How many there are.
        found: u64,
    },
}

fn kept(expected: &Option<u64>) -> String {
    expected.map_or_else(|| "nothing".to_owned(), |seq| format!("entry {seq} with another hash or number"))
}

/// The check of the journal's chain, entry by entry.
#[derive(Debug)]
pub(crate) struct EntryCheck {
    chain: EntryChain,
    last: u64,
    day: Option<i64>,
    hashed_after: u64,
    /// Heads of days that are still to come.
    days: BTreeMap<i64, DayRow>,
}

impl EntryCheck {
    /// From the first entry on, with the heads of all days.
    pub(crate) fn from_start(reader: &Reader) -> Result<Self, StoreError> {
        let days = reader.ledger_days()?.into_iter().map(|day| (day.day, day)).collect();
        let hashed_after = reader.hashed_after()?;
        Ok(EntryCheck { chain: EntryChain::default(), last: 0, day: None, hashed_after, days })
    }

    /// Where the chain is: the last entry and its hash.
    pub(crate) fn head(&self) -> EntryHead {
        EntryHead { seq: self.last, hash: self.chain.head() }
    }

    /// The last entry that has no hash of its own, because an older format wrote it; 0 for none.
    pub(crate) fn hashed_after(&self) -> u64 {
        self.hashed_after
    }

    /// Takes the next entry.
    pub(crate) fn take(&mut self, entry: &StoredEntry) -> Result<(), EntryError> {
        let (seq, hashed_after) = (entry.seq, self.hashed_after);
        if seq != self.last + 1 {
            return Err(EntryError::Gap { expected: self.last + 1, found: seq });
        }
        // Days before this one are over, and the chain was where they say.
        let day = day_of(entry.at);
        if let Some(before) = self.day.filter(|before| *before != day) {
            self.end_day(before)?;
        }
        let hash = self.chain.append(&entry.line());
        match entry.hash {
            None if seq > hashed_after => return Err(EntryError::Bare { seq, hashed_after }),
            Some(_) if seq <= hashed_after => return Err(EntryError::Early { seq, hashed_after }),
            Some(stored) if stored != hash => return Err(EntryError::Altered { seq }),
            Some(_) | None => {}
        }
        (self.last, self.day) = (seq, Some(day));
        Ok(())
    }

    /// Compares the end of a day. Days of older formats name no entry.
    fn end_day(&mut self, day: i64) -> Result<(), EntryError> {
        let kept = self.days.remove(&day).and_then(|row| row.entry);
        let expected = (self.last > self.hashed_after).then(|| self.head());
        if kept == expected {
            Ok(())
        } else {
            Err(EntryError::Day { day, expected: kept.map(|head| head.seq), found: self.last })
        }
    }

    /// Says whether the journal ends where it must, when all was taken.
    pub(crate) fn finish(mut self) -> Result<EntryHead, EntryError> {
        let found = self.last;
        let named = self.days.values().filter_map(|day| day.entry).map(|head| head.seq).max();
        let expected = self.hashed_after.max(named.unwrap_or(0));
        if found < expected {
            return Err(EntryError::End { expected, found });
        }
        if let Some(day) = self.day {
            self.end_day(day)?;
        }
        // Transfers and entries lie on the same days: a day without an entry never was.
        match self.days.keys().next() {
            Some(day) => Err(EntryError::Day { day: *day, expected: None, found }),
            None => Ok(self.head()),
        }
    }
}

/// Checks the end of the journal, before anything is added to it: that it ends where the last day says, and the links
/// of the last entries.
pub(super) fn check_end(reader: &Reader) -> Result<(), EntryError> {
    let (hashed_after, last) = (reader.hashed_after()?, reader.last_entry()?);
    let kept = reader.ledger_days()?.last().and_then(|day| day.entry);
    let expected = kept.map_or(hashed_after, |head| head.seq);
    if last != expected {
        return Err(EntryError::End { expected, found: last });
    }
    let first = last.saturating_sub(START_ENTRIES).max(hashed_after + 1);
    let mut chain: Option<EntryChain> = None;
    for entry in reader.stored_entries(first - 1, usize::MAX >> 1)? {
        let stored = entry.hash.ok_or(EntryError::Bare { seq: entry.seq, hashed_after })?;
        let linked = chain.as_mut().is_none_or(|chain| chain.append(&entry.line()) == stored);
        if !linked {
            return Err(EntryError::Altered { seq: entry.seq });
        }
        chain = Some(EntryChain::at(stored));
    }
    match kept.filter(|head| chain.as_ref().is_none_or(|chain| chain.head() != head.hash)) {
        Some(head) => Err(EntryError::Altered { seq: head.seq }),
        None => Ok(()),
    }
}
