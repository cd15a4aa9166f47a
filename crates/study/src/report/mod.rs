//! What a run of the twin says: figures by class, family, tenant and centre, time series, plots.
//!
//! - `collect`: watches the run;
//! - `level`, `tally`: amounts over time and sums; `racks`: where gangs lay; `moves`: what was moved;
//! - `figures`: the report and its JSON; `summary` and `away` make it;
//! - `series`: the time series as comma-separated values.
//!
//! Every figure here is **modelled**: computed from a scenario, never measured on a real network.

mod away;
mod collect;
mod figures;
mod level;
mod moves;
mod racks;
mod series;
mod summary;
mod tally;

pub use collect::Collector;
pub use figures::{
    CentreFigures, ClassFigures, Cost, Groups, LinkFigures, Moved, Net, NetworkFigures, Report, TransferCosts,
    Transfers, Waits,
};
pub use racks::GangFigures;
pub use series::{CentreLine, Line, csv};
pub use summary::report;
