//! Hours of use: a cumulative meter is cut at the full hours of its centre's zone, priced, and rounded once for each
//! line of a bill; what its machines drew stands beside it. [`records`] says what rows of the meter must be to each
//! other.

mod charge;
mod cut;
mod energy;
mod records;

pub use charge::{Charged, charge, exact};
pub use cut::{Span, cut};
pub use energy::{Draw, energy};
pub use records::{MeterError, Meters, Taken};

#[cfg(test)]
pub(crate) use records::tests::record as tests_record;
