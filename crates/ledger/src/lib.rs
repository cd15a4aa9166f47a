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
pub mod asset;
pub mod attempts;
pub mod audit;
pub mod auditor;
pub mod chain;
pub mod error;
pub mod ledger;
pub mod linked;
pub mod meter;
pub mod reservation;
pub mod share;
pub mod tariff;
pub mod text;
pub mod transfer;

pub use account::{Account, Side};
pub use asset::{Asset, Contract, Currency, Hour, Zone};
pub use audit::AuditError;
pub use auditor::Auditor;
pub use chain::{Chain, Digest, Line};
pub use error::LedgerError;
pub use ledger::{Hold, Ledger, Rows};
pub use linked::Step;
pub use reservation::Reservation;
pub use share::shares;
pub use text::TextError;
pub use transfer::{Posting, Transfer, TransferKind};
