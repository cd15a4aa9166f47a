//! Plots of a run as SVG: one chart each for use, queue, waits and power.
//!
//! - `chart`: axes, lines and legend, readable on light and dark paper;
//! - `run`: which charts a run has.

mod chart;
mod run;

pub use chart::{Chart, Curve};
pub use run::charts;
