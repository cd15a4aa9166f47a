//! The state machine of the network: commands become events, events become state.
//!
//! [`execute`] is the one door: it decides a command against the state, applies what was decided and
//! returns the events. [`apply`] alone folds recorded events. The same functions serve the live server
//! and the twin, so this crate must never read a clock, do I/O, draw random numbers or walk a hash map;
//! time comes in as an argument.
//!
//! Start reading at [`State`], then `execute.rs`, then `apply.rs`.

mod alarms;
mod apply;
mod books;
mod budget;
mod calendar;
mod centres;
mod channels;
mod contracts;
mod dependencies;
mod execute;
mod keys;
mod late;
mod meter;
mod nodes;
mod oddities;
mod orders;
mod outlook;
mod place;
mod queue;
mod ratings;
mod reconcile;
mod refusal;
mod refused;
mod report;
mod reservations;
mod restore;
mod snapshot;
mod specs;
mod starts;
mod state;
mod submit;
mod tariffs;
mod tenants;
mod touched;
mod used;
mod windows;

pub use apply::apply;
pub use execute::execute;
pub use keys::KeyRecord;
pub use orders::{orders_of, wakes_planner};
pub use outlook::{Candidate, Expected, Learnt, Outlook, PoolAt, Run, Why, learn};
pub use place::hold_each;
pub use reconcile::Differences;
pub use refusal::Refusal;
pub use restore::Stored;
pub use snapshot::{WINDOW_JOBS_MAX, snapshot};
pub use state::State;
pub use tenants::DEFAULT_PROJECT;
pub use touched::Touched;
pub use used::PoolUse;

pub use huisuan_ledger as ledger;
pub use huisuan_schedule as schedule;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
