//! Reads the journal of a data directory that no server holds.

use std::path::Path;

use anyhow::ensure;
use huisuan_model::Entry;
use huisuan_store::{DataDirectory, Reader, Store};

/// Entries that are read at once.
const PAGE: usize = 1000;

/// Gives every entry of the journal in order. Holds the data directory meanwhile.
///
/// # Errors
/// When the directory is in use or holds no database, or an entry cannot be read.
pub fn read_journal(data: &Path, mut each: impl FnMut(&Entry)) -> anyhow::Result<u64> {
    ensure!(DataDirectory::has_database(data), "`{}` is no data directory of a server", data.display());
    let store = Store::open(DataDirectory::open(data)?)?;
    let reader = Reader::open(&store.database())?;
    let mut last = 0;
    loop {
        let entries = reader.entries(last, PAGE)?;
        let Some(newest) = entries.last() else { return Ok(last) };
        last = newest.seq;
        entries.iter().for_each(&mut each);
    }
}
