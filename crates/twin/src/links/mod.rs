//! What goes over the lines between centres, which share their bandwidth.
//!
//! - [`Transfers`]: the transfers under way and when each ends, exact to the millisecond;
//! - `share`: how a moment's bandwidth is shared: as evenly as the lines allow.
//!
//! Nothing here knows centres or tasks: lines and routes are numbers, transfers have ids of their owner's.

mod share;
#[cfg(test)]
mod tests;
mod transfers;

pub use transfers::Transfers;
