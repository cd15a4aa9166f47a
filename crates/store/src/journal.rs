//! Entries of the journal as they are stored, and the chain over them: each has a hash over all that its row holds and
//! over the hash before it, so that none can be changed, dropped, added or moved without another end.

use std::fmt::Write as _;

use huisuan_model::{Entry, TimeMs, hex};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest as _, Sha256};

use crate::{Reader, StoreError, load, reader::parse};

/// A row of the journal, before anything of it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Counts up by one, from 1.
    pub seq: u64,
    /// When it was decided.
    pub at: TimeMs,
    /// Format of the body.
    pub version: u32,
    /// Who asked.
    pub actor: String,
    /// Who pays.
    pub tenant: String,
    /// Origin, command and events as JSON.
    pub body: String,
    /// Its hash in the chain; entries of format 4 and before have none.
    pub hash: Option<[u8; 32]>,
}

impl StoredEntry {
    /// Reads it, of any known version.
    ///
    /// # Errors
    /// When a newer program wrote it or it is no entry.
    pub fn entry(&self) -> Result<Entry, StoreError> {
        entry(self.seq, self.at, self.version, &self.body)
    }

    /// What the chain sees of it.
    pub fn line(&self) -> EntryLine<'_> {
        let StoredEntry { seq, at, version, actor, tenant, body, .. } = self;
        EntryLine { seq: *seq, at: *at, version: *version, actor, tenant, body }
    }
}

/// A row of the journal as the chain sees it: every column but the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryLine<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was decided.
    pub at: TimeMs,
    /// Format of the body.
    pub version: u32,
    /// Who asked.
    pub actor: &'a str,
    /// Who pays.
    pub tenant: &'a str,
    /// Origin, command and events as JSON.
    pub body: &'a str,
}

/// The end of the chain over the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryChain {
    head: [u8; 32],
    /// Memory that is used again for what stands before each body.
    text: String,
}

impl EntryChain {
    /// The end after the entry with this hash; zeros before the first.
    pub fn at(head: [u8; 32]) -> Self {
        Self { head, text: String::new() }
    }

    /// The hash of the last entry; zeros before the first.
    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    /// Adds an entry and gives its hash: SHA-256 of `before|seq|at_ms|version|actor|tenant|body`, where `before` is the
    /// hash before it as 64 characters of 0-9 a-f. No part but the body, which is the last, can hold a `|`.
    pub fn append(&mut self, line: &EntryLine<'_>) -> [u8; 32] {
        let EntryLine { seq, at, version, actor, tenant, body } = line;
        let text = &mut self.text;
        text.clear();
        text.push_str(&hex::encode(&self.head));
        write!(text, "|{seq}|{}|{version}|{actor}|{tenant}|", at.0).expect("a text takes what is written");
        // The body, nearly all of it, is hashed where it lies.
        self.head = Sha256::new().chain_update(text.as_bytes()).chain_update(body.as_bytes()).finalize().into();
        self.head
    }
}

/// The end of the stored chain, for the writer to go on from.
///
/// Entries of older formats have no hash: until there is one that has, all are read.
pub(crate) fn end_of_chain(connection: &Connection) -> Result<EntryChain, StoreError> {
    let last: Option<(i64, Option<[u8; 32]>)> = connection
        .query_row("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match last {
        None => Ok(EntryChain::default()),
        Some((_, Some(hash))) => Ok(EntryChain::at(hash)),
        Some((seq, None)) if seq.unsigned_abs() <= hashed_after(connection)? => {
            let mut chain = EntryChain::default();
            let mut statement = connection.prepare(&format!("{SELECT} ORDER BY seq"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                chain.append(&stored(row)?.line());
            }
            Ok(chain)
        }
        Some((seq, None)) => Err(corrupt(seq, "has no hash, and entries before it have one")),
    }
}

fn hashed_after(connection: &Connection) -> Result<u64, StoreError> {
    let text: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE name = 'hashed_after'", [], |row| row.get(0)).optional()?;
    let number = text.and_then(|text| text.parse().ok().filter(|number: &u64| number.to_string() == text));
    number.ok_or_else(|| StoreError::Corrupt {
        table: "meta",
        row: "hashed_after".into(),
        detail: "is missing or no number".into(),
    })
}

const SELECT: &str = "SELECT seq, at_ms, version, body, actor, tenant, hash FROM journal";

impl Reader {
    /// Up to `limit` journal entries after `seq`, in order.
    pub fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, at_ms, version, body FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let mut rows = statement.query(params![signed(after), limit as i64])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(entry_of(row)?);
        }
        Ok(entries)
    }

    /// The same as they are stored.
    pub fn stored_entries(&self, after: u64, limit: usize) -> Result<Vec<StoredEntry>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(&format!("{SELECT} WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
        let mut rows = statement.query(params![signed(after), limit as i64])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(stored(row)?);
        }
        Ok(entries)
    }

    /// The number of the last entry that has no hash because an older format wrote it; 0 where all have one.
    pub fn hashed_after(&self) -> Result<u64, StoreError> {
        hashed_after(&self.connection)
    }

    /// The number of the last entry; 0 for none.
    pub fn last_entry(&self) -> Result<u64, StoreError> {
        let last: i64 = self.connection.query_row("SELECT COALESCE(MAX(seq), 0) FROM journal", [], |row| row.get(0))?;
        Ok(last.unsigned_abs())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn corrupt(seq: i64, detail: &str) -> StoreError {
    StoreError::Corrupt { table: "journal", row: seq.to_string(), detail: detail.into() }
}

fn stored(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    let seq: i64 = row.get(0)?;
    // A value of another type than its column's is named with its entry.
    let read = || -> rusqlite::Result<StoredEntry> {
        Ok(StoredEntry {
            seq: load::count(row, 0)?,
            at: TimeMs(row.get(1)?),
            version: row.get(2)?,
            body: row.get(3)?,
            actor: row.get(4)?,
            tenant: row.get(5)?,
            hash: row.get(6)?,
        })
    };
    read().map_err(|error| corrupt(seq, &error.to_string()))
}

#[derive(serde::Deserialize)]
struct Body {
    origin: huisuan_model::command::Origin,
    command: huisuan_model::Command,
    events: Vec<huisuan_model::Event>,
}

/// The entry of a row with its number, time, version and body.
pub(crate) fn entry_of(row: &Row<'_>) -> Result<Entry, StoreError> {
    let (seq, at, version): (i64, i64, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let body = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
    entry(seq.unsigned_abs(), TimeMs(at), version, body)
}

/// Reads a stored entry of any known version. Older versions get an upcaster here.
fn entry(seq: u64, at: TimeMs, version: u32, body: &str) -> Result<Entry, StoreError> {
    if version > huisuan_model::command::ENTRY_VERSION {
        let known = huisuan_model::command::ENTRY_VERSION;
        return Err(StoreError::NewerFormat { found: version, known });
    }
    let Body { origin, command, events } = parse("journal", &seq.to_string(), body)?;
    Ok(Entry { seq, at, version, origin, command, events })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: EntryLine<'_> =
        EntryLine { seq: 7, at: TimeMs(1_000), version: 1, actor: "user", tenant: "lab", body: "{\"a\":\"汇|算\"}" };

    #[test]
    fn the_hash_is_of_the_documented_text() {
        let mut chain = EntryChain::default();
        let first = chain.append(&LINE);
        let text = format!("{}|7|1000|1|user|lab|{}", "0".repeat(64), LINE.body);
        assert_eq!(first, <[u8; 32]>::from(Sha256::digest(text.as_bytes())));
        // printf '%s' TEXT | sha256sum
        assert_eq!(hex::encode(&first), "e3ae91cd35be882c265beab0e3b2ce8ffeeb253eb4dc4659dbe746b0d4fec60a");
        let second = chain.append(&EntryLine { seq: 8, ..LINE });
        let text = format!("{}|8|1000|1|user|lab|{}", hex::encode(&first), LINE.body);
        assert_eq!(second, <[u8; 32]>::from(Sha256::digest(text.as_bytes())));
        assert_eq!(EntryChain::at(first).append(&EntryLine { seq: 8, ..LINE }), second);
        assert_eq!(chain.head(), second);
    }

    #[test]
    fn every_part_counts() {
        let plain = EntryChain::default().append(&LINE);
        for other in [
            EntryLine { seq: 8, ..LINE },
            EntryLine { at: TimeMs(1_001), ..LINE },
            EntryLine { version: 2, ..LINE },
            EntryLine { actor: "usex", ..LINE },
            EntryLine { tenant: "lac", ..LINE },
            EntryLine { body: "{\"a\":\"汇|箅\"}", ..LINE },
        ] {
            assert_ne!(EntryChain::default().append(&other), plain, "{other:?}");
        }
        assert_ne!(EntryChain::at(plain).append(&LINE), plain);
    }
}
