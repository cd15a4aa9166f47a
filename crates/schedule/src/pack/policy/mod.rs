//! Packing policies by name. Each rates one room for one ask in integers; more is better.

mod best_fit;
mod default;
mod dot_product;
mod fgd;
mod random;
mod rule;

pub use rule::{Packing, Rate, Rule, UnknownPacking};
