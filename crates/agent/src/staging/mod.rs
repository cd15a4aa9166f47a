//! Data of attempts: brought to them before the engine has them, taken from them after they succeeded.
//!
//! | file | is |
//! |---|---|
//! | `stager.rs` | the threads that move files, and what the agent's two threads ask of them |
//! | `queue.rs`, `live.rs` | what waits and what came of it; what is under way for one attempt |
//! | `ends.rs`, `fault.rs` | ends of attempts as data makes them; why a file is not there |
//! | `record.rs` | what an attempt's folder says, so that a killed agent goes on where it was |
//! | `bring.rs`, `take.rs` | one file in, one file out |
//! | `source.rs` | where a file comes from, from any byte on |
//! | `web.rs` | requests over HTTP, redirects followed by hand |
//! | `guard.rs` | which addresses may be called |
//! | `rules.rs`, `store.rs` | what the site allows; its object stores |
//! | `beneath.rs` | files below a folder that no name and no link leads out of |
//!
//! What must never happen here: a byte from or to a place that the site's rules do not name, a file outside of the
//! attempt's folder, a task that starts with half of its data, an end that is called good before its data is safe.

mod beneath;
mod bring;
mod ends;
mod fault;
mod guard;
mod live;
mod queue;
mod record;
mod rules;
mod source;
mod stager;
mod store;
mod take;
#[cfg(test)]
mod tests;
mod web;

pub(crate) use rules::{DataFile, DataRules};
pub(crate) use stager::Stager;
