//! From work to money: exact within a line of a bill, rounded once.

use huisuan_model::{Money, quantity::GFLOP_PER_P_H};

/// What is posted for an interval, and what its line then still owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// Whole millionths.
    pub cost: Money,
    /// The rest, in parts of which [`GFLOP_PER_P_H`] are a millionth; always less than one.
    pub remainder: u64,
    /// Whether the amount was cut, because it does not fit.
    pub overflow: bool,
}

/// The exact price of work, in parts of which [`GFLOP_PER_P_H`] are a millionth.
pub fn exact(work: i64, price: Money) -> i128 {
    i128::from(work) * i128::from(price.0)
}

/// Prices `work` at `price` for one P·h on top of what its line owes, posting at most `left` of what is held.
///
/// All that a line ever posts is the exact sum, rounded down once. What a hold does not cover is not charged, and what
/// is less than a millionth of it stays owed.
pub fn charge(work: u64, price: Money, remainder: u64, left: Money) -> Charged {
    let parts = i128::from(work) * i128::from(price.0.max(0)) + i128::from(remainder);
    let whole = i128::from(GFLOP_PER_P_H);
    let (due, limit) = (parts / whole, i128::from(left.0.max(0)));
    let cost = due.min(limit);
    let rest = (parts - cost * whole).min(whole - 1);
    let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
    Charged {
        cost: Money(narrow(cost)),
        remainder: u64::try_from(rest).expect("what is left of a millionth is not negative"),
        overflow: due > i128::from(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_work_is_not_lost() {
        // 1 GFLOP at 100 CNY for a P·h is a 36th of a millionth: 36 of them are one.
        let price = Money(100_000_000);
        let (mut owed, mut posted) = (0, 0);
        for _ in 0..36 * 7 {
            let charged = charge(1, price, owed, Money(10));
            (owed, posted) = (charged.remainder, posted + charged.cost.0);
        }
        assert_eq!((posted, owed), (7, 0));
    }

    #[test]
    fn a_hold_is_never_passed_and_nothing_overflows() {
        for (work, price, remainder, left, cost, overflow) in [
            (GFLOP_PER_P_H, 10, 0, 7, 7, false),
            (GFLOP_PER_P_H, 10, 0, 0, 0, false),
            (GFLOP_PER_P_H, 10, GFLOP_PER_P_H - 1, 100, 10, false),
            (u64::MAX, i64::MAX, 0, i64::MAX, i64::MAX, true),
            (5, -3, 9, 100, 0, false),
        ] {
            let charged = charge(work, Money(price), remainder, Money(left));
            assert_eq!((charged.cost, charged.overflow), (Money(cost), overflow), "{work} {price}");
            assert!(charged.remainder < GFLOP_PER_P_H);
        }
    }

    proptest! {
        /// A line as a whole is rounded once, whatever pieces it comes in.
        #[test]
        fn a_line_is_rounded_once(
            price in 0..10_i64.pow(15),
            pieces in prop::collection::vec(0..10_u64.pow(9), 1..60),
        ) {
            let (mut owed, mut posted) = (0, 0_i128);
            for work in &pieces {
                let charged = charge(*work, Money(price), owed, Money(i64::MAX));
                (owed, posted) = (charged.remainder, posted + i128::from(charged.cost.0));
            }
            let all: u64 = pieces.iter().sum();
            prop_assert_eq!(posted, exact(all as i64, Money(price)) / i128::from(GFLOP_PER_P_H));
            prop_assert_eq!(i128::from(owed), exact(all as i64, Money(price)) % i128::from(GFLOP_PER_P_H));
        }
    }
}
