//! What an hour of a pool costs: rules with effective dates, and the calendar of a zone.
//!
//! Of the rules that a piece of work meets, the most specific one holds: for a pool before a class, a class before a
//! priority, a higher priority before a lower one, some hours before all. Two rules that are about the same at the same
//! time are refused, and so is one that begins in the past, unless it comes with the order to price anew what it
//! concerns; then the later rule holds. Where no rule is met, the centre's own price is asked.
//!
//! A contract between tenant and centre goes before all of these: it sets the price, or takes off what they ask.

mod book;
mod contracts;
mod zone;

pub use book::{Priced, Scope, TariffBook, TariffError};
pub use contracts::{ContractBook, ContractError};
pub use zone::{Zone, month_of_text, month_text};
