//! What was there and what was used of it, hour by hour and period by period: the figures that a planner publishes.

mod capacity;
mod hours;
mod table;

pub use capacity::{Piece, capacity, pieces};
pub use hours::{HOUR_MS, Hour, hours};
pub use table::{Delivered, Figures, Period, Periods, table};
