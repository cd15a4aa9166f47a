//! Pure accounting: double entry in integers. Money is held before work starts, then posted or voided;
//! work is booked beside it in the units of its class.
//!
//! This crate must never create or lose an amount, read a clock, round, or add two classes or two
//! currencies. An operation that is refused changes nothing.
//! Start reading at [`Ledger`], then [`Transfer`]; [`audit`] says what always holds.
//!
//! What is posted comes from [`meter`] (hours of use, rounded once for each line of a bill) and [`tariff`] (which price
//! an hour has).

pub mod account;
pub mod audit;
pub mod error;
pub mod growth;
pub mod invoice;
pub mod ledger;
pub mod meter;
pub mod tariff;
pub mod transfer;

pub use account::{Account, Asset, Currency, TextError};
pub use audit::AuditError;
pub use error::LedgerError;
pub use ledger::{Hold, Ledger};
pub use transfer::{Posting, Transfer, TransferKind};
