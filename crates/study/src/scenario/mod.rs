//! Scenario files: a network, its work, its policy and its faults in TOML, checked whole before anything runs.
//!
//! - `file`: the format, as it is written;
//! - `check`, `syntax`: refusals with file, line, field and what was expected;
//! - `declared`: what of it the control plane is told: links and power;
//! - `network`, `jobs`, `faults`, `trace`: from the format to what the twin runs;
//! - `policy_file`: one policy in a file of its own; `racks`: how nodes are connected;
//! - `routes`: the way between two places over links.
//!
//! Units stand at the end of every field's name. Figures of a report that scenarios alone know (power, places,
//! latencies) are kept as [`Facts`].

mod check;
mod declared;
mod faults;
mod file;
mod jobs;
mod network;
mod policy_file;
mod racks;
mod read;
mod reservations;
mod routes;
mod syntax;
mod trace;

pub use jobs::FamilyFacts;
pub use network::{HOURS, LinkFacts, PoolFacts, SiteFacts};
pub use policy_file::read_policy;
pub use read::{Facts, Scenario, Title, read_scenario};
pub use trace::COLUMNS;

pub use huisuan_twin::setup::Site;
