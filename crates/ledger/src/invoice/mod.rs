//! Bills of tenants and statements of centres: rows of the meter that were booked in a month, added up by line.
//!
//! A month is that of the zone of bills, and a row belongs to the month in which it was booked: a month that is over
//! never changes, and what came late is on the next bill, with the days on which it was used. The amounts of rows are
//! whole millionths, so that lines, bills and statements add up to what the ledger posted, to the last one.

mod amount;
mod bill;
mod csv;
mod focus;
mod html;

pub use amount::{decimal, moment};
pub use bill::{Bill, Day, Line, Party, line_id};
pub use csv::{csv, records_csv};
pub use focus::{Aliases, focus, focus_header, focus_rows};
pub use html::{Language, html};
