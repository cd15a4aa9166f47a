//! The stored books as outsiders see them: the chain over transfers, an audit, and exports.
//!
//! - `chain.rs`: the chain goes on where the stored one ends, after that was checked; `entries.rs`: that of the journal.
//! - `audit.rs`: every balance derived again from the journal, and every rule that can be checked from rows; those of
//!   the meter in `metered.rs`.
//! - `export.rs`: what is exported, in which form; `transfers.rs` (`beancount.rs`) and `bills.rs` make the pieces.
//! - `rate.rs`: how fast the books are kept.
//!
//! Nothing here changes books that exist.

mod audit;
mod beancount;
mod bills;
mod chain;
mod entries;
mod export;
mod metered;
mod rate;
mod transfers;

pub(crate) use audit::audit;
pub use audit::{Audit, Checked, audit_data};
pub(crate) use chain::{ChainCheck, day_of, heads, line_of, resume};
pub(crate) use entries::EntryCheck;
pub use export::{Export, Format, Span, export, export_data};
pub use rate::{LedgerRate, ledger_rate};

#[cfg(test)]
mod tests;
