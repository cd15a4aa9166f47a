//! Durable state: the journal and the tables, in one SQLite database of one data directory.
//!
//! The only place with SQL. It decides nothing: rows come in, rows go out, and a commit is all or nothing.
//! It must never be told "accepted" before [`Store::commit`] returned. One process at a time may hold a
//! data directory. Start reading at [`Store`]; the tables are in `migrations/sqlite`.
//!
//! Nothing here is beyond PostgreSQL: plain tables, partial indexes, upserts, no triggers.

mod audit;
mod batch;
mod books;
mod checkpoint;
mod directory;
mod error;
mod journal;
mod load;
mod log;
mod meter;
mod past;
mod reader;
mod schema;
mod write;

pub use audit::{MeterHour, Totals};
pub use batch::{Batch, KeyRow, Prepared, of_centre};
pub use books::{BalanceRow, DayEnd, DayRow, EntryHead, StoredTransfer, TransferRow};
pub use directory::DataDirectory;
pub use error::StoreError;
pub use journal::{EntryChain, EntryLine, StoredEntry};
pub use load::Rows;
pub use meter::{MeterTotal, OddityRow};
pub use reader::{JobFilter, Reader};
pub use schema::FORMAT;
pub use write::{Durable, Store};
